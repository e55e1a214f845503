"""Training frames, batches, learning rates and gradient records of a training."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.frames import Frames

#: Lowest late over lowest earlier validation error below which a training goes on.
STILL_FALLING = 0.95


def select_train_frames(
    frames: Frames, n_train_frames: int | None, *, seed: int
) -> Frames:
    """Select training frames by whole materials.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    n_train_frames : int or None
        Number of training frames; None for all.
    seed : int
        Seed of the order of materials.

    Returns
    -------
    Frames
        Training frames in order. Materials are selected whole, except for the last one,
        so that a smaller selection with the same seed is part of a larger one.

    Raises
    ------
    InputError
        If the training split is empty or smaller than the requested number.

    Notes
    -----
    The rank of a material depends on the seed and its id alone: the selection of a
    subset of the frames, such as the usable ones, has the same first materials.
    """
    train = frames.split("train")
    wanted = len(train) if n_train_frames is None else n_train_frames
    if not 0 < wanted <= len(train):
        raise InputError(
            f"expected at least {max(wanted, 1)} frames in the training split, "
            f"got {len(train)}"
        )
    names, materials = np.unique(train.material_ids, return_inverse=True)
    digests = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in names]
    ranks = np.argsort(np.argsort(np.array(digests)))
    chosen = np.argsort(ranks[materials], kind="stable")[:wanted]
    return train[np.sort(chosen)]


def is_undertrained(val_errors: Sequence[float]) -> bool:
    """Return whether the validation error still fell at the end of a training.

    Parameters
    ----------
    val_errors : sequence of float
        Validation error after each epoch.

    Returns
    -------
    bool
        Whether the lowest error of the last fifth of the epochs is more than 5 % below
        the lowest one before; True for a single epoch, which has nothing before.
    """
    n_last = -(-len(val_errors) // 5)
    before, last = val_errors[:-n_last], val_errors[-n_last:]
    if not before:
        return bool(last)
    return min(last) < STILL_FALLING * min(before)


def plan_batches(
    n_frames: int, epoch: int, settings: FineTuningSettings, *, n_replayed: int = 0
) -> list[NDArray[np.int64]]:
    """Shuffle frames into the batches of one epoch.

    Parameters
    ----------
    n_frames : int
        Number of training frames.
    epoch : int
        Index of the epoch; determines the order together with the seed.
    settings : FineTuningSettings
        Batch size and seed.
    n_replayed : int
        Replayed frames, which follow the training frames; about as many are added to
        each batch, so that the number of batches does not depend on them.

    Returns
    -------
    list of ndarray of int
        Frames of each batch; every frame is in exactly one batch.
    """
    rng = np.random.default_rng([settings.seed, epoch])
    order = rng.permutation(n_frames)
    starts = range(0, n_frames, settings.batch_size)
    added = np.array_split(n_frames + rng.permutation(n_replayed), max(len(starts), 1))
    return [
        np.concatenate([order[start : start + settings.batch_size], replayed])
        for start, replayed in zip(starts, added, strict=False)
    ]


def share_batch(
    batch: NDArray[np.int64], costs: NDArray[np.int64], n_ranks: int
) -> list[NDArray[np.int64]]:
    """Divide a batch into parts of about the same cost, one per rank.

    Parameters
    ----------
    batch : ndarray of int, shape (n_batch,)
        Frames of the batch.
    costs : ndarray of int, shape (n_frames,)
        Cost of each frame of the training, such as its number of atoms.
    n_ranks : int
        Number of ranks.

    Returns
    -------
    list of ndarray of int
        Frames of each rank; empty for some where there are fewer frames than ranks.

    Notes
    -----
    Frames are dealt by descending cost, in alternating direction. Only the ranks of
    one step wait for one another, so that the choice of the batch stays random.
    """
    ordered = batch[np.argsort(-costs[batch], kind="stable")]
    turns = np.concatenate([np.arange(n_ranks), np.arange(n_ranks)[::-1]])
    ranks = np.resize(turns, len(batch))
    return [ordered[ranks == rank] for rank in range(n_ranks)]


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
