"""Differences of formation energies between two functionals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


def subtract_formation_energies(
    target: Frames, source: Frames, shifts: Mapping[str, float]
) -> tuple[NDArray[np.float64], list[str]]:
    """Compute target minus source formation energies.

    Parameters
    ----------
    target, source : Frames
        The same frames with energies of each functional.
    shifts : mapping of str to float
        Target minus source atomic reference energy in eV, by symbol.

    Returns
    -------
    differences : ndarray of float, shape (n_frames,)
        Target minus source formation energy in eV/atom.
    without_phase : list of str
        Elements without a pure phase; their shift is used for the difference of their
        elemental energies.

    Notes
    -----
    Formation energies refer to the lowest-energy pure phase of each element among the
    frames, for each functional separately.
    """
    numbers = np.unique(target.atomic_numbers).tolist()
    symbols = {number: Element.from_Z(number).symbol for number in numbers}
    lowest = [_find_elemental_energies(frames) for frames in (target, source)]
    offsets = np.zeros(max(numbers, default=0) + 1)
    for number in numbers:
        if number in lowest[0]:
            offsets[number] = lowest[0][number] - lowest[1][number]
        else:
            offsets[number] = shifts[symbols[number]]
    elemental = np.bincount(
        target.frame_of_site, offsets[target.atomic_numbers], len(target)
    )
    differences = (target.energies - source.energies - elemental) / target.n_atoms
    missing = [symbols[number] for number in numbers if number not in lowest[0]]
    return differences, missing


def _find_elemental_energies(frames: Frames) -> dict[int, float]:
    """Find the lowest energy of each pure element in eV/atom, by atomic number."""
    starts = frames.offsets[:-1]
    low = np.minimum.reduceat(frames.atomic_numbers, starts) if len(frames) else starts
    high = np.maximum.reduceat(frames.atomic_numbers, starts) if len(frames) else starts
    per_atom = frames.energies / frames.n_atoms
    return {
        int(number): float(per_atom[(low == high) & (low == number)].min())
        for number in np.unique(low[low == high])
    }
