"""Lightning set up to train and nothing else, and the state of torch meanwhile."""

from __future__ import annotations

import logging
import signal
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from nextrung.schemas.fine_tuning import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.potentials.training import Training
    from nextrung.potentials.training_state import EpochKeeper


def make_trainer(training: Training, keeper: EpochKeeper, n_processes: int) -> Trainer:
    """Set Lightning up, without logs, bars or files of its own.

    Parameters
    ----------
    training : Training
        What is trained; its device is used.
    keeper : EpochKeeper
        Keeps the state; all files go beside its own.
    n_processes : int
        Processes that share every batch.

    Returns
    -------
    Trainer
        Ready to fit.
    """
    return Trainer(
        accelerator="gpu" if training.device.type == "cuda" else "cpu",
        devices=n_processes,
        strategy=DDPStrategy(start_method="spawn") if n_processes > 1 else "auto",
        max_epochs=training.settings.epochs,
        callbacks=[keeper],
        default_root_dir=keeper.path.parent,
        plugins=[LightningEnvironment()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=False,
    )


def count_processes(device: torch.device) -> int:
    """Count the processes that share a training: one per visible accelerator.

    Parameters
    ----------
    device : torch.device
        Where training runs.

    Returns
    -------
    int
        Number of processes; 1 on a CPU, whose cores are used by threads.
    """
    return torch.cuda.device_count() if device.type == "cuda" else 1


@contextmanager
def exit_when_terminated() -> Iterator[None]:
    """Exit as a terminated process does; Lightning would call it a success.

    Raises
    ------
    SystemExit
        With code 143, if SIGTERM ended a training.
    """
    try:
        yield
    except SIGTERMException as error:
        raise SystemExit(128 + signal.SIGTERM) from error


@contextmanager
def quieten() -> Iterator[None]:
    """Silence what Lightning says about the machine, about workers and of itself."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def choose_arithmetic(precision: Precision) -> Iterator[None]:
    """Round matrix products as asked for, and leave the cores to our own threads.

    Parameters
    ----------
    precision : Precision
        Arithmetic of a training step.
    """
    before, n_threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    if precision is Precision.TENSOR_FLOAT32:
        torch.set_float32_matmul_precision("high")
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.set_num_threads(n_threads)
