"""The columns of Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.reports.sections.benchmarks import COLUMNS, find_best
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import ModelSummary, StudyDoc, StudyResults


@pytest.fixture
def results(study: StudyDoc) -> StudyResults:
    return study.results


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


def test_a_stage_left_out_has_no_value(results: StudyResults) -> None:
    left_out: dict[str, object] = {"stability": None, "density": None, "metrics": {}}
    bare = results.models[Model.SCRATCH].model_copy(update=left_out)
    assert {column.read(bare) for column in COLUMNS} == {None}


def test_the_lowest_value_is_the_best(results: StudyResults) -> None:
    assert find_best(results.models, COLUMNS[0]) == {Model.RESIDUAL_ATOM_REFS}


def test_nothing_is_best_where_all_are_equal(results: StudyResults) -> None:
    twins: dict[str, ModelSummary] = {
        Model.SCRATCH: results.models[Model.SCRATCH],
        Model.SOURCE: results.models[Model.SCRATCH],
    }
    assert find_best(twins, COLUMNS[0]) == set()
    assert find_best({}, COLUMNS[0]) == set()
