"""95 % intervals of the numbers of Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals import estimate_interval
from nextrung.reports.sections.section import documents_of
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.stability import StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc

#: Low and high end by model and key of the column.
Intervals = dict[tuple[str, str], tuple[float, float]]

#: Material, absolute error (None where it is missing) and weight.
_Errors = list[tuple[str, float | None, float]]


def estimate_intervals(documents: Mapping[str, TaskDoc]) -> Intervals:
    """Estimate intervals of all means whose single errors the documents list.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.

    Returns
    -------
    dict
        Intervals in stored units. Errors of forces and moments have none where the
        documents lack the number of atoms of each frame, which is their weight.
    """
    found: Intervals = {}
    for model, document in documents_of(documents, "evaluation", EvaluationDoc).items():
        found |= _estimate(model, _read_frames(document))
    for model, hull in documents_of(documents, "stability", StabilityDoc).items():
        found |= _estimate(model, _read_materials(hull))
    for model, crystals in documents_of(documents, "density", DensityDoc).items():
        found |= _estimate(model, {"density": _read_crystals(crystals)})
    return found


def _estimate(model: str, columns: Mapping[str, _Errors]) -> Intervals:
    """Estimate the intervals of the columns of one model."""
    found: Intervals = {}
    for key, errors in columns.items():
        known = [(n, error, weight) for n, error, weight in errors if error is not None]
        interval = estimate_interval(
            [error for _, error, _ in known],
            [name for name, *_ in known],
            weights=[weight for *_, weight in known],
        )
        if interval is not None:
            found[model, key] = interval
    return found


def _read_frames(document: EvaluationDoc) -> dict[str, _Errors]:
    """Read the errors of the test frames; those per site are weighted by atoms."""
    rows = document.rows
    test = [index for index, split in enumerate(rows.split) if split == "test"]
    names = rows.material_id
    found: dict[str, _Errors] = {
        "energy": [
            (
                names[i],
                _subtract(rows.energy_per_atom[i], rows.predicted_energy_per_atom[i]),
                1,
            )
            for i in test
        ],
        "stress": [(names[i], rows.stress_mae[i], 1) for i in test],
    }
    if rows.n_atoms:
        of_sites = {"forces": rows.forces_mae, "magmoms": rows.magmoms_mae}
        for key, errors in of_sites.items():
            found[key] = [(names[i], errors[i], rows.n_atoms[i]) for i in test]
    return found


def _read_materials(document: StabilityDoc) -> dict[str, _Errors]:
    """Read the errors of test (decomposition) and of all materials (formation)."""
    return {
        "decomposition_energy": [
            (
                row.material_id,
                _subtract(
                    row.target_decomposition_energy, row.predicted_decomposition_energy
                ),
                1,
            )
            for row in document.rows
            if row.split == "test"
        ],
        "formation_energy": [
            (
                row.material_id,
                _subtract(row.target_formation_energy, row.predicted_formation_energy),
                1,
            )
            for row in document.rows
        ],
    }


def _read_crystals(document: DensityDoc) -> _Errors:
    """Read the errors of the densities of converged relaxations."""
    return [
        (row.crystal_id, _subtract(row.experimental_density, row.predicted_density), 1)
        for row in document.rows
        if row.ratio is not None
    ]


def _subtract(label: float | None, prediction: float | None) -> float | None:
    """Compute an absolute error; None where a value is missing."""
    if label is None or prediction is None:
        return None
    return abs(prediction - label)
