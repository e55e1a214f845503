"""Curation rules that apply to whole runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nextrung.schemas.labels.curation import CurationSettings, HubbardU, Rejection, Rule

if TYPE_CHECKING:
    from nextrung.schemas.labels.trajectory import Task, Trajectory

#: Code whose energies potentials and corrections of the Materials Project refer to.
VASP: Final = "VASP"


def check_run(trajectory: Trajectory, settings: CurationSettings) -> list[Rejection]:
    """Check functional, Hubbard U and plane-wave cutoff of a run.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Rules that runs must satisfy.

    Returns
    -------
    list of Rejection
        One per frame if the run violates a rule; empty otherwise.
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
    """Compare a run with the primary task of its material, where that is known.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Maximum difference of final energies.

    Returns
    -------
    list of Rejection
        One per frame if functional, Hubbard U or final energy of the task differ from
        those of the primary task.
    """
    task, primary = trajectory.task, trajectory.primary_task
    if settings.primary_task is None or task is None or primary is None:
        return []
    difference = abs(task.final_energy - primary.final_energy)
    if task.functional != primary.functional:
        got = f"{task.functional} where the primary task has {primary.functional}"
    elif dict(task.hubbard_us) != dict(primary.hubbard_us):
        got = (
            f"{_format_hubbard_us(task)} where the primary task has "
            f"{_format_hubbard_us(primary)}"
        )
    elif not difference <= settings.primary_task.tolerance:
        got = f"a final energy {difference:.3f} eV/atom from that of the primary task"
    else:
        return []
    return Rejection.of(trajectory.frames, Rule.PRIMARY_TASK, f"got {got}")


def count_skipped(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[Rule, int]:
    """Count the frames of a run to which rules could not be applied.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Rules that are applied.

    Returns
    -------
    dict of Rule to int
        Number of frames by rule: rules whose input the source lacks, and the check
        of VASP's energy scale where another code calculated the run.
    """
    n_frames = len(trajectory.frames)
    skipped = {}
    if settings.primary_task is not None and trajectory.primary_task is None:
        skipped[Rule.PRIMARY_TASK] = n_frames
    if settings.energy_window is not None and math.isnan(trajectory.relaxed_energy):
        skipped[Rule.ENERGY_WINDOW] = n_frames
    compared = trajectory.frames.functional in settings.energy_scale.potentials
    if compared and not has_vasp_energies(trajectory):
        skipped[Rule.ENERGY_SCALE] = n_frames
    return skipped


def has_vasp_energies(trajectory: Trajectory) -> bool:
    """Return whether the energies of a run can be on the scale of VASP.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.

    Returns
    -------
    bool
        False where another code than VASP calculated the run: its energies are relative
        to atoms of its own, so no potential of VASP's labels predicts them.
    """
    identity = trajectory.identity
    return identity is None or identity.code in {"", VASP}


def check_energy_scale(
    trajectory: Trajectory, expected_energy: float, settings: CurationSettings
) -> list[Rejection]:
    """Compare the final energy of a run with the prediction of a potential.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    expected_energy : float
        Total energy of the final frame in eV, predicted by a potential of the same
        functional; NaN where the prediction failed.
    settings : CurationSettings
        Maximum difference between label and prediction.

    Returns
    -------
    list of Rejection
        One per frame if the energies are on another scale.
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


def explain_uncorrectable(trajectory: Trajectory) -> str:
    """Explain why the MP2020 scheme has no correction for a run.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    """
    if trajectory.identity is not None and not has_vasp_energies(trajectory):
        return f"expected energies of VASP for MP2020, got {trajectory.identity.code}"
    us = dict(trajectory.hubbard_us)
    got = f"U of {us} eV" if trajectory.hubbard_u else "no Hubbard U"
    return f"expected the Hubbard U of MP2020, got {got}"


def _format_hubbard_us(task: Task) -> str:
    """Format the Hubbard U of a task."""
    listed = (f"U({name}) = {u:g} eV" for name, u in sorted(task.hubbard_us.items()))
    return ", ".join(listed) or "no Hubbard U"
