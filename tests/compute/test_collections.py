from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.made_up_study import (
    MATERIALS,
    make_artifact,
    make_dataset,
    make_density,
    make_evaluation,
    make_fine_tuning,
    make_provenance,
    make_scaling_law,
    make_stability,
    tabulate,
)
from tests.made_up_study.physics import make_physics

from nextrung.compute.collections import (
    RelaxationSummary,
    describe_materials,
    describe_model,
    list_densities,
    list_metrics,
    list_physics,
    list_relaxations,
    list_residuals,
    list_scaling,
    list_stability,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import Model
from nextrung.schemas.physics import Measure
from nextrung.schemas.relaxation import (
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
    ShardDoc,
    ShardPlan,
)
from nextrung.schemas.stability import CompetingPhase

if TYPE_CHECKING:
    from nextrung.schemas.stores.collections import RelaxationRow

ORIGIN = dict.fromkeys(("study", "job_uuid", "fingerprint", "completed_at"), "x")


def test_the_row_of_a_trained_model_has_its_labels_and_best_epoch() -> None:
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


def test_rows_of_points_have_the_slope_of_their_power_law() -> None:
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


@pytest.fixture
def initial() -> Frames:
    rocksalt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    frames = Frames.from_structures([rocksalt], ["m-1"])
    return replace(frames, splits=np.array(["test"]))


def rows_of(initial: Frames, summary: RelaxationSummary) -> list[RelaxationRow]:
    shard = ShardDoc(
        plan=ShardPlan(
            model="scratch",
            checkpoint=make_artifact("c"),
            materials=make_artifact("m"),
            shard=3,
            n_shards=4,
            parents={},
        ),
        settings=RelaxationSettings(),
        n_materials=1,
        records=make_artifact("relaxations/r"),
        provenance=make_provenance("shard"),
    )
    materials = describe_materials(initial)
    return list_relaxations(shard, [summary], materials=materials, origin=ORIGIN)


def test_energies_and_volumes_are_per_atom(initial: Frames) -> None:
    record = RelaxationRecord(
        status=RelaxationStatus.CONVERGED,
        energy=-48.0,
        initial_energy=-40.0,
        structure=None,
        n_steps=7,
        fmax=0.05,
    )
    (row,) = rows_of(initial, RelaxationSummary("m-1", record, 80.0))

    assert (row.energy_per_atom, row.initial_energy_per_atom) == (-6.0, -5.0)
    assert row.volume_per_atom == 10.0
    assert row.initial_volume_per_atom == pytest.approx(4.2**3 / 8)
    assert (row.formula, row.elements, row.n_atoms) == ("MgO", ("Mg", "O"), 8)
    assert (row.chemical_system, row.split, row.shard) == ("Mg-O", "test", 3)
    assert not row.failed


def test_a_failed_relaxation_is_a_row_with_its_reason(initial: Frames) -> None:
    record = RelaxationRecord(
        status=RelaxationStatus.NON_FINITE,
        energy=None,
        structure=None,
        n_steps=2,
        error="the energy is not finite",
    )
    (row,) = rows_of(initial, RelaxationSummary("m-1", record, None))

    assert row.failed
    assert row.error == "the energy is not finite"
    assert row.energy_per_atom is row.volume_per_atom is None


def test_decomposition_energy_errors_are_model_minus_label() -> None:
    rows = list_stability(make_stability(Model.SCRATCH, 0.05), ORIGIN)

    lost = [row for row in rows if row.decomposition_energy_error is None]
    assert [row.formula for row in lost] == ["LiO2"]
    for row in rows:
        if row not in lost:
            assert row.decomposition_energy_error == pytest.approx(0.05)
            assert row.elements == tuple(row.chemical_system.split("-"))


def test_products_are_listed_by_formula() -> None:
    hull = make_stability(Model.SCRATCH, 0.05)
    phases = (
        CompetingPhase(entry_id="m-Li2O", formula="Li2O", amount=0.6),
        CompetingPhase(entry_id="m-O2", formula="O2", amount=0.4),
    )
    row = hull.rows.to_records()[4].model_copy(
        update={"predicted_competing_phases": phases}
    )

    (flat,) = list_stability(hull.model_copy(update={"rows": tabulate([row])}), ORIGIN)

    assert flat.predicted_products == ("Li2O", "O2")
    assert flat.target_products == ()


def test_every_test_of_a_crystal_is_a_row() -> None:
    physics = make_physics(Model.SOURCE)

    rows = list_physics(physics, ORIGIN)

    assert [(row.crystal_id, row.measure) for row in rows] == [
        ("Si diamond", Measure.C44),
        ("MgO rocksalt", Measure.C44),
    ]
    assert [row.value for row in rows] == [39.8, None]
    assert [row.passed for row in rows] == [False, False]
    assert rows[1].error == "no reference energy of Mg"


def test_every_crystal_has_a_row_with_its_densities() -> None:
    densities = make_density(Model.SOURCE, 0.05)

    rows = list_densities(densities, ORIGIN)

    assert [row.material_id for row in rows] == [r.crystal_id for r in densities.rows]
    assert [row.ratio for row in rows] == [r.ratio for r in densities.rows]
