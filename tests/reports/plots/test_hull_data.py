"""Which materials are on which side of a hull, and which are neighbours there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from nextrung.compute.stability import score_stability
from nextrung.reports.plots.hull_data import (
    HullData,
    list_within,
    parse_system,
    read_hull_data,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import MaterialEnergies, StabilitySettings

if TYPE_CHECKING:
    from nextrung.schemas.stability import StabilityRecord

#: Formation energies in eV/atom of the labels and of a model that lost Li2O2.
ENERGIES: dict[str, tuple[float, float | None]] = {
    "Li": (0, 0),
    "Mn": (0, 0),
    "O": (0, 0),
    "Li2O": (-2, -2.1),
    "Li2O2": (-1.6, None),
    "MnO": (-2, -1.9),
    "MnO2": (-1.8, -1.7),
    "LiMnO2": (-2.3, -1.0),
}


def score(energies: dict[str, tuple[float, float | None]]) -> list[StabilityRecord]:
    materials = [
        MaterialEnergies(
            material_id=f"m-{formula}",
            composition=Composition(formula).get_el_amt_dict(),
            split="test",
            target_energy=target * Composition(formula).num_atoms,
            predicted_energy=predicted and predicted * Composition(formula).num_atoms,
        )
        for formula, (target, predicted) in energies.items()
    ]
    return score_stability(materials, StabilitySettings()).rows


def make_side(name: str, source: Literal["target", "predicted"]) -> HullData:
    rows = score(ENERGIES)
    elements = parse_system(name, rows)
    within = list_within(rows, elements)
    return read_hull_data(within, elements, source=source, title=source)


def name_edges(side: HullData) -> set[frozenset[str]]:
    names = [row.material_id.removeprefix("m-") for row in side.rows]
    return {frozenset((names[one], names[other])) for one, other in side.find_edges()}


def test_a_system_holds_all_systems_within() -> None:
    rows = score(ENERGIES)

    held = {row.material_id for row in list_within(rows, ("O", "Mn"))}

    assert held == {"m-Mn", "m-O", "m-MnO", "m-MnO2"}


def test_stable_materials_come_last_to_be_drawn_on_top() -> None:
    side = make_side("Li-Mn-O", "predicted")

    assert list(side.above_hull) == sorted(side.above_hull, reverse=True)
    assert side.rows[0].material_id == "m-LiMnO2"
    assert {side.rows[place].material_id for place in side.stable} == {
        "m-Li",
        "m-Mn",
        "m-O",
        "m-Li2O",
        "m-MnO",
        "m-MnO2",
    }


def test_a_material_without_an_energy_is_on_the_other_side_only() -> None:
    labels, model = make_side("Li-O", "target"), make_side("Li-O", "predicted")

    assert "m-Li2O2" in {row.material_id for row in labels.rows}
    assert "m-Li2O2" not in {row.material_id for row in model.rows}


def test_shares_follow_the_order_that_was_asked_for() -> None:
    side = make_side("O-Li", "target")
    place = [row.material_id for row in side.rows].index("m-Li2O")

    assert side.elements == ("O", "Li")
    assert side.fractions(place) == pytest.approx([1 / 3, 2 / 3])


def test_neighbours_in_two_elements_follow_one_another() -> None:
    assert name_edges(make_side("Li-O", "target")) == {
        frozenset(("Li", "Li2O")),
        frozenset(("Li2O", "Li2O2")),
        frozenset(("Li2O2", "O")),
    }


@pytest.mark.parametrize("source", ["target", "predicted"])
def test_neighbours_are_those_of_pymatgens_hull_of_all_materials(
    source: Literal["target", "predicted"],
) -> None:
    """Edges of the facets of a hull that also knows what lies above it."""
    column = 0 if source == "target" else 1
    entries = [
        PDEntry(formula, energy * Composition(formula).num_atoms, name=formula)
        for formula, energies in ENERGIES.items()
        if (energy := energies[column]) is not None
    ]
    diagram = PhaseDiagram(entries)
    expected = {
        frozenset((diagram.qhull_entries[one].name, diagram.qhull_entries[other].name))
        for facet in diagram.facets
        for one in facet
        for other in facet
        if one != other
    }

    assert name_edges(make_side("Li-Mn-O", source)) == expected


def test_without_an_elemental_entry_there_is_no_hull() -> None:
    energies = {name: pair for name, pair in ENERGIES.items() if name != "Mn"}
    rows = score(energies)
    elements = parse_system("Li-Mn-O", rows)

    side = read_hull_data(
        list_within(rows, elements), elements, source="target", title="labels"
    )

    assert side.find_edges() == []
    assert {row.chemical_system for row in side.rows} == {"Li", "O", "Li-O"}


def test_an_element_alone_has_no_neighbours() -> None:
    assert make_side("O", "target").find_edges() == []


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
def test_an_unknown_system_is_refused_with_the_nearest(name: str, line: str) -> None:
    with pytest.raises(InputError, match=re.escape(line)):
        parse_system(name, score(ENERGIES))
