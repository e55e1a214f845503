"""Relaxation in several processes, or in one that may die in place of this one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.worker_pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.interface import Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Structures that repay the start of a process.
WORTHWHILE_SHARE: Final = 8


def relax_in_processes(
    load: Callable[[], Relaxable],
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    n_processes: int,
    timeout: float = math.inf,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
) -> list[RelaxationRecord]:
    """Relax structures in several processes of this machine, where they repay it.

    Parameters
    ----------
    load : callable
        What loads the potential in each process; it must be picklable, such as
        ``functools.partial(load_potential, "chgnet-r2scan", "cpu")``.
    structures : sequence of Structure
        Where to start from.
    settings : RelaxationSettings
        How to relax.
    n_processes : int
        Processes to use at most; with one, or with few structures, this process does
        the work.
    timeout : float
        Seconds after which a process in which no structure ends is killed.
    on_record : callable of (int, RelaxationRecord), optional
        Called here with each structure's position in the sequence and its end, as it
        ends.

    Returns
    -------
    list of RelaxationRecord
        The end of each structure, in the order of the structures.

    Raises
    ------
    RuntimeError
        If a process dies before it has loaded the potential, or so many die one after
        another that all structures would.
    """
    n_workers = min(n_processes, len(structures) // WORTHWHILE_SHARE)
    if n_workers <= 1:
        return relax(load(), structures, settings, on_record=on_record)
    return relax_in_isolation(
        load,
        structures,
        settings,
        n_processes=n_workers,
        timeout=timeout,
        on_record=on_record,
    )


def relax_in_isolation(
    load: Callable[[], Relaxable],
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    n_processes: int,
    timeout: float = math.inf,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
) -> list[RelaxationRecord]:
    """Relax structures in other processes, so that none can kill this one.

    Parameters
    ----------
    load : callable
        What loads the potential in each process; it must be picklable.
    structures : sequence of Structure
        Where to start from.
    settings : RelaxationSettings
        How to relax.
    n_processes : int
        Processes to use at most.
    timeout : float
        Seconds after which a process in which no structure ends is killed.
    on_record : callable of (int, RelaxationRecord), optional
        Called here with each structure's position in the sequence and its end, as it
        ends.

    Returns
    -------
    list of RelaxationRecord
        The end of each structure, in the order of the structures.

    Raises
    ------
    RuntimeError
        If a process dies before it has loaded the potential, or so many die one after
        another that all structures would.
    """
    records: dict[int, RelaxationRecord] = {}
    with WorkerPool(load, structures, settings, timeout=timeout) as pool:
        pool.start(min(n_processes, len(structures)))
        for index, record in pool.work():
            records[index] = record
            if on_record is not None:
                on_record(index, record)
    return [records[index] for index in range(len(structures))]
