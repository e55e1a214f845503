"""Pool of single-threaded relaxation processes; a crash loses no finished result.

Each process takes structures from a queue when it has room, the largest first. After a
crash, its unfinished structures are retried in two halves, and few of them one by one:
a structure that crashes its own process repeatedly becomes a failure. A process without
a result within the timeout is killed.
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
from nextrung.potentials.relaxation.restart import Restarts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from pymatgen.core import Structure

    from nextrung.potentials.interface import Relaxable
    from nextrung.potentials.relaxation.restart import RestartPoint
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

    Records = Iterator[tuple[int, RelaxationRecord]]

#: Most unfinished structures of a crashed process that are retried one by one.
SERIAL_LIMIT: Final = 32
#: Crashes of its own process after which a structure is a failure.
MAX_ATTEMPTS: Final = 2
#: Crashes without a result in between after which the pool stops.
MAX_CRASHES: Final = 20
#: Interval of checks for processes beyond the timeout, in s.
_POLL_INTERVAL: Final = 1.0
_SPAWN = multiprocessing.get_context("spawn")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    """A process, the queue it takes structures from, and its unfinished ones."""

    process: SpawnProcess
    queue: deque[int]
    unfinished: list[int] = field(default_factory=list)
    loaded: bool = False
    exit_reason: str = ""
    last_message_at: float = field(default_factory=time.monotonic)

    def describe_exit(self) -> str:
        """Describe how the process ended."""
        return f"with exit code {self.process.exitcode}{self.exit_reason}"


class WorkerPool:
    """Relaxation processes and the queues of structures.

    It is a context manager; leaving it kills the processes.

    Parameters
    ----------
    load : callable
        Function that loads the potential in each process.
    structures : sequence of Structure
        Initial structures.
    settings : RelaxationSettings
        Settings of the relaxation.
    timeout : float
        Time in s after which a process without a result is killed.
    restarts : Restarts, optional
        Restart points, which are saved as the processes send them.
    """

    def __init__(
        self,
        load: Callable[[], Relaxable],
        structures: Sequence[Structure],
        settings: RelaxationSettings,
        *,
        timeout: float,
        restarts: Restarts | None = None,
    ) -> None:
        self._load = load
        self._restarts = restarts or Restarts()
        self._timeout = timeout
        self._settings = settings
        self._structures = structures
        n_atoms = [len(structure) for structure in structures]
        largest_first = sorted(range(len(structures)), key=lambda i: -n_atoms[i])
        self._queue = deque(largest_first)
        self._retry_queues: deque[deque[int]] = deque()
        self._workers: dict[Connection, _Worker] = {}
        self._attempts: Counter[int] = Counter()
        self._n_crashes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for connection, worker in self._workers.items():
            worker.process.kill()
            worker.process.join()
            connection.close()

    def start(self, n_workers: int) -> None:
        """Start processes for queued structures, or for those to retry.

        Parameters
        ----------
        n_workers : int
            Number of processes.
        """
        for _ in range(n_workers):
            if self._queue:
                self._start_worker(self._queue)
            elif self._retry_queues:
                self._start_worker(self._retry_queues.popleft())

    def _start_worker(self, queue: deque[int]) -> None:
        """Start a process that takes structures from a queue."""
        connection, child_connection = _SPAWN.Pipe()
        serial = queue is not self._queue and len(queue) <= SERIAL_LIMIT
        task = _WorkerTask(
            self._load, self._settings, self._restarts.points, serial=serial
        )
        process = _SPAWN.Process(
            target=_run_worker, args=(child_connection, task), daemon=True
        )
        with _single_threaded():
            process.start()
        child_connection.close()
        self._workers[connection] = _Worker(process, queue)

    def results(self) -> Records:
        """Wait for the processes to finish.

        Yields
        ------
        index : int
            Index of a structure.
        record : RelaxationRecord
            Its relaxation.

        Raises
        ------
        RuntimeError
            If a process exits before it has loaded the potential, or too many crash
            one after another.
        """
        while self._workers:
            for connection in wait(list(self._workers), _POLL_INTERVAL):
                yield from self._receive(connection)  # type: ignore[arg-type]
            for worker in self._workers.values():
                self._check_timeout(worker)

    def _check_timeout(self, worker: _Worker) -> None:
        """Kill a process without a result within the timeout."""
        elapsed = time.monotonic() - worker.last_message_at
        if worker.loaded and elapsed > self._timeout and not worker.exit_reason:
            worker.exit_reason = f": no result in {self._timeout:g} s"
            worker.process.kill()

    def _receive(self, connection: Connection) -> Records:
        """Receive a request, a record, restart points, an exception or an exit."""
        worker = self._workers[connection]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            yield from self._on_exit(connection)
            return
        if isinstance(message, dict):
            self._restarts.update(message)
            return  # no result: a structure that never finishes is killed
        worker.last_message_at = time.monotonic()
        if message is None:
            worker.loaded = True
            self._send_structure(connection)
        elif isinstance(message, Exception):
            worker.exit_reason = f": {message}"
            if not worker.loaded:
                raise message
        else:
            index, _ = message
            worker.unfinished.remove(index)
            self._n_crashes = 0
            yield message

    def _send_structure(self, connection: Connection) -> None:
        """Send the next structure to a process, or None at the end of its queue."""
        worker = self._workers[connection]
        item = None
        if worker.queue:
            index = worker.queue.popleft()
            worker.unfinished.append(index)
            item = (index, self._structures[index])
        try:
            connection.send(item)
        except OSError:
            return  # the process has exited; the next receive raises EOFError

    def _on_exit(self, connection: Connection) -> Records:
        """Queue the unfinished structures of an exited process, and replace it."""
        worker = self._workers.pop(connection)
        connection.close()
        worker.process.join()
        if not worker.loaded:
            raise RuntimeError(
                f"a process died {worker.describe_exit()} before it had loaded the "
                "potential"
            )
        lost = worker.unfinished
        rest = [] if worker.queue is self._queue else list(worker.queue)
        self._n_crashes += bool(lost or rest)
        if self._n_crashes > MAX_CRASHES:
            raise RuntimeError(
                f"{self._n_crashes} processes died one after another, the last "
                f"{worker.describe_exit()}"
            )
        if len(lost) == 1:
            self._attempts[lost[0]] += 1
            if self._attempts[lost[0]] >= MAX_ATTEMPTS:
                reason = f"the process that relaxed it died {worker.describe_exit()}"
                yield lost.pop(), record_failure(reason)
        half = len(lost) // 2 if len(lost) > SERIAL_LIMIT else 0
        groups = (rest, lost[:half], lost[half:])
        self._retry_queues += [deque(group) for group in groups if group]
        self.start(1)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Set the environment such that processes started inside use one thread each."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
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
    """Potential, settings, and whether structures are relaxed one by one."""

    load: Callable[[], Relaxable]
    settings: RelaxationSettings
    points: Mapping[int, RestartPoint]
    serial: bool

    def run(
        self,
        structures: Iterator[tuple[int, Structure]],
        save: Callable[[Mapping[int, RestartPoint]], None],
    ) -> Records:
        """Relax structures; one by one if a crash must be that of one structure."""
        potential, engine = self.load(), ENGINES[self.settings.engine]
        restarts = Restarts(self.points, save)
        groups = ([item] for item in structures) if self.serial else [structures]
        for group in groups:
            yield from engine(potential, group, self.settings, restarts=restarts)


def _run_worker(connection: Connection, task: _WorkerTask) -> None:
    """Relax, in the process of a worker, the structures received."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # the parent kills its workers
    Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        received = _receive_structures(connection)
        for result in task.run(received, connection.send):
            connection.send(result)
    except Exception as error:
        connection.send(error)
        raise


def _exit_with_parent() -> None:
    """Exit when the parent process has exited."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _receive_structures(connection: Connection) -> Iterator[tuple[int, Structure]]:
    """Request structures until the queue is empty."""
    while True:
        connection.send(None)
        item = connection.recv()
        if item is None:
            return
        yield item
