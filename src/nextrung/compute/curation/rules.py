"""Curation rules that apply to single frames."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.labels.curation import (
    CurationSettings,
    ElectronicConvergence,
    Label,
    Rejection,
    Rule,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.trajectory import Trajectory


def check_frames(
    trajectory: Trajectory, settings: CurationSettings
) -> tuple[Frames, list[Rejection]]:
    """Check the convergence, energy and labels of every frame of a run.

    Parameters
    ----------
    trajectory : Trajectory
        Frames of one run.
    settings : CurationSettings
        Rules that frames must satisfy.

    Returns
    -------
    frames : Frames
        Frames that satisfy every rule, in order.
    rejections : list of Rejection
        One per other frame, for the first rule that it violates.
    """
    frames = trajectory.frames
    kept = np.full(len(frames), fill_value=True)
    rejections = []
    for rule, reasons in (
        (Rule.NOT_CONVERGED, _check_convergence(trajectory, settings)),
        (Rule.ENERGY_WINDOW, _check_energies(trajectory, settings)),
        (Rule.MISSING_LABEL, _check_labels(frames, settings)),
    ):
        for index, reason in reasons.items():
            if kept[index]:
                rejections += Rejection.of(frames[[index]], rule, reason)
        kept[list(reasons)] = False
    return frames[kept] if rejections else frames, rejections


def find_missing(frames: Frames, label: Label) -> NDArray[np.bool_]:
    """Find the frames that lack a label for the frame or for a site.

    Parameters
    ----------
    frames : Frames
        Frames whose missing labels are NaN.
    label : Label
        Label to check.

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


def count_frames_by_label(frames: Frames) -> dict[str, int]:
    """Count the frames that have each label.

    Parameters
    ----------
    frames : Frames
        Frames whose missing labels are NaN.

    Returns
    -------
    dict of str to int
        Number of frames by label, 0 for a label that no frame has.
    """
    return {
        label.value: len(frames) - int(find_missing(frames, label).sum())
        for label in Label
    }


def _check_convergence(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[int, str]:
    """List the frames whose electronic steps did not converge."""
    if settings.electronic_convergence is ElectronicConvergence.IGNORED:
        return {}
    unconverged = np.flatnonzero(~trajectory.converged).tolist()
    return dict.fromkeys(unconverged, "the electronic steps ran out")


def _check_energies(
    trajectory: Trajectory, settings: CurationSettings
) -> dict[int, str]:
    """List the frames whose energy is outside the window, where that is known."""
    window = settings.energy_window
    if window is None or not math.isfinite(trajectory.relaxed_energy):
        return {}
    per_atom = trajectory.frames.energies / trajectory.frames.n_atoms
    excess = per_atom - trajectory.relaxed_energy
    outside = (excess > window.above) | (excess < -window.below)
    return {
        index: f"expected -{window.below:g} to +{window.above:g} eV/atom from the "
        f"relaxed structure, got {excess[index]:+.3f} eV/atom"
        for index in np.flatnonzero(outside).tolist()
    }


def _check_labels(frames: Frames, settings: CurationSettings) -> dict[int, str]:
    """List the labels that frames lack."""
    absent: dict[int, list[str]] = defaultdict(list)
    for label in settings.required_labels:
        for index in np.flatnonzero(find_missing(frames, label)).tolist():
            absent[index].append(label)
    return {index: f"got no {', '.join(labels)}" for index, labels in absent.items()}
