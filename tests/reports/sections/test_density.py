"""The section of the densities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.density import report_density
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture
def section(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    return report_density(study, documents)


def test_every_model_has_its_histogram_of_all_ratios(section: Section) -> None:
    figures = figures_of(section)
    assert list(figures) == [f"density-{model}" for model in Model]
    for figure in figures.values():
        assert sum(figure.plot.data[0].y) == 12


def test_ratios_outside_the_range_are_counted(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    document = documents["density/source"]
    assert isinstance(document, DensityDoc)
    far = document.rows[0].model_copy(update={"ratio": 1.7})
    wide = document.model_copy(update={"rows": [far, *document.rows]})
    section = report_density(study, {"density/source": wide})
    (figure,) = figures_of(section).values()
    assert "Outside 0.8 to 1.5: 1." in figure.caption
    assert sum(figure.plot.data[0].y) == 12


def test_a_crystal_without_density_has_its_error_as_tooltip(section: Section) -> None:
    assert 'title="the energy is not finite"' in html_of(section)


def test_a_model_without_ratios_has_no_histogram(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    document = documents["density/source"]
    assert isinstance(document, DensityDoc)
    lost = document.model_copy(
        update={"rows": document.rows[-1:], "mae": None, "mean_ratio": None}
    )
    section = report_density(study, {"density/source": lost})
    assert not figures_of(section)
    assert "no relaxation converged" in html_of(section)


def test_a_study_without_densities_explains_it(study: StudyDoc) -> None:
    assert "no document of the density stage" in html_of(report_density(study, {}))


def test_models_are_compared_over_the_crystals_common_to_all(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    """Another model knows four crystals only: both have a number over these."""
    document = documents["density/source"]
    assert isinstance(document, DensityDoc)
    few = document.model_copy(update={"rows": document.rows[:4], "mae": 9.0})
    section = report_density(
        study, {"density/source": document, "density/scratch": few}
    )
    html = html_of(section)
    errors = [
        abs((row.experimental_density or 0) - (row.predicted_density or 0))
        for row in document.rows[:4]
    ]
    assert "MAE over the 4 common to all models" in html
    assert html.count(f'value="{np.mean(errors)!s}"') == 2
