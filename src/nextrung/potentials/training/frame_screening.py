"""Which frames can be trained on, and what each of them costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.graphs.validity import find_faults

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Frames whose pairs are held in memory at a time.
_CHUNK = 256


def find_unusable(frames: Frames, elements: Collection[str]) -> dict[str, str]:
    """Find the frames that have no graph, or an element without reference energy.

    Parameters
    ----------
    frames : Frames
        Any frames.
    elements : collection of str
        Symbols of the elements that have a reference energy.

    Returns
    -------
    dict of str to str
        Reason by the name of each unusable frame, in their order.
    """
    unusable: dict[str, str] = {}
    for part in _split_into_chunks(frames):
        crystals = Crystals.from_frames(part)
        faults = _find_unreferenced(crystals, elements) | find_faults(crystals)
        unusable |= {str(part.frame_ids[i]): faults[i] for i in sorted(faults)}
    return unusable


def estimate_costs(frames: Frames) -> NDArray[np.int64]:
    """Estimate what a training step on each frame costs.

    Parameters
    ----------
    frames : Frames
        Usable frames.

    Returns
    -------
    ndarray of int, shape (n_frames,)
        As :attr:`nextrung.potentials.graphs.neighbors.Pairs.costs` has it.
    """
    parts = _split_into_chunks(frames)
    costs = [find_pairs(Crystals.from_frames(part)).costs for part in parts]
    return np.concatenate(costs)


def _split_into_chunks(frames: Frames) -> Iterator[Frames]:
    """Cut frames into parts whose pairs fit into memory."""
    return (frames[start : start + _CHUNK] for start in range(0, len(frames), _CHUNK))


def _find_unreferenced(crystals: Crystals, elements: Collection[str]) -> dict[int, str]:
    """Find the crystals with elements that have no reference energy."""
    numbers = [Element(symbol).Z for symbol in elements]
    missing: dict[int, list[str]] = {}
    lacking = ~np.isin(crystals.atomic_numbers, numbers)
    sites = np.stack([crystals.crystal_of_site, crystals.atomic_numbers])[:, lacking]
    for owner, number in np.unique(sites, axis=1).T.tolist():
        missing.setdefault(owner, []).append(_name_element(number))
    return {
        owner: f"no atomic reference energy for {', '.join(symbols)}"
        for owner, symbols in missing.items()
    }


def _name_element(number: int) -> str:
    """Name an element, or the number that is none."""
    known = number in {element.Z for element in Element}
    return Element.from_Z(number).symbol if known else f"atomic number {number}"
