"""Benchmarks of Table 1 of the paper, and the best model on each."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import mean
from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import in_order
from nextrung.reports.html.quantities import (
    COUNT,
    DENSITY,
    ENERGY,
    FORCES,
    MAGMOMS,
    STRESS,
    Quantity,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nextrung.schemas.study import ModelSummary, StudyResults


@dataclass(frozen=True)
class Column:
    """One benchmark of Table 1.

    Parameters
    ----------
    key : str
        Name of the column, the same in the paper's table.
    title : str
        Title for readers.
    meaning : str
        What is averaged over what.
    quantity : Quantity
        Unit and decimals.
    stage : str
        Stage that computed it.
    read : callable
        Returns the stored value of a model; None where it is missing.
    read_baseline : callable, optional
        Returns the error of the baseline on what a model was scored on.
    """

    key: str
    title: str
    meaning: str
    quantity: Quantity
    stage: str
    read: Callable[[ModelSummary], float | None]
    read_baseline: Callable[[ModelSummary], float | None] = field(
        default=lambda _: None
    )


def _read_test(name: str) -> Callable[[ModelSummary], float | None]:
    """Read an error of the test split."""

    def read(summary: ModelSummary) -> float | None:
        errors = summary.metrics.get("test")
        value: float | None = getattr(errors, name) if errors else None
        return value

    return read


def _read_stage(stage: str, name: str) -> Callable[[ModelSummary], float | None]:
    """Read a value of a stage that a study may leave out."""

    def read(summary: ModelSummary) -> float | None:
        scores = getattr(summary, stage)
        value: float | None = getattr(scores, name) if scores else None
        return value

    return read


COLUMNS = (
    Column(
        "energy",
        "E",
        "Energy, mean absolute error over test frames",
        ENERGY,
        "evaluation",
        _read_test("energy_mae"),
        _read_test("energy_baseline_mae"),
    ),
    Column(
        "forces",
        "F",
        "Forces, mean absolute error over components of test frames",
        FORCES,
        "evaluation",
        _read_test("forces_mae"),
        _read_test("forces_baseline_mae"),
    ),
    Column(
        "stress",
        "S",
        "Stress, mean absolute error over the nine components of test frames",
        STRESS,
        "evaluation",
        _read_test("stress_mae"),
        _read_test("stress_baseline_mae"),
    ),
    Column(
        "magmoms",
        "M",
        "Magnetic moments, mean absolute error over labelled atoms of test frames",
        MAGMOMS,
        "evaluation",
        _read_test("magmoms_mae"),
        _read_test("magmoms_baseline_mae"),
    ),
    Column(
        "decomposition_energy",
        "E_decomp",
        "Decomposition energy, mean absolute error over test materials",
        ENERGY,
        "stability",
        _read_stage("stability", "decomposition_energy_mae"),
        _read_stage("stability", "decomposition_energy_baseline_mae"),
    ),
    Column(
        "formation_energy",
        "E_form",
        "Formation energy, mean absolute error over all materials",
        ENERGY,
        "stability",
        _read_stage("stability", "formation_energy_mae"),
        _read_stage("stability", "formation_energy_baseline_mae"),
    ),
    Column(
        "density",
        "Density",
        "Density, mean absolute error over the experimental crystals that all models "
        "relax",
        DENSITY,
        "density",
        _read_stage("density", "mae"),
    ),
    Column(
        "failed_relaxations",
        "Failed",
        "Relaxations without energy",
        COUNT,
        "stability",
        _read_stage("stability", "n_failed_relaxations"),
    ),
)


def find_best(errors: Mapping[str, float | None]) -> list[str]:
    """Find the models with the lowest error.

    Parameters
    ----------
    errors : mapping of str to float or None
        Error of each model; None where it is missing.

    Returns
    -------
    list of str
        The best model, or several with the same error, in the paper's order; empty
        where no model has an error.
    """
    known = {m: error for m in in_order(errors) if (error := errors[m]) is not None}
    return [model for model, error in known.items() if error == min(known.values())]


def read_baselines(results: StudyResults) -> dict[str, float]:
    """Read the errors of the baseline.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    dict of str to float
        Error by column, in stored units, of the model that was scored on most frames
        and materials, mean over repeats where these list it: zero forces, stresses,
        moments, decomposition and formation energies; atomic references alone for
        energies.
    """
    found: dict[str, float] = {}
    for model, summary in sorted(results.models.items(), key=_count_scored):
        repeated = results.repeats.get(model)
        repeats = repeated.repeats if repeated else []
        for column in COLUMNS:
            value = column.read_baseline(summary)
            known = [
                r.baseline[column.key] for r in repeats if column.key in r.baseline
            ]
            if value is not None:
                found[column.key] = mean(known) if known else value
    return found


def _count_scored(model: tuple[str, ModelSummary]) -> tuple[int, int]:
    """Count the test frames and the relaxations that a model was scored on."""
    _, summary = model
    errors, hull = summary.metrics.get("test"), summary.stability
    return (
        errors.n_frames if errors else 0,
        hull.n_materials - hull.n_failed_relaxations if hull else 0,
    )
