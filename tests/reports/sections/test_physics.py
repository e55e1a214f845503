"""The section of the potential energy surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study.stages import LABELS, make_provenance
from tests.reports.browser import html_of

from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
from nextrung.compute.physics.scores import check_value, score_physics
from nextrung.reports.sections.physics import TITLES, report_physics
from nextrung.schemas.models import Model
from nextrung.schemas.physics import (
    FidelityErrors,
    ForgettingErrors,
    Measure,
    PhysicsDoc,
    PhysicsSettings,
)

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyDoc

SETTINGS = PhysicsSettings()
CRYSTALS = read_elastic_crystals(["Si diamond", "MgO rocksalt"])
FORGETTING = ForgettingErrors(
    n_crystals=50,
    n_structures=150,
    n_without_value=1,
    deformation_energy_mae=0.0125,
    forces_mae=0.057,
    stress_mae=1.18,
)
FIDELITY = FidelityErrors(
    n_materials=9, n_compared=8, volume_change=-0.012, volume_mae=0.021, rmsd=0.043
)


def make_physics(model: Model, c44: dict[str, float | str]) -> PhysicsDoc:
    """Scores of one measure of two crystals."""
    records = [
        check_value(crystal, Measure.C44, c44[crystal.crystal_id], settings=SETTINGS)
        for crystal in CRYSTALS
    ]
    return PhysicsDoc(
        model=model,
        labels=LABELS,
        settings=SETTINGS,
        **dict(score_physics(records)),
        forgetting=FORGETTING,
        fidelity={"all": FIDELITY},
        provenance=make_provenance(f"physics/{model}"),
    )


@pytest.fixture
def html(study: StudyDoc) -> str:
    soft: dict[str, float | str] = {
        "Si diamond": 39.8,
        "MgO rocksalt": "no reference energy of Mg",
    }
    right = {"Si diamond": 79.6, "MgO rocksalt": 154.4}
    documents = {
        "physics/source": make_physics(Model.SOURCE, soft),
        "physics/scratch": make_physics(Model.SCRATCH, dict(right)),
    }
    return html_of(report_physics(study, documents))


def test_models_are_compared_by_what_passed(html: str) -> None:
    assert "0 of 2 (50.0 %)" in html
    assert "2 of 2 (0.0 %)" in html
    assert 'title="1 without a value"' in html


def test_measures_without_a_number_say_why(html: str) -> None:
    assert 'title="no reference energy of Mg"' in html


def test_forgetting_and_fidelity_have_their_counts(html: str) -> None:
    assert "Deviation from the source (forgetting)" in html
    assert ">12.5<" in html
    assert ">150<" in html
    assert "Relaxed structures against labels" in html
    assert ">-1.20<" in html
    assert ">0.043<" in html


def test_without_comparisons_they_are_left_out(study: StudyDoc) -> None:
    values = {"Si diamond": 80.0, "MgO rocksalt": 150.0}
    alone = make_physics(Model.SOURCE, dict(values)).model_copy(
        update={"forgetting": None, "fidelity": {}}
    )

    shown = html_of(report_physics(study, {"physics/source": alone}))

    assert "forgetting" not in shown
    assert "Relaxed structures" not in shown


def test_a_study_without_physics_explains_it(study: StudyDoc) -> None:
    assert "leaves the physics stage out" in html_of(report_physics(study, {}))


def test_every_measure_has_a_title() -> None:
    assert set(TITLES) == set(Measure)
