"""Process of one rank of a distributed training."""

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

#: Interval of checks for a stop request and for the end of the training, in s.
_POLL_INTERVAL: Final = 0.2
#: Communication backend of each kind of device.
_BACKENDS: Final = {"cpu": "gloo", "cuda": "nccl"}


@dataclass(frozen=True, eq=False)
class RankConfig:
    """Configuration that every rank receives.

    Parameters
    ----------
    module : FineTuningModule
        Module to train, on the CPU.
    data : FrameDataModule
        Training and validation batches.
    path : Path
        Checkpoint.
    n_processes : int
        Number of ranks, which share every batch.
    port : int
        Port of this machine at which the ranks connect.
    timeout : timedelta
        Timeout of one exchange with the other ranks.
    """

    module: FineTuningModule
    data: FrameDataModule
    path: Path
    n_processes: int
    port: int
    timeout: timedelta

    def train(self, connection: Connection, request: StopRequest) -> None:
        """Train; rank 0 sends the record of every epoch.

        Parameters
        ----------
        connection : Connection
            Connection to the launching process.
        request : StopRequest
            Request to stop.
        """
        self._init_process_group(int(os.environ["LOCAL_RANK"]))
        callback = CheckpointCallback(self.path, connection.send, request)
        run_training(self.module, self.data, callback, n_processes=self.n_processes)

    def _init_process_group(self, rank: int) -> None:
        """Connect to the other ranks."""
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


def main() -> None:
    """Receive the configuration and train; exit with the launching process."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)  # the launcher forwards its own signal
    connection = Connection(int(sys.argv[1]))
    config = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our parent
    request = StopRequest()
    worker = Thread(target=_train, args=(config, connection, request), daemon=True)
    worker.start()
    while worker.is_alive():
        _receive_request(connection, request)
    os._exit(0)  # a normal exit may wait for communication with dead ranks


def _train(config: RankConfig, connection: Connection, request: StopRequest) -> None:
    """Train, and send None or the exception at the end."""
    try:
        config.train(connection, request)
    except Exception as error:  # noqa: BLE001 - raised again by the parent
        connection.send(_picklable(error))
    else:
        connection.send(None)


def _picklable(error: Exception) -> Exception:
    """Replace an exception that cannot be unpickled by a RuntimeError."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - just dumped
    except Exception:  # noqa: BLE001 - exceptions fail to be pickled in many ways
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _receive_request(connection: Connection, request: StopRequest) -> None:
    """Receive a request to stop; exit if the launching process has exited."""
    try:
        if connection.poll(_POLL_INTERVAL):
            request.note(connection.recv())
    except (EOFError, OSError):
        os._exit(1)
