"""Screening of training frames, and their cost estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.validity import check_references
from nextrung.potentials.prediction import check_crystals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from nextrung.potentials.interface import Backend
    from nextrung.schemas.frames import Frames

#: Frames per neighbor search.
_CHUNK = 256


def find_unusable(
    frames: Frames, backend: Backend, elements: Collection[str]
) -> dict[str, str]:
    """Find the frames that a network cannot be trained on.

    Parameters
    ----------
    frames : Frames
        Frames.
    backend : Backend
        Network.
    elements : collection of str
        Symbols of the elements that have a reference energy.

    Returns
    -------
    dict of str to str
        Reason by the name of each unusable frame, in their order.
    """
    unusable: dict[str, str] = {}
    for chunk in _split_into_chunks(frames):
        crystals = Crystals.from_frames(chunk)
        reasons = check_references(crystals, elements)
        reasons |= check_crystals(backend, crystals)
        unusable |= {str(chunk.frame_ids[i]): reasons[i] for i in sorted(reasons)}
    return unusable


def find_uncovered(frames: Frames, elements: Collection[str]) -> dict[str, str]:
    """Find the frames with an element without reference energy.

    Parameters
    ----------
    frames : Frames
        Frames.
    elements : collection of str
        Symbols of the elements that have a reference energy.

    Returns
    -------
    dict of str to str
        Reason by the name of each frame, in their order.
    """
    reasons = check_references(Crystals.from_frames(frames), elements)
    return {str(frames.frame_ids[i]): reasons[i] for i in sorted(reasons)}


def estimate_costs(frames: Frames, backend: Backend) -> NDArray[np.int64]:
    """Estimate the cost of a training step on each frame.

    Parameters
    ----------
    frames : Frames
        Usable frames.
    backend : Backend
        Network.

    Returns
    -------
    ndarray of int, shape (n_frames,)
        Costs of their inputs.
    """
    cpu = torch.device("cpu")
    return np.concatenate(
        [
            backend.prepare(Crystals.from_frames(chunk), cpu).costs
            for chunk in _split_into_chunks(frames)
        ]
    )


def _split_into_chunks(frames: Frames) -> Iterator[Frames]:
    """Split frames into chunks whose pairs fit into memory."""
    return (frames[start : start + _CHUNK] for start in range(0, len(frames), _CHUNK))
