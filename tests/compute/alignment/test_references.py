from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from nextrung.compute.alignment.references import correlate, subtract_references
from nextrung.schemas.frames import Frames

SOURCE_REFS = {"Li": -1.0, "Na": -2.0, "F": -3.0}


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


def label(frames: Frames, refs: dict[str, float], rest: list[float]) -> Frames:
    """Energies made of references and a rest in eV/atom."""
    energies = [
        sum(refs[str(element)] * count for element, count in composition.items())
        + left * composition.num_atoms
        for composition, left in zip(frames.compositions(), rest, strict=True)
    ]
    return replace(frames, energies=np.array(energies))


def test_references_are_subtracted_atom_by_atom() -> None:
    frames = label(make_frames(["LiF", "NaF3"]), SOURCE_REFS, [-0.5, 0.25])

    np.testing.assert_allclose(subtract_references(frames, SOURCE_REFS), [-0.5, 0.25])


def test_a_correlation_needs_points_that_vary() -> None:
    ones = np.ones(3)

    assert correlate(ones, np.arange(3.0)) is None
    assert correlate(ones[:1], ones[:1]) is None
    assert correlate(np.arange(3.0), -np.arange(3.0)) == pytest.approx(-1)
