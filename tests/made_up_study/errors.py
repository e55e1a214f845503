"""Evaluations and hulls of many materials whose mean errors are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from tests.made_up_study.models import (
    make_evaluation,
    make_row,
    make_stability,
    tabulate,
)

from nextrung.schemas.evaluation import FrameResiduals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc

#: Models of a study, or names of finished potentials.
Name = TypeVar("Name", bound=str)

#: Errors of the baseline: references alone, zero forces, stresses and moments.
BASELINE = {"energy": 0.3, "forces": 0.07, "stress": 0.26, "magmoms": 0.5}

#: Relative spread of the errors of single frames.
_SPREAD = 0.2


def make_evaluations(
    errors: Mapping[Name, Mapping[str, float]],
    *,
    val_errors: Mapping[Name, Mapping[str, float]] | None = None,
    n_materials: int = 40,
) -> dict[str, TaskDoc]:
    """Build evaluations of test errors, and of validation errors if they differ."""
    splits = {"test": errors, "val": val_errors or errors}
    documents: dict[str, TaskDoc] = {}
    for number, model in enumerate(errors):
        rng = np.random.default_rng(number)
        columns: dict[str, list[float | None]] = {
            f"{name}_{kind}": []
            for name in BASELINE
            for kind in ("mae", "baseline_mae")
        }
        for of_split in splits.values():
            for name, baseline in BASELINE.items():
                mean = of_split[model].get(name)
                factors = 1 + _SPREAD * rng.uniform(-1, 1, n_materials)
                factors /= factors.mean()
                of_frames = [None if mean is None else mean * f for f in factors]
                columns[f"{name}_mae"] += of_frames
                columns[f"{name}_baseline_mae"] += [baseline] * n_materials
        energies = columns.pop("energy_mae")
        names = [f"{split}-{i}" for split in splits for i in range(n_materials)]
        rows = FrameResiduals(
            frame_id=names,
            material_id=names,
            formula=["Li"] * len(names),
            split=[name.partition("-")[0] for name in names],
            n_atoms=[2] * len(names),
            energy_per_atom=[None if e is None else 0.0 for e in energies],
            predicted_energy_per_atom=[e or 0.0 for e in energies],
            **columns,
        )
        made = make_evaluation(model, 1.0)
        documents[f"evaluation/{model}"] = made.model_copy(update={"rows": rows})
    return documents


def make_hulls(
    errors: Mapping[Name, tuple[float, float]], n_materials: int = 40
) -> dict[str, TaskDoc]:
    """Build hulls of these mean errors of decomposition and formation energies."""
    documents: dict[str, TaskDoc] = {}
    for number, (model, (decomposition, formation)) in enumerate(errors.items()):
        rng = np.random.default_rng(number)
        rows = []
        for index in range(2 * n_materials):
            split = "test" if index < n_materials else "val"
            row = make_row(("Li2O", "Li-O", split, -2.0), 0.0)
            first, second = 1 + _SPREAD * rng.uniform(-1, 1, 2)
            changed = {
                "material_id": f"m-{index}",
                "target_decomposition_energy": -0.1,
                "predicted_decomposition_energy": -0.1 + decomposition * first,
                "predicted_formation_energy": -2 + formation * second,
            }
            rows.append(row.model_copy(update=changed))
        made = make_stability(model, 1.0)
        documents[f"stability/{model}"] = made.model_copy(
            update={"rows": tabulate(rows)}
        )
    return documents
