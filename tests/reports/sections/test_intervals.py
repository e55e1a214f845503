"""Intervals of the numbers of Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.reports.sections.intervals import estimate_intervals
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc, FrameResiduals
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.intervals import Intervals
    from nextrung.schemas.base import TaskDoc


def estimate(documents: Mapping[str, TaskDoc]) -> Intervals:
    evidence = read_evidence(documents)
    return estimate_intervals(evidence.test, evidence.every)


def test_too_few_materials_have_no_interval(documents: Mapping[str, TaskDoc]) -> None:
    found = estimate(documents)
    assert {key for _, key in found} == {"formation_energy", "density"}
    assert {model for model, _ in found} == set(Model)


def test_energies_and_stresses_of_test_frames_are_resampled(
    documents: Mapping[str, TaskDoc],
) -> None:
    errors = np.random.default_rng(0).exponential(size=60)
    rows = FrameResiduals(
        frame_id=[str(index) for index in range(120)],
        material_id=[str(index) for index in range(120)],
        formula=["Li"] * 120,
        split=["test"] * 60 + ["train"] * 60,
        n_atoms=[1, 3] * 60,
        energy_per_atom=[0.0] * 120,
        predicted_energy_per_atom=[*errors.tolist(), *[100.0] * 60],
        forces_mae=[0.1, 0.2] * 60,
        stress_mae=[0.5] * 119 + [None],
        magmoms_mae=[None] * 120,
    )
    document = documents["evaluation/source"]
    assert isinstance(document, EvaluationDoc)
    replaced = {"evaluation/source": document.model_copy(update={"rows": rows})}
    found = estimate(replaced)
    low, high = found["source", "energy"]
    assert low < errors.mean() < high < 2
    assert found["source", "stress"] == pytest.approx((0.5, 0.5))
    low, high = found["source", "forces"]
    assert low < (0.1 + 3 * 0.2) / 4 < high < 0.2
    assert ("source", "magmoms") not in found


def test_intervals_of_errors_per_site_need_the_number_of_atoms(
    documents: Mapping[str, TaskDoc],
) -> None:
    assert ("source", "forces") not in estimate(documents)


def test_densities_of_unconverged_relaxations_are_left_out(
    documents: Mapping[str, TaskDoc],
) -> None:
    document = documents["density/source"]
    assert isinstance(document, DensityDoc)
    errors = [
        abs((row.predicted_density or 0) - (row.experimental_density or 0))
        for row in document.rows
        if row.ratio is not None
    ]
    low, high = estimate({"density/source": document})["source", "density"]
    assert min(errors) < low < np.mean(errors) < high < max(errors)
