from __future__ import annotations

import gzip
import json
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry
from scipy.optimize import linprog

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


def test_a_stable_compound_is_below_the_mixture_of_its_products() -> None:
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


def test_polymorphs_compete_only_with_the_rule_self() -> None:
    """LiF at -1 and at -0.7 eV/atom, with elements only."""
    entries = make_entries({"Li": 0, "F": 0, "LiF": -1, "Li2F2": -0.7})

    left_out = by_id(score_decomposition(entries))
    competing = by_id(score_decomposition(entries, Competitors.SELF))

    assert left_out["Li2F2"].decomposition_energy_per_atom == pytest.approx(-0.7)
    assert competing["Li2F2"].decomposition_energy_per_atom == pytest.approx(0.3)
    assert competing["LiF"].decomposition_energy_per_atom == pytest.approx(-0.3)
    assert [p.entry_id for p in competing["LiF"].competing_phases] == ["Li2F2"]
    assert left_out["Li2F2"].energy_above_hull == pytest.approx(0.3)


def test_the_rule_of_competitors_may_be_a_text() -> None:
    entries = make_entries({"Li": 0, "F": 0, "LiF": -1, "Li2F2": -0.7})

    named = score_decomposition(entries, "self")

    assert named == score_decomposition(entries, Competitors.SELF)


def test_an_unknown_rule_of_competitors_is_rejected() -> None:
    entries = make_entries({"Li": 0, "LiF": -1, "F": 0})

    with pytest.raises(InputError, match=r"expected one of other_.*, self, got 'junk'"):
        score_decomposition(entries, "junk")


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


def test_entries_that_cannot_be_scored_have_an_error() -> None:
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


def test_a_linear_programme_that_fails_affects_one_record_only() -> None:
    """An energy of -1e200 eV makes the linear programme of LiFO fail."""
    sound = {"Li": 0, "F": 0, "O": 0, "LiF": -1, "Li3F": -0.5, "LiFO": -1}
    endless = {"Li2O": -1e200 / 3}

    records = by_id(score_decomposition(make_entries(sound | endless)))

    assert records["LiFO"].error == "the linear programme did not converge"
    assert records["LiFO"].decomposition_energy_per_atom is None
    alone = by_id(score_decomposition(make_entries(sound)))
    for name in ("Li", "F", "O", "LiF", "Li3F"):
        assert records[name] == alone[name]


def test_an_element_alone_is_on_the_hull() -> None:
    record = score_decomposition(make_entries({"Li": -2}))[0]

    assert record.decomposition_energy_per_atom == record.energy_above_hull == 0


def test_degenerate_compounds_on_one_line_converge() -> None:
    """All compounds are multiples of one ratio of Li and F with more and more O."""
    entries = make_entries(
        {"Li": 0, "F": 0, "O": 0, "LiFO": -1, "LiFO2": -1, "LiFO3": -1, "LiFO4": -1}
    )

    records = by_id(score_decomposition(entries))

    assert records["LiFO2"].decomposition_energy_per_atom == pytest.approx(0, abs=1e-12)


def test_no_entries_are_rejected() -> None:
    with pytest.raises(InputError, match="at least one entry to decompose, got none"):
        score_decomposition([])


def draw_entries(seed: int, n_elements: int, n_compounds: int) -> list[ComputedEntry]:
    """Compounds of small whole numbers and energies that are often equal."""
    rng = np.random.default_rng(seed)
    symbols = ["Li", "Na", "Fe", "O", "F", "S"][:n_elements]
    counts = rng.integers(0, 4, (n_compounds, n_elements))
    counts[counts.sum(axis=1) == 0, 0] = 1
    counts = np.vstack([np.eye(n_elements, dtype=int), counts])
    energies = np.round(rng.normal(-1, 0.7, len(counts)), 1)
    return [
        ComputedEntry(
            Composition(dict(zip(symbols, row.tolist(), strict=True))),
            energy * row.sum(),
            entry_id=str(number),
        )
        for number, (row, energy) in enumerate(zip(counts, energies, strict=True))
    ]


