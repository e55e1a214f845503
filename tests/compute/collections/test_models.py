from __future__ import annotations

from tests.made_up_study import make_dataset, make_fine_tuning, make_scaling_law

from nextrung.compute.collections import describe_model, list_scaling
from nextrung.schemas.models import Model

ORIGIN = dict.fromkeys(("study", "job_uuid", "fingerprint", "completed_at"), "x")


def test_a_trained_model_names_its_labels_and_its_best_epoch() -> None:
    made, dataset = make_fine_tuning(Model.REFITTED_ATOM_REFS, 0.02), make_dataset()

    (row,) = describe_model(made, dataset, ORIGIN)

    assert row.frames_sha256 == dataset.frames.sha256
    assert row.checkpoint_sha256 == made.checkpoint.sha256
    assert (row.epochs, row.best_epoch) == (3, 3)
    assert row.val_energy_mae == made.history[2].val.energy_mae
    assert (row.pretrained, row.rereference) == (True, "refit")


def test_an_untrained_model_has_no_training() -> None:
    (row,) = describe_model(make_fine_tuning(Model.SOURCE, 2.3), None, ORIGIN)

    assert (row.labels, row.epochs, row.val_energy_mae) == (None, None, None)
    assert row.n_train_frames == 0


def test_points_stand_beside_their_law() -> None:
    law = make_scaling_law()

    rows = list_scaling(law, ORIGIN)

    slopes = {(row.model, row.energy_slope) for row in rows}
    assert slopes == {
        (Model.REFITTED_ATOM_REFS, -0.3),
        (Model.SCRATCH, -0.6),
        (Model.SOURCE_REFIT, None),  # one point, no law
    }
    assert [row.n_frames for row in rows] == [point.n_frames for point in law.points]
    assert {row.forces_slope for row in rows} == {None}
