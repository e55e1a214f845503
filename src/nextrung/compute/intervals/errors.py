"""Absolute errors of one model, row by row: frames, materials or crystals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.stability.table import LoadedStability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.evaluation import FrameResiduals
    from nextrung.schemas.models import FinishedPotential
    from nextrung.schemas.stability.table import StabilityTable

#: Seed of the training, None without one, and seed of the split.
Repeat = tuple[int | None, int]

#: Splits whose errors are collected, and the name for materials of every split.
SPLITS, EVERY = ("val", "test"), "all"


@dataclass(frozen=True, eq=False)
class Errors:
    """Absolute errors of one model on one benchmark in one repeat.

    Parameters
    ----------
    names, material_ids : ndarray of str, shape (n,)
        Name of each frame, material or crystal, and its material; for experimental
        densities, its crystal.
    values : ndarray of float, shape (n,)
        Absolute error of each in stored units; finite.
    weights : ndarray of float, shape (n,)
        Weight of each in the mean, such as the number of atoms.
    baselines : ndarray of float, shape (n,)
        Absolute error of the baseline: zero, or the atomic references alone for
        energies; nan where there is none.
    elements : ndarray of bool, shape (n,)
        Whether each is an elemental phase in a hull.
    """

    names: NDArray[np.str_]
    material_ids: NDArray[np.str_]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    baselines: NDArray[np.float64]
    elements: NDArray[np.bool_]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.values)

    @cached_property
    def mean(self) -> float:
        """Mean absolute error by weight."""
        return float(np.average(self.values, weights=self.weights))

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Errors:
        """Take some rows.

        Parameters
        ----------
        chosen : ndarray of bool or int
            Mask or indices of the rows.
        """
        if chosen.dtype == bool and chosen.all():
            return self
        return Errors(
            self.names[chosen],
            self.material_ids[chosen],
            self.values[chosen],
            self.weights[chosen],
            self.baselines[chosen],
            self.elements[chosen],
        )

    def drop_elements(self) -> Errors:
        """Drop elemental phases, whose error in a hull is zero by definition."""
        return self.take(~self.elements)

    def of_baseline(self) -> Errors:
        """Return the errors of the baseline on the rows that have one."""
        known = self.take(np.isfinite(self.baselines))
        return replace(known, values=known.baselines)


#: Errors by split and by property.
ErrorsBySplit = dict[str, dict[str, Errors]]

#: Errors by property, model and repeat.
ErrorTable = dict[str, dict[str, dict[Repeat, Errors]]]


def tabulate_errors(
    collected: Iterable[tuple[str, Repeat, ErrorsBySplit]], split: str
) -> ErrorTable:
    """Tabulate the errors of all models and repeats on one split.

    Parameters
    ----------
    collected : iterable of tuple
        Model, repeat and errors of each document.
    split : str
        The split, or :data:`EVERY`.
    """
    table: ErrorTable = {}
    for model, repeat, errors in collected:
        for name, found in errors.get(split, {}).items():
            table.setdefault(name, {}).setdefault(model, {})[repeat] = found
    return table


def select_compared(
    name: str,
    models: Mapping[str, Mapping[Repeat, Errors]],
    finished: Mapping[str, FinishedPotential],
) -> dict[str, Mapping[Repeat, Errors]]:
    """Select the models whose errors of a property can be compared.

    Parameters
    ----------
    name : str
        The property.
    models : mapping of str to mapping of Repeat to Errors
        Errors of each model in each repeat.
    finished : mapping of str to FinishedPotential
        Finished potentials among them, by name; their energies are compared where
        their functional is that of the labels.
    """
    return {
        model: repeats
        for model, repeats in models.items()
        if model not in finished or finished[model].is_compared(name)
    }


def collect_errors(document: TaskDoc) -> ErrorsBySplit:
    """Collect the errors of a document of the stages that score models.

    Parameters
    ----------
    document : TaskDoc
        An evaluation, a hull with its rows or densities of experimental crystals.

    Returns
    -------
    dict of str to dict of str to Errors
        Errors by split and property, without what lacks a label or a prediction;
        of hulls also those of every split, by :data:`EVERY`. Densities are in no split
        and count as tested. Forces and moments are missing where a document lacks
        the numbers of atoms, by which they are weighted. Empty for other documents.
    """
    match document:
        case EvaluationDoc():
            found = {split: _collect_frames(document.rows, split) for split in SPLITS}
        case LoadedStability():
            found = {
                split: _collect_materials(document.rows, split)
                for split in (*SPLITS, EVERY)
            }
        case DensityDoc():
            found = {"test": {"density": _collect_crystals(document)}}
        case _:
            found = {}
    return {
        split: {name: errors for name, errors in columns.items() if len(errors)}
        for split, columns in found.items()
    }


def _collect_frames(rows: FrameResiduals, split: str) -> dict[str, Errors]:
    """Collect the errors of the frames of one split."""
    chosen = np.array(rows.split, dtype=str) == split
    names = np.array(rows.frame_id, dtype=str)[chosen]
    materials = np.array(rows.material_id, dtype=str)[chosen]
    energies = _subtract(rows.predicted_energy_per_atom, rows.energy_per_atom)
    values = {
        "energy": (energies, rows.energy_baseline_mae),
        "stress": (_fill(rows.stress_mae), rows.stress_baseline_mae),
    }
    if rows.n_atoms:
        values["forces"] = (_fill(rows.forces_mae), rows.forces_baseline_mae)
        values["magmoms"] = (_fill(rows.magmoms_mae), rows.magmoms_baseline_mae)
    n_atoms = _fill(rows.n_atoms)[chosen] if rows.n_atoms else None
    return {
        name: _select_known(
            names,
            materials,
            errors[chosen],
            baselines=_fill(baselines)[chosen] if baselines else None,
            weights=n_atoms if name in {"forces", "magmoms"} else None,
        )
        for name, (errors, baselines) in values.items()
    }


def _collect_materials(rows: StabilityTable, split: str) -> dict[str, Errors]:
    """Collect the errors of decomposition and formation energies."""
    chosen = (rows.split == split) | (split == EVERY)
    names = rows.material_id[chosen]
    elements = np.strings.find(rows.chemical_system[chosen], "-") < 0
    energies = {
        "decomposition_energy": (
            rows.target_decomposition_energy[chosen],
            rows.predicted_decomposition_energy[chosen],
        ),
        "formation_energy": (
            rows.target_formation_energy[chosen],
            rows.predicted_formation_energy[chosen],
        ),
    }
    return {
        name: _select_known(
            names,
            names,
            np.abs(predictions - labels),
            baselines=np.abs(labels),
            elements=elements,
        )
        for name, (labels, predictions) in energies.items()
    }


def _collect_crystals(document: DensityDoc) -> Errors:
    """Collect the errors of the densities of converged relaxations."""
    rows = [row for row in document.rows if row.ratio is not None]
    names = np.array([row.crystal_id for row in rows], dtype=str)
    errors = _subtract(
        [row.predicted_density for row in rows],
        [row.experimental_density for row in rows],
    )
    return _select_known(names, names, errors)


def _subtract(
    predictions: Sequence[float | None], labels: Sequence[float | None]
) -> NDArray[np.float64]:
    """Compute absolute errors; nan where a value is missing."""
    return np.abs(_fill(predictions) - _fill(labels))


def _fill(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Fill missing values with nan."""
    return np.array(values, dtype=np.float64)


def _select_known(
    names: NDArray[np.str_],
    material_ids: NDArray[np.str_],
    values: NDArray[np.float64],
    *,
    baselines: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
    elements: NDArray[np.bool_] | None = None,
) -> Errors:
    """Build errors of the rows that have one."""
    n_rows = len(values)
    errors = Errors(
        names,
        material_ids,
        values,
        np.ones(n_rows) if weights is None else weights,
        np.full(n_rows, np.nan) if baselines is None else baselines,
        np.zeros(n_rows, dtype=bool) if elements is None else elements,
    )
    return errors.take(np.isfinite(values))


def match_repeats(
    of_model: Mapping[Repeat, Errors], of_reference: Mapping[Repeat, Errors]
) -> list[tuple[Repeat, Repeat]]:
    """Match repeats of the same split and seed; without training, any seed.

    Parameters
    ----------
    of_model, of_reference : mapping of Repeat to Errors
        Errors of two models in each of their repeats.
    """
    return [
        (a, b)
        for a in of_model
        for b in of_reference
        if a[1] == b[1] and (a[0] == b[0] or None in {a[0], b[0]})
    ]
