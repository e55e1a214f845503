"""Data of the hull explorer, and chemical systems."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from nextrung.reports.sections.hull import (
    build_explorer,
    parse_system,
    rank_systems,
    select_within,
)
from nextrung.reports.sections.section import documents_of
from nextrung.schemas.base import InputError
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.stability.table import StabilityTable


@pytest.fixture
def scored(documents: Mapping[str, TaskDoc]) -> dict[str, LoadedStability]:
    return documents_of(documents, "stability", LoadedStability)


@pytest.fixture
def rows(scored: Mapping[str, LoadedStability]) -> StabilityTable:
    return next(iter(scored.values())).rows


@pytest.fixture
def explorer(scored: Mapping[str, LoadedStability], rows: StabilityTable) -> Element:
    return build_explorer(scored, rank_systems(rows))


def test_the_compound_system_with_most_materials_comes_first(explorer: Element) -> None:
    offered = [option.get("value") for option in explorer.iter("option")]
    assert [name for name in offered if name] == ["Li-O", "Mn-O", "Li-Mn-O"]
    (search,) = explorer.iter("input")
    assert search.get("value") == "Li-O"


def test_energies_are_in_mev_for_every_material(explorer: Element) -> None:
    given = json.loads(next(explorer.iter("script")).text or "")
    index = given["materials"].index("m-LiO2")
    assert given["fractions"][index] == pytest.approx({"Li": 1 / 3, "O": 2 / 3})
    assert given["labels"][index] == [-700.0, 80.0]
    assert given["models"]["1 · From scratch"][index] == [None, None]
    assert given["models"]["4 · Refitted atom refs"][index] == [-690.0, 80.0]


def test_a_system_includes_its_subsystems(rows: StabilityTable) -> None:
    found = set(select_within(rows, ("O", "Mn")).material_id.tolist())
    assert found == {"m-Mn", "m-O2", "m-MnO", "m-MnO2", "m-Mn2O3"}


def test_elements_keep_the_order_of_the_request(rows: StabilityTable) -> None:
    assert parse_system("O-Li", rows) == ["O", "Li"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Li-Mn-0", "chemical system Li-Mn-0: expected elements of the study's"),
        ("Li-Mn-0", "got 0; nearest: Li-Mn-O"),
        ("mn-o", "got mn, o; nearest: Mn-O"),
        ("Li-Na-O", "got Na; nearest: Li-O, Li-Mn-O, Li"),
        ("LiO2", "got LiO2; nearest: Li"),
        ("", "chemical system : expected elements"),
    ],
)
def test_an_unknown_system_is_rejected_with_the_nearest(
    name: str, line: str, rows: StabilityTable
) -> None:
    with pytest.raises(InputError, match=re.escape(line)):
        parse_system(name, rows)
