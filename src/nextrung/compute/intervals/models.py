"""Paired differences of the test errors of all models of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.intervals.differences import adjust_holm, compare_paired
from nextrung.schemas.models import Model
from nextrung.schemas.repeats import PROPERTIES, ModelDifference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.compute.intervals.differences import PairedDifference
    from nextrung.schemas.evaluation import FrameResiduals
    from nextrung.schemas.repeats import BestModel

#: Adjusted p-value below which two models are told apart.
SIGNIFICANCE = 0.05

#: Seed of the training, None without one, and seed of the split.
Repeat = tuple[int | None, int]


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """Absolute errors of the frames of one split.

    Parameters
    ----------
    frame_ids, material_ids : ndarray of str, shape (n_frames,)
        Name and material of each frame.
    weights : mapping of str to ndarray of float, shape (n_frames,)
        Weight of each frame in the mean, by property.
    errors : mapping of str to ndarray of float, shape (n_frames,)
        Error of each frame, by property; nan where it is missing.
    """

    frame_ids: NDArray[np.str_]
    material_ids: NDArray[np.str_]
    weights: Mapping[str, NDArray[np.float64]]
    errors: Mapping[str, NDArray[np.float64]]


def collect_errors(rows: FrameResiduals, split: str = "test") -> FrameErrors:
    """Collect the errors of the frames of one split.

    Parameters
    ----------
    rows : FrameResiduals
        Residuals of all frames.
    split : str
        The split.

    Returns
    -------
    FrameErrors
        Errors; without forces and moments where the numbers of atoms, by which frames
        are weighted, were not kept.
    """
    chosen = np.array(rows.split, dtype=str) == split
    columns = {
        "energy": np.abs(
            np.array(rows.predicted_energy_per_atom, dtype=np.float64)
            - np.array(rows.energy_per_atom, dtype=np.float64)
        ),
        "stress": np.array(rows.stress_mae, dtype=np.float64),
    }
    weights = dict.fromkeys(columns, np.ones(int(chosen.sum())))
    if rows.n_atoms:
        columns["forces"] = np.array(rows.forces_mae, dtype=np.float64)
        columns["magmoms"] = np.array(rows.magmoms_mae, dtype=np.float64)
        atoms = np.array(rows.n_atoms, dtype=np.float64)[chosen]
        weights |= dict.fromkeys(("forces", "magmoms"), atoms)
    return FrameErrors(
        frame_ids=np.array(rows.frame_id, dtype=str)[chosen],
        material_ids=np.array(rows.material_id, dtype=str)[chosen],
        weights=weights,
        errors={name: column[chosen] for name, column in columns.items()},
    )


def compare_models(
    models: Mapping[str, Mapping[Repeat, FrameErrors]],
    best: Mapping[str, BestModel],
) -> list[ModelDifference]:
    """Compare every model with the source, with scratch, and with the best model.

    Parameters
    ----------
    models : mapping of str to mapping of Repeat to FrameErrors
        Errors of each model in each repeat.
    best : mapping of str to BestModel
        Best model of each property, chosen on validation errors.

    Returns
    -------
    list of ModelDifference
        Differences by property and reference; p-values are adjusted for the models that
        are compared with one reference by one property.
    """
    found: list[ModelDifference] = []
    for name in PROPERTIES:
        chosen = [best[name].model] if name in best else []
        references = dict.fromkeys([Model.SOURCE.value, Model.SCRATCH.value, *chosen])
        for reference in references:
            if reference in models:
                found += _compare_with(reference, models, name)
    return found


@dataclass(frozen=True)
class _Compared:
    """A model that was compared with a reference."""

    model: str
    difference: PairedDifference
    n_materials: int
    n_repeats: int


def _compare_with(
    reference: str, models: Mapping[str, Mapping[Repeat, FrameErrors]], name: str
) -> list[ModelDifference]:
    """Compare all other models with a reference by one property."""
    compared = [
        made
        for model in models
        if model != reference
        and (made := _compare(model, reference, models, name=name))
    ]
    adjusted = adjust_holm([each.difference.p_value for each in compared])
    return [
        ModelDifference(
            property=name,
            model=each.model,
            reference=reference,
            **each.difference._asdict(),
            p_adjusted=p_adjusted,
            significant=p_adjusted < SIGNIFICANCE,
            n_materials=each.n_materials,
            n_repeats=each.n_repeats,
        )
        for each, p_adjusted in zip(compared, adjusted, strict=True)
    ]


def _compare(
    model: str,
    reference: str,
    models: Mapping[str, Mapping[Repeat, FrameErrors]],
    *,
    name: str,
) -> _Compared | None:
    """Compare a model with a reference over the repeats that both have."""
    of_model, of_reference = models[model], models[reference]
    repeats = _match_repeats(list(of_model), list(of_reference))
    if not repeats:
        return None
    n_splits = len({split for (_, split), _ in repeats})
    pairs = [_pair(of_model[a], of_reference[b], name) for a, b in repeats]
    materials = np.concatenate([pair.material_ids for pair in pairs])
    # Trainings on one split share their data: where splits are repeated, they count.
    labels = [
        split if n_splits > 1 else (a_seed, b_seed)
        for (a_seed, split), (b_seed, _) in repeats
    ]
    difference = compare_paired(
        np.concatenate([pair.errors["model"] for pair in pairs]),
        np.concatenate([pair.errors["reference"] for pair in pairs]),
        materials.tolist(),
        repeat_ids=[
            label
            for label, pair in zip(labels, pairs, strict=True)
            for _ in pair.material_ids
        ],
        weights=np.concatenate([pair.weights["model"] for pair in pairs]),
    )
    if difference is None:
        return None
    return _Compared(model, difference, len(np.unique(materials)), len(repeats))


def _match_repeats(
    of_model: Sequence[Repeat], of_reference: Sequence[Repeat]
) -> list[tuple[Repeat, Repeat]]:
    """Match repeats of the same split and seed; without training, any seed."""
    return [
        (a, b)
        for a in of_model
        for b in of_reference
        if a[1] == b[1] and (a[0] == b[0] or None in {a[0], b[0]})
    ]


def _pair(model: FrameErrors, reference: FrameErrors, name: str) -> FrameErrors:
    """Pair the errors of the frames for which both models have one."""
    empty = np.empty(0)
    shared, of_model, of_reference = np.intersect1d(
        model.frame_ids, reference.frame_ids, assume_unique=True, return_indices=True
    )
    if name not in model.errors or name not in reference.errors:
        shared, of_model, of_reference = shared[:0], of_model[:0], of_reference[:0]
    a = model.errors.get(name, empty)[of_model]
    b = reference.errors.get(name, empty)[of_reference]
    known = np.isfinite(a) & np.isfinite(b)
    return FrameErrors(
        frame_ids=shared[known],
        material_ids=model.material_ids[of_model][known],
        weights={"model": model.weights.get(name, empty)[of_model][known]},
        errors={"model": a[known], "reference": b[known]},
    )
