"""Structures that wait to be relaxed, and how many of them there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.potentials.relaxation.checks import describe_unrelaxable, record_failure
from nextrung.potentials.relaxation.in_flight_batch import BatchItem, InFlightBatch
from nextrung.potentials.relaxation.symmetry import refine_symmetry
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Neighbours within 6 Å and bonds within 3 Å of an atom, at 1 atom/Å³.
_NEIGHBOURS: Final = 4 / 3 * np.pi * 6.0**3
_BONDS: Final = 4 / 3 * np.pi * 3.0**3


def estimate_costs(
    lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Estimate what one evaluation of each crystal costs.

    Parameters
    ----------
    lattices : ndarray of float, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    n_atoms : ndarray of int, shape (n_crystals,)
        Atoms of each crystal.

    Returns
    -------
    ndarray of float, shape (n_crystals,)
        Neighbours and angles that a crystal of even density would have.
    """
    densities = n_atoms / np.abs(np.linalg.det(lattices))
    costs: NDArray[np.float64] = n_atoms * (
        _NEIGHBOURS * densities + (_BONDS * densities) ** 2
    )
    return costs


class InFlightAutoBatcher:
    """Structures that wait to board; true while there is one, or one was refused.

    Parameters
    ----------
    waiting : iterable of (int, Structure)
        Numbered structures, drawn one ahead of need.
    settings : RelaxationSettings
        How they will be relaxed.
    """

    def __init__(
        self, waiting: Iterable[tuple[int, Structure]], settings: RelaxationSettings
    ) -> None:
        self._waiting = iter(waiting)
        self._prepare = _refine if settings.fix_symmetry else BatchItem
        self._rejected: list[tuple[int, RelaxationRecord]] = []
        self._first = self._draw()

    def __bool__(self) -> bool:
        return self._first is not None or bool(self._rejected)

    def _draw(self) -> BatchItem | None:
        """Draw the next structure that can be relaxed; refuse those before it."""
        for index, structure in self._waiting:
            reason = describe_unrelaxable(structure)
            if reason is None:
                try:
                    return self._prepare(index, structure)
                except InputError as error:
                    reason = str(error)
            self._rejected.append((index, record_failure(reason)))
        return None

    def pop_rejected(self) -> list[tuple[int, RelaxationRecord]]:
        """Hand out the structures refused since the last time.

        Returns
        -------
        list of (int, RelaxationRecord)
            Number and reason of each.
        """
        rejected, self._rejected = self._rejected, []
        return rejected

    def fill(self, room: float) -> InFlightBatch:
        """Start structures until the room is used up.

        Parameters
        ----------
        room : float
            Cost up to which structures board; the last may exceed it.

        Returns
        -------
        InFlightBatch
            Those that board, at rest.
        """
        items = []
        while self._first is not None and room > 0:
            structure = self._first.structure
            room -= estimate_costs(
                structure.lattice.matrix[None], np.array([len(structure)])
            ).item()
            items.append(self._first)
            self._first = self._draw()
        return InFlightBatch.start(items)


def _refine(index: int, structure: Structure) -> BatchItem:
    """Put a structure onto its symmetry, which it is to keep."""
    refined, symmetry = refine_symmetry(structure)
    return BatchItem(index, refined, symmetry)
