"""Absolute errors of single frames, materials and crystals, by benchmark and model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nextrung.reports.sections.section import documents_of
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.stability import StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.evaluation import FrameResiduals
    from nextrung.schemas.stability import StabilityRecord


class Residual(NamedTuple):
    """Absolute error of one frame, material or crystal, in stored units.

    Parameters
    ----------
    material_id : str
        Its material; for experimental densities, its crystal.
    error : float
        Absolute error of the model.
    baseline : float or None
        Absolute error of the baseline: zero, or the atomic references alone for
        energies; None where there is none.
    weight : float
        Its weight in the mean, such as the number of atoms.
    is_element : bool
        Whether it is an elemental phase in a hull.
    """

    material_id: str
    error: float
    baseline: float | None
    weight: float = 1.0
    is_element: bool = False


#: Residuals by id of the frame, material or crystal.
Residuals = dict[str, Residual]

#: Residuals by key of the column of Table 1 and by model.
ResidualTable = dict[str, dict[str, Residuals]]


def read_residuals(
    documents: Mapping[str, TaskDoc], split: str | None
) -> ResidualTable:
    """Read the residuals of all models and benchmarks.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.
    split : str or None
        Split of the frames and materials; None for those of every split. Experimental
        crystals are in no split and are always read.

    Returns
    -------
    dict of str to dict
        Residuals by column and model, without what lacks a label or a prediction.
        Forces and moments are missing where documents lack the numbers of atoms.
    """
    table: ResidualTable = {}
    for model, document in documents_of(documents, "evaluation", EvaluationDoc).items():
        _add(table, model, _read_frames(document.rows, split))
    for model, hull in documents_of(documents, "stability", StabilityDoc).items():
        rows = [row for row in hull.rows if split in {None, row.split}]
        _add(table, model, _read_materials(rows))
    for model, crystals in documents_of(documents, "density", DensityDoc).items():
        _add(table, model, {"density": _read_crystals(crystals)})
    return table


def select_common(models: Mapping[str, Residuals]) -> set[str]:
    """Select the frames, materials or crystals that all models have an error of.

    Parameters
    ----------
    models : mapping of str to dict
        Residuals by model.

    Returns
    -------
    set of str
        Their ids.
    """
    found = [set(residuals) for residuals in models.values()]
    return set.intersection(*found) if found else set()


def average(residuals: Iterable[Residual]) -> float | None:
    """Average the errors by weight.

    Parameters
    ----------
    residuals : iterable of Residual
        Errors of one model.

    Returns
    -------
    float or None
        Mean absolute error; None without residuals.
    """
    listed = list(residuals)
    weight = sum(residual.weight for residual in listed)
    return sum(r.error * r.weight for r in listed) / weight if weight else None


def _add(table: ResidualTable, model: str, found: Mapping[str, Residuals]) -> None:
    """Add the residuals of one model that has any."""
    for key, residuals in found.items():
        if residuals:
            table.setdefault(key, {})[model] = residuals


def _read_frames(rows: FrameResiduals, split: str | None) -> dict[str, Residuals]:
    """Read the errors of frames; those per site are weighted by atoms."""
    chosen = [i for i, name in enumerate(rows.split) if split in {None, name}]
    energies = [
        _subtract(label, prediction)
        for label, prediction in zip(
            rows.energy_per_atom, rows.predicted_energy_per_atom, strict=True
        )
    ]
    columns = {
        "energy": (energies, rows.energy_baseline_mae, False),
        "forces": (rows.forces_mae, rows.forces_baseline_mae, True),
        "stress": (rows.stress_mae, rows.stress_baseline_mae, False),
        "magmoms": (rows.magmoms_mae, rows.magmoms_baseline_mae, True),
    }
    return {
        key: {
            rows.frame_id[i]: Residual(
                rows.material_id[i],
                error,
                baselines[i] if baselines else None,
                rows.n_atoms[i] if per_site else 1,
            )
            for i in chosen
            if (error := errors[i]) is not None
        }
        for key, (errors, baselines, per_site) in columns.items()
        if rows.n_atoms or not per_site
    }


def _read_materials(rows: Sequence[StabilityRecord]) -> dict[str, Residuals]:
    """Read the errors of decomposition and formation energies."""
    found: dict[str, Residuals] = {"decomposition_energy": {}, "formation_energy": {}}
    for row in rows:
        energies = {
            "decomposition_energy": (
                row.target_decomposition_energy,
                row.predicted_decomposition_energy,
            ),
            "formation_energy": (
                row.target_formation_energy,
                row.predicted_formation_energy,
            ),
        }
        for key, (label, prediction) in energies.items():
            error = _subtract(label, prediction)
            if error is not None:
                found[key][row.material_id] = Residual(
                    row.material_id,
                    error,
                    None if label is None else abs(label),
                    is_element="-" not in row.chemical_system,
                )
    return found


def _read_crystals(document: DensityDoc) -> Residuals:
    """Read the errors of the densities of converged relaxations."""
    return {
        row.crystal_id: Residual(row.crystal_id, error, None)
        for row in document.rows
        if row.ratio is not None
        and (error := _subtract(row.experimental_density, row.predicted_density))
        is not None
    }


def _subtract(label: float | None, prediction: float | None) -> float | None:
    """Compute an absolute error; None where a value is missing."""
    if label is None or prediction is None:
        return None
    return abs(prediction - label)
