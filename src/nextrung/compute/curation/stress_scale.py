"""Whether stresses have the unit and sign that a source says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Correlation from which labels and predictions are taken for the same property.
MIN_CORRELATION = 0.8

#: Largest factor between labels and predictions of one unit; kBar are 10 to a GPa.
MAX_FACTOR = 3.0


def choose_strained(frames: Frames, n_frames: int) -> NDArray[np.int64]:
    """Choose small frames under large stress, which tell units apart.

    Parameters
    ----------
    frames : Frames
        Frames, some of them with stresses.
    n_frames : int
        How many to choose at most.

    Returns
    -------
    ndarray of int, shape (n_chosen,)
        Indices of frames with a stress, among the smaller half of them.
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
    """Refuse stresses that are those of a potential but for a factor.

    Parameters
    ----------
    labels : ndarray of float, shape (n_frames, 3, 3)
        Stresses as the source was read, in GPa.
    stresses : ndarray of float, shape (n_frames, 3, 3)
        What a potential predicts for the same structures, in GPa; NaN where it fails.

    Raises
    ------
    InputError
        If labels and predictions go together, but with a factor that only a wrong
        unit or sign explains. Where they do not go together, nothing is known.
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
