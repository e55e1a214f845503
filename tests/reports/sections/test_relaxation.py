"""Relaxations by how they ended."""

from __future__ import annotations

from nextrung.reports.html.elements import render
from nextrung.reports.sections.relaxation import list_statuses


def test_a_status_that_never_occurred_counts_zero() -> None:
    (made,) = list_statuses({"scratch": {"converged": 5}}, {})
    values = [data.get("value") for data in made.iter("data")]
    assert values == ["5", "0", "0", "0", "0"]
    assert "1 · From scratch" in render(made)
