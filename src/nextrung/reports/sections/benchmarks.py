"""What every model is scored on: the columns of Table 1 of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nextrung.schemas.study import ModelSummary


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
    unit : str
        Unit of the shown value; empty for a count.
    factor : float
        Factor from the stored to the shown unit.
    digits : int
        Decimals shown.
    stage : str
        Stage that computed it.
    read : callable
        Finds the stored value of a model; None where it is missing.
    """

    key: str
    title: str
    meaning: str
    unit: str
    factor: float
    digits: int
    stage: str
    read: Callable[[ModelSummary], float | None]


def _read_test(name: str) -> Callable[[ModelSummary], float | None]:
    """Read an error of the test split."""

    def read(summary: ModelSummary) -> float | None:
        errors = summary.metrics.get("test")
        value: float | None = getattr(errors, name) if errors else None
        return value

    return read


def _read_stage(stage: str, name: str) -> Callable[[ModelSummary], float | None]:
    """Read a value of a stage that may have been left out."""

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
        "meV/atom",
        1000,
        1,
        "evaluation",
        _read_test("energy_mae"),
    ),
    Column(
        "forces",
        "F",
        "Forces, mean absolute error over components of test frames",
        "meV/Å",
        1000,
        1,
        "evaluation",
        _read_test("forces_mae"),
    ),
    Column(
        "stress",
        "S",
        "Stress, mean absolute error over the nine components of test frames",
        "GPa",
        1,
        3,
        "evaluation",
        _read_test("stress_mae"),
    ),
    Column(
        "magmoms",
        "M",
        "Magnetic moments, mean absolute error over labelled atoms of test frames",
        "μ_B",
        1,
        3,
        "evaluation",
        _read_test("magmoms_mae"),
    ),
    Column(
        "decomposition_energy",
        "E_decomp",
        "Decomposition energy, mean absolute error over test materials",
        "meV/atom",
        1000,
        1,
        "stability",
        _read_stage("stability", "decomposition_energy_mae"),
    ),
    Column(
        "formation_energy",
        "E_form",
        "Formation energy, mean absolute error over all materials",
        "meV/atom",
        1000,
        1,
        "stability",
        _read_stage("stability", "formation_energy_mae"),
    ),
    Column(
        "density",
        "Density",
        "Density, mean absolute error over the experimental crystals whose elements "
        "the model knows, which differ between models",
        "g/cm³",
        1,
        3,
        "density",
        _read_stage("density", "mae"),
    ),
    Column(
        "failed_relaxations",
        "Failed",
        "Relaxations that gave no energy",
        "",
        1,
        0,
        "stability",
        _read_stage("stability", "n_failed_relaxations"),
    ),
)


def find_best(models: Mapping[str, ModelSummary], column: Column) -> set[str]:
    """Find the models with the lowest value of a column.

    Parameters
    ----------
    models : mapping of str to ModelSummary
        Scores by model.
    column : Column
        The benchmark.

    Returns
    -------
    set of str
        The best models; empty where all are equal and none is better.
    """
    values = {model: column.read(summary) for model, summary in models.items()}
    known = {model: value for model, value in values.items() if value is not None}
    lowest = min(known.values(), default=None)
    best = {model for model, value in known.items() if value == lowest}
    return set() if len(best) == len(known) > 1 else best
