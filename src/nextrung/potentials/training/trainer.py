"""Lightning trainer, and the settings of torch during a training."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from nextrung.potentials.devices import use_full_precision
from nextrung.potentials.training.checkpoint import CheckedCheckpointIO
from nextrung.potentials.training.state import TrainingState
from nextrung.schemas.fine_tuning import Precision
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.potentials.training.checkpoint import CheckpointCallback
    from nextrung.potentials.training.data_module import FrameDataModule
    from nextrung.potentials.training.module import FineTuningModule


#: Frames of a batch below which the launches of kernels, not their work, take the time
#: of a step: 3,000 launches of 8 µs against 0.3 ms of work per frame of 30 atoms, an
#: estimate from counts.
FRAMES_PER_GPU: Final = 64


def run_training(
    module: FineTuningModule,
    data: FrameDataModule,
    callback: CheckpointCallback,
    *,
    n_processes: int = 1,
) -> None:
    """Train from the checkpoint on, or from the start.

    Parameters
    ----------
    module : FineTuningModule
        Module to train.
    data : FrameDataModule
        Training and validation batches.
    callback : CheckpointCallback
        Callback that writes the checkpoint.
    n_processes : int
        Number of ranks that share every batch, of which this is one.
    """
    resumed = callback.path.exists()
    if resumed:
        state = TrainingState.read(callback.path)
        data.skip(len(state.history), state.epoch_progress.n_batches)
    with _silence_lightning(), _matmul_precision(module.settings.precision):
        trainer = Trainer(
            accelerator="gpu" if data.device.type == "cuda" else "cpu",
            devices=n_processes,
            strategy=DDPStrategy() if n_processes > 1 else "auto",
            max_epochs=module.settings.epochs,
            callbacks=[callback],
            default_root_dir=callback.path.parent,
            plugins=[LightningEnvironment(), CheckedCheckpointIO()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            inference_mode=False,
        )
        trainer.fit(
            module,
            datamodule=data,
            ckpt_path=callback.path if resumed else None,
            weights_only=True,
        )


def count_processes(device: torch.device, batch_size: int) -> int:
    """Count the ranks of a training on this machine.

    Ranks share every batch of the study, whose size is never changed for them. A share
    of fewer than :data:`FRAMES_PER_GPU` frames takes a GPU as long as this number.

    Parameters
    ----------
    device : torch.device
        Device of the training.
    batch_size : int
        Frames of a batch.

    Returns
    -------
    int
        Number in the machine settings; by default one per visible accelerator that the
        batch fills, and 1 on a CPU, whose cores run threads.
    """
    wanted = MachineSettings().n_training_processes
    if device.type != "cuda":
        return wanted or 1
    n_devices = torch.cuda.device_count()
    return min(wanted or max(1, batch_size // FRAMES_PER_GPU), n_devices)


def report_idle_gpus(n_processes: int, batch_size: int) -> None:
    """Log how many visible GPUs a training leaves idle, and why.

    Parameters
    ----------
    n_processes : int
        Ranks of the training on GPUs.
    batch_size : int
        Frames of a batch.
    """
    n_devices = torch.cuda.device_count()
    if n_processes < n_devices:
        logging.getLogger("nextrung").warning(
            "training on %d of %d GPUs: batches of %d frames; a GPU needs %d frames of "
            "each batch to be faster than fewer GPUs (estimated). Other trainings of "
            "the study can use the others: one worker per GPU. To use more in this "
            "one: NEXTRUNG_N_TRAINING_PROCESSES",
            n_processes,
            n_devices,
            batch_size,
            FRAMES_PER_GPU,
        )


@contextmanager
def _silence_lightning() -> Iterator[None]:
    """Suppress messages and warnings of Lightning about hardware and workers."""
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
def _matmul_precision(precision: Precision) -> Iterator[None]:
    """Set the precision of matrix products, and one thread per torch operation."""
    before, n_threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    use_full_precision()
    if precision is Precision.TENSOR_FLOAT32:
        torch.set_float32_matmul_precision("high")
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.set_num_threads(n_threads)
