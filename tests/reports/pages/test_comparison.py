"""Comparison of studies."""

from __future__ import annotations

from statistics import stdev
from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_evaluations

from nextrung.reports.pages.comparison import group_by_seed, write_comparison
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.undertraining import find_undertrained
from nextrung.schemas.base import InputError
from nextrung.schemas.models import RECIPES, Model, Trained
from nextrung.schemas.repeats import ModelRepeats, Spread

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def vary(study: StudyDoc, name: str, seed: int, factor: float = 1.0) -> StudyDoc:
    """Change the name, the training seed and the energy errors of a study."""
    training = study.settings.training.model_copy(update={"seed": seed})
    settings = study.settings.model_copy(update={"name": name, "training": training})
    models = {}
    for model, summary in study.results.models.items():
        test = summary.metrics["test"]
        scaled = test.model_copy(
            update={"energy_mae": (test.energy_mae or 0.0) * factor}
        )
        metrics = {**summary.metrics, "test": scaled}
        models[model] = summary.model_copy(update={"metrics": metrics})
    results = study.results.model_copy(update={"study": name, "models": models})
    return study.model_copy(update={"settings": settings, "results": results})


def test_studies_that_differ_in_seeds_only_are_one_group(study: StudyDoc) -> None:
    one, two = vary(study, "one", 1), vary(study, "two", 2)
    training = study.settings.training.model_copy(update={"epochs": 7})
    settings = study.settings.model_copy(update={"training": training})
    other = study.model_copy(update={"settings": settings})
    assert group_by_seed([one, other, two]) == [[one, two], [other]]


def test_mean_and_spread_over_seeds_are_shown(study: StudyDoc, tmp_path: Path) -> None:
    studies = [vary(study, "one", 1, 0.9), vary(study, "two", 2, 1.1)]
    write_comparison(studies, tmp_path / "c.html")
    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    spread = stdev([0.9 * 60, 1.1 * 60])
    assert f"60.0 ± {spread:.1f}" in html
    assert "over 2 studies: one, two." in html


def test_every_number_of_every_study_is_shown(study: StudyDoc, tmp_path: Path) -> None:
    studies = [study, vary(study, "other", 0, 1.5)]
    write_comparison(studies, tmp_path / "c.html")
    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    for shown in studies:
        for model in Model:
            value = shown.results.models[model].metrics["test"].energy_mae
            assert f'<data value="{value!r}">' in html
    assert html.count("labels: distilled from chgnet-r2scan") == 1


def test_studies_of_other_settings_have_no_spread(
    study: StudyDoc, tmp_path: Path
) -> None:
    settings = study.settings.model_copy(update={"source": "another"})
    other = vary(study.model_copy(update={"settings": settings}), "other", 0)
    write_comparison([study, other], tmp_path / "c.html")
    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "No two of these studies differ in names and seeds only." in html


def test_one_study_is_rejected(study: StudyDoc, tmp_path: Path) -> None:
    for studies in ([study], [study, study], []):
        with pytest.raises(InputError, match="expected two or more studies"):
            write_comparison(studies, tmp_path / "c.html")


def test_studies_are_compared_with_the_first_on_the_same_frames(
    study: StudyDoc, tmp_path: Path
) -> None:
    others = [vary(study, name, 0) for name in ("second", "third")]
    errors = ({"forces": error} for error in (0.04, 0.02, 0.01))
    documents = [make_evaluations({Model.SCRATCH: each}) for each in errors]
    write_comparison([study, *others], tmp_path / "c.html", documents)
    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "second against demo" in html
    assert "third against demo" in html
    assert html.count(" % (\N{MINUS SIGN}") == len(others)


def test_documents_of_every_study_are_needed(study: StudyDoc, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_comparison([study, vary(study, "b", 0)], tmp_path / "c.html", [{}])


def test_baselines_and_short_trainings_stand_beside_the_errors(
    study: StudyDoc, documents: dict[str, TaskDoc], tmp_path: Path
) -> None:
    other = vary(study, "other", 1)
    stages = ("evaluation/", "fine_tuning/")
    made = {part: doc for part, doc in documents.items() if part.startswith(stages)}

    write_comparison([study, other], tmp_path / "c.html", [made, made])

    html = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "Undertrained" in html
    undertrained = find_undertrained(made, read_evidence(made, study.results))
    assert set(undertrained) == {
        model for model in Model if RECIPES[model].trained is not Trained.NOTHING
    }
    for reasons in undertrained.values():
        assert ("; ".join(reasons) or "no sign of it") in html
    assert html.count(">Baseline<") == 2


def test_means_over_repeats_are_compared(study: StudyDoc, tmp_path: Path) -> None:
    """60 meV/atom in the first repeat, 80 in the mean of three."""
    spread = Spread(n_repeats=3, mean=0.08, std=0.02, std_seeds=None, std_splits=None)
    repeats = {Model.SCRATCH: ModelRepeats(repeats=[], spread={"energy": spread})}
    results = study.results.model_copy(update={"repeats": repeats, "study": "many"})
    many = study.model_copy(update={"results": results})

    write_comparison([study, many], tmp_path / "c.html")

    assert '<data value="0.08">80.0</data>' in (tmp_path / "c.html").read_text()
