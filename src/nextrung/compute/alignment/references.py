"""Energies after subtraction of atomic references, and their correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Largest atomic number that can have a reference.
N_ELEMENTS = 118
#: Fewest points of a correlation.
TWO_POINTS = 2


def subtract_references(
    frames: Frames, references: Mapping[str, float]
) -> NDArray[np.float64]:
    """Subtract atomic reference energies from total energies.

    Parameters
    ----------
    frames : Frames
        Frames with energies.
    references : mapping of str to float
        Reference energy of each element in eV/atom, by symbol.

    Returns
    -------
    ndarray of float, shape (n_frames,)
        Remaining energy in eV/atom; NaN where an element has no reference.
    """
    by_number = np.full(N_ELEMENTS + 1, np.nan)
    for symbol, energy in references.items():
        by_number[Element(symbol).Z] = energy
    elemental = np.bincount(
        frames.frame_of_site, by_number[frames.atomic_numbers], len(frames)
    )
    left: NDArray[np.float64] = (frames.energies - elemental) / frames.n_atoms
    return left


def correlate(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Compute the Pearson correlation of two variables.

    Parameters
    ----------
    x, y : ndarray of float, shape (n_points,)
        Values of the two variables.

    Returns
    -------
    float or None
        Correlation in [-1, 1]; None where a variable is constant.
    """
    if len(x) < TWO_POINTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])
