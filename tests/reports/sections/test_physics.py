"""The section of the potential energy surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study.physics import C44, make_physics
from tests.reports.browser import html_of

from nextrung.reports.sections.physics import TITLES, report_physics
from nextrung.schemas.models import Model
from nextrung.schemas.physics import (
    FidelityErrors,
    ForgettingErrors,
    Measure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.physics import PhysicsDoc
    from nextrung.schemas.study import StudyDoc

FORGETTING = ForgettingErrors(
    n_crystals=50,
    n_structures=150,
    n_without_value=1,
    deformation_energy_mae=0.0125,
    forces_mae=0.057,
    stress_mae=1.18,
    deformation_energy_interval=(0.009, 0.017),
    forces_interval=(0.041, 0.077),
)
FIDELITY = FidelityErrors(
    n_materials=9,
    n_compared=8,
    volume_change=-0.012,
    volume_mae=0.021,
    rmsd=0.043,
    volume_change_interval=(-0.022, -0.002),
)


def compare(model: Model, c44: Mapping[str, float | str]) -> PhysicsDoc:
    """Scores with a comparison with the source and with relaxed labels."""
    compared = {"forgetting": FORGETTING, "fidelity": {"all": FIDELITY}}
    return make_physics(model, c44).model_copy(update=compared)


@pytest.fixture
def html(study: StudyDoc) -> str:
    right = {"Si diamond": 79.6, "MgO rocksalt": 154.4}
    documents = {
        "physics/source": compare(Model.SOURCE, C44),
        "physics/scratch": compare(Model.SCRATCH, right),
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


def test_forgetting_and_fidelity_have_their_intervals(html: str) -> None:
    """Below their means, in the shown unit; none where there are too few."""
    assert '12.5</data><span class="interval">9.0 to 17.0</span>' in html
    assert '57.0</data><span class="interval">41.0 to 77.0</span>' in html
    assert '-1.20</data><span class="interval">-2.20 to -0.20</span>' in html
    assert "1.180</data></td>" in html


def test_without_comparisons_they_are_left_out(study: StudyDoc) -> None:
    values = {"Si diamond": 80.0, "MgO rocksalt": 150.0}
    alone = make_physics(Model.SOURCE, values)

    shown = html_of(report_physics(study, {"physics/source": alone}))

    assert "forgetting" not in shown
    assert "Relaxed structures" not in shown


def test_a_study_without_physics_explains_it(study: StudyDoc) -> None:
    assert "leaves the physics stage out" in html_of(report_physics(study, {}))


def test_every_measure_has_a_title() -> None:
    assert set(TITLES) == set(Measure)
