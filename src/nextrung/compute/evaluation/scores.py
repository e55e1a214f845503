"""Errors of predicted energies, forces, stresses and magnetic moments.

Errors are summed by frame first, so that errors of splits and residuals of frames come
from the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.evaluation.agreement import average_cosine, measure_agreement
from nextrung.compute.evaluation.properties import PropertyTable, pair_properties
from nextrung.schemas.base import InputError
from nextrung.schemas.evaluation import (
    EvaluationScore,
    FailedFrames,
    FrameResiduals,
    PropertyErrors,
)
from nextrung.schemas.frames import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the labelled components of each frame, shape (n_frames,) each."""

    count: NDArray[np.float64]
    absolute: NDArray[np.float64]
    squared: NDArray[np.float64]

    def mae(self, chosen: NDArray[np.bool_]) -> float | None:
        """Average the absolute errors of the chosen frames."""
        count = self.count[chosen].sum()
        return float(self.absolute[chosen].sum() / count) if count else None

    def rmse(self, chosen: NDArray[np.bool_]) -> float | None:
        """Compute the root-mean-square error of the chosen frames."""
        count = self.count[chosen].sum()
        return float(np.sqrt(self.squared[chosen].sum() / count)) if count else None

    def mae_by_frame(self, chosen: NDArray[np.bool_]) -> list[float | None]:
        """Average the absolute errors within each chosen frame."""
        return [
            float(absolute / count) if count else None
            for absolute, count in zip(
                self.absolute[chosen], self.count[chosen], strict=True
            )
        ]


def score_predictions(
    target: Frames,
    predicted: Frames,
    errors: Mapping[int, str],
    *,
    splits: Sequence[str] = SPLITS,
    subsets: Mapping[str, NDArray[np.bool_]] | None = None,
    references: Mapping[str, float] | None = None,
) -> EvaluationScore:
    """Score the predictions of a model against labels.

    Magnetic moments are compared by magnitude, as CHGNet predicts it. A property that
    is predicted for no frame was not requested and has no errors; a frame with a label
    but no finite prediction counts as failed.

    Parameters
    ----------
    target : Frames
        Labelled frames.
    predicted : Frames
        The same frames with predictions in place of labels.
    errors : mapping of int to str
        Why a frame has no prediction, by index.
    splits : sequence of str
        Splits to score, each on its own; ``all`` for every frame, in a split or not.
    subsets : mapping of str to ndarray of bool, optional
        Masks of frames of these splits to score besides, by name; empty ones are not.
    references : mapping of str to float, optional
        Atomic reference energies in eV/atom fitted to the training frames, the baseline
        of energies; without them, energies have no baseline.

    Returns
    -------
    EvaluationScore
        Errors by split, failed frames by reason, and the residuals of the others.

    Raises
    ------
    InputError
        If the two sets are not the same frames.
    """
    _validate_same_frames(target, predicted)
    properties = pair_properties(target, predicted, references or {})
    reasons = _list_failures(properties, errors)
    failed = np.zeros(len(target), dtype=bool)
    failed[list(reasons)] = True
    sums = {name: _sum_by_frame(pair, len(target)) for name, pair in properties.items()}
    of_baseline = {
        name: _sum_by_frame(pair._replace(predicted=pair.baseline), len(target))
        for name, pair in properties.items()
    }
    scored = {split: _select(target, split) for split in splits}
    chosen = np.any(list(scored.values()), axis=0)
    scored |= {name: mask for name, mask in (subsets or {}).items() if mask.any()}
    return EvaluationScore(
        metrics={
            split: _score_frames(properties, sums, selected, failed=failed)
            for split, selected in scored.items()
        },
        failures=_group_failures(target, reasons, chosen),
        rows=_tabulate(
            target,
            predicted,
            sums=sums,
            of_baseline=of_baseline,
            chosen=chosen & ~failed,
        ),
    )


def _validate_same_frames(target: Frames, predicted: Frames) -> None:
    """Validate that labels and predictions are of the same frames and atoms."""
    if not np.array_equal(target.frame_ids, predicted.frame_ids):
        raise InputError(
            f"expected predictions of the {len(target)} labelled frames in their "
            f"order, got {len(predicted)} frames with other ids"
        )
    same_sites = np.array_equal(target.offsets, predicted.offsets)
    if not same_sites or (target.atomic_numbers != predicted.atomic_numbers).any():
        raise InputError("expected predictions of the labelled atoms, got other atoms")


