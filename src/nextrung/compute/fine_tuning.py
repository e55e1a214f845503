"""Plans of a training: which frames, in which batches, at which learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.fine_tuning import FineTuningSettings
    from nextrung.schemas.frames import Frames


def select_train_frames(frames: Frames, settings: FineTuningSettings) -> Frames:
    """Take the training split, or as much of it as the settings ask for.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    settings : FineTuningSettings
        The number of training frames and the seed of the order of materials.

    Returns
    -------
    Frames
        Training frames in their order. Materials are taken whole, the last one in
        part, so that a smaller selection with the same seed is part of a larger one.

    Raises
    ------
    InputError
        If the training split is empty or smaller than the number asked for.
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
        What each frame costs, such as its atoms.
    epoch : int
        Epochs done before; with the seed it determines the order.
    settings : FineTuningSettings
        Batch size, seed, and the batches that share their frames.

    Returns
    -------
    list of ndarray of int
        Frames of each batch; every frame is in exactly one of them.

    Notes
    -----
    Frames of consecutive batches are dealt out largest first, there and back, so that
    these batches cost about the same: the peak of memory and the time that parallel
    processes wait for one another shrink. Which frames share a window stays random.
    """
    order = np.random.default_rng([settings.seed, epoch]).permutation(len(costs))
    size = settings.batch_size
    window = size * settings.shuffle_window
    windows = [order[start : start + window] for start in range(0, len(order), window)]
    return [
        batch
        for frames in windows
        for batch in _deal(frames, costs[frames], -(-len(frames) // size))
    ]


def _deal(
    frames: NDArray[np.int64], costs: NDArray[np.int64], n_batches: int
) -> list[NDArray[np.int64]]:
    """Deal frames to batches, largest first, there and back."""
    if n_batches == 1:
        return [frames]
    turns = np.concatenate([np.arange(n_batches), np.arange(n_batches)[::-1]])
    batches = np.resize(turns, len(frames))
    dealt = frames[np.argsort(-costs, kind="stable")]
    return [dealt[batches == batch] for batch in range(n_batches)]


def cool_learning_rate(step: int, n_steps: int, settings: FineTuningSettings) -> float:
    """Learning rate of one step along half a cosine.

    Parameters
    ----------
    step : int
        Optimiser steps done before.
    n_steps : int
        Optimiser steps of the whole training.
    settings : FineTuningSettings
        The rates of the first and of the last step.

    Returns
    -------
    float
        The first rate at step 0, the final rate at step ``n_steps - 1`` and after it;
        a training of one step is done at the first rate.
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
        Records wanted.

    Returns
    -------
    list of int
        Steps that start each equal part of the epoch; every step where there are
        fewer steps than parts.
    """
    points = settings.gradient_points
    return sorted({point * n_batches // points for point in range(points)})
