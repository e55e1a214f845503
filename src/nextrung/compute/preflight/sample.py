"""Sample of a preflight: its frames, and those that a study would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.schemas.base import InputError
from nextrung.schemas.preflight import Check, CheckOutcome, OutOfRangeFrame

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.preflight import PreflightSettings


def choose_sample(frames: Frames, settings: PreflightSettings) -> Frames:
    """Choose frames of the training and validation split by whole materials.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    settings : PreflightSettings
        Number of frames of each split, and seed of the order of materials.

    Returns
    -------
    Frames
        The chosen frames in order; the last material of a split may be incomplete.

    Raises
    ------
    InputError
        If one of the splits is empty.
    """
    wanted = {"train": settings.n_train_frames, "val": settings.n_val_frames}
    chosen = []
    for split, n_frames in wanted.items():
        indices = np.flatnonzero(frames.splits == split)
        if not len(indices):
            raise InputError(f"expected frames in the split {split}, got none")
        _, materials = np.unique(frames.material_ids[indices], return_inverse=True)
        ranks = np.random.default_rng(settings.seed).permutation(materials.max() + 1)
        order = np.argsort(ranks[materials], kind="stable")
        chosen.append(indices[order[:n_frames]])
    return frames[np.sort(np.concatenate(chosen))]


def find_out_of_range_frames(
    frames: Frames, residuals: NDArray[np.float64], settings: PreflightSettings
) -> list[OutOfRangeFrame]:
    """Find frames whose energies or forces are out of range.

    Parameters
    ----------
    frames : Frames
        Frames with labels.
    residuals : ndarray of float, shape (n_frames,)
        Label minus re-referenced source energy in eV/atom; NaN where missing.
    settings : PreflightSettings
        Maximum residual and force.

    Returns
    -------
    list of OutOfRangeFrame
        Frames out of range, in order.
    """
    forces = np.zeros(len(frames))
    sizes = np.nan_to_num(np.linalg.norm(frames.forces, axis=1))
    np.maximum.at(forces, frames.frame_of_site, sizes)
    found = []
    for frame_id, residual, force in zip(
        frames.frame_ids.tolist(), residuals.tolist(), forces.tolist(), strict=True
    ):
        if abs(residual) > settings.max_residual:
            reason = (
                f"expected an energy within {settings.max_residual:g} eV/atom of the "
                f"re-referenced source, got {residual:+.2f}"
            )
        elif force > settings.max_force:
            reason = (
                f"expected forces up to {settings.max_force:g} eV/Å, got {force:.1f}"
            )
        else:
            continue
        found.append(OutOfRangeFrame(frame_id=frame_id, reason=reason))
    return found


def list_unreferenced(
    frames: Frames, source_elements: Collection[str]
) -> tuple[list[str], int]:
    """List the elements that a re-referenced model has no reference of.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    source_elements : collection of str
        Elements with a reference in the source potential.

    Returns
    -------
    elements : list of str
        Elements that the source or the training split lacks, by atomic number.
    n_frames : int
        Number of frames with one of them.
    """
    trained = np.unique(frames.split("train").atomic_numbers)
    known = np.intersect1d(trained, [Element(symbol).Z for symbol in source_elements])
    lacking = ~np.isin(frames.atomic_numbers, known)
    numbers = np.unique(frames.atomic_numbers[lacking])
    symbols = [Element.from_Z(int(number)).symbol for number in numbers]
    return symbols, len(np.unique(frames.frame_of_site[lacking]))


def check_losses(
    name: str, lost: tuple[int, int], *, why: str, settings: PreflightSettings
) -> Check:
    """Check whether a study loses too many frames.

    Parameters
    ----------
    name : str
        Name of the check.
    lost : tuple of int
        Numbers of lost and of checked frames.
    why : str
        Why frames are lost.
    settings : PreflightSettings
        Maximum fraction of lost frames.

    Returns
    -------
    Check
        Passed where none is lost, failed above the maximum, a warning otherwise.
    """
    n_lost, n_frames = lost
    if not n_lost:
        return Check(
            name=name,
            outcome=CheckOutcome.PASSED,
            finding=f"none of {n_frames:,} frames",
        )
    many = n_lost > settings.max_lost_fraction * n_frames
    return Check(
        name=name,
        outcome=CheckOutcome.FAILED if many else CheckOutcome.WARNING,
        finding=f"{n_lost:,} of {n_frames:,} frames: {why}",
    )