def _select(frames: Frames, split: str) -> NDArray[np.bool_]:
    """Select the frames of a split, or every frame."""
    if split == "all":
        return np.ones(len(frames), dtype=bool)
    return np.asarray(frames.splits == split)


def _list_failures(
    properties: Mapping[str, PropertyTable], errors: Mapping[int, str]
) -> dict[int, str]:
    """List why frames have no prediction; known reasons before missing numbers."""
    reasons = dict(errors)
    for name, pair in properties.items():
        finite = np.isfinite(pair.predicted)
        if name == "energy":
            missing = ~finite
        else:
            missing = ~finite & ~np.isnan(pair.target) & finite.any()
        for frame in np.unique(pair.frames[missing.any(axis=1)]):
            reasons.setdefault(int(frame), f"non-finite predicted {name}")
    return dict(sorted(reasons.items()))


def _sum_by_frame(pair: PropertyTable, n_frames: int) -> _Sums:
    """Sum the errors of the labelled components of each frame."""
    difference = pair.predicted.astype(np.float64) - pair.target
    labelled = np.isfinite(difference)
    difference = np.where(labelled, difference, 0.0)

    def by_frame(values: NDArray[np.generic]) -> NDArray[np.float64]:
        rows = values.sum(axis=1).astype(np.float64)
        return np.bincount(pair.frames, rows, n_frames).astype(np.float64)

    return _Sums(
        count=by_frame(labelled),
        absolute=by_frame(np.abs(difference)),
        squared=by_frame(difference**2),
    )


def _score_frames(
    properties: Mapping[str, PropertyTable],
    sums: Mapping[str, _Sums],
    chosen: NDArray[np.bool_],
    *,
    failed: NDArray[np.bool_],
) -> PropertyErrors:
    """Average the errors of the chosen frames that have predictions."""
    scored = chosen & ~failed
    errors: dict[str, float | None] = {
        "forces_cosine": average_cosine(properties["forces"], scored)
    }
    for name, of in sums.items():
        errors |= {f"{name}_mae": of.mae(scored), f"{name}_rmse": of.rmse(scored)}
        agreement = measure_agreement(properties[name], scored)
        errors |= {f"{name}_{key}": value for key, value in agreement.items()}
    return PropertyErrors(
        n_frames=int(scored.sum()), n_failed=int((chosen & failed).sum()), **errors
    )


def _group_failures(
    target: Frames, reasons: Mapping[int, str], chosen: NDArray[np.bool_]
) -> list[FailedFrames]:
    """Group the chosen frames that failed by reason."""
    groups: dict[str, list[str]] = {}
    for frame, reason in reasons.items():
        if chosen[frame]:
            groups.setdefault(reason, []).append(str(target.frame_ids[frame]))
    return [
        FailedFrames(reason=reason, frame_ids=tuple(names))
        for reason, names in groups.items()
    ]


def _tabulate(
    target: Frames,
    predicted: Frames,
    *,
    sums: Mapping[str, _Sums],
    of_baseline: Mapping[str, _Sums],
    chosen: NDArray[np.bool_],
) -> FrameResiduals:
    """List the residuals of each chosen frame."""
    frames = target[chosen]
    labels = frames.energies / frames.n_atoms
    return FrameResiduals(
        frame_id=frames.frame_ids.tolist(),
        material_id=frames.material_ids.tolist(),
        formula=[c.reduced_formula for c in frames.compositions()],
        split=frames.splits.tolist(),
        n_atoms=frames.n_atoms.tolist(),
        energy_per_atom=[float(e) if np.isfinite(e) else None for e in labels],
        predicted_energy_per_atom=(
            predicted.energies[chosen] / frames.n_atoms
        ).tolist(),
        forces_mae=sums["forces"].mae_by_frame(chosen),
        stress_mae=sums["stress"].mae_by_frame(chosen),
        magmoms_mae=sums["magmoms"].mae_by_frame(chosen),
        **{
            f"{name}_baseline_mae": of.mae_by_frame(chosen)
            for name, of in of_baseline.items()
        },
    )
