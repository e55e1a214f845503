"""Which frames of a run are kept, one rule at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.curation import (
    CurationSettings,
    ElectronicConvergence,
    HubbardU,
    Label,
    Rejection,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.trajectory import Task, Trajectory


def check_run(trajectory: Trajectory, settings: CurationSettings) -> list[Rejection]:
    """Judge a run as a whole by how it was calculated.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Which runs are wanted.

    Returns
    -------
    list of Rejection
        One per frame where the run broke a rule; empty where it is wanted.
    """
    functional = trajectory.frames.functional
    if functional != settings.functional:
        reason = f"expected {settings.functional}, met {functional}"
        return reject(trajectory.frames, Rule.FUNCTIONAL, reason)
    if settings.hubbard_u is HubbardU.REJECTED and trajectory.hubbard_u > 0:
        reason = f"expected no Hubbard U, met U = {trajectory.hubbard_u:g} eV"
        return reject(trajectory.frames, Rule.HUBBARD_U, reason)
    cutoff = settings.min_plane_wave_cutoff
    if cutoff is not None and trajectory.plane_wave_cutoff < cutoff:
        reason = (
            f"expected a plane-wave cutoff of {cutoff:g} eV or more, met "
            f"{trajectory.plane_wave_cutoff:g} eV"
        )
        return reject(trajectory.frames, Rule.PLANE_WAVE_CUTOFF, reason)
    return []


def check_primary_task(
    trajectory: Trajectory, settings: CurationSettings
) -> list[Rejection]:
    """Judge a run by the primary task of its material, where that is known.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        How far the energies may be apart.

    Returns
    -------
    list of Rejection
        One per frame where the task is of another functional, another Hubbard U or
        another final energy than the primary one.
    """
    task, primary = trajectory.task, trajectory.primary_task
    if settings.primary_task is None or task is None or primary is None:
        return []
    difference = abs(task.final_energy - primary.final_energy)
    if task.functional != primary.functional:
        met = f"{task.functional} where the primary task has {primary.functional}"
    elif dict(task.hubbard_us) != dict(primary.hubbard_us):
        met = (
            f"{_name_hubbard_us(task)} where the primary task has "
            f"{_name_hubbard_us(primary)}"
        )
    elif not difference <= settings.primary_task.tolerance:
        met = f"a final energy {difference:.3f} eV/atom from that of the primary task"
    else:
        return []
    return reject(trajectory.frames, Rule.PRIMARY_TASK, f"met {met}")


def count_skipped(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[Rule, int]:
    """Count the frames of a run that a rule cannot judge.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Rules that are asked for.

    Returns
    -------
    dict of Rule to int
        Frames by rule whose source lacks what the rule asks about; rules that judge
        all frames, and rules that are not asked for, are left out.
    """
    n_frames = len(trajectory.frames)
    skipped = {}
    if settings.primary_task is not None and trajectory.primary_task is None:
        skipped[Rule.PRIMARY_TASK] = n_frames
    if settings.energy_window is not None and math.isnan(trajectory.relaxed_energy):
        skipped[Rule.ENERGY_WINDOW] = n_frames
    return skipped


def check_energy_scale(
    trajectory: Trajectory, expected_energy: float, settings: CurationSettings
) -> list[Rejection]:
    """Judge a run by the scale of its final energy.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    expected_energy : float
        Total energy in eV of the final frame with a potential of the wanted
        functional; NaN where that potential has none.
    settings : CurationSettings
        How far label and potential may be apart.

    Returns
    -------
    list of Rejection
        One per frame where the energies are on another scale.
    """
    frames = trajectory.frames
    potential = settings.energy_scale.potentials.get(frames.functional)
    n_atoms = frames.n_atoms[-1]
    label, expected = frames.energies[-1] / n_atoms, expected_energy / n_atoms
    if not abs(label - expected) > settings.energy_scale.tolerance:
        return []
    reason = (
        f"expected energies on the {frames.functional} scale, met {label:.3f} "
        f"eV/atom where {potential} has {expected:.3f} eV/atom"
    )
    return reject(frames, Rule.ENERGY_SCALE, reason)


def check_frames(
    trajectory: Trajectory, settings: CurationSettings
) -> tuple[Frames, list[Rejection]]:
    """Judge every frame of a run by its convergence, its energy and its labels.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Which frames are wanted.

    Returns
    -------
    frames : Frames
        The frames that break no rule, in order.
    rejections : list of Rejection
        One per frame that breaks one, for the first rule that it breaks.
    """
    frames = trajectory.frames
    kept = np.full(len(frames), fill_value=True)
    rejections = []
    for rule, reasons in (
        (Rule.NOT_CONVERGED, _judge_convergence(trajectory, settings)),
        (Rule.ENERGY_WINDOW, _judge_energies(trajectory, settings)),
        (Rule.MISSING_LABEL, _judge_labels(frames, settings)),
    ):
        for index, reason in reasons.items():
            if kept[index]:
                rejections += reject(frames[[index]], rule, reason)
        kept[list(reasons)] = False
    return frames[kept] if rejections else frames, rejections


def find_missing(frames: Frames, label: Label) -> NDArray[np.bool_]:
    """Find the frames that lack a label, or a part of it.

    Parameters
    ----------
    frames : Frames
        Frames whose missing labels are NaN.
    label : Label
        Property to look for.

    Returns
    -------
    ndarray of bool, shape (n_frames,)
        True where the label is missing for the frame or for one of its sites.
    """
    if label in {Label.ENERGY, Label.STRESS}:
        values = frames.energies if label is Label.ENERGY else frames.stresses
        owners = np.arange(len(frames))
    else:
        values = frames.forces if label is Label.FORCES else frames.magmoms
        owners = frames.frame_of_site
    incomplete = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    missing: NDArray[np.bool_] = np.bincount(
        owners, weights=incomplete, minlength=len(frames)
    ).astype(bool)
    return missing


def reject(frames: Frames, rule: Rule, reason: str) -> list[Rejection]:
    """Reject frames for one reason.

    Parameters
    ----------
    frames : Frames
        The frames to leave out.
    rule : Rule
        Rule that they break.
    reason : str
        What was expected and what was met.

    Returns
    -------
    list of Rejection
        One per frame.
    """
    return [
        Rejection(frame_id=frame_id, material_id=material_id, rule=rule, reason=reason)
        for frame_id, material_id in zip(
            frames.frame_ids.tolist(), frames.material_ids.tolist(), strict=True
        )
    ]


def count_rejections(rejections: Sequence[Rejection]) -> dict[Rule, int]:
    """Count rejections by rule.

    Parameters
    ----------
    rejections : sequence of Rejection
        What was left out.

    Returns
    -------
    dict of Rule to int
        A count for every rule, 0 where it rejected nothing.
    """
    counts = dict.fromkeys(Rule, 0)
    for rejection in rejections:
        counts[rejection.rule] += 1
    return counts


def _name_hubbard_us(task: Task) -> str:
    """List the Hubbard U of a task."""
    listed = (f"U({name}) = {u:g} eV" for name, u in sorted(task.hubbard_us.items()))
    return ", ".join(listed) or "no Hubbard U"


def _judge_convergence(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[int, str]:
    """Say which frames used up their electronic steps."""
    if settings.electronic_convergence is ElectronicConvergence.IGNORED:
        return {}
    unconverged = np.flatnonzero(~trajectory.converged).tolist()
    return dict.fromkeys(unconverged, "the electronic steps ran out")


def _judge_energies(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[int, str]:
    """Say which frames are far from the relaxed structure, where that is known."""
    window = settings.energy_window
    if window is None or not math.isfinite(trajectory.relaxed_energy):
        return {}
    per_atom = trajectory.frames.energies / trajectory.frames.n_atoms
    excess = per_atom - trajectory.relaxed_energy
    outside = (excess > window.above) | (excess < -window.below)
    return {
        index: f"expected -{window.below:g} to +{window.above:g} eV/atom from the "
        f"relaxed structure, met {excess[index]:+.3f} eV/atom"
        for index in np.flatnonzero(outside).tolist()
    }


def _judge_labels(frames: Frames, settings: CurationSettings) -> dict[int, str]:
    """Say which labels a frame lacks."""
    absent: dict[int, list[str]] = defaultdict(list)
    for label in settings.required_labels:
        for index in np.flatnonzero(find_missing(frames, label)).tolist():
            absent[index].append(label)
    return {index: f"met no {', '.join(labels)}" for index, labels in absent.items()}
