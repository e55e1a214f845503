from __future__ import annotations

import numpy as np
import pytest
from tests.made_up_study import make_density, make_hulls, tabulate
from tests.made_up_study.models import make_evaluation

from nextrung.compute.intervals import EVERY, collect_errors, tabulate_errors
from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals
from nextrung.schemas.models import Model
from nextrung.schemas.stability.table import LoadedStability

ROWS = FrameResiduals(
    frame_id=["a", "b", "c"],
    material_id=["m", "n", "o"],
    formula=["Li"] * 3,
    split=["test", "train", "test"],
    n_atoms=[2, 3, 4],
    energy_per_atom=[1.0, 1.0, None],
    predicted_energy_per_atom=[1.5, 9.0, 2.0],
    forces_mae=[0.1, 0.2, 0.3],
    stress_mae=[None, 1.0, 2.0],
    magmoms_mae=[None, None, None],
    forces_baseline_mae=[0.4, 0.5, 0.6],
)


def evaluate(rows: FrameResiduals) -> EvaluationDoc:
    return make_evaluation(Model.SOURCE, 1.0).model_copy(update={"rows": rows})


def test_errors_are_those_of_the_frames_of_a_split() -> None:
    found = collect_errors(evaluate(ROWS))["test"]
    assert set(found) == {"energy", "forces", "stress"}
    assert found["energy"].names.tolist() == ["a"]
    assert found["energy"].values.tolist() == [0.5]
    assert np.isnan(found["energy"].baselines).all()
    assert found["forces"].material_ids.tolist() == ["m", "o"]
    assert found["forces"].weights.tolist() == [2, 4]
    assert found["forces"].mean == pytest.approx((2 * 0.1 + 4 * 0.3) / 6)
    assert found["forces"].of_baseline().values.tolist() == [0.4, 0.6]
    assert found["stress"].weights.tolist() == [1]
    assert len(found["energy"].of_baseline()) == 0


def test_forces_are_left_out_where_numbers_of_atoms_were_not_kept() -> None:
    rows = ROWS.model_copy(update={"n_atoms": []})
    assert set(collect_errors(evaluate(rows))["test"]) == {"energy", "stress"}


def test_hulls_have_errors_of_each_split_and_of_all_materials() -> None:
    (hull,) = make_hulls({Model.SCRATCH: (0.1, 0.2)}, n_materials=7).values()
    found = collect_errors(hull)
    sizes = {split: len(found[split]["formation_energy"]) for split in found}
    assert sizes == {"test": 7, "val": 7, EVERY: 14}
    errors = found["test"]["decomposition_energy"]
    assert errors.values == pytest.approx(0.1, rel=0.2)
    assert errors.baselines == pytest.approx(0.1)


def test_elements_of_hulls_can_be_left_out() -> None:
    (hull,) = make_hulls({Model.SCRATCH: (0.1, 0.2)}, n_materials=7).values()
    assert isinstance(hull, LoadedStability)
    rows = hull.rows.to_records()
    element = rows[0].model_copy(update={"chemical_system": "Li"})
    changed = hull.model_copy(update={"rows": tabulate([element, *rows[1:]])})
    errors = collect_errors(changed)["test"]["formation_energy"]
    assert (len(errors), len(errors.drop_elements())) == (7, 6)


def test_densities_count_as_tested() -> None:
    density = make_density(Model.SOURCE, 1.0)
    errors = collect_errors(density)["test"]["density"]
    known = [row for row in density.rows if row.ratio is not None]
    assert errors.names.tolist() == [row.crystal_id for row in known]


def test_errors_are_tabulated_by_property_model_and_repeat() -> None:
    errors = collect_errors(evaluate(ROWS))
    listed = [("source", (None, split), errors) for split in (0, 1)]
    table = tabulate_errors(listed, "test")
    assert list(table["energy"]["source"]) == [(None, 0), (None, 1)]
    assert tabulate_errors(listed, "val") == {}
