"""Table of the model to use for each purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_evaluations, make_hulls

from nextrung.reports.sections.verdicts.evidence import Evidence, read_evidence
from nextrung.reports.sections.verdicts.usage import list_uses
from nextrung.schemas.labels.curation import Label
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.study import StudyResults


NONE = "None shown to be fit"


def evaluate(*, n: int = 40, **errors: dict[str, float]) -> Evidence:
    models = {Model(model): of_model for model, of_model in errors.items()}
    hulls = make_hulls({Model.SOURCE: (0.03, 0.3), Model.SCRATCH: (0.04, 0.05)}, n)
    return read_evidence({**make_evaluations(models, n_materials=n), **hulls})


def read_rows(results: StudyResults, evidence: Evidence) -> dict[str, list[str]]:
    _, table, _ = list_uses(results, evidence)
    lines = [["".join(cell.itertext()) for cell in line] for line in table.iter("tr")]
    return {line[0]: line[1:] for line in lines[1:]}


def test_every_purpose_has_its_model_error_and_certainty(
    results: StudyResults,
) -> None:
    rows = read_rows(
        results,
        evaluate(
            scratch={"energy": 0.06, "forces": 0.03, "stress": 0.1},
            residual_atom_refs={"energy": 0.015, "forces": 0.05, "stress": 0.2},
        ),
    )

    assert rows["Energies of given structures"][0] == "Residual atom refs"
    assert rows["Relaxation"][0] == "1 · From scratch"
    assert "relaxations leave an atom without neighbours" in rows["Relaxation"][3]
    assert "no dynamics were run" in rows["Molecular dynamics"][3]
    assert rows["Phase stability"][0] == "Source, untouched"
    assert rows["Phase stability"][1].endswith(" meV/atom")
    assert "Lower than every other model" in rows["Phase stability"][3]


def test_a_model_worse_than_zero_stress_is_not_offered_for_relaxation(
    results: StudyResults,
) -> None:
    rows = read_rows(
        results,
        evaluate(scratch={"energy": 0.06, "forces": 0.03, "stress": 0.33}),
    )

    assert rows["Relaxation"][0] == NONE
    assert "Not shown to be better than zero stresses." in rows["Relaxation"][3]
    assert rows["Molecular dynamics"][:2] == [NONE, rows["Relaxation"][1]]


def test_too_few_test_materials_recommend_nothing(results: StudyResults) -> None:
    rows = read_rows(
        results,
        evaluate(
            n=4,
            scratch={"energy": 0.06, "forces": 0.03, "stress": 0.1},
            residual_atom_refs={"energy": 0.01, "forces": 0.01, "stress": 0.1},
        ),
    )

    assert {cells[0] for cells in rows.values()} == {NONE}
    assert rows["Relaxation"][3].startswith("Too few test materials to compare")


def test_without_errors_there_is_no_table(results: StudyResults) -> None:
    assert list_uses(results, Evidence({}, {})) == []


def test_a_purpose_without_scores_is_listed_as_not_scored(
    results: StudyResults,
) -> None:
    evidence = read_evidence(make_hulls({Model.SCRATCH: (0.04, 0.05)}))

    assert read_rows(results, evidence)["Relaxation"][3] == "Not scored."


@pytest.mark.parametrize(
    ("n_frames", "remark"),
    [(0, "No frame has labels of forces."), (7, "Not scored.")],
)
def test_a_purpose_without_labels_is_not_called_unscored(
    n_frames: int, remark: str, results: StudyResults
) -> None:
    evidence = read_evidence(make_hulls({Model.SCRATCH: (0.04, 0.05)}))
    dataset = results.dataset.model_copy(
        update={"n_frames_by_label": {Label.FORCES: n_frames}}
    )

    rows = read_rows(results.model_copy(update={"dataset": dataset}), evidence)

    assert rows["Relaxation"][3] == rows["Molecular dynamics"][3] == remark
