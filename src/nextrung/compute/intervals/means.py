"""95 % intervals of means over materials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals.resampling import Sample, resample_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


#: Number of resamples of a mean.
N_RESAMPLES = 1000


def estimate_interval(
    values: Sequence[float] | NDArray[np.float64],
    material_ids: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    n_resamples: int = N_RESAMPLES,
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
        Low and high end of the interval of the mean of all materials, of which these
        are a sample; None below five materials. The low end is below zero only where a
        value is.

    Notes
    -----
    Each resampled mean is divided by its own standard error (bootstrap-t). The
    quantiles of resampled means themselves cover 80 to 90 % where errors are
    heavy-tailed and materials few.
    """
    sample = Sample.of(values, material_ids, weights=weights)
    return find_interval(sample, n_resamples=n_resamples, seed=seed)


def find_interval(
    sample: Sample,
    *,
    pooled: float | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Find the 95 % interval of the mean of a sample of materials and repeats.

    Parameters
    ----------
    sample : Sample
        Values of materials in repeats.
    pooled : float, optional
        Variance between repeats expected from other models.
    n_resamples : int
        Number of resamples.
    seed : int
        Random seed.

    Returns
    -------
    tuple of float or None
        Low and high end; None below five materials. The low end is below zero only
        where a value is.
    """
    resampled = resample_mean(sample, n_resamples=n_resamples, seed=seed, pooled=pooled)
    if resampled is None:
        return None
    low, high = resampled.interval
    return max(low, min(0.0, float(sample.values.min()))), high
