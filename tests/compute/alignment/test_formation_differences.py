from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.alignment.formation_differences import subtract_formation_energies
from nextrung.schemas.frames import Frames


def make_frames(symbols: list[list[str]], per_atom: list[float]) -> Frames:
    structures = [
        Structure(
            Lattice.cubic(5), cell, np.linspace(0, 0.8, len(cell))[:, None].repeat(3, 1)
        )
        if len(cell) > 1
        else Structure(Lattice.cubic(5), cell, [[0, 0, 0]])
        for cell in symbols
    ]
    frames = Frames.from_structures(structures)
    return replace(frames, energies=np.array(per_atom) * frames.n_atoms)


def test_formation_energies_are_from_the_lowest_pure_phases() -> None:
    """LiF forms with −3 and −2 eV/atom; a second, higher Li changes nothing."""
    cells = [["Li"], ["Li"], ["F"], ["Li", "F"]]
    target = make_frames(cells, [-2.0, -1.5, -4.0, -6.0])
    source = make_frames(cells, [-1.0, -0.5, -3.0, -4.0])

    differences, missing = subtract_formation_energies(target, source, {})

    assert missing == []
    assert differences == pytest.approx([0, 0, 0, -3.0 - (-2.0)])


def test_an_element_without_a_pure_phase_uses_the_shift_of_its_reference() -> None:
    target = make_frames([["Li"], ["Li", "F"]], [-2.0, -6.0])
    source = make_frames([["Li"], ["Li", "F"]], [-1.0, -4.0])

    differences, missing = subtract_formation_energies(target, source, {"F": -1.5})

    assert missing == ["F"]
    assert differences == pytest.approx([0, -2.0 - (-1.0 - 1.5) / 2])


def test_an_empty_set_has_no_difference() -> None:
    empty = Frames.from_structures([])
    differences, missing = subtract_formation_energies(empty, empty, {})
    assert (len(differences), missing) == (0, [])
