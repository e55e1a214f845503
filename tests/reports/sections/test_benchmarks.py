"""The columns of Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.sections.benchmarks import COLUMNS, find_best
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyResults


def test_columns_read_the_benchmarks_of_the_paper(results: StudyResults) -> None:
    values = {c.key: c.read(results.models[Model.SCRATCH]) for c in COLUMNS}
    assert values == {
        "energy": 0.060,
        "forces": 0.120,
        "stress": 0.6,
        "magmoms": None,
        "decomposition_energy": 0.060,
        "formation_energy": 0.030,
        "density": 0.120,
        "failed_relaxations": 1,
    }


def test_a_missing_stage_has_no_value(results: StudyResults) -> None:
    left_out: dict[str, object] = {"stability": None, "density": None, "metrics": {}}
    bare = results.models[Model.SCRATCH].model_copy(update=left_out)
    assert {column.read(bare) for column in COLUMNS} == {None}


def test_the_lowest_value_is_the_best(results: StudyResults) -> None:
    errors = {m: COLUMNS[0].read(s) for m, s in results.models.items()}
    assert find_best(errors) == [Model.RESIDUAL_ATOM_REFS]


def test_equal_models_are_in_the_order_of_the_paper() -> None:
    errors: dict[str, float | None] = {
        Model.SCRATCH: 1.0,
        Model.SOURCE: 1.0,
        Model.SOURCE_REFIT: None,
    }
    assert find_best(errors) == [Model.SOURCE, Model.SCRATCH]
    assert find_best({"scratch": None}) == []
