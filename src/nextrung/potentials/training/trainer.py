"""Lightning set up to train and nothing else, and the state of torch meanwhile."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from nextrung.potentials.training.state import TrainingState
from nextrung.schemas.fine_tuning import Precision
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.potentials.training.checkpoint import CheckpointCallback
    from nextrung.potentials.training.data_module import FrameDataModule
    from nextrung.potentials.training.module import FineTuningModule
    from nextrung.schemas.fine_tuning import FineTuningSettings


def run_training(
    training: FineTuningModule,
    data: FrameDataModule,
    keeper: CheckpointCallback,
    *,
    n_processes: int = 1,
) -> None:
    """Train from the kept state on, or from the start.

    Parameters
    ----------
    training : FineTuningModule
        What is trained.
    data : FrameDataModule
        What it is trained on.
    keeper : CheckpointCallback
        Keeps the state.
    n_processes : int
        Processes that share every batch, of which this is one.
    """
    kept = keeper.path.exists()
    if kept:
        state = TrainingState.read(keeper.path)
        data.skip(len(state.history), state.pause.n_batches)
    with silence_lightning(), matmul_precision(training.settings.precision):
        make_trainer(
            data.device, training.settings, keeper, n_processes=n_processes
        ).fit(
            training,
            datamodule=data,
            ckpt_path=keeper.path if kept else None,
            weights_only=True,
        )


def make_trainer(
    device: torch.device,
    settings: FineTuningSettings,
    keeper: CheckpointCallback,
    *,
    n_processes: int,
) -> Trainer:
    """Set Lightning up, without logs, bars or files of its own.

    Parameters
    ----------
    device : torch.device
        Kind of device to train on.
    settings : FineTuningSettings
        How long to train.
    keeper : CheckpointCallback
        Keeps the state; all files go beside its own.
    n_processes : int
        Processes that share every batch; they exist already.

    Returns
    -------
    Trainer
        Ready to fit.
    """
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=n_processes,
        strategy=DDPStrategy() if n_processes > 1 else "auto",
        max_epochs=settings.epochs,
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
    """Count the processes that share a training on this machine.

    Parameters
    ----------
    device : torch.device
        Where training runs.

    Returns
    -------
    int
        What the machine is set to: by default one per visible accelerator, and 1 on a
        CPU, whose cores are used by threads.
    """
    wanted = MachineSettings().n_training_processes
    if device.type != "cuda":
        return wanted or 1
    n_devices = torch.cuda.device_count()
    return min(wanted or n_devices, n_devices)


@contextmanager
def silence_lightning() -> Iterator[None]:
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
def matmul_precision(precision: Precision) -> Iterator[None]:
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
