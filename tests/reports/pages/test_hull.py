"""The page of one chemical system."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from nextrung.reports.pages.hull import write_hull
from nextrung.reports.sections.section import documents_of
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def scored(documents: Mapping[str, TaskDoc]) -> dict[str, LoadedStability]:
    return documents_of(documents, "stability", LoadedStability)


def test_the_page_needs_no_other_file(
    scored: Mapping[str, LoadedStability], tmp_path: Path
) -> None:
    write_hull(scored, "Li-Mn-O", tmp_path / "hull.html")

    page = (tmp_path / "hull.html").read_text()
    assert page.count("plotly.js v") == 1
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"http", page)
    assert "labels: distilled from chgnet-r2scan" in page
    assert "11 materials of Li, Mn, O." in page


def test_every_model_can_be_chosen(
    scored: Mapping[str, LoadedStability], tmp_path: Path
) -> None:
    write_hull(scored, "Li-O", tmp_path / "hull.html")

    page = (tmp_path / "hull.html").read_text()
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert len(json.loads(data)["models"]) == len(scored)


def test_a_missing_energy_has_its_error_as_tooltip(
    scored: Mapping[str, LoadedStability], tmp_path: Path
) -> None:
    write_hull({"scratch": scored[Model.SCRATCH]}, "Li-O", tmp_path / "hull.html")

    page = (tmp_path / "hull.html").read_text()
    assert 'title="an atom has no neighbour within 6 Å">–</td>' in page


def test_a_system_of_one_element_has_a_table_only(
    scored: Mapping[str, LoadedStability], tmp_path: Path
) -> None:
    write_hull(scored, "O", tmp_path / "hull.html")

    page = (tmp_path / "hull.html").read_text()
    assert "Hulls of 1 element are not drawn; the table lists their energies." in page
    assert 'class="explorer"' not in page
    assert "m-O2" in page


def test_an_unknown_system_writes_no_file(
    scored: Mapping[str, LoadedStability], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="got Xx; nearest: O, Mn-O, Li-O"):
        write_hull(scored, "Xx-O", tmp_path / "hull.html")

    assert not list(tmp_path.iterdir())
