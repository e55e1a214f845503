"""Splitting of items into consecutive batches of limited cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def split_by_cost(costs: NDArray[np.int64], limit: int) -> list[slice]:
    """Split items into consecutive batches of about equal cost.

    Parameters
    ----------
    costs : ndarray of int, shape (n_items,)
        Cost of each item.
    limit : int
        Cost of a batch; it is exceeded by less than the cost of the batch's last item.

    Returns
    -------
    list of slice
        Items of each batch, at least one.
    """
    if not len(costs):
        return []
    batches = (np.cumsum(costs) - costs) // limit
    edges = (np.flatnonzero(np.diff(batches)) + 1).tolist()
    return list(map(slice, [0, *edges], [*edges, len(costs)]))
