"""What the hull explorer is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nextrung.reports.sections.hull import explore_hull
from nextrung.reports.sections.section import documents_of
from nextrung.schemas.stability import StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def explorer(documents: Mapping[str, TaskDoc]) -> Element:
    return explore_hull(documents_of(documents, "stability", StabilityDoc))


def test_the_fullest_compound_system_comes_first(explorer: Element) -> None:
    offered = [option.get("value") for option in explorer.iter("option")]
    assert [name for name in offered if name] == ["Li-O", "Mn-O", "Li-Mn-O"]
    (search,) = explorer.iter("input")
    assert search.get("value") == "Li-O"


def test_energies_are_given_in_mev_for_every_material(explorer: Element) -> None:
    given = json.loads(next(explorer.iter("script")).text or "")
    place = given["materials"].index("m-LiO2")
    assert given["fractions"][place] == pytest.approx({"Li": 1 / 3, "O": 2 / 3})
    assert given["labels"][place] == [-700.0, 80.0]
    assert given["models"]["1 · From scratch"][place] == [None, None]
    assert given["models"]["4 · Refitted atom refs"][place] == [-690.0, 80.0]
