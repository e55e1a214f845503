"""Description of structures to choose from, and the end of an improvement loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.improvement import StopReason
from nextrung.schemas.labels.sources import MAX_ATOMIC_NUMBER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.improvement import ImprovementRound, ImprovementSettings

#: Cubic nanometres per cubic ångström.
_NM3 = 1e-3


def count_atoms(frames: Frames) -> NDArray[np.float64]:
    """Count the atoms of every element in every frame.

    Parameters
    ----------
    frames : Frames
        Structures.

    Returns
    -------
    ndarray of float, shape (n_frames, 94)
        Column ``z - 1`` holds the atoms of atomic number ``z``.
    """
    counts = np.zeros((len(frames), MAX_ATOMIC_NUMBER))
    np.add.at(counts, (frames.frame_of_site, frames.atomic_numbers - 1), 1.0)
    return counts


def describe_structures(frames: Frames) -> NDArray[np.float64]:
    """Describe structures by composition fractions and volume per atom.

    Parameters
    ----------
    frames : Frames
        Structures.

    Returns
    -------
    ndarray of float, shape (n_frames, 95)
        Fractions of the elements, and the volume in nm³/atom, whose variation between
        polymorphs and strained copies of a crystal is of the order of 0.01.
    """
    volumes = np.abs(np.linalg.det(frames.lattices)) / frames.n_atoms
    fractions = count_atoms(frames) / frames.n_atoms[:, None]
    return np.column_stack([fractions, _NM3 * volumes])


def decide_stop(
    scored: ImprovementRound, settings: ImprovementSettings, *, out_of_reach: bool
) -> tuple[StopReason | None, str]:
    """Decide whether a loop ends after a round, and say why.

    Parameters
    ----------
    scored : ImprovementRound
        The round.
    settings : ImprovementSettings
        Target and budget.
    out_of_reach : bool
        Whether the power law through all rounds says that the target needs more labels
        than the budget has.

    Returns
    -------
    stop : StopReason or None
        Why it ends; None where it goes on.
    reason : str
        The same in one sentence, with figures; empty where it goes on.
    """
    error = f"{scored.energy_mae:.4f} eV/atom{_describe_interval(scored)}"
    target = f"the target of {settings.target:g} eV/atom"
    spent = f"{scored.n_labels} of {settings.budget} labels"
    if scored.energy_mae <= settings.target:
        doubt = ""
        if scored.high is None:
            doubt = "; too few materials for an interval"
        elif scored.high > settings.target:
            doubt = "; the upper end of the interval is above it"
        text = f"the {settings.split} energy MAE of {error} is within {target}{doubt}"
        return StopReason.TARGET_REACHED, f"{text}, with {spent}"
    if scored.n_labels >= settings.budget:
        text = f"{spent} are spent; the {settings.split} energy MAE is {error}"
        return StopReason.BUDGET_SPENT, f"{text}, above {target}"
    if scored.n_candidates <= scored.n_unpredictable:
        text = f"no structure of the pool is left after {spent}"
        return StopReason.POOL_EMPTY, f"{text}; the energy MAE is {error}"
    if out_of_reach:
        text = (
            f"the power law through {scored.number + 1} rounds does not reach {target} "
            f"within the budget at either end of its 95 % interval; the energy MAE is "
            f"{error} with {spent}"
        )
        return StopReason.OUT_OF_REACH, text
    return None, ""


def _describe_interval(scored: ImprovementRound) -> str:
    """Describe the interval of the error, if there is one."""
    if scored.low is None or scored.high is None:
        return ""
    return f" (95 % interval {scored.low:.4f} to {scored.high:.4f})"
