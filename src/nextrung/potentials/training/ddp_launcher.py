"""Launcher of distributed training on this machine, from any kind of process.

Ranks are started as new interpreters that run neither the script nor the command line
of the launching process, which may be a queue's job, a notebook or a test. They exit
when it exits.
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

from nextrung.potentials.devices import release_cached_memory
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

#: How long a rank waits for the others, also while one writes a checkpoint.
TIMEOUT = timedelta(minutes=10)
#: Interval of checks for signals, in s.
_POLL_INTERVAL: Final = 0.2
#: Time to wait for further exceptions after the first one, in s.
_ERROR_WAIT: Final = 1.0
_START: Final = (
    "import sys; sys.path[:] = sys.argv.pop().split('\\n'); "
    "from nextrung.potentials.training.ddp_worker import main; main()"
)


def train_in_processes(
    module: FineTuningModule,
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
    module : FineTuningModule
        Module to train; it is not changed, its trained state is in the checkpoint.
    data : FrameDataModule
        Training and validation batches.
    path : Path
        Checkpoint.
    n_processes : int
        Number of ranks; on accelerators, one each.
    request : StopRequest
        Request to stop.
    on_epoch : callable, optional
        Called with the record of each epoch once its checkpoint is written.

    Raises
    ------
    Interrupted
        If the training has stopped on request.
    RuntimeError
        If a rank died.
    """
    server = TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=TIMEOUT
    )
    config = RankConfig(module.cpu(), data, path, n_processes, server.port, TIMEOUT)
    release_cached_memory()  # of this process, for the ranks
    with _DDPLauncher(n_processes, request, on_epoch) as launcher:
        launcher.send_config(pickle.dumps(config))
        launcher.wait()


@dataclass(frozen=True, eq=False)
class _Rank:
    """A process and its rank."""

    rank: int
    process: subprocess.Popen[bytes]

    def describe_exit(self) -> str:
        """Wait for the process to exit and describe how it did."""
        code = self.process.wait()
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"process {self.rank + 1} of a training died: {cause}"


class _DDPLauncher:
    """The ranks of one training; leaving the context kills them."""

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
        for connection, rank in self._ranks.items():
            rank.process.kill()
            rank.process.wait()
            connection.close()

    def _start(self, rank: int) -> None:
        """Start a rank in a session of its own, without the signals of the terminal."""
        connection, child_connection = Pipe()
        fileno = child_connection.fileno()
        variables = {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _START, str(fileno), "\n".join(sys.path)],
            env=os.environ | variables,
            pass_fds=[fileno],
            start_new_session=True,
        )
        child_connection.close()
        self._ranks[connection] = _Rank(rank, process)

    def send_config(self, config: bytes) -> None:
        """Send every rank its pickled configuration."""
        for connection, rank in self._ranks.items():
            try:
                connection.send_bytes(config)
            except OSError as error:
                raise RuntimeError(rank.describe_exit()) from error

    def wait(self) -> None:
        """Wait for all ranks to finish; forward a request to stop once."""
        forwarded = False
        while self._ranks:
            self._raise_errors(_POLL_INTERVAL)
            if self._request.signum and not forwarded:
                forwarded = True
                self._forward_signal(self._request.signum)
        if self._interrupted:
            raise Interrupted

    def _forward_signal(self, signum: int) -> None:
        """Send the number of a signal to all ranks."""
        for connection in self._ranks:
            try:
                connection.send(signum)
            except OSError:
                continue  # the rank has exited; the next receive raises EOFError

    def _raise_errors(self, timeout: float) -> None:
        """Receive messages; raise the exception that explains most."""
        errors = self._collect_errors(timeout)
        if not errors:
            return
        deadline = time.monotonic() + _ERROR_WAIT
        while self._ranks and (left := deadline - time.monotonic()) > 0:
            errors += self._collect_errors(left)
        raise min(errors, key=_rank_error)

    def _collect_errors(self, timeout: float) -> list[Exception]:
        """Receive messages within a timeout and list the exceptions among them."""
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
        """Receive a message; the last one of a rank is None or an exception."""
        rank = self._ranks[connection]
        message: EpochRecord | Exception | None
        try:
            message = connection.recv()
        except (EOFError, OSError):
            message = _LostRankError(rank.describe_exit())
        if message is None or isinstance(message, Exception):
            del self._ranks[connection]
            connection.close()
            rank.process.wait()
        return message


class _LostRankError(RuntimeError):
    """A rank exited without an exception."""


def _rank_error(error: Exception) -> int:
    """Order exceptions by cause: others follow from input errors and lost ranks."""
    if isinstance(error, InputError):
        return 0
    return 1 if isinstance(error, _LostRankError) else 2
