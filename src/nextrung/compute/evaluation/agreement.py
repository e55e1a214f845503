"""Agreement of predictions with labels beyond that of the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.evaluation.properties import PropertyTable

#: Forces of labels below this have no direction beyond their noise, eV/Å.
MIN_FORCE = 0.01

#: Relative variance below which values are equal but for rounding.
_EQUAL = 1e-12


def measure_agreement(
    table: PropertyTable, chosen: NDArray[np.bool_]
) -> dict[str, float | None]:
    """Measure baseline error, skill, correlation and slope of one property.

    Parameters
    ----------
    table : PropertyTable
        Labels, predictions and baseline.
    chosen : ndarray of bool, shape (n_frames,)
        Frames to measure.

    Returns
    -------
    dict of str to float or None
        ``baseline_mae`` in the unit of the property; ``skill``, the fraction of this
        error that the model removes: 1 for no error, 0 for the error of the baseline,
        below 0 for a larger one; ``pearson_r``; and ``slope``, that of the
        least-squares line of predictions over labels, below 1 where predictions are
        too small (softening). All relative to the baseline, over the components that
        have label, prediction and baseline; None without such, or where all are equal.
    """
    rows = chosen[table.frames]
    target, predicted, baseline = (
        values[rows].astype(np.float64)
        for values in (table.target, table.predicted, table.baseline)
    )
    known = np.isfinite(target) & np.isfinite(predicted) & np.isfinite(baseline)
    label = (target - baseline)[known]
    model = (predicted - baseline)[known]
    if not len(label):
        return dict.fromkeys(("baseline_mae", "skill", "pearson_r", "slope"))
    of_baseline = float(np.abs(label).mean())
    of_model = float(np.abs(model - label).mean())
    covariance = np.cov(label, model, bias=True)
    spread, spread_of_model = covariance[0, 0], covariance[1, 1]
    varies = spread > _EQUAL * (label**2).mean()
    model_varies = spread_of_model > _EQUAL * (model**2).mean()
    slope = float(covariance[0, 1] / spread) if varies else None
    return {
        "baseline_mae": of_baseline,
        "skill": 1 - of_model / of_baseline if of_baseline else None,
        "pearson_r": float(covariance[0, 1] / np.sqrt(spread * spread_of_model))
        if varies and model_varies
        else None,
        "slope": slope,
    }


def average_cosine(table: PropertyTable, chosen: NDArray[np.bool_]) -> float | None:
    """Average the cosine between predicted and labelled force vectors.

    Parameters
    ----------
    table : PropertyTable
        Forces.
    chosen : ndarray of bool, shape (n_frames,)
        Frames to average over.

    Returns
    -------
    float or None
        Mean over the atoms whose labelled force is 0.01 eV/Å or more; a prediction of
        zero counts as 0. None without such an atom.
    """
    rows = chosen[table.frames]
    target = table.target[rows].astype(np.float64)
    predicted = table.predicted[rows].astype(np.float64)
    length = np.linalg.norm(target, axis=1)
    known = (length >= MIN_FORCE) & np.isfinite(predicted).all(axis=1)
    if not known.any():
        return None
    lengths = length[known] * np.linalg.norm(predicted[known], axis=1)
    products = (target[known] * predicted[known]).sum(axis=1)
    cosines = np.divide(
        products, lengths, out=np.zeros_like(products), where=lengths > 0
    )
    return float(cosines.mean())
