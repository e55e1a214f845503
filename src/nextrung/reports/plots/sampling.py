"""Which points are drawn where there are too many for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Points that a plot draws at most.
MAX_POINTS = 4000

#: Points of the largest weight that are always drawn.
N_EXTREME = 200


def choose_points(
    n_points: int, weights: Sequence[float] | NDArray[np.float64] | None = None
) -> tuple[list[int], str]:
    """Choose the points to draw.

    Parameters
    ----------
    n_points : int
        Points there are.
    weights : sequence of float, shape (n_points,), optional
        Size of what must not be missed, such as an error.

    Returns
    -------
    list of int
        Indices of the points to draw, ascending.
    str
        What to say about it; empty where all are drawn.
    """
    if n_points <= MAX_POINTS:
        return list(range(n_points)), ""
    order = np.random.default_rng(0).permutation(n_points)
    said = f" {MAX_POINTS:,} of {n_points:,} points are drawn, at random"
    if weights is not None:
        extreme = np.argsort(-np.abs(np.asarray(weights)))[:N_EXTREME]
        others = order[~np.isin(order, extreme)]
        order = np.concatenate([extreme, others])
        said += f" but for the {N_EXTREME} largest errors"
    return sorted(int(index) for index in order[:MAX_POINTS]), f"{said}."


def count_neighbours(
    x: NDArray[np.float64], y: NDArray[np.float64], n_bins: int = 60
) -> NDArray[np.float64]:
    """Count the points in the same bin of a grid, for colours of density.

    Parameters
    ----------
    x, y : ndarray of float, shape (n_points,)
        Coordinates.
    n_bins : int
        Bins along each axis.

    Returns
    -------
    ndarray of float, shape (n_points,)
        Common logarithm of the number of points in the bin of each point.
    """
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=n_bins)
    columns = np.clip(np.searchsorted(x_edges, x, side="right") - 1, 0, n_bins - 1)
    rows = np.clip(np.searchsorted(y_edges, y, side="right") - 1, 0, n_bins - 1)
    density: NDArray[np.float64] = np.log10(counts[columns, rows])
    return density
