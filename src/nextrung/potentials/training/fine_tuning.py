"""Fine-tuning of a potential on labelled frames, resumable at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.checked_files import count_damaged
from nextrung.compute.fine_tuning import select_train_frames
from nextrung.potentials.atom_refs import require_trainable
from nextrung.potentials.interface import TrainableBackend
from nextrung.potentials.training.batch_loss import LossEvaluator
from nextrung.potentials.training.checkpoint import (
    CheckpointCallback,
    recover_checkpoint,
)
from nextrung.potentials.training.data_module import FrameDataModule
from nextrung.potentials.training.ddp_launcher import train_in_processes
from nextrung.potentials.training.frame_screening import find_uncovered, find_unusable
from nextrung.potentials.training.graceful_stop import defer_signals
from nextrung.potentials.training.module import FineTuningModule
from nextrung.potentials.training.penalties import build_penalties
from nextrung.potentials.training.state import TrainingState
from nextrung.potentials.training.targets import Targets, choose_targets
from nextrung.potentials.training.trained_weights import choose_weights
from nextrung.potentials.training.trainer import (
    count_processes,
    report_idle_gpus,
    run_training,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import Precision
from nextrung.schemas.models import Trained
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.fine_tuning import (
        EpochRecord,
        FineTuningSettings,
        GradientRecord,
    )
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.models import Recipe

#: Checkpoint in the working folder.
STATE_FILE = "last.ckpt"


@dataclass(frozen=True, eq=False)
class FineTuningResult:
    """A trained potential and the history of its training.

    Parameters
    ----------
    potential : Potential
        Potential with the weights of the best epoch; it covers the elements of the
        training frames.
    n_train_frames : int
        Training frames used.
    n_train_materials : int
        Materials of these frames.
    best_epoch : int or None
        Epoch of the lowest validation energy error; None without training.
    history : list of EpochRecord
        One record per epoch.
    gradients : list of GradientRecord
        Gradients in the first epoch.
    unusable : dict of str to str
        Reason by the name of each frame left out of training and validation.
    n_damaged : int
        Damaged checkpoints that were found and not used.
    n_replayed : int
        Structures whose source predictions were trained on beside the labels.
    n_source_labelled : int
        Training frames whose forces and stresses were predictions of the source.
    """

    potential: Potential
    n_train_frames: int
    n_train_materials: int
    best_epoch: int | None
    history: list[EpochRecord]
    gradients: list[GradientRecord]
    unusable: dict[str, str]
    n_damaged: int
    n_replayed: int = 0
    n_source_labelled: int = 0


def fine_tune(
    potential: Potential,
    frames: Frames,
    settings: FineTuningSettings,
    *,
    recipe: Recipe,
    workdir: Path,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> FineTuningResult:
    """Train a potential on the training split, validated on the validation split.

    Parameters
    ----------
    potential : Potential
        Initial potential; it is not changed.
    frames : Frames
        Labelled frames with splits.
    settings : FineTuningSettings
        Settings of the training.
    recipe : Recipe
        Weights to train, labels to train on, and what keeps the model near its source.
    workdir : Path
        Folder of the checkpoint. A call that finds one there resumes from it, with the
        result of an uninterrupted training; a damaged one is set aside, and the one
        before it is used.
    on_epoch : callable, optional
        Called with the record of each epoch once its checkpoint is written.

    Returns
    -------
    FineTuningResult
        The potential of the epoch with the lowest validation energy error, and the
        history.

    Raises
    ------
    InputError
        If the potential cannot be trained, a split has no usable frame, no validation
        frame has an energy, the checkpoint belongs to another training, or the training
        diverges.

    Notes
    -----
    SIGINT and SIGTERM stop a training after the present batch; a later call resumes
    there.
    """
    train, val, unusable = _select_frames(potential, frames, settings)
    targets = Targets(train, train[:0])
    if recipe.trained is Trained.NOTHING or settings.epochs == 0:
        state = TrainingState()
    else:
        targets = choose_targets(
            train,
            recipe.training_labels,
            recipe.anchor,
            start=potential,
            seed=settings.seed,
        )
        backend = _prepare_backend(potential, settings)
        data = FrameDataModule(
            targets.frames,
            val,
            settings,
            backend=backend,
            replayed=targets.replayed,
            marks=targets.marks,
        )
        module = _build_module(backend, data, recipe)
        state = _fit(module, data, workdir / STATE_FILE, on_epoch=on_epoch)
    return FineTuningResult(
        potential=_load_weights(potential, state.best_weights, _list_elements(train))
        if state.history
        else potential.copy(),
        n_train_frames=len(train),
        n_train_materials=len(np.unique(train.material_ids)),
        best_epoch=state.best_epoch,
        history=state.history,
        gradients=state.gradients,
        unusable=unusable,
        n_replayed=len(targets.replayed),
        n_source_labelled=targets.n_source_labelled,
        n_damaged=count_damaged(workdir),
    )


def _select_frames(
    potential: Potential, frames: Frames, settings: FineTuningSettings
) -> tuple[Frames, Frames, dict[str, str]]:
    """Select the usable training and validation frames; list the unusable ones."""
    assigned = frames[np.isin(frames.splits, ("train", "val"))]
    unusable = find_unusable(assigned, potential.backend, potential.elements)
    usable = assigned[~np.isin(assigned.frame_ids, list(unusable))]
    train = select_train_frames(usable, settings.n_train_frames, seed=settings.seed)
    val = usable.split("val")
    uncovered = find_uncovered(val, _list_elements(train) | {*potential.prior_errors})
    val = val[~np.isin(val.frame_ids, list(uncovered))]
    if not np.isfinite(val.energies).any():
        raise InputError(
            f"expected a usable validation frame with an energy, got none among "
            f"{np.sum(frames.splits == 'val')}"
        )
    return train, val, unusable | uncovered


def _list_elements(frames: Frames) -> set[str]:
    """List the elements of frames."""
    return {Element.from_Z(int(z)).symbol for z in np.unique(frames.atomic_numbers)}


def _prepare_backend(
    potential: Potential, settings: FineTuningSettings
) -> TrainableBackend:
    """Copy a network for training."""
    backend = require_trainable(potential)
    if settings.precision is Precision.FLOAT64:
        backend = backend.double()
    return backend.for_training()


def _build_module(
    backend: TrainableBackend, data: FrameDataModule, recipe: Recipe
) -> FineTuningModule:
    """Build the module of a training."""
    choices = recipe.model_dump_json(exclude={"pretrained", "rereference"})
    identity = f"{choices} {data.digest()} {data.settings.model_dump_json()}"
    trained = choose_weights(backend, recipe, seed=data.settings.seed)
    n_cores = MachineSettings().n_processes if data.device.type == "cpu" else 1
    n_processes = count_processes(data.device, data.settings.batch_size)
    evaluator = LossEvaluator(
        backend,
        data.settings,
        trained.weights,
        n_threads=max(1, n_cores // n_processes),
        properties=(data.trained_properties, data.scored_properties),
        penalties=build_penalties(recipe.anchor, trained.weights),
    )
    return FineTuningModule(
        backend,
        trained,
        data.settings,
        n_batches=data.n_batches,
        identity=identity,
        loss_evaluator=evaluator,
    )


def _fit(
    module: FineTuningModule,
    data: FrameDataModule,
    path: Path,
    *,
    on_epoch: Callable[[EpochRecord], None] | None,
) -> TrainingState:
    """Train from the checkpoint on, or from the start, and read the last state."""
    state = recover_checkpoint(path)
    if state is not None:
        if state.identity != module.state.identity:
            raise InputError(
                f"{path}: expected the checkpoint of this training, got another"
            )
        if len(state.history) == data.settings.epochs:
            return state
    path.parent.mkdir(parents=True, exist_ok=True)
    batch_size = data.settings.batch_size
    n_processes = count_processes(data.device, batch_size)
    if data.device.type == "cuda":
        report_idle_gpus(n_processes, batch_size)
    with defer_signals() as request:
        if n_processes == 1:
            run_training(module, data, CheckpointCallback(path, on_epoch, request))
        else:
            train_in_processes(
                module,
                data,
                path,
                n_processes=n_processes,
                request=request,
                on_epoch=on_epoch,
            )
    return TrainingState.read(path)


def _load_weights(
    potential: Potential, weights: dict[str, Tensor], elements: set[str]
) -> Potential:
    """Copy a potential with other weights and the references of some elements.

    References of other elements, unless estimated by the prior, are of another
    functional than what was trained.
    """
    copied = potential.copy()
    if isinstance(copied.backend, TrainableBackend):
        copied.backend.module.load_state_dict(weights)
    atom_refs = copied.atom_refs
    kept = elements | {*potential.prior_errors}
    return copied.with_atom_refs(
        {symbol: atom_refs[symbol] for symbol in atom_refs if symbol in kept},
        potential.prior_errors,
    )
