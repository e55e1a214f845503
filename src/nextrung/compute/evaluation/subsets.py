"""Subsets of frames that are scored besides the splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


def find_new_formulas(frames: Frames) -> NDArray[np.bool_]:
    """Find the test frames whose reduced formula no training frame has.

    Parameters
    ----------
    frames : Frames
        Frames of all splits.

    Returns
    -------
    ndarray of bool, shape (n_frames,)
        Mask of the frames; none without training frames.
    """
    formulas = np.array([c.reduced_formula for c in frames.compositions()], dtype=str)
    train = frames.splits == "train"
    if not np.any(train):
        return np.zeros(len(frames), dtype=bool)
    new = (frames.splits == "test") & ~np.isin(formulas, formulas[train])
    return np.asarray(new, dtype=bool)
