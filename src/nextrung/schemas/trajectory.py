"""The frames of one run as a source hands them on, with what the rules ask about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


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
    """

    frames: Frames
    converged: NDArray[np.bool_]
    hubbard_u: float
    plane_wave_cutoff: float
    relaxed_energy: float

    @property
    def material_id(self) -> str:
        """Name of the material."""
        return str(self.frames.material_ids[0])
