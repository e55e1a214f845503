"""Processes of one thread each that relax; a dead one takes no result along.

Processes draw structures as they have room, the largest first, so that all are busy to
the end. The structures of a process that died are tried again in halves, and few one by
one, until the one that kills is found, kills once more and becomes a record. A process
in which nothing ends for too long is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from threading import Thread
from typing import TYPE_CHECKING, Final, Self

import torch

from nextrung.potentials.relaxation.checks import record_failure
from nextrung.potentials.relaxation.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from pymatgen.core import Structure

    from nextrung.potentials.interface import Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

    Tasks = Iterator[tuple[int, Structure]]
    Ends = Iterator[tuple[int, RelaxationRecord]]

#: Structures that a process tries one by one, where another has died of one of them.
SERIAL_LIMIT: Final = 32
#: Processes that a structure may kill by itself.
MAX_ATTEMPTS: Final = 2
#: Processes that may die with nothing finished in between before all is given up.
MAX_DEATHS: Final = 20
#: How often to look for processes that are stuck, in s.
_POLL_INTERVAL: Final = 1.0
_SPAWN = multiprocessing.get_context("spawn")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    """A process, the structures it may draw and those it holds."""

    process: SpawnProcess
    source: deque[int]
    holding: list[int] = field(default_factory=list)
    ready: bool = False
    exit_reason: str = ""
    last_message_at: float = field(default_factory=time.monotonic)


class WorkerPool:
    """The processes at work, and the structures that wait for them.

    Leaving it as a context ends all of them.

    Parameters
    ----------
    load : callable
        What loads the potential in each process.
    structures : sequence of Structure
        Where to start from.
    settings : RelaxationSettings
        How to relax.
    timeout : float
        Seconds after which a process in which no structure ends is killed.
    """

    def __init__(
        self,
        load: Callable[[], Relaxable],
        structures: Sequence[Structure],
        settings: RelaxationSettings,
        *,
        timeout: float,
    ) -> None:
        self._load = load
        self._timeout = timeout
        self._settings = settings
        self._structures = structures
        n_atoms = [len(structure) for structure in structures]
        largest_first = sorted(range(len(structures)), key=lambda i: -n_atoms[i])
        self._waiting = deque(largest_first)
        self._suspected_groups: deque[deque[int]] = deque()
        self._workers: dict[Connection, _Worker] = {}
        self._attempts: Counter[int] = Counter()
        self._n_deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for connection, worker in self._workers.items():
            worker.process.kill()
            worker.process.join()
            connection.close()

    def start(self, n_workers: int) -> None:
        """Start processes for what waits, or else for a group of suspects.

        Parameters
        ----------
        n_workers : int
            Processes to start.
        """
        for _ in range(n_workers):
            if self._waiting:
                self._start_worker(self._waiting)
            elif self._suspected_groups:
                self._start_worker(self._suspected_groups.popleft())

    def _start_worker(self, source: deque[int]) -> None:
        """Start a process that draws from a source."""
        ours, theirs = _SPAWN.Pipe()
        suspected = source is not self._waiting and len(source) <= SERIAL_LIMIT
        way = _relax_one_by_one if suspected else _relax_together
        worker_task = _WorkerTask(self._load, self._settings, way)
        process = _SPAWN.Process(
            target=_run_worker, args=(theirs, worker_task), daemon=True
        )
        with single_threaded():
            process.start()
        theirs.close()
        self._workers[ours] = _Worker(process, source)

    def work(self) -> Iterator[tuple[int, RelaxationRecord]]:
        """Wait for the processes.

        Yields
        ------
        index : int
            Position of a structure in the sequence.
        record : RelaxationRecord
            How it ended.

        Raises
        ------
        RuntimeError
            If a process dies before it has loaded the potential, or so many die one
            after another that all structures would.
        """
        while self._workers:
            for connection in wait(list(self._workers), _POLL_INTERVAL):
                yield from self._receive(connection)  # type: ignore[arg-type]
            for worker in self._workers.values():
                self._kill_if_stuck(worker)

    def _kill_if_stuck(self, worker: _Worker) -> None:
        """Kill a process in which nothing has ended for too long."""
        silence = time.monotonic() - worker.last_message_at
        if worker.ready and silence > self._timeout and not worker.exit_reason:
            worker.exit_reason = f": nothing ended in {self._timeout:g} s"
            worker.process.kill()

    def _receive(
        self, connection: Connection
    ) -> Iterator[tuple[int, RelaxationRecord]]:
        """Answer a process: it wants a structure, has finished one, or is dead."""
        worker = self._workers[connection]
        worker.last_message_at = time.monotonic()
        try:
            message = connection.recv()
        except (EOFError, OSError):
            yield from self._on_exit(connection)
            return
        if message is None:
            worker.ready = True
            self._supply(connection)
        elif isinstance(message, Exception):
            worker.exit_reason = f": {message}"
            if not worker.ready:
                raise message
        else:
            index, _ = message
            worker.holding.remove(index)
            self._n_deaths = 0
            yield message

    def _supply(self, connection: Connection) -> None:
        """Give a process the next structure, or nothing any more."""
        worker = self._workers[connection]
        task = None
        if worker.source:
            index = worker.source.popleft()
            worker.holding.append(index)
            task = (index, self._structures[index])
        try:
            connection.send(task)
        except OSError:
            return  # it has died meanwhile, which its silence will tell

    def _on_exit(
        self, connection: Connection
    ) -> Iterator[tuple[int, RelaxationRecord]]:
        """Let others try what a dead process held, each half by itself."""
        worker = self._workers.pop(connection)
        connection.close()
        worker.process.join()
        if not worker.ready:
            raise RuntimeError(
                f"a process died with exit code {worker.process.exitcode} before it "
                "had loaded the potential"
            )
        lost = worker.holding
        rest = [] if worker.source is self._waiting else list(worker.source)
        self._n_deaths += bool(lost or rest)
        if self._n_deaths > MAX_DEATHS:
            raise RuntimeError(
                f"{self._n_deaths} processes died one after another, the last "
                f"{_describe_end(worker)}"
            )
        if len(lost) == 1 and self._has_killed_enough(lost[0]):
            reason = f"the process that relaxed it died {_describe_end(worker)}"
            yield lost[0], record_failure(reason)
            lost = []
        half = len(lost) // 2 if len(lost) > SERIAL_LIMIT else 0
        groups = (rest, lost[:half], lost[half:])
        self._suspected_groups += [deque(group) for group in groups if group]
        self.start(1)

    def _has_killed_enough(self, index: int) -> bool:
        """Count one more process that a structure has killed by itself."""
        self._attempts[index] += 1
        return self._attempts[index] >= MAX_ATTEMPTS


def _describe_end(worker: _Worker) -> str:
    """Say how a process ended."""
    return f"with exit code {worker.process.exitcode}{worker.exit_reason}"


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let processes that start here use one thread each.

    Yields
    ------
    None
        While the environment says so.
    """
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@dataclass(frozen=True)
class _WorkerTask:
    """What a process is told: which potential, how to relax, and how many at once."""

    load: Callable[[], Relaxable]
    settings: RelaxationSettings
    way: Callable[[Relaxable, Tasks, RelaxationSettings], Ends]


def _relax_together(
    potential: Relaxable, tasks: Tasks, settings: RelaxationSettings
) -> Ends:
    """Relax as many structures at once as there is room for."""
    return ENGINES[settings.engine](potential, tasks, settings)


def _relax_one_by_one(
    potential: Relaxable, tasks: Tasks, settings: RelaxationSettings
) -> Ends:
    """Relax structures so that it is clear which one ends the process."""
    for task in tasks:
        yield from ENGINES[settings.engine](potential, iter([task]), settings)


def _run_worker(connection: Connection, worker_task: _WorkerTask) -> None:
    """Relax, in a process of its own, what the connection hands out."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # the parent ends us, alone or with it
    Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        potential = worker_task.load()
        for end in worker_task.way(potential, _draw(connection), worker_task.settings):
            connection.send(end)
    except Exception as error:
        connection.send(error)
        raise


def _exit_with_parent() -> None:
    """Leave no process behind that nobody hears any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw(connection: Connection) -> Iterator[tuple[int, Structure]]:
    """Ask for structures until there are none."""
    while True:
        connection.send(None)
        task = connection.recv()
        if task is None:
            return
        yield task
