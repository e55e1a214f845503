"""Training by several processes of this machine, started from any kind of process.

The processes are not copies of the one that starts them: neither its script nor its
command line is run again, so that a job of a queue, a notebook and a test can all
start them. They end when it ends, however that happens.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Self

from torch.distributed import TCPStore  # type: ignore[attr-defined] # public

from nextrung.potentials.training.ddp_worker import RankConfig
from nextrung.potentials.training.graceful_stop import Interrupted
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from nextrung.potentials.training.data_module import FrameDataModule
    from nextrung.potentials.training.graceful_stop import StopRequest
    from nextrung.potentials.training.module import FineTuningModule
    from nextrung.schemas.fine_tuning import EpochRecord

#: How long a process may wait for another; a checkpoint is written meanwhile.
TIMEOUT = timedelta(minutes=10)
#: How long to wait for news before signals are looked after, in s.
_POLL_INTERVAL: Final = 0.2
#: How long to wait, once something failed, for what else there is to say of it, in s.
_ERROR_WAIT: Final = 1.0
_START: Final = (
    "import sys; sys.path[:] = sys.argv.pop().split('\\n'); "
    "from nextrung.potentials.training.ddp_worker import main; main()"
)


def train_in_processes(
    training: FineTuningModule,
    data: FrameDataModule,
    path: Path,
    *,
    n_processes: int,
    request: StopRequest,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> None:
    """Train in several processes that share every batch.

    Parameters
    ----------
    training : FineTuningModule
        What is trained; it stays as it is, its state is in the file.
    data : FrameDataModule
        What it is trained on.
    path : Path
        File of the state.
    n_processes : int
        Processes to start; on accelerators, one each.
    request : StopRequest
        Whether to stop.
    on_epoch : callable, optional
        Told of every epoch once it is kept.

    Raises
    ------
    Interrupted
        If the training was asked to stop, and has.
    RuntimeError
        If a process died.
    """
    server = TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=TIMEOUT
    )
    config = RankConfig(training.cpu(), data, path, n_processes, server.port, TIMEOUT)
    with _DDPLauncher(n_processes, request, on_epoch) as launcher:
        launcher.assign(pickle.dumps(config))
        launcher.work()


@dataclass(frozen=True, eq=False)
class _Rank:
    """A process and its number."""

    rank: int
    process: subprocess.Popen[bytes]

    def describe_exit(self) -> str:
        """Say which process died, and of what."""
        code = self.process.wait()
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"process {self.rank + 1} of a training died: {cause}"


class _DDPLauncher:
    """The processes that train together."""

    def __init__(
        self,
        n_processes: int,
        request: StopRequest,
        on_epoch: Callable[[EpochRecord], None] | None,
    ) -> None:
        self._request = request
        self._on_epoch = on_epoch
        self._interrupted = False
        self._ranks: dict[Connection, _Rank] = {}
        for rank in range(n_processes):
            self._start(rank)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for connection, rank_process in self._ranks.items():
            rank_process.process.kill()
            rank_process.process.wait()
            connection.close()

    def _start(self, rank: int) -> None:
        """Start a process that hears only this one, not the terminal."""
        ours, theirs = Pipe()
        place = {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _START, str(theirs.fileno()), "\n".join(sys.path)],
            env=os.environ | place,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._ranks[ours] = _Rank(rank, process)

    def assign(self, config: bytes) -> None:
        """Hand every process what it is to do."""
        for connection, rank_process in self._ranks.items():
            try:
                connection.send_bytes(config)
            except OSError as error:
                raise RuntimeError(rank_process.describe_exit()) from error

    def work(self) -> None:
        """Listen until all have finished; pass the wish to stop on, once."""
        told = False
        while self._ranks:
            self._raise_errors(_POLL_INTERVAL)
            if self._request.signum and not told:
                told = True
                self._forward_signal(self._request.signum)
        if self._interrupted:
            raise Interrupted

    def _forward_signal(self, signum: int) -> None:
        """Ask all processes to stop."""
        for connection in self._ranks:
            try:
                connection.send(signum)
            except OSError:
                continue  # it is dead, which the next round finds out

    def _raise_errors(self, timeout: float) -> None:
        """Take in what processes have to say, and raise what went wrong."""
        errors = self._collect_errors(timeout)
        if not errors:
            return
        deadline = time.monotonic() + _ERROR_WAIT
        while self._ranks and (left := deadline - time.monotonic()) > 0:
            errors += self._collect_errors(left)
        raise min(errors, key=_rank_error)

    def _collect_errors(self, timeout: float) -> list[Exception]:
        """Take in what processes say now; list what went wrong."""
        errors: list[Exception] = []
        for connection in wait(list(self._ranks), timeout):
            message = self._receive(connection)  # type: ignore[arg-type]
            if isinstance(message, Interrupted):
                self._interrupted = True
            elif isinstance(message, Exception):
                errors.append(message)
            elif message is not None and self._on_epoch is not None:
                self._on_epoch(message)
        return errors

    def _receive(self, connection: Connection) -> EpochRecord | Exception | None:
        """Take a message in, and forget a process that has said its last."""
        rank_process = self._ranks[connection]
        message: EpochRecord | Exception | None
        try:
            message = connection.recv()
        except (EOFError, OSError):
            message = _LostRankError(rank_process.describe_exit())
        if message is None or isinstance(message, Exception):
            del self._ranks[connection]
            connection.close()
            rank_process.process.wait()
        return message


class _LostRankError(RuntimeError):
    """A process ended without a word."""


def _rank_error(error: Exception) -> int:
    """Order errors by how much they explain: the others follow from them."""
    if isinstance(error, InputError):
        return 0
    return 1 if isinstance(error, _LostRankError) else 2
