from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.crystals.elastic_crystals import digest_elastic_crystals
from nextrung.makers.physics import PhysicsMaker
from nextrung.makers.study import StudyMaker
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import StudySettings


def test_every_model_is_tested(documents: dict[str, Any]) -> None:
    physics = documents["physics/source"]

    assert [row.measure for row in physics.rows] == [
        "lattice_parameter",
        "bulk_modulus",
    ]
    assert all(row.value > 0 for row in physics.rows)
    assert physics.labels == "GGA/GGA+U (MP2020-corrected)"


def test_other_references_are_no_forgetting_and_another_network_is(
    documents: dict[str, Any],
) -> None:
    """The source has no deviation from itself, nor has it with moved references."""
    forgetting = {
        model: documents[f"physics/{model}"].forgetting
        for model in (Model.SOURCE, Model.SOURCE_RESIDUAL, Model.SCRATCH)
    }

    assert forgetting[Model.SOURCE].forces_mae == 0
    assert forgetting[Model.SOURCE].n_structures == 51
    moved = forgetting[Model.SOURCE_RESIDUAL]
    assert moved.deformation_energy_mae < 1e-4  # float32
    assert moved.n_crystals + moved.n_without_value == 51
    assert 0 < moved.n_crystals < 51  # elements of the data set alone
    assert forgetting[Model.SCRATCH].forces_mae > 1e-3


def test_relaxed_structures_are_compared_with_the_labels_of_the_study(
    documents: dict[str, Any],
) -> None:
    fidelity = documents["physics/source"].fidelity

    assert fidelity["all"].n_materials > 0
    parts = [errors for part, errors in fidelity.items() if part != "all"]
    assert fidelity["all"].n_materials == sum(errors.n_materials for errors in parts)


def test_the_summary_of_the_study_has_the_scores(documents: dict[str, Any]) -> None:
    """Copied field by field into the results, the rows left out."""
    physics = documents["physics/scratch"]

    assert physics.n_values == len(physics.rows) == 2
    assert physics.n_passed <= physics.n_values


def test_a_study_tests_physics_only_where_it_is_asked_to(
    study_settings: StudySettings,
) -> None:
    without = study_settings.model_copy(update={"physics": None})
    names = [job.name for job in StudyMaker(without).make().jobs]

    assert not any(name.startswith(PhysicsMaker.name) for name in names)


def test_the_digest_is_that_of_the_crystals() -> None:
    assert PhysicsMaker().digest_files() == digest_elastic_crystals()
