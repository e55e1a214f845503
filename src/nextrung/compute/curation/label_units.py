"""Units and signs of forces and stresses, compared with predictions of a potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Factors between labels and predictions that a wrong unit or sign explains.
WRONG_FACTORS: Final = {
    -1.0: "the opposite sign",
    10.0: "kBar in place of GPa",
    -10.0: "VASP's kBar in place of GPa",
    0.1: "GPa in place of kBar",
    -0.1: "VASP's sign and GPa in place of kBar",
    160.2: "GPa in place of eV/Å³",
    -160.2: "GPa of the opposite sign in place of eV/Å³",
    1 / 160.2: "eV/Å³ in place of GPa",
    25.7: "Ry/bohr or hartree in place of eV/Å",
    51.4: "hartree/bohr in place of eV/Å",
    1 / 25.7: "eV/Å in place of Ry/bohr",
    1 / 51.4: "eV/Å in place of hartree/bohr",
}
#: Relative distance at which a factor is taken for one of these.
FACTOR_TOLERANCE: Final = 0.4
#: Correlation from which labels and predictions are taken for the same property.
MIN_CORRELATION: Final = 0.8
#: Root mean square of predicted stresses in GPa from which units are compared.
MIN_STRESS: Final = 0.5


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
    factor = measure_factor(labels, stresses, min_predicted=MIN_STRESS)
    if factor is not None and (cause := explain_factor(factor)):
        raise InputError(
            f"expected stresses in GPa, compression negative, got {factor:.3g} times "
            f"what the potential predicts, as for {cause}: is the stress_unit of the "
            "source right?"
        )


def measure_factor(
    labels: NDArray[np.float32],
    predicted: NDArray[np.float32],
    *,
    min_predicted: float,
    min_label: float = 0.0,
) -> float | None:
    """Measure the factor between labels and predictions that go together.

    Parameters
    ----------
    labels, predicted : ndarray of float
        Components of one property, of equal shape.
    min_predicted, min_label : float
        Root mean squares from which predictions and labels can be compared.

    Returns
    -------
    float or None
        Slope of the labels against the predictions; None where these are too small, or
        do not correlate.
    """
    known = np.isfinite(labels) & np.isfinite(predicted)
    label = labels[known].astype(np.float64)
    guess = predicted[known].astype(np.float64)
    if not len(label):
        return None
    sizes = np.sqrt((guess**2).mean()), np.sqrt((label**2).mean())
    if sizes[0] < min_predicted or sizes[1] < min_label or not label.std():
        return None
    if not abs(np.corrcoef(label, guess)[0, 1]) >= MIN_CORRELATION:
        return None
    return float(label @ guess / (guess @ guess))


def explain_factor(factor: float) -> str | None:
    """Explain a factor between labels and predictions by a wrong unit or sign.

    Parameters
    ----------
    factor : float
        Labels over predictions.

    Returns
    -------
    str or None
        The mistake that explains it; None where nothing does.
    """
    for wrong, cause in WRONG_FACTORS.items():
        if abs(factor / wrong - 1) < FACTOR_TOLERANCE:
            return cause
    return None
