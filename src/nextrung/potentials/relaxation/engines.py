"""Relaxation of structures by a potential; a failure is a record too."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from nextrung.potentials.inputs import list_structures
from nextrung.potentials.relaxation.ase import relax_with_ase
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.potentials.relaxation.checks import record_failure
from nextrung.schemas.relaxation import RelaxationEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextrung.potentials.inputs import Structures
    from nextrung.potentials.interface import Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: The generator of numbered records behind each engine.
ENGINES = {
    RelaxationEngine.BATCHED: relax_batched,
    RelaxationEngine.ASE: relax_with_ase,
}


def relax(
    potential: Relaxable,
    structures: Structures,
    settings: RelaxationSettings,
    *,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
) -> list[RelaxationRecord]:
    """Relax structures with FIRE, positions and cell as in ASE's Frechet cell filter.

    Parameters
    ----------
    potential : Relaxable
        What predicts energies, forces and stresses.
    structures : Structure, ase.Atoms, or iterable of them
        Where to start from.
    settings : RelaxationSettings
        How to relax.
    on_record : callable of (int, RelaxationRecord), optional
        Called with each structure's position in the sequence and its end, as it ends.

    Returns
    -------
    list of RelaxationRecord
        The end of each structure, in the order of the structures.

    Notes
    -----
    A structure moves as it would alone, whatever else is relaxed with it.
    """
    listed = list_structures(structures)
    usable = [each for each in enumerate(listed) if not isinstance(each[1], str)]
    rejected = [
        (index, record_failure(reason))
        for index, reason in enumerate(listed)
        if isinstance(reason, str)
    ]
    records: dict[int, RelaxationRecord] = {}
    engine = ENGINES[settings.engine]
    for index, record in chain(rejected, engine(potential, usable, settings)):
        records[index] = record
        if on_record is not None:
            on_record(index, record)
    return [records[index] for index in range(len(listed))]