def decompose_with_highs(entries: Sequence[ComputedEntry], target: int) -> float:
    """Solve one entry's programme over all entries of other compositions."""
    composition = entries[target].composition.fractional_composition
    others = [
        entry
        for entry in entries
        if not entry.composition.fractional_composition.almost_equals(composition)
    ]
    elements = sorted({e for entry in entries for e in entry.composition.elements})
    fractions = [
        [e.composition.get_atomic_fraction(x) for e in others] for x in elements
    ]
    solution = linprog(
        [entry.energy_per_atom for entry in others],
        A_eq=fractions,
        b_eq=[composition.get_atomic_fraction(element) for element in elements],
        method="highs",
    )
    return float(entries[target].energy_per_atom - solution.fun)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_elements=st.integers(1, 6),
    n_compounds=st.integers(0, 30),
)
def test_random_systems_have_pymatgens_energies(
    seed: int, n_elements: int, n_compounds: int
) -> None:
    """HiGHS decides where SLSQP stops early."""
    entries = draw_entries(seed, n_elements, n_compounds)
    diagram = PhaseDiagram(entries)
    records = score_decomposition(entries)

    for number in np.random.default_rng(seed).permutation(len(entries))[:5]:
        entry, record = entries[number], records[number]
        energy = record.decomposition_energy_per_atom
        oracle = diagram.get_phase_separation_energy(entry)
        assert energy == pytest.approx(oracle, abs=SLSQP_TOLERANCE)
        if energy != pytest.approx(oracle, abs=1e-6):
            exact = decompose_with_highs(entries, int(number))
            assert energy == pytest.approx(exact, abs=1e-9)
        assert record.energy_above_hull == pytest.approx(
            diagram.get_e_above_hull(entry), abs=1e-9
        )


@given(
    seed=st.integers(0, 2**32 - 1),
    n_elements=st.integers(2, 6),
    n_compounds=st.integers(1, 40),
)
def test_products_have_the_composition_and_energy_of_the_mixture(
    seed: int, n_elements: int, n_compounds: int
) -> None:
    entries = draw_entries(seed, n_elements, n_compounds)
    named = {entry.entry_id: entry for entry in entries}

    for record in score_decomposition(entries):
        if record.competing_phases:
            entry = named[record.entry_id]
            mixture = Composition()
            energy = 0.0
            for phase in record.competing_phases:
                product = named[phase.entry_id]
                mixture += product.composition.fractional_composition * phase.amount
                energy += product.energy_per_atom * phase.amount
            assert mixture.almost_equals(
                entry.composition.fractional_composition, rtol=0, atol=1e-8
            )
            assert entry.energy_per_atom - energy == pytest.approx(
                record.decomposition_energy_per_atom, abs=1e-8
            )


@given(seed=st.integers(0, 2**32 - 1), competitors=st.sampled_from(Competitors))
def test_the_order_of_the_entries_does_not_matter(
    seed: int, competitors: Competitors
) -> None:
    entries = draw_entries(seed, 4, 30)
    shuffled = [entries[row] for row in np.random.default_rng(seed).permutation(34)]

    here = by_id(score_decomposition(entries, competitors))
    there = by_id(score_decomposition(shuffled, competitors))

    for name, record in here.items():
        assert there[name].decomposition_energy_per_atom == pytest.approx(
            record.decomposition_energy_per_atom, abs=1e-10
        )


def compare_with_pymatgen(everything: list[ComputedEntry], every: int) -> None:
    """Where SLSQP stops early it is too low, never too high, and HiGHS agrees with us.

    A minimiser that stops early takes a mixture of competitors that is too high.
    """
    diagram = PhaseDiagram(everything)
    records = score_decomposition(everything)[::every]
    entries = everything[::every]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen calls large systems slow
        oracle = np.array([diagram.get_phase_separation_energy(e) for e in entries])

    ours = np.array([record.decomposition_energy_per_atom for record in records])
    early = np.abs(ours - oracle) > 1e-6
    assert early.mean() < 0.02
    assert np.abs(ours - oracle).max() < SLSQP_TOLERANCE
    np.testing.assert_array_less(oracle[early], ours[early])
    exact = [
        decompose_with_highs(everything, k * every) for k in early.nonzero()[0].tolist()
    ]
    np.testing.assert_allclose(ours[early], exact, rtol=0, atol=1e-9)
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
