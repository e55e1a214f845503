from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from nextrung.compute.alignment.elements import (
    count_atoms,
    rank_elements,
    scale_importances,
)
from nextrung.schemas.alignment import AlignmentSettings
from nextrung.schemas.frames import Frames

SETTINGS = AlignmentSettings()


def make_frames(formulas: list[str]) -> Frames:
    structures = []
    for formula in formulas:
        symbols = [
            symbol
            for symbol, count in Composition(formula).get_el_amt_dict().items()
            for _ in range(int(count))
        ]
        coords = np.linspace(0, 1, len(symbols), endpoint=False)[:, None].repeat(3, 1)
        structures.append(Structure(Lattice.cubic(5), symbols, coords))
    return Frames.from_structures(structures, formulas)


def test_the_element_that_causes_the_difference_has_the_largest_importance() -> None:
    """The difference depends on sodium alone, step by step."""
    formulas = [f"Li{a}Na{b}F{c}" for a, b, c in product((1, 2, 4), (1, 3, 6), (1, 2))]
    frames = make_frames(formulas)
    fraction = np.array([c.get_atomic_fraction("Na") for c in frames.compositions()])

    importances = rank_elements(frames, (fraction > 0.4).astype(float), SETTINGS)

    assert importances == {"Li": 0, "F": 0, "Na": 1}


def test_importance_is_the_variance_a_split_removes() -> None:
    """Eq. 4 and 5 on one node: two leaves without variance share all importance."""
    frames = make_frames(["LiF", "LiF", "NaF", "NaF"])

    importances = rank_elements(frames, np.array([0.0, 0, 1, 1]), SETTINGS)

    assert importances["Li"] + importances["Na"] == pytest.approx(1)
    assert importances["F"] == 0


def test_atoms_are_counted_over_all_frames() -> None:
    assert count_atoms(make_frames(["LiF", "Na2F6"])) == {"Li": 1, "F": 7, "Na": 2}


def test_importances_are_divided_by_atoms_and_the_largest_is_one() -> None:
    """Per atom lithium explains 0.6 / 2 and fluorine 0.4 / 4."""
    importances, n_atoms = {"Li": 0.6, "F": 0.4}, {"Li": 2, "F": 4, "Na": 1}

    assert scale_importances(importances, n_atoms, None) == pytest.approx(
        {"Li": 1, "F": 1 / 3}
    )
    assert scale_importances(importances, n_atoms, 10.0) == pytest.approx(
        {"Li": 3, "F": 1}
    )


def test_equal_differences_have_no_importance() -> None:
    frames = make_frames(["LiF", "NaF"])
    importances = rank_elements(frames, np.ones(2), SETTINGS)

    scaled = scale_importances(importances, count_atoms(frames), None)

    assert set(scaled.values()) == {0}
