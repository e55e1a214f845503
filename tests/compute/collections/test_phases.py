from __future__ import annotations

import pytest
from tests.made_up_study import make_density, make_stability

from nextrung.compute.collections import list_densities, list_stability
from nextrung.schemas.models import Model
from nextrung.schemas.stability import CompetingPhase

ORIGIN = dict.fromkeys(("study", "job_uuid", "fingerprint", "completed_at"), "x")


def test_errors_are_model_minus_label() -> None:
    rows = list_stability(make_stability(Model.SCRATCH, 0.05), ORIGIN)

    lost = [row for row in rows if row.decomposition_energy_error is None]
    assert [row.formula for row in lost] == ["LiO2"]
    for row in rows:
        if row not in lost:
            assert row.decomposition_energy_error == pytest.approx(0.05)
            assert row.elements == tuple(row.chemical_system.split("-"))


def test_products_are_named_by_their_formulas() -> None:
    hull = make_stability(Model.SCRATCH, 0.05)
    phases = (
        CompetingPhase(entry_id="m-Li2O", formula="Li2O", amount=0.6),
        CompetingPhase(entry_id="m-O2", formula="O2", amount=0.4),
    )
    row = hull.rows[4].model_copy(update={"predicted_competing_phases": phases})

    (flat,) = list_stability(hull.model_copy(update={"rows": [row]}), ORIGIN)

    assert flat.predicted_products == ("Li2O", "O2")
    assert flat.target_products == ()


def test_every_crystal_keeps_its_numbers() -> None:
    densities = make_density(Model.SOURCE, 0.05)

    rows = list_densities(densities, ORIGIN)

    assert [row.material_id for row in rows] == [r.crystal_id for r in densities.rows]
    assert [row.ratio for row in rows] == [r.ratio for r in densities.rows]
