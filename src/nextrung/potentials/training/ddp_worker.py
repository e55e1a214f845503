"""One of several processes that train together: what it is given and what it does."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread
from typing import TYPE_CHECKING, Final

import torch
from torch.distributed import (  # type: ignore[attr-defined] # public all the same
    TCPStore,
    init_process_group,
)

from nextrung.potentials.training.checkpoint import CheckpointCallback
from nextrung.potentials.training.graceful_stop import StopRequest
from nextrung.potentials.training.trainer import run_training

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from nextrung.potentials.training.data_module import FrameDataModule
    from nextrung.potentials.training.module import FineTuningModule

#: How long the main thread of a process waits for news before it looks around, in s.
_POLL_INTERVAL: Final = 0.2
#: How the processes of a device exchange gradients.
_BACKENDS: Final = {"cpu": "gloo", "cuda": "nccl"}


@dataclass(frozen=True, eq=False)
class RankConfig:
    """What each of the processes that train together is given.

    Parameters
    ----------
    training : FineTuningModule
        What is trained, on the CPU.
    data : FrameDataModule
        What it is trained on.
    path : Path
        File of the state.
    n_processes : int
        Processes that share every batch.
    port : int
        Port of this machine at which they meet.
    timeout : timedelta
        How long a process waits for the others in one exchange.
    """

    training: FineTuningModule
    data: FrameDataModule
    path: Path
    n_processes: int
    port: int
    timeout: timedelta

    def join(self, rank: int) -> None:
        """Meet the other processes.

        Parameters
        ----------
        rank : int
            Number of this process.
        """
        store = TCPStore("127.0.0.1", self.port, is_master=False, timeout=self.timeout)
        kind = self.data.device.type
        if kind == "cuda":
            torch.cuda.set_device(rank)
        init_process_group(
            _BACKENDS[kind],
            store=store,
            rank=rank,
            world_size=self.n_processes,
            timeout=self.timeout,
        )

    def work(self, connection: Connection, request: StopRequest) -> None:
        """Train; the first process tells of every epoch.

        Parameters
        ----------
        connection : Connection
            To the process that started this one.
        request : StopRequest
            Whether to stop.
        """
        self.join(int(os.environ["LOCAL_RANK"]))
        keeper = CheckpointCallback(self.path, connection.send, request)
        run_training(self.training, self.data, keeper, n_processes=self.n_processes)


def main() -> None:
    """Do what the process that started this one says, and die if it does."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # the parent is told, and tells us all
    connection = Connection(int(sys.argv[1]))
    config = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our parent
    request = StopRequest()
    worker = Thread(target=_report, args=(config, connection, request), daemon=True)
    worker.start()
    while worker.is_alive():
        _listen(connection, request)
    os._exit(0)  # the libraries behind the exchange may wait for dead processes


def _report(config: RankConfig, connection: Connection, request: StopRequest) -> None:
    """Work, and say at the end how it went: nothing, or the exception."""
    try:
        config.work(connection, request)
    except Exception as error:  # noqa: BLE001 - raised again by the parent
        connection.send(_picklable(error))
    else:
        connection.send(None)


def _picklable(error: Exception) -> Exception:
    """Replace an exception that another process could not read."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - just dumped
    except Exception:  # noqa: BLE001 - exceptions fail to be pickled in many ways
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _listen(connection: Connection, request: StopRequest) -> None:
    """Hear whether to stop; end at once where the parent is gone."""
    try:
        if connection.poll(_POLL_INTERVAL):
            request.note(connection.recv())
    except (EOFError, OSError):
        os._exit(1)
