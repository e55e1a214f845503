"""What a few figures say about a study before anyone spends GPU-days on it [1]_.

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

#: Models that are tried: training from scratch to compare with, and every transfer.
TRIED = (
    Model.SCRATCH,
    Model.TRAINABLE_ATOM_REFS,
    Model.FROZEN_ATOM_REFS,
    Model.REFITTED_ATOM_REFS,
    Model.RESIDUAL_ATOM_REFS,
)

#: Layer whose gradient tells misaligned references from a network that has to learn.
CHECKED_LAYER = TrackedLayer.READOUT_FIRST


def choose_sample(frames: Frames, settings: PreflightSettings) -> Frames:
    """Choose whole materials of the training and of the validation split.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    settings : PreflightSettings
        How many frames of each split, and the seed of the order of materials.

    Returns
    -------
    Frames
        About as many frames as asked for, in their order; the last material is cut.

    Raises
    ------
    InputError
        If one of the splits is empty.
    """
    wanted = {"train": settings.n_train_frames, "val": settings.n_val_frames}
    chosen = []
    for split, n_frames in wanted.items():
        places = np.flatnonzero(frames.splits == split)
        if not len(places):
            raise InputError(f"expected frames in the split {split}, got none")
        _, materials = np.unique(frames.material_ids[places], return_inverse=True)
        ranks = np.random.default_rng(settings.seed).permutation(materials.max() + 1)
        order = np.argsort(ranks[materials], kind="stable")
        chosen.append(places[order[:n_frames]])
    return frames[np.sort(np.concatenate(chosen))]


def find_out_of_range_frames(
    frames: Frames, residuals: NDArray[np.float64], settings: PreflightSettings
) -> list[OutOfRangeFrame]:
    """Find frames whose labels are far from anything the source knows.

    Parameters
    ----------
    frames : Frames
        Frames with labels.
    residuals : ndarray of float, shape (n_frames,)
        Label minus re-referenced source energy in eV/atom; NaN where there is none.
    settings : PreflightSettings
        How far is too far.

    Returns
    -------
    list of OutOfRangeFrame
        The frames out of range, in order, each with its reason.
    """
    forces = np.zeros(len(frames))
    sizes = np.nan_to_num(np.linalg.norm(frames.forces, axis=1))
    np.maximum.at(forces, frames.frame_of_site, sizes)
    odd = []
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
        odd.append(OutOfRangeFrame(frame_id=frame_id, reason=reason))
    return odd


def list_unreferenced(
    frames: Frames, source_elements: Collection[str]
) -> tuple[list[str], int]:
    """List the elements that a moved model cannot have a reference of.

    Parameters
    ----------
    frames : Frames
        Frames with splits.
    source_elements : collection of str
        Elements that the source potential has a reference of.

    Returns
    -------
    elements : list of str
        Those that the source or the training split lacks, by atomic number.
    n_frames : int
        Frames that hold one of them.
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
    """Check whether source and target energies have anything in common.

    Parameters
    ----------
    before : float or None
        Pearson correlation of total energies per atom.
    after : mapping of Rereference to float or None
        Correlation of re-referenced energies, by the way of re-referencing.
    settings : PreflightSettings
        Below what transfer has little to build on.

    Returns
    -------
    Check
        Failed where no way of re-referencing reaches the limit.
    """
    known = {kind: value for kind, value in after.items() if value is not None}
    shown = ", ".join(f"{value:.3f} ({kind})" for kind, value in known.items())
    start = "–" if before is None else f"{before:.3f}"
    if not known:
        outcome, said = CheckOutcome.WARNING, "energies do not vary: there is none"
    else:
        good = max(known.values()) >= settings.min_correlation
        outcome = CheckOutcome.PASSED if good else CheckOutcome.FAILED
        said = f"{start} before re-referencing, {shown} after"
        if not good:
            said += f"; below {settings.min_correlation:g} transfer will gain little"
    return Check(name="correlation with the source", outcome=outcome, finding=said)


