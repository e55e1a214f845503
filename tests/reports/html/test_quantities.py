"""Quantities in their shown units."""

from __future__ import annotations

from nextrung.reports.html.elements import MISSING
from nextrung.reports.html.quantities import COUNT, ENERGY, MAGMOMS


def test_energies_are_stored_in_ev_and_shown_in_mev() -> None:
    assert ENERGY.heading == "Energy (meV/atom)"
    assert ENERGY.format(0.02713) == "27.1"
    cell = ENERGY.cell(0.02713)
    assert (cell[0].text, cell[0].get("value")) == ("27.1", "0.02713")


def test_a_missing_value_is_a_dash_with_its_reason() -> None:
    assert MAGMOMS.format(None) == MISSING
    assert MAGMOMS.cell(None, "no labels").get("title") == "no labels"


def test_counts_have_no_decimals() -> None:
    assert COUNT.format(1200) == "1,200"
