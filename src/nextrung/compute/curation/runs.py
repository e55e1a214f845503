"""Which runs are kept as a whole, one rule at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nextrung.schemas.labels.curation import CurationSettings, HubbardU, Rejection, Rule

if TYPE_CHECKING:
    from nextrung.schemas.labels.trajectory import Task, Trajectory


def check_run(trajectory: Trajectory, settings: CurationSettings) -> list[Rejection]:
    """Check a run as a whole by how it was calculated.

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
        reason = f"expected {settings.functional}, got {functional}"
        return Rejection.of(trajectory.frames, Rule.FUNCTIONAL, reason)
    if states := trajectory.states.difference(settings.allowed_states):
        reason = (
            "expected the self-consistent ground state of a neutral cell, got "
            f"{', '.join(sorted(states))} (curation.allowed_states)"
        )
        return Rejection.of(trajectory.frames, Rule.NOT_GROUND_STATE, reason)
    if settings.hubbard_u is HubbardU.REJECTED and trajectory.hubbard_u > 0:
        reason = f"expected no Hubbard U, got U = {trajectory.hubbard_u:g} eV"
        return Rejection.of(trajectory.frames, Rule.HUBBARD_U, reason)
    cutoff = settings.min_plane_wave_cutoff
    if cutoff is not None and trajectory.plane_wave_cutoff < cutoff:
        reason = (
            f"expected a plane-wave cutoff of {cutoff:g} eV or more, got "
            f"{trajectory.plane_wave_cutoff:g} eV"
        )
        return Rejection.of(trajectory.frames, Rule.PLANE_WAVE_CUTOFF, reason)
    return []


def check_primary_task(
    trajectory: Trajectory, settings: CurationSettings
) -> list[Rejection]:
    """Check a run by the primary task of its material, where that is known.

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
        got = f"{task.functional} where the primary task has {primary.functional}"
    elif dict(task.hubbard_us) != dict(primary.hubbard_us):
        got = (
            f"{_name_hubbard_us(task)} where the primary task has "
            f"{_name_hubbard_us(primary)}"
        )
    elif not difference <= settings.primary_task.tolerance:
        got = f"a final energy {difference:.3f} eV/atom from that of the primary task"
    else:
        return []
    return Rejection.of(trajectory.frames, Rule.PRIMARY_TASK, f"got {got}")


def count_skipped(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[Rule, int]:
    """Count the frames of a run that a rule cannot check.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Rules that are asked for.

    Returns
    -------
    dict of Rule to int
        Frames by rule whose source lacks what the rule asks about; rules that check
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
    """Check a run by the scale of its final energy.

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
        f"expected energies on the {frames.functional} scale, got {label:.3f} "
        f"eV/atom where {potential} has {expected:.3f} eV/atom"
    )
    return Rejection.of(frames, Rule.ENERGY_SCALE, reason)


def _name_hubbard_us(task: Task) -> str:
    """List the Hubbard U of a task."""
    listed = (f"U({name}) = {u:g} eV" for name, u in sorted(task.hubbard_us.items()))
    return ", ".join(listed) or "no Hubbard U"
