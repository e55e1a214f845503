"""Materials of a data set: input of relaxation and stability scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


@dataclass(frozen=True, eq=False)
class Materials:
    """Initial structure and target energy of every material.

    Parameters
    ----------
    initial : Frames
        One unlabelled frame per material: its structure before relaxation, and its
        split; frame ids are the material ids.
    energies : ndarray of float, shape (n_materials,)
        Total energy of the relaxed structure in eV with the target functional, for
        the number of atoms of the initial structure; NaN where unknown.
    by_functional : mapping of str to ndarray of float
        Energies of the relaxed structures in eV/atom, uncorrected, by functional of
        the source; NaN where unknown.
    """

    initial: Frames
    energies: NDArray[np.float64]
    by_functional: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the materials."""
        return len(self.energies)
