"""Crystals without a neighbor list, for models that search neighbors themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Crystals, Selection


@dataclass(frozen=True, eq=False)
class CrystalInputs:
    """Crystals, and the cost of each.

    Parameters
    ----------
    crystals : Crystals
        The crystals.
    costs : ndarray of int, shape (n_crystals,)
        Cost of each crystal.
    """

    crystals: Crystals
    costs: NDArray[np.int64]

    def __getitem__(self, chosen: Selection) -> Self:
        """Select crystals by indices, mask or slice, in the order given."""
        indices = np.arange(len(self.costs))[chosen]
        return type(self)(self.crystals[indices], self.costs[indices])
