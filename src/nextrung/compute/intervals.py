"""Bootstrap intervals of means over materials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Smallest number of materials that is resampled.
MIN_MATERIALS = 5


def estimate_interval(
    values: Sequence[float] | NDArray[np.float64],
    material_ids: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Estimate the 95 % interval of a mean by a bootstrap over materials.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        Values to average, such as absolute errors of frames.
    material_ids : sequence of str, shape (n,)
        Material of each value; values of one material are resampled together.
    weights : sequence of float, shape (n,), optional
        Weight of each value in the mean, such as numbers of atoms; equal by default.
    n_resamples : int
        Number of resamples.
    seed : int
        Random seed.

    Returns
    -------
    tuple of float or None
        The 2.5 % and 97.5 % quantiles of the mean; None below five materials.
    """
    _, materials = np.unique(np.asarray(material_ids), return_inverse=True)
    weighed = np.ones(len(materials)) if weights is None else np.asarray(weights)
    counts = np.bincount(materials, weights=weighed)
    n_materials = len(counts)
    if n_materials < MIN_MATERIALS:
        return None
    sums = np.bincount(
        materials, weights=np.asarray(values, dtype=np.float64) * weighed
    )
    rng = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for resample in range(n_resamples):
        drawn = rng.integers(n_materials, size=n_materials)
        means[resample] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
