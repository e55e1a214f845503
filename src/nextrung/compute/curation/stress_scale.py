"""Check of the unit and sign of the stresses of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Smallest correlation of labels and predictions for which units are compared.
MIN_CORRELATION = 0.8

#: Largest ratio of labels and predictions in the same unit; 1 GPa is 10 kBar.
MAX_FACTOR = 3.0


def choose_strained(frames: Frames, n_frames: int) -> NDArray[np.int64]:
    """Choose small frames with large stresses, to compare them with predictions.

    Parameters
    ----------
    frames : Frames
        Frames, some of them with stresses.
    n_frames : int
        Maximum number of frames.

    Returns
    -------
    ndarray of int, shape (n_chosen,)
        Indices of frames with stresses, from the smaller half of these.
    """
    sizes = np.abs(frames.stresses).max(axis=(1, 2))
    labelled = np.flatnonzero(np.isfinite(sizes) & (sizes > 0))
    by_atoms = labelled[np.argsort(frames.n_atoms[labelled], kind="stable")]
    small = by_atoms[: max(n_frames, len(by_atoms) // 2)]
    chosen: NDArray[np.int64] = small[np.argsort(-sizes[small], kind="stable")]
    return chosen[:n_frames]


def validate_stress_unit(
    labels: NDArray[np.float32], stresses: NDArray[np.float32]
) -> None:
    """Validate the unit and sign of stresses by predictions of a potential.

    Parameters
    ----------
    labels : ndarray of float, shape (n_frames, 3, 3)
        Stresses of the source, converted to GPa.
    stresses : ndarray of float, shape (n_frames, 3, 3)
        Predicted stresses of the same structures in GPa; NaN where missing.

    Raises
    ------
    InputError
        If labels and predictions correlate, but differ by a factor that only a wrong
        unit or sign explains. Without correlation nothing is checked.
    """
    known = np.isfinite(stresses) & np.isfinite(labels)
    label, predicted = labels[known], stresses[known]
    if not len(label) or not label.std() or not predicted.std():
        return
    if abs(np.corrcoef(label, predicted)[0, 1]) < MIN_CORRELATION:
        return
    factor = float(label @ predicted / (predicted @ predicted))
    if not 1 / MAX_FACTOR < factor < MAX_FACTOR:
        raise InputError(
            f"expected stresses in GPa, compression negative, got {factor:.3g} times "
            "what the potential predicts: is the stress_unit of the source right?"
        )
