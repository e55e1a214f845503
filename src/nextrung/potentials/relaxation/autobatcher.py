"""Autobatcher: fills in-flight batches with waiting structures up to a cost."""

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

#: Neighbors within 6 Å and bonds within 3 Å of an atom, at 1 atom/Å³.
_NEIGHBORS: Final = 4 / 3 * np.pi * 6.0**3
_BONDS: Final = 4 / 3 * np.pi * 3.0**3


def estimate_costs(
    lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Estimate the cost of one prediction of each crystal.

    Parameters
    ----------
    lattices : ndarray of float, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    n_atoms : ndarray of int, shape (n_crystals,)
        Atoms of each crystal.

    Returns
    -------
    ndarray of float, shape (n_crystals,)
        Neighbors and angles of a crystal of the same, uniform density.
    """
    densities = n_atoms / np.abs(np.linalg.det(lattices))
    costs: NDArray[np.float64] = n_atoms * (
        _NEIGHBORS * densities + (_BONDS * densities) ** 2
    )
    return costs


class InFlightAutoBatcher:
    """Queue of structures to relax; true while structures or rejections are left.

    Parameters
    ----------
    structures : iterable of (int, Structure)
        Indexed structures, read one ahead of need.
    settings : RelaxationSettings
        Settings of the relaxation.
    """

    def __init__(
        self, structures: Iterable[tuple[int, Structure]], settings: RelaxationSettings
    ) -> None:
        self._structures = iter(structures)
        self._prepare = _refine if settings.fix_symmetry else BatchItem
        self._rejected: list[tuple[int, RelaxationRecord]] = []
        self._next = self._read_next()

    def __bool__(self) -> bool:
        return self._next is not None or bool(self._rejected)

    def _read_next(self) -> BatchItem | None:
        """Read the next structure that can be relaxed; reject those before it."""
        for index, structure in self._structures:
            reason = describe_unrelaxable(structure)
            if reason is None:
                try:
                    return self._prepare(index, structure)
                except InputError as error:
                    reason = str(error)
            self._rejected.append((index, record_failure(reason)))
        return None

    def pop_rejected(self) -> list[tuple[int, RelaxationRecord]]:
        """Return the structures rejected since the last call.

        Returns
        -------
        list of (int, RelaxationRecord)
            Index and failure of each.
        """
        rejected, self._rejected = self._rejected, []
        return rejected

    def fill(self, max_cost: float) -> InFlightBatch:
        """Take structures up to a cost.

        Parameters
        ----------
        max_cost : float
            Cost of the structures; the last may exceed it.

        Returns
        -------
        InFlightBatch
            The structures before their first step.
        """
        items = []
        while self._next is not None and max_cost > 0:
            structure = self._next.structure
            max_cost -= estimate_costs(
                structure.lattice.matrix[None], np.array([len(structure)])
            ).item()
            items.append(self._next)
            self._next = self._read_next()
        return InFlightBatch.start(items)


def _refine(index: int, structure: Structure) -> BatchItem:
    """Symmetrise a structure and find the symmetry to keep."""
    refined, symmetry = refine_symmetry(structure)
    return BatchItem(index, refined, symmetry)
