"""Frames of one calculation, with the metadata that curation rules need."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.identity import LabelIdentity


class ElectronicState(StrEnum):
    """How the electrons of a run are not in the ground state of a neutral crystal."""

    FIXED_DENSITY = "fixed_density"
    CHARGED = "charged"
    SPIN_ORBIT = "spin_orbit"
    CONSTRAINED_MOMENTS = "constrained_moments"
    ELECTRIC_FIELD = "electric_field"


@dataclass(frozen=True)
class Task:
    """Results and settings of a task, to compare it with the primary task.

    Parameters
    ----------
    final_energy : float
        Energy of the last frame of the last calculation in eV/atom.
    functional : str
        Functional of the labels.
    hubbard_us : mapping of str to float
        Hubbard U above zero in eV, by element.
    """

    final_energy: float
    functional: str
    hubbard_us: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of one material from one calculation, in order.

    Parameters
    ----------
    frames : Frames
        Frames from the initial to the final structure.
    converged : ndarray of bool, shape (n_frames,)
        Whether the electronic steps of each frame converged.
    hubbard_u : float
        Largest Hubbard U in eV; 0 where there is none.
    plane_wave_cutoff : float
        Plane-wave cutoff in eV; NaN where unknown.
    relaxed_energy : float
        Energy of the relaxed structure in eV/atom; NaN where unknown.
    task : Task, optional
        Task of the frames; None where unknown.
    primary_task : Task, optional
        Primary task of the material; None where unknown.
    hubbard_us : mapping of str to float
        Hubbard U above zero in eV, by element; empty where unknown.
    states : frozenset of ElectronicState
        Why its energies are not those of the ground state; empty where they are.
    identity : LabelIdentity, optional
        How the frames were calculated, where the source says.
    """

    frames: Frames
    converged: NDArray[np.bool_]
    hubbard_u: float = 0.0
    plane_wave_cutoff: float = math.nan
    relaxed_energy: float = math.nan
    task: Task | None = None
    primary_task: Task | None = None
    hubbard_us: Mapping[str, float] = field(default_factory=dict)
    states: frozenset[ElectronicState] = frozenset()
    identity: LabelIdentity | None = None

    @property
    def material_id(self) -> str:
        """Id of the material."""
        return str(self.frames.material_ids[0])
