"""Model cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.reports.pages.model_card import (
    ModelCard,
    describe_model,
    format_markdown,
    write_model_card,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.stability import StabilityDoc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def tuned(documents: Mapping[str, TaskDoc]) -> FineTuningDoc:
    found = documents["fine_tuning/scratch"]
    assert isinstance(found, FineTuningDoc)
    return found


@pytest.fixture
def evaluation(documents: Mapping[str, TaskDoc]) -> EvaluationDoc:
    found = documents["evaluation/scratch"]
    assert isinstance(found, EvaluationDoc)
    return found


@pytest.fixture
def card(
    documents: Mapping[str, TaskDoc], tuned: FineTuningDoc, evaluation: EvaluationDoc
) -> ModelCard:
    stability, density = documents["stability/scratch"], documents["density/scratch"]
    assert isinstance(stability, StabilityDoc)
    assert isinstance(density, DensityDoc)
    return describe_model(tuned, evaluation, stability=stability, density=density)


def test_elements_without_reference_energy_are_listed(
    card: ModelCard,
) -> None:
    assert card.elements == ["Li", "O", "Mn"]
    assert len(card.elements) + len(card.elements_without_reference) == 94
    assert "Yb" in card.elements_without_reference


def test_the_card_has_the_numbers_of_the_documents(
    card: ModelCard, evaluation: EvaluationDoc
) -> None:
    assert card.metrics == evaluation.metrics
    assert card.decomposition_energy_mae == pytest.approx(0.060)
    assert card.density_mae == pytest.approx(0.120)
    assert card.n_failed_relaxations == 1


def test_limits_name_labels_small_tests_and_failures(card: ModelCard) -> None:
    limits = " ".join(card.limits)
    assert "distilled from chgnet-r2scan: the errors are relative to" in limits
    assert "uncertain: only 3 test frames" in limits
    assert "1 frame could not be used for training" in limits
    assert "1 of 11 relaxations failed" in limits


def test_labels_from_calculations_have_no_teacher(
    tuned: FineTuningDoc, evaluation: EvaluationDoc
) -> None:
    real = evaluation.model_copy(update={"labels": "r2SCAN (VASP)"})
    card = describe_model(tuned, real)
    assert not any("teacher" in limit for limit in card.limits)
    assert card.density_mae is None


def test_the_markdown_shows_errors_in_the_units_of_its_columns(card: ModelCard) -> None:
    text = format_markdown(card)
    assert "| test | 3 | 60.0 | 120.0 | 0.600 | – |" in text
    assert "labels: distilled from chgnet-r2scan" in text
    assert 'CHGNet.from_file("scratch.parquet")' in text
    assert "- decomposition energy of test materials: 60.0 meV/atom" in text


def test_both_files_are_written_and_the_json_reads_back(
    tuned: FineTuningDoc, evaluation: EvaluationDoc, tmp_path: Path
) -> None:
    markdown, machine = write_model_card(tuned, evaluation, tmp_path / "cards")
    assert sorted(path.name for path in markdown.parent.iterdir()) == [
        "scratch.json",
        "scratch.md",
    ]
    read = ModelCard.model_validate_json(machine.read_text(encoding="utf-8"))
    assert read == describe_model(tuned, evaluation)
    assert markdown.read_text(encoding="utf-8") == format_markdown(read)


def test_documents_of_another_model_are_rejected(
    documents: Mapping[str, TaskDoc], tuned: FineTuningDoc
) -> None:
    other = documents["evaluation/source"]
    assert isinstance(other, EvaluationDoc)
    with pytest.raises(InputError, match="expected documents of scratch, got source"):
        describe_model(tuned, other)


def test_names_are_no_markdown(card: ModelCard) -> None:
    """A source is a path, a functional any text."""
    odd = card.model_copy(
        update={
            "source": "a`\n# b",
            "functional": "<script>alert(1)</script> [a](b) |",
            "labels": "*bold*\n\n# heading",
        }
    )

    text = format_markdown(odd)

    assert "made from `a' # b`\n" in text
    assert r"\<script\>alert(1)\</script\> \[a\](b) \|" in text
    assert r"\*bold\* # heading" in text
    assert "\n# heading" not in text
