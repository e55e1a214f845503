from __future__ import annotations

import gzip
import json
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from monty.json import MontyDecoder
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from nextrung.compute.stability import score_decomposition
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import Competitors, DecompositionRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Where SLSQP, pymatgen's optimiser of phase separation, stops short of the minimum.
SLSQP_TOLERANCE = 2e-5
REAL_ENTRIES = (
    "entries/Li-Fe-P-O_entries.json.gz",
    "mp-task-documents/Li-Fe-O.json.gz",
)


def make_entries(energies: dict[str, float]) -> list[ComputedEntry]:
    """Entries named by their formula, from energies in eV/atom."""
    return [
        ComputedEntry(
            formula, energy * Composition(formula).num_atoms, entry_id=formula
        )
        for formula, energy in energies.items()
    ]


def read_entries(path: Path) -> list[ComputedEntry]:
    with gzip.open(path) as file:
        entries: list[ComputedEntry] = MontyDecoder().process_decoded(json.load(file))
    return entries


def by_id(records: Sequence[DecompositionRecord]) -> dict[str, DecompositionRecord]:
    return {record.entry_id: record for record in records}


def test_a_stable_compound_is_as_deep_as_its_products_are_shallow() -> None:
    """A3B at -0.2 and AB at -1 eV/atom: AB decomposes into half A3B and B, at -0.2*2/3.

    AB has half A: two thirds of its atoms form A3B with all of the A.
    """
    entries = make_entries({"Li": 0, "F": 0, "Li3F": -0.2, "LiF": -1})

    records = by_id(score_decomposition(entries))

    assert records["LiF"].decomposition_energy_per_atom == pytest.approx(
        -1 + 0.2 * 2 / 3
    )
    assert records["LiF"].energy_above_hull == 0
    phases = records["LiF"].competing_phases
    assert [phase.formula for phase in phases] == ["Li3F", "F2"]
    assert [phase.amount for phase in phases] == pytest.approx([2 / 3, 1 / 3])


def test_an_unstable_compound_is_above_the_tie_line() -> None:
    """Li3F lies at 3/4 Li, halfway between LiF (-1) and Li (0): at -0.5 on the hull."""
    entries = make_entries({"Li": 0, "F": 0, "Li3F": -0.2, "LiF": -1})

    record = by_id(score_decomposition(entries))["Li3F"]

    assert record.decomposition_energy_per_atom == pytest.approx(0.3)
    assert record.energy_above_hull == pytest.approx(0.3)
    assert record.formation_energy_per_atom == pytest.approx(-0.2)


def test_polymorphs_compete_only_where_asked() -> None:
    """LiF at -1 and at -0.7, with nothing but elements beside them."""
    entries = make_entries({"Li": 0, "F": 0, "LiF": -1, "Li2F2": -0.7})

    left_out = by_id(score_decomposition(entries))
    competing = by_id(score_decomposition(entries, Competitors.SELF))

    assert left_out["Li2F2"].decomposition_energy_per_atom == pytest.approx(-0.7)
    assert competing["Li2F2"].decomposition_energy_per_atom == pytest.approx(0.3)
    assert competing["LiF"].decomposition_energy_per_atom == pytest.approx(-0.3)
    assert [p.entry_id for p in competing["LiF"].competing_phases] == ["Li2F2"]
    assert left_out["Li2F2"].energy_above_hull == pytest.approx(0.3)


def test_equal_polymorphs_are_each_others_product() -> None:
    entries = make_entries({"Li": 0, "F": 0, "LiF": -1, "Li2F2": -1})

    records = score_decomposition(entries, Competitors.SELF)

    assert [r.decomposition_energy_per_atom for r in records[2:]] == [0, 0]


def test_elements_are_measured_from_their_ground_state() -> None:
    entries = make_entries({"Li": -1, "Li2": -0.8, "F": 0})

    records = by_id(score_decomposition(entries))

    assert records["Li"].decomposition_energy_per_atom == 0
    assert records["Li"].competing_phases == ()
    assert records["Li2"].decomposition_energy_per_atom == pytest.approx(0.2)
    assert records["Li2"].competing_phases[0].entry_id == "Li"


def test_records_come_in_the_order_of_the_entries() -> None:
    entries = make_entries({"LiF": -1, "F": 0, "Li": 0})

    assert [r.entry_id for r in score_decomposition(entries)] == ["LiF", "F", "Li"]


def test_entries_that_cannot_be_scored_are_rows_with_reasons() -> None:
    entries = make_entries(
        {"Li": 0, "F": 0, "LiF": -1, "Na2F2": -1, "NaK": -1, "LiF2": np.nan}
    )
    entries.append(ComputedEntry(Composition(), 0, entry_id="nothing"))

    records = by_id(score_decomposition(entries))

    assert records["Na2F2"].error == "no elemental entry to refer to for Na"
    assert records["NaK"].error == "no elemental entry to refer to for K, Na"
    assert records["LiF2"].error == "the energy is not finite: nan"
    assert records["nothing"].error == "the entry holds no atoms"
    assert records["LiF"].error is None
    assert records["LiF"].decomposition_energy_per_atom == pytest.approx(-1)


def test_a_lone_element_has_only_itself() -> None:
    record = score_decomposition(make_entries({"Li": -2}))[0]

    assert record.decomposition_energy_per_atom == record.energy_above_hull == 0


def test_compounds_on_one_line_are_no_obstacle() -> None:
    """All compounds are multiples of one ratio of Li and F with more and more O."""
    entries = make_entries(
        {"Li": 0, "F": 0, "O": 0, "LiFO": -1, "LiFO2": -1, "LiFO3": -1, "LiFO4": -1}
    )

    records = by_id(score_decomposition(entries))

    assert records["LiFO2"].decomposition_energy_per_atom == pytest.approx(0, abs=1e-12)


def test_no_entries_are_refused() -> None:
    with pytest.raises(InputError, match="at least one entry to decompose, met none"):
        score_decomposition([])


def compare_with_pymatgen(entries: list[ComputedEntry], every: int) -> None:
    """Where SLSQP stops early its decomposition energy is too low, never too high."""
    diagram = PhaseDiagram(entries)
    records = score_decomposition(entries)[::every]
    entries = entries[::every]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen calls large systems slow
        oracle = np.array([diagram.get_phase_separation_energy(e) for e in entries])

    ours = np.array([record.decomposition_energy_per_atom for record in records])
    early = np.abs(ours - oracle) > 1e-6
    assert early.mean() < 0.02
    assert np.abs(ours - oracle).max() < SLSQP_TOLERANCE
    np.testing.assert_array_less(oracle[early], ours[early])
    assert [record.energy_above_hull for record in records] == pytest.approx(
        [diagram.get_e_above_hull(entry) for entry in entries], abs=1e-8
    )
    assert [record.formation_energy_per_atom for record in records] == pytest.approx(
        [diagram.get_form_energy_per_atom(entry) for entry in entries], abs=1e-8
    )


@pytest.mark.parametrize("path", REAL_ENTRIES)
def test_a_sample_of_real_entries_has_pymatgens_energies(
    path: str, real_data: Path
) -> None:
    compare_with_pymatgen(read_entries(real_data / path), every=17)


@pytest.mark.slow
@pytest.mark.parametrize("path", REAL_ENTRIES)
def test_all_real_entries_have_pymatgens_energies(path: str, real_data: Path) -> None:
    compare_with_pymatgen(read_entries(real_data / path), every=1)
