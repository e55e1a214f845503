"""The paper's values."""

from __future__ import annotations

from nextrung.reports.sections.benchmarks import COLUMNS
from nextrung.reports.sections.published_values import SLOPES, TABLE_1
from nextrung.schemas.models import Model


def test_the_paper_trains_four_models() -> None:
    assert set(TABLE_1) == {
        Model.SCRATCH,
        Model.TRAINABLE_ATOM_REFS,
        Model.FROZEN_ATOM_REFS,
        Model.REFITTED_ATOM_REFS,
    }


def test_every_value_of_the_paper_has_a_column() -> None:
    keys = {column.key for column in COLUMNS}
    assert all(set(values) <= keys for values in TABLE_1.values())


def test_refitted_atom_refs_are_best_except_for_magnetic_moments() -> None:
    for key in TABLE_1[Model.SCRATCH]:
        best = min(TABLE_1, key=lambda model: TABLE_1[model][key])
        assert best == (Model.SCRATCH if key == "magmoms" else Model.REFITTED_ATOM_REFS)


def test_scratch_falls_faster_than_transfer() -> None:
    for slopes in SLOPES.values():
        assert slopes[Model.SCRATCH] < slopes[Model.REFITTED_ATOM_REFS] < 0
