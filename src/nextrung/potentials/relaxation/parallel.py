"""Relaxation in parallel processes of this machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nextrung.potentials.devices import release_cached_memory
from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.worker_pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.interface import Relaxable
    from nextrung.potentials.relaxation.restart import Restarts
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Structures per process below which starting one does not save time.
MIN_SHARE: Final = 8


def relax_in_processes(  # noqa: PLR0913 - what, how, with which and whither
    load: Callable[[], Relaxable],
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    n_processes: int,
    timeout: float = math.inf,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
    restarts: Restarts | None = None,
) -> list[RelaxationRecord]:
    """Relax structures in parallel processes, or few of them in this process.

    Parameters
    ----------
    load : callable
        Function that loads the potential, see :func:`relax_in_isolation`.
    structures : sequence of Structure
        Initial structures.
    settings : RelaxationSettings
        Settings of the relaxation.
    n_processes : int
        Largest number of processes; with 1, this process relaxes.
    timeout : float
        Time in s after which a process without a result is killed.
    on_record : callable of (int, RelaxationRecord), optional
        Called with the index and the record of each structure as it finishes.
    restarts : Restarts, optional
        Restart points; those of other processes are saved at intervals.

    Returns
    -------
    list of RelaxationRecord
        One per structure, in the order given.
    """
    n_workers = min(n_processes, len(structures) // MIN_SHARE)
    if n_workers <= 1:
        return relax(
            load(), structures, settings, on_record=on_record, restarts=restarts
        )
    return relax_in_isolation(
        load,
        structures,
        settings,
        n_processes=n_workers,
        timeout=timeout,
        on_record=on_record,
        restarts=restarts,
    )


def relax_in_isolation(  # noqa: PLR0913 - those of relax_in_processes
    load: Callable[[], Relaxable],
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    n_processes: int,
    timeout: float = math.inf,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
    restarts: Restarts | None = None,
) -> list[RelaxationRecord]:
    """Relax structures in other processes, such that none can crash this one.

    Parameters
    ----------
    load : callable
        Function that loads the potential in each process; it must be picklable, such
        as ``functools.partial(load_potential, "chgnet-r2scan", "cpu")``.
    structures : sequence of Structure
        Initial structures.
    settings : RelaxationSettings
        Settings of the relaxation.
    n_processes : int
        Largest number of processes.
    timeout : float
        Time in s after which a process without a result is killed.
    on_record : callable of (int, RelaxationRecord), optional
        Called with the index and the record of each structure as it finishes.
    restarts : Restarts, optional
        Restart points; those of other processes are saved at intervals.

    Returns
    -------
    list of RelaxationRecord
        One per structure, in the order given.

    Raises
    ------
    RuntimeError
        If a process exits before it has loaded the potential, or too many crash one
        after another.
    """
    records: dict[int, RelaxationRecord] = {}
    release_cached_memory()  # of this process, for the others
    with WorkerPool(
        load, structures, settings, timeout=timeout, restarts=restarts
    ) as pool:
        pool.start(min(n_processes, len(structures)))
        for index, record in pool.results():
            records[index] = record
            if on_record is not None:
                on_record(index, record)
    return [records[index] for index in range(len(structures))]
