"""Rows of the collections `metrics` and `residuals`."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition

from nextrung.schemas.stores.collections import MetricsRow, ResidualRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals


def list_metrics(doc: EvaluationDoc, origin: Mapping[str, str]) -> list[MetricsRow]:
    """List the errors of a model by split.

    Parameters
    ----------
    doc : EvaluationDoc
        Evaluation of the model.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of MetricsRow
        One row per split.
    """
    return [
        MetricsRow(**origin, model=doc.model, split=split, **errors.model_dump())
        for split, errors in doc.metrics.items()
    ]


def list_residuals(doc: EvaluationDoc, origin: Mapping[str, str]) -> list[ResidualRow]:
    """List the errors of a model by material.

    Parameters
    ----------
    doc : EvaluationDoc
        Evaluation of the model, residuals of frames included.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of ResidualRow
        One row per material.
    """
    frames_of: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for frame, material in enumerate(
        zip(doc.rows.split, doc.rows.material_id, strict=True)
    ):
        frames_of[material].append(frame)
    return [
        ResidualRow(
            **origin,
            model=doc.model,
            material_id=material_id,
            formula=doc.rows.formula[frames[0]],
            elements=_elements(doc.rows.formula[frames[0]]),
            split=split,
            n_frames=len(frames),
            **_average(doc.rows, frames),
        )
        for (split, material_id), frames in frames_of.items()
    ]


def _average(rows: FrameResiduals, frames: list[int]) -> dict[str, Any]:
    """Average the errors of some frames, and find the largest energy error."""
    errors = {
        frame: rows.predicted_energy_per_atom[frame] - energy
        for frame in frames
        if (energy := rows.energy_per_atom[frame]) is not None
    }
    worst = max(errors, key=lambda frame: abs(errors[frame]), default=None)
    return {
        "energy_mae": _mean(abs(error) for error in errors.values()),
        "forces_mae": _mean(rows.forces_mae[frame] for frame in frames),
        "stress_mae": _mean(rows.stress_mae[frame] for frame in frames),
        "magmoms_mae": _mean(rows.magmoms_mae[frame] for frame in frames),
        "worst_frame_id": None if worst is None else rows.frame_id[worst],
        "worst_energy_error": None if worst is None else errors[worst],
    }


def _mean(values: Iterable[float | None]) -> float | None:
    """Average the values that are not None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@cache
def _elements(formula: str) -> tuple[str, ...]:
    """List the elements of a formula, sorted."""
    return tuple(sorted(str(element) for element in Composition(formula)))
