from __future__ import annotations

import pytest
from tests.made_up_study import MATERIALS, make_evaluation

from nextrung.compute.collections import list_metrics, list_residuals
from nextrung.schemas.models import Model

ORIGIN = dict.fromkeys(("study", "job_uuid", "fingerprint", "completed_at"), "x")


def test_every_split_has_a_row() -> None:
    rows = list_metrics(make_evaluation(Model.SCRATCH, 0.1), ORIGIN)

    assert [row.split for row in rows] == ["train", "val", "test"]
    assert {(row.model, row.energy_mae) for row in rows} == {("scratch", 0.1)}


def test_errors_of_a_material_are_means_over_its_frames() -> None:
    """Its three frames are off by -0.5, 0.5 and 1.5 times the error."""
    rows = list_residuals(make_evaluation(Model.SCRATCH, 0.1), ORIGIN)

    assert [row.material_id for row in rows] == [f"m-{each[0]}" for each in MATERIALS]
    for row in rows:
        assert row.n_frames == 3
        assert row.energy_mae == pytest.approx(0.1 * 2.5 / 3)
        assert row.worst_frame_id == f"{row.formula}-2"
        assert row.worst_energy_error == pytest.approx(0.15)
        assert row.magmoms_mae is None
    assert rows[-1].elements == ("Li", "Mn", "O")


def test_a_material_without_energies_has_no_worst_frame() -> None:
    evaluation = make_evaluation(Model.SCRATCH, 0.1)
    frames = evaluation.rows.model_copy(
        update={"energy_per_atom": [None] * len(evaluation.rows.frame_id)}
    )

    rows = list_residuals(evaluation.model_copy(update={"rows": frames}), ORIGIN)

    assert {row.energy_mae for row in rows} == {None}
    assert {row.worst_frame_id for row in rows} == {None}
    assert [row.forces_mae for row in rows] == pytest.approx([0.05] * len(rows))
