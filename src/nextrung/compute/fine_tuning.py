"""Training frames, batches, learning rates and gradient records of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.frames import Frames


def select_train_frames(frames: Frames, settings: FineTuningSettings) -> Frames:
    """Select training frames by whole materials.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    settings : FineTuningSettings
        Number of training frames, and seed of the order of materials.

    Returns
    -------
    Frames
        Training frames in order. Materials are selected whole, except for the last one,
        so that a smaller selection with the same seed is part of a larger one.

    Raises
    ------
    InputError
        If the training split is empty or smaller than the requested number.
    """
    train = frames.split("train")
    wanted = len(train) if settings.n_train_frames is None else settings.n_train_frames
    if not 0 < wanted <= len(train):
        raise InputError(
            f"expected at least {max(wanted, 1)} frames in the training split, "
            f"got {len(train)}"
        )
    _, materials = np.unique(train.material_ids, return_inverse=True)
    ranks = np.random.default_rng(settings.seed).permutation(materials.max() + 1)
    chosen = np.argsort(ranks[materials], kind="stable")[:wanted]
    return train[np.sort(chosen)]


def plan_batches(
    costs: NDArray[np.int64], epoch: int, settings: FineTuningSettings
) -> list[NDArray[np.int64]]:
    """Shuffle frames into the batches of one epoch.

    Parameters
    ----------
    costs : ndarray of int, shape (n_frames,)
        Cost of each frame, such as its number of atoms.
    epoch : int
        Index of the epoch; determines the order together with the seed.
    settings : FineTuningSettings
        Batch size, seed and shuffle window.

    Returns
    -------
    list of ndarray of int
        Frames of each batch; every frame is in exactly one batch.

    Notes
    -----
    The frames of a window of consecutive batches are distributed over these batches by
    descending cost, in alternating direction, so that the batches cost about the same.
    This lowers peak memory and the time that parallel processes wait for one another.
    Which frames share a window is random.
    """
    order = np.random.default_rng([settings.seed, epoch]).permutation(len(costs))
    size = settings.batch_size
    window = size * settings.shuffle_window
    windows = [order[start : start + window] for start in range(0, len(order), window)]
    return [
        batch
        for frames in windows
        for batch in _distribute(frames, costs[frames], -(-len(frames) // size))
    ]


def _distribute(
    frames: NDArray[np.int64], costs: NDArray[np.int64], n_batches: int
) -> list[NDArray[np.int64]]:
    """Distribute frames over batches by descending cost, in alternating direction."""
    if n_batches == 1:
        return [frames]
    turns = np.concatenate([np.arange(n_batches), np.arange(n_batches)[::-1]])
    batches = np.resize(turns, len(frames))
    ordered = frames[np.argsort(-costs, kind="stable")]
    return [ordered[batches == batch] for batch in range(n_batches)]


def cool_learning_rate(step: int, n_steps: int, settings: FineTuningSettings) -> float:
    """Compute the learning rate of one step of cosine annealing.

    Parameters
    ----------
    step : int
        Index of the optimiser step.
    n_steps : int
        Number of optimiser steps of the training.
    settings : FineTuningSettings
        Learning rates of the first and the last step.

    Returns
    -------
    float
        The first rate at step 0, the final rate from step ``n_steps - 1`` on; the first
        rate in a training of one step.
    """
    fraction = min(step / max(n_steps - 1, 1), 1.0)
    first, final = settings.learning_rate, settings.final_learning_rate
    return float(final + (first - final) * (1 + np.cos(np.pi * fraction)) / 2)


def plan_gradient_steps(n_batches: int, settings: FineTuningSettings) -> list[int]:
    """List the steps of the first epoch at which gradients are recorded.

    Parameters
    ----------
    n_batches : int
        Batches per epoch.
    settings : FineTuningSettings
        Number of records.

    Returns
    -------
    list of int
        First step of each of as many equal parts of the epoch; every step where there
        are fewer steps.
    """
    points = settings.gradient_points
    return sorted({point * n_batches // points for point in range(points)})
