"""Relaxation by several processes of one thread each; a dead one takes no result along.

Processes draw structures as they have room, the largest first, so that all are busy to
the end. The structures of a process that died are tried again in halves, until the one
that kills is alone and becomes a record.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Self

import torch

from nextrung.potentials.guards import record_failure
from nextrung.potentials.relaxation import ENGINES, relax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from pymatgen.core import Structure

    from nextrung.potentials.relaxation import Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Structures that repay the start of a process.
WORTHWHILE_SHARE: Final = 8
#: Processes that may die with nothing finished in between before all is given up.
MAX_DEATHS: Final = 20
_SPAWN = multiprocessing.get_context("spawn")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def relax_in_processes(
    load: Callable[[], Relaxable],
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    n_processes: int,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
) -> list[RelaxationRecord]:
    """Relax structures in several processes of this machine.

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
    records: dict[int, RelaxationRecord] = {}
    with _Crew(load, structures, settings) as crew:
        crew.hire(n_workers)
        for index, record in crew.work():
            records[index] = record
            if on_record is not None:
                on_record(index, record)
    return [records[index] for index in range(len(structures))]


@dataclass(eq=False)
class _Worker:
    """A process, the structures it may draw and those it holds."""

    process: SpawnProcess
    source: deque[int]
    holding: list[int] = field(default_factory=list)
    ready: bool = False
    last_words: str = ""


class _Crew:
    """The processes at work, and the structures that wait for them."""

    def __init__(
        self,
        load: Callable[[], Relaxable],
        structures: Sequence[Structure],
        settings: RelaxationSettings,
    ) -> None:
        self._load = load
        self._settings = settings
        self._structures = structures
        n_atoms = [len(structure) for structure in structures]
        largest_first = sorted(range(len(structures)), key=lambda i: -n_atoms[i])
        self._waiting = deque(largest_first)
        self._suspects: deque[deque[int]] = deque()
        self._workers: dict[Connection, _Worker] = {}
        self._n_deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for connection, worker in self._workers.items():
            worker.process.terminate()
            worker.process.join()
            connection.close()

    def hire(self, n_workers: int) -> None:
        """Start processes for what waits, or else for a group of suspects."""
        for _ in range(n_workers):
            if self._waiting:
                self._start(self._waiting)
            elif self._suspects:
                self._start(self._suspects.popleft())

    def _start(self, source: deque[int]) -> None:
        """Start a process that draws from a source."""
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(
            target=_work, args=(theirs, self._load, self._settings), daemon=True
        )
        with _one_thread():
            process.start()
        theirs.close()
        self._workers[ours] = _Worker(process, source)

    def work(self) -> Iterator[tuple[int, RelaxationRecord]]:
        """Yield the ends of all structures, as they end."""
        while self._workers:
            for connection in wait(list(self._workers)):
                yield from self._hear(connection)  # type: ignore[arg-type]

    def _hear(self, connection: Connection) -> Iterator[tuple[int, RelaxationRecord]]:
        """Answer a process: it wants a structure, has finished one, or is dead."""
        worker = self._workers[connection]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            yield from self._bury(connection)
            return
        if message is None:
            worker.ready = True
            self._supply(connection)
        elif isinstance(message, Exception):
            worker.last_words = f": {message}"
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

    def _bury(self, connection: Connection) -> Iterator[tuple[int, RelaxationRecord]]:
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
        if worker.source is not self._waiting:
            lost = [*lost, *worker.source]
        self._n_deaths += bool(lost)
        if self._n_deaths > MAX_DEATHS:
            raise RuntimeError(
                f"{self._n_deaths} processes died one after another, the last "
                f"{_describe_end(worker)}"
            )
        if len(lost) == 1:
            reason = f"the process that relaxed it died {_describe_end(worker)}"
            yield lost[0], record_failure(reason)
        elif lost:
            half = len(lost) // 2
            self._suspects += [deque(lost[:half]), deque(lost[half:])]
        self.hire(1)


def _describe_end(worker: _Worker) -> str:
    """Say how a process ended."""
    return f"with exit code {worker.process.exitcode}{worker.last_words}"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that start here use one thread each."""
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


def _work(
    connection: Connection, load: Callable[[], Relaxable], settings: RelaxationSettings
) -> None:
    """Relax, in a process of its own, what the connection hands out."""
    torch.set_num_threads(1)
    try:
        engine = ENGINES[settings.engine]
        for end in engine(load(), _draw(connection), settings):
            connection.send(end)
    except Exception as error:
        connection.send(error)
        raise


def _draw(connection: Connection) -> Iterator[tuple[int, Structure]]:
    """Ask for structures until there are none."""
    while True:
        connection.send(None)
        task = connection.recv()
        if task is None:
            return
        yield task
