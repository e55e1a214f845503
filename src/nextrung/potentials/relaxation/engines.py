"""Relaxation of structures with a potential, by the chosen engine."""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.validity import describe_priors
from nextrung.potentials.inputs import list_structures
from nextrung.potentials.relaxation.ase import relax_with_ase
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.potentials.relaxation.checks import record_failure
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import CellDegrees, RelaxationEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.inputs import Structures
    from nextrung.potentials.interface import Relaxable
    from nextrung.potentials.relaxation.restart import Restarts
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Function of each engine; it yields indexed records.
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
    restarts: Restarts | None = None,
) -> list[RelaxationRecord]:
    """Relax structures with FIRE, positions and cell as in ASE's Frechet cell filter.

    Parameters
    ----------
    potential : Relaxable
        Potential.
    structures : Structure, ase.Atoms, or iterable of them
        One initial structure or any number of them.
    settings : RelaxationSettings
        Settings of the relaxation.
    on_record : callable of (int, RelaxationRecord), optional
        Called with the index and the record of each structure as it finishes.
    restarts : Restarts, optional
        Restart points, which are saved at intervals and when the relaxation is stopped.

    Returns
    -------
    list of RelaxationRecord
        One per structure, in the order given; a failure has its reason. One structure
        has a list of one record.

    Raises
    ------
    InputError
        If the potential predicts no forces, or no stresses for a cell that relaxes.

    Notes
    -----
    A record does not depend on the other structures.
    """
    _validate_properties(potential.properties, settings.cell)
    listed = list_structures(structures)
    usable = [each for each in enumerate(listed) if not isinstance(each[1], str)]
    rejected = [
        (index, record_failure(reason))
        for index, reason in enumerate(listed)
        if isinstance(reason, str)
    ]
    notes = _describe_priors(potential, usable)
    records: dict[int, RelaxationRecord] = {}
    engine = ENGINES[settings.engine]
    # Closed here, not by the garbage collector, so that an exception in on_record saves
    # the restart points before it leaves.
    with closing(engine(potential, usable, settings, restarts=restarts)) as results:
        for index, ended in chain(rejected, results):
            record = ended.model_copy(update={"note": notes.get(index)})
            records[index] = record
            if on_record is not None:
                on_record(index, record)
    return [records[index] for index in range(len(listed))]


def _describe_priors(
    potential: Relaxable, structures: Sequence[tuple[int, Structure]]
) -> dict[int, str]:
    """Describe the energies that will hold a reference of a prior, by index."""
    if not potential.prior_errors:
        return {}
    crystals = Crystals.of([structure for _, structure in structures])
    notes = describe_priors(crystals, potential.prior_errors)
    return {structures[place][0]: note for place, note in notes.items()}


def _validate_properties(properties: str, cell: CellDegrees) -> None:
    """Check that a potential predicts what a relaxation needs."""
    if "f" not in properties:
        raise InputError(
            "relaxation: expected a potential with forces, got one of energies alone"
        )
    if "s" not in properties and cell is not CellDegrees.FIXED:
        raise InputError(
            f"relaxation: expected a potential with stresses for cell: {cell}, got one "
            f"without; choose cell: {CellDegrees.FIXED}"
        )
