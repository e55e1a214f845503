"""Autobatcher: fills in-flight batches with waiting structures up to a cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.potentials.relaxation.checks import describe_unrelaxable, record_failure
from nextrung.potentials.relaxation.in_flight_batch import BatchItem, InFlightBatch
from nextrung.potentials.relaxation.symmetry import refine_symmetry
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.relaxation.restart import RestartPoint
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

    #: Costs by lattices and numbers of atoms.
    CostEstimate = Callable[
        [NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]
    ]

#: Factor by which resumed structures may exceed the cost of a batch: the batch they
#: were in exceeded it by its last structure, and cells have changed since.
RESUMED_EXCESS: Final = 1.5


class InFlightAutoBatcher:
    """Queue of structures to relax; true while structures or rejections are left.

    Parameters
    ----------
    structures : iterable of (int, Structure)
        Indexed structures, read one ahead of need.
    settings : RelaxationSettings
        Settings of the relaxation.
    estimate_costs : callable
        Cost estimate, see :meth:`nextrung.potentials.interface.Relaxable`.
    restarts : mapping of int to RestartPoint, optional
        Restart point by index of the structures to resume.
    """

    def __init__(
        self,
        structures: Iterable[tuple[int, Structure]],
        settings: RelaxationSettings,
        *,
        estimate_costs: CostEstimate,
        restarts: Mapping[int, RestartPoint] | None = None,
    ) -> None:
        self._estimate_costs = estimate_costs
        self._structures = iter(structures)
        self._restarts = restarts or {}
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
                    item = self._prepare(index, structure)
                    return replace(item, restart=self._restarts.get(index))
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

    def resume(self, max_cost: float) -> InFlightBatch:
        """Take the first structures, as long as they have a restart point.

        Parameters
        ----------
        max_cost : float
            Cost of a batch, which an earlier batch may have exceeded.

        Returns
        -------
        InFlightBatch
            The structures between two steps.
        """
        items: list[BatchItem] = []
        max_cost *= RESUMED_EXCESS
        while self._next is not None and self._next.restart and max_cost > 0:
            max_cost -= self._take_next(items)
        return InFlightBatch.start(items)

    def fill(self, max_cost: float) -> InFlightBatch:
        """Take structures up to a cost.

        Parameters
        ----------
        max_cost : float
            Cost of the structures; the last may exceed it.

        Returns
        -------
        InFlightBatch
            The structures before their first step, or where they are resumed.
        """
        items: list[BatchItem] = []
        while self._next is not None and max_cost > 0:
            max_cost -= self._take_next(items)
        return InFlightBatch.start(items)

    def _take_next(self, items: list[BatchItem]) -> float:
        """Append the next structure to a list; return its cost."""
        if self._next is None:
            return 0.0
        items.append(self._next)
        structure = self._next.structure
        self._next = self._read_next()
        lattices = structure.lattice.matrix[None]
        return float(self._estimate_costs(lattices, np.array([len(structure)])).item())


def _refine(index: int, structure: Structure) -> BatchItem:
    """Symmetrise a structure and find the symmetry to keep."""
    refined, symmetry = refine_symmetry(structure)
    return BatchItem(index, refined, symmetry)