def compare_gradients(trials: Sequence[Trial]) -> dict[Model, float]:
    """Divide the gradients of transferred models by those of a start from scratch.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings; training from scratch among them.

    Returns
    -------
    dict of Model to float
        Ratio at the first layer of the readout, by model.
    """
    norms = {trial.model: trial.gradient_norms.get(CHECKED_LAYER) for trial in trials}
    scratch = norms.pop(Model.SCRATCH, None)
    if not scratch:
        return {}
    return {model: norm / scratch for model, norm in norms.items() if norm is not None}


def check_gradients(trials: Sequence[Trial], settings: PreflightSettings) -> Check:
    """Check whether moved references are aligned with the labels.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings; training from scratch among them.
    settings : PreflightSettings
        Above what ratio references are misaligned.

    Returns
    -------
    Check
        Failed where every re-referenced model is misaligned, a warning where some
        are, or where only models that keep the references of the source are.
    """
    ratios = compare_gradients(trials)
    steep = {m for m, ratio in ratios.items() if ratio > settings.max_gradient_ratio}
    moved = {m for m in ratios if RECIPES[m].rereference is not Rereference.NONE}
    listed = ", ".join(f"{model} {ratio:.1f}×" for model, ratio in ratios.items())
    said = f"first readout layer against a start from scratch: {listed or 'none'}"
    if steep:
        names = ", ".join(sorted(steep))
        said += f"; above {settings.max_gradient_ratio:g}× misaligned: {names}"
    outcome = CheckOutcome.WARNING if steep or not ratios else CheckOutcome.PASSED
    if moved and moved <= steep:
        outcome = CheckOutcome.FAILED
    return Check(name="gradients", outcome=outcome, finding=said)


def check_trials(trials: Sequence[Trial]) -> Check:
    """Check whether transfer beats training from scratch on few structures.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings; training from scratch among them.

    Returns
    -------
    Check
        Passed where the best transferred model wins on energies and forces, a warning
        where it wins on one of them, failed where it wins on neither.
    """
    scratch = next(trial for trial in trials if trial.model is Model.SCRATCH)
    others = [trial for trial in trials if trial is not scratch]
    best = find_best_trial(others)
    pairs = [
        (name, getattr(best, key), getattr(scratch, key))
        for name, key in (("energies", "energy_mae"), ("forces", "forces_mae"))
    ]
    known = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
    wins = [name for name, mine, other in known if mine < other]
    listed = ", ".join(
        f"{name} {1000 * mine:.1f} against {1000 * other:.1f} "
        f"{'meV/atom' if name == 'energies' else 'meV/Å'}"
        for name, mine, other in known
    )
    outcome = CheckOutcome.FAILED if not wins else CheckOutcome.WARNING
    if len(wins) == len(known) and known:
        outcome = CheckOutcome.PASSED
    return Check(
        name="transfer against scratch",
        outcome=outcome,
        finding=f"{best.model}, the best transferred model, against scratch: {listed}",
    )


def find_best_trial(trials: Sequence[Trial]) -> Trial:
    """Find the trial of the lowest energy error.

    Parameters
    ----------
    trials : sequence of Trial
        Short trainings, at least one.

    Returns
    -------
    Trial
        The best; the first where no energy was scored.
    """
    return min(trials, key=lambda t: np.inf if t.energy_mae is None else t.energy_mae)


def check_losses(
    name: str, lost: tuple[int, int], *, why: str, settings: PreflightSettings
) -> Check:
    """Check whether a study loses too many frames.

    Parameters
    ----------
    name : str
        What was asked.
    lost : tuple of int
        Frames that are lost, and all that were looked at.
    why : str
        Why they are lost; not said where none is.
    settings : PreflightSettings
        Which share may be lost.

    Returns
    -------
    Check
        Passed where none is lost, failed where the share is too large.
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
    """Put checks together.

    Parameters
    ----------
    checks : sequence of Check
        All checks.

    Returns
    -------
    verdict : Verdict
        No-go where a check failed.
    reason : str
        What failed; what to mind; or that nothing speaks against the study.
    """
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    warned = [check for check in checks if check.outcome is CheckOutcome.WARNING]
    said = "; ".join(f"{check.name}: {check.finding}" for check in failed or warned)
    if failed:
        return Verdict.NO_GO, f"{said}."
    if warned:
        return Verdict.GO, f"nothing speaks against it, but mind {said}."
    return Verdict.GO, "every check passed."
