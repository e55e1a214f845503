"""The frames of one run as a source hands them on, with what the rules ask about."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


@dataclass(frozen=True)
class Task:
    """What rule 1 of the paper compares of a task and the primary one.

    Parameters
    ----------
    final_energy : float
        Energy of the last frame of its last calculation in eV/atom.
    functional : str
        Functional of its labels.
    hubbard_us : mapping of str to float
        Hubbard U above zero in eV, by element.
    """

    final_energy: float
    functional: str
    hubbard_us: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of one material that share their way of calculation, in order.

    Parameters
    ----------
    frames : Frames
        The frames from the initial structure to the final one.
    converged : ndarray of bool, shape (n_frames,)
        Whether the electronic steps of each frame converged.
    hubbard_u : float
        Largest Hubbard U in eV; 0 where there is none.
    plane_wave_cutoff : float
        Plane-wave cutoff in eV; NaN where the source does not say.
    relaxed_energy : float
        Energy of the relaxed structure in eV/atom; NaN where the source does not say.
    task : Task, optional
        The task that the frames are of, where the source says.
    primary_task : Task, optional
        The primary task of the material, where the source says.
    hubbard_us : mapping of str to float
        Hubbard U above zero in eV by element, where the source says.
    """

    frames: Frames
    converged: NDArray[np.bool_]
    hubbard_u: float = 0.0
    plane_wave_cutoff: float = math.nan
    relaxed_energy: float = math.nan
    task: Task | None = None
    primary_task: Task | None = None
    hubbard_us: Mapping[str, float] = field(default_factory=dict)

    @property
    def material_id(self) -> str:
        """Name of the material."""
        return str(self.frames.material_ids[0])
