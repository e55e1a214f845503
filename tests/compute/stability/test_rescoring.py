from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from nextrung.compute.stability import rescore_decomposition, score_decomposition
from nextrung.schemas.base import InputError
from nextrung.schemas.stability import Competitors

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Energies in eV/atom of Li-Na-O-F and some systems within.
ENERGIES = {
    "Li": 0.0,
    "Na": 0.0,
    "O": 0.0,
    "F": 0.0,
    "LiF": -3.0,
    "Li2F2": -2.9,
    "NaF": -2.8,
    "Li2O": -2.0,
    "Na2O": -1.4,
    "LiNaF2": -2.95,
    "LiNaO": -1.7,
    "Li3OF": -2.3,
    "LiNaOF": -2.1,
}


def make_entries(energies: dict[str, float]) -> list[ComputedEntry]:
    return [
        ComputedEntry(name, energy * Composition(name).num_atoms, entry_id=name)
        for name, energy in energies.items()
    ]


def draw_entries(energies: NDArray[np.float64], seed: int) -> list[ComputedEntry]:
    """Four elements and compounds of small whole numbers, named by their place."""
    counts = np.random.default_rng(seed).integers(0, 3, (len(energies), 4))
    counts[counts.sum(axis=1) == 0, 0] = 1
    counts[:4] = np.eye(4)
    symbols = ("Li", "O", "F", "S")
    return [
        ComputedEntry(
            Composition(dict(zip(symbols, row.tolist(), strict=True))),
            energy * row.sum(),
            entry_id=str(number),
        )
        for number, (row, energy) in enumerate(zip(counts, energies, strict=True))
    ]


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.parametrize("change", [-1.0, 1.0, np.nan])
@pytest.mark.parametrize("competitors", Competitors)
def test_a_changed_energy_gives_the_records_of_scoring_from_scratch(
    name: str, change: float, competitors: Competitors
) -> None:
    before = score_decomposition(make_entries(ENERGIES), competitors)
    entries = make_entries(ENERGIES | {name: ENERGIES[name] + change})

    after = rescore_decomposition(before, entries, {name}, competitors=competitors)

    assert after == score_decomposition(entries, competitors)


@pytest.mark.parametrize("name", ENERGIES)
def test_entries_can_be_removed_and_added(name: str) -> None:
    """Without an element all its compounds are rows with a reason, and back again."""
    every = make_entries(ENERGIES)
    fewer = make_entries({n: e for n, e in ENERGIES.items() if n != name})

    without = rescore_decomposition(score_decomposition(every), fewer, ())
    again = rescore_decomposition(without, every, {name})

    assert without == score_decomposition(fewer)
    assert again == score_decomposition(every)


def test_a_changed_composition_is_a_change_in_both_systems() -> None:
    before = make_entries(ENERGIES)
    after = [*before[:-4], ComputedEntry("Na2O", -9, entry_id="LiNaF2"), *before[-3:]]

    rescored = rescore_decomposition(score_decomposition(before), after, {"LiNaF2"})

    assert before[-4].entry_id == "LiNaF2"
    assert rescored == score_decomposition(after)


@given(
    seed=st.integers(0, 2**32 - 1),
    chosen=st.sets(st.integers(0, 27), max_size=4),
    competitors=st.sampled_from(Competitors),
)
def test_any_changes_give_the_records_of_scoring_from_scratch(
    seed: int, chosen: set[int], competitors: Competitors
) -> None:
    rng = np.random.default_rng(seed)
    energies = np.round(rng.normal(-1, 0.7, 28), 1)
    changed = energies.copy()
    changed[list(chosen)] += rng.choice([-0.5, 0.5, np.nan], len(chosen))
    before, after = draw_entries(energies, seed), draw_entries(changed, seed)

    rescored = rescore_decomposition(
        score_decomposition(before, competitors),
        after,
        {str(number) for number in chosen},
        competitors=competitors,
    )

    assert rescored == score_decomposition(after, competitors)


def test_only_the_system_and_its_supersystems_are_scored_again() -> None:
    before = score_decomposition(make_entries(ENERGIES))
    entries = make_entries(ENERGIES | {"LiF": -3.5})

    after = rescore_decomposition(before, entries, {"LiF"})

    scored = {a.entry_id for a, b in zip(after, before, strict=True) if a is not b}
    assert scored == {"LiF", "Li2F2", "LiNaF2", "Li3OF", "LiNaOF"}


def test_an_entry_without_atoms_can_be_removed_and_added() -> None:
    empty = ComputedEntry(Composition(), 0, entry_id="nothing")
    lone, both = make_entries({"Li": 0}), [*make_entries({"Li": 0}), empty]

    without = rescore_decomposition(score_decomposition(both), lone, ())
    again = rescore_decomposition(without, both, {"nothing"})

    assert without == score_decomposition(lone)
    assert again == score_decomposition(both)


def test_without_a_change_every_record_is_kept() -> None:
    before = score_decomposition(make_entries(ENERGIES))

    after = rescore_decomposition(before, make_entries(ENERGIES), ())

    assert all(a is b for a, b in zip(after, before, strict=True))


def test_entries_without_ids_are_named_by_position() -> None:
    entries = [ComputedEntry(name, 0) for name in ("Li", "F", "LiF")]
    entries[2] = ComputedEntry("LiF", -4)

    before = score_decomposition([*entries[:2], ComputedEntry("LiF", 0)])

    assert rescore_decomposition(before, entries, {"2"}) == score_decomposition(entries)


@pytest.mark.parametrize(
    ("names", "changed", "line"),
    [
        (("Li", "F"), {"Mg"}, "expected ids of changed entries, got Mg of none"),
        (("Li", "F", "LiF"), (), "of every unchanged entry, got none of LiF"),
        (("Li", "F", "Li"), (), "expected unique entry ids, got Li twice"),
    ],
)
def test_unknown_ids_are_rejected(
    names: tuple[str, ...], changed: set[str], line: str
) -> None:
    before = score_decomposition(make_entries({"Li": 0, "F": 0}))
    entries = [ComputedEntry(name, 0, entry_id=name) for name in names]

    with pytest.raises(InputError, match=re.escape(line)):
        rescore_decomposition(before, entries, changed)
