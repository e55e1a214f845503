"""Checks of a study by a few quick calculations before it is run [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   figures 2b and 3a, table 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import TrackedLayer
from nextrung.schemas.models import RECIPES, Model, Rereference
from nextrung.schemas.preflight import Check, CheckOutcome, OutOfRangeFrame, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.preflight import PreflightSettings, Trial

#: Models of the short trainings: scratch for comparison, and every transfer.
TRIED = (
    Model.SCRATCH,
    Model.TRAINABLE_ATOM_REFS,
    Model.FROZEN_ATOM_REFS,
    Model.REFITTED_ATOM_REFS,
    Model.RESIDUAL_ATOM_REFS,
)

#: Layer whose gradient is large where references are misaligned.
CHECKED_LAYER = TrackedLayer.READOUT_FIRST


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


def check_correlation(
    before: float | None,
    after: Mapping[Rereference, float | None],
    settings: PreflightSettings,
) -> Check:
    """Check whether source and target energies correlate.

    Parameters
    ----------
    before : float or None
        Pearson correlation of total energies per atom.
    after : mapping of Rereference to float or None
        Correlation of re-referenced energies, by kind of re-referencing.
    settings : PreflightSettings
        Minimum correlation.

    Returns
    -------
    Check
        Failed where no kind of re-referencing reaches the minimum.
    """
    known = {kind: value for kind, value in after.items() if value is not None}
    shown = ", ".join(f"{value:.3f} ({kind})" for kind, value in known.items())
    start = "–" if before is None else f"{before:.3f}"
    if not known:
        outcome, finding = CheckOutcome.WARNING, "undefined: energies do not vary"
    else:
        good = max(known.values()) >= settings.min_correlation
        outcome = CheckOutcome.PASSED if good else CheckOutcome.FAILED
        finding = f"{start} before re-referencing, {shown} after"
        if not good:
            finding += f"; below {settings.min_correlation:g} transfer will gain little"
    return Check(name="correlation with the source", outcome=outcome, finding=finding)


def compare_gradients(trials: Sequence[Trial]) -> dict[Model, float]:
    """Divide gradient norms of transferred models by those of scratch.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings, including one from scratch.

    Returns
    -------
    dict of Model to float
        Ratio at the first readout layer, by model.
    """
    norms = {trial.model: trial.gradient_norms.get(CHECKED_LAYER) for trial in trials}
    scratch = norms.pop(Model.SCRATCH, None)
    if not scratch:
        return {}
    return {model: norm / scratch for model, norm in norms.items() if norm is not None}


def check_gradients(trials: Sequence[Trial], settings: PreflightSettings) -> Check:
    """Check whether atomic references are aligned with the labels.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings, including one from scratch.
    settings : PreflightSettings
        Maximum gradient ratio.

    Returns
    -------
    Check
        Failed where every re-referenced model is misaligned; a warning where another
        model is.
    """
    ratios = compare_gradients(trials)
    steep = {m for m, ratio in ratios.items() if ratio > settings.max_gradient_ratio}
    moved = {m for m in ratios if RECIPES[m].rereference is not Rereference.NONE}
    listed = ", ".join(f"{model} {ratio:.1f}×" for model, ratio in ratios.items())
    finding = f"first readout layer against a start from scratch: {listed or 'none'}"
    if steep:
        names = ", ".join(sorted(steep))
        finding += f"; above {settings.max_gradient_ratio:g}× misaligned: {names}"
    outcome = CheckOutcome.WARNING if steep or not ratios else CheckOutcome.PASSED
    if moved and moved <= steep:
        outcome = CheckOutcome.FAILED
    return Check(name="gradients", outcome=outcome, finding=finding)


def check_trials(trials: Sequence[Trial]) -> Check:
    """Check whether transfer is better than scratch after short trainings.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings, including one from scratch.

    Returns
    -------
    Check
        Passed where the transferred model of the lowest energy error is better on
        energies and forces, a warning where on one of them, failed otherwise.
    """
    scratch = next(trial for trial in trials if trial.model is Model.SCRATCH)
    best = min(
        (trial for trial in trials if trial is not scratch),
        key=lambda trial: np.inf if trial.energy_mae is None else trial.energy_mae,
    )
    pairs = [
        (name, getattr(best, key), getattr(scratch, key))
        for name, key in (("energies", "energy_mae"), ("forces", "forces_mae"))
    ]
    known = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
    better = [name for name, mine, other in known if mine < other]
    listed = ", ".join(
        f"{name} {1000 * mine:.1f} against {1000 * other:.1f} "
        f"{'meV/atom' if name == 'energies' else 'meV/Å'}"
        for name, mine, other in known
    )
    outcome = CheckOutcome.FAILED if not better else CheckOutcome.WARNING
    if len(better) == len(known) and known:
        outcome = CheckOutcome.PASSED
    return Check(
        name="transfer against scratch",
        outcome=outcome,
        finding=f"{best.model}, the best transferred model, against scratch: {listed}",
    )


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


def reach_verdict(checks: Sequence[Check]) -> tuple[Verdict, str]:
    """Derive the verdict from all checks.

    Parameters
    ----------
    checks : sequence of Check
        All checks of the study.

    Returns
    -------
    verdict : Verdict
        No-go where a check failed.
    reason : str
        Findings of failed checks, else warnings, else that every check passed.
    """
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    warned = [check for check in checks if check.outcome is CheckOutcome.WARNING]
    findings = "; ".join(f"{check.name}: {check.finding}" for check in failed or warned)
    if failed:
        return Verdict.NO_GO, f"{findings}."
    if warned:
        return Verdict.GO, f"no check failed, but {findings}."
    return Verdict.GO, "every check passed."
