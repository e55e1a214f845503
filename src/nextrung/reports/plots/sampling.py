"""Sampling of points where a plot has too many, and their density."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Most points of one plot.
MAX_POINTS = 4000

#: Points of the largest weight that are always drawn.
N_EXTREME = 200


def choose_points(
    n_points: int, weights: Sequence[float] | NDArray[np.float64] | None = None
) -> tuple[list[int], str]:
    """Sample the points to draw.

    Parameters
    ----------
    n_points : int
        Number of points.
    weights : sequence of float, shape (n_points,), optional
        Errors; the points of the largest ones are always drawn.

    Returns
    -------
    list of int
        Indices of the points to draw, ascending.
    str
        Sentence on the sampling; empty where all points are drawn.
    """
    if n_points <= MAX_POINTS:
        return list(range(n_points)), ""
    order = np.random.default_rng(0).permutation(n_points)
    text = f" {MAX_POINTS:,} of {n_points:,} points are drawn, at random"
    if weights is not None:
        extreme = np.argsort(-np.abs(np.asarray(weights)))[:N_EXTREME]
        others = order[~np.isin(order, extreme)]
        order = np.concatenate([extreme, others])
        text += f" except the {N_EXTREME} largest errors"
    return sorted(int(index) for index in order[:MAX_POINTS]), f"{text}."


def count_neighbours(
    x: NDArray[np.float64], y: NDArray[np.float64], n_bins: int = 60
) -> NDArray[np.float64]:
    """Count the points in the bin of each point, as a density for colours.

    Parameters
    ----------
    x, y : ndarray of float, shape (n_points,)
        Coordinates.
    n_bins : int
        Bins along each axis.

    Returns
    -------
    ndarray of float, shape (n_points,)
        Common logarithm of the number of points in the bin.
    """
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=n_bins)
    columns = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, n_bins - 1)
    rows = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, n_bins - 1)
    density: NDArray[np.float64] = np.log10(counts[columns, rows])
    return density
