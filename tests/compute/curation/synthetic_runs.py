"""Synthetic runs for tests of the curation rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.trajectory import ElectronicState, Trajectory


def make_frames() -> Frames:
    """Three r²SCAN frames of two atoms with all labels, -5 eV/atom."""
    structure = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frames = Frames.from_structures(
        [structure] * 3, ["a#0", "a#1", "a#2"], functional="r2SCAN"
    )
    frames.energies[:] = -10
    for labels in (frames.forces, frames.stresses, frames.magmoms):
        labels[:] = 0
    return replace(frames, material_ids=np.array(["a", "a", "a"]))


def run_of(
    frames: Frames,
    *,
    converged: tuple[bool, ...] = (True, True, True),
    hubbard_u: float = 0.0,
    plane_wave_cutoff: float = 520.0,
    relaxed_energy: float = np.nan,
    states: frozenset[ElectronicState] = frozenset(),
) -> Trajectory:
    return Trajectory(
        frames,
        np.array(converged),
        hubbard_u,
        plane_wave_cutoff,
        relaxed_energy,
        states=states,
    )
