"""Model cards."""

from __future__ import annotations

import re
from shutil import copyfile
from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_evaluations

from nextrung.potentials.chgnet.checkpoints import find_checkpoint
from nextrung.reports.pages.card_markdown import ModelCard, format_markdown
from nextrung.reports.pages.model_card import describe_model, write_model_card
from nextrung.schemas.base import InputError
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.fine_tuning import FineTuningDoc, FineTuningSettings, LossWeights
from nextrung.schemas.models import Model, Recipe
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
    assert 'CHGNet.from_file("scratch.pth.tar")' in text
    assert "- decomposition energy of test materials: 60.0 meV/atom" in text


def test_the_card_describes_the_trained_weights(card: ModelCard) -> None:
    choices = {"pretrained": True, "trained": "adapters", "adapter_rank": 4}
    recipe = Recipe.model_validate(card.recipe.model_dump() | choices)
    adapted = card.model_copy(update={"recipe": recipe})

    assert "trained: adapters of rank 4;" in format_markdown(adapted)
    assert ModelCard.model_validate_json(adapted.model_dump_json()) == adapted


@pytest.mark.parametrize(
    ("family", "source", "suffix", "code"),
    [
        ("chgnet", "chgnet-0.3.0", ".pth.tar", 'CHGNet.from_file("scratch.pth.tar")'),
        ("sevennet", "sevennet-0", ".pth", 'SevenNetCalculator("scratch.pth")  # ASE'),
        (
            "sevennet",
            "sevennet-mf-0/PBE",
            ".pth",
            'SevenNetCalculator("scratch.pth", modal="PBE")  # ASE',
        ),
        (
            "mace",
            "mace:a.model",
            ".model",
            'MACECalculator("scratch.model", device="cpu")  # ASE',
        ),
        (
            "mace",
            "mace:a.model#r2scan",
            ".model",
            'MACECalculator("scratch.model", head="r2scan", device="cpu")  # ASE',
        ),
    ],
)
def test_the_card_shows_how_the_package_of_the_family_loads_the_file(
    card: ModelCard, family: str, source: str, suffix: str, code: str
) -> None:
    changed = {"family": family, "source": source, "checkpoint": f"scratch{suffix}"}
    text = format_markdown(card.model_copy(update=changed))

    assert code in text
    assert f"architecture: `{family}`" in text
    assert text.count("```") == 4


@pytest.mark.parametrize(("family", "suffix"), [("ase", ".json"), ("mace", ".json")])
def test_a_card_promises_no_other_loader_where_there_is_none(
    card: ModelCard, family: str, suffix: str
) -> None:
    changed = {"family": family, "checkpoint": f"scratch{suffix}"}
    text = format_markdown(card.model_copy(update=changed))

    assert f"The file loads with nextrung alone; family: {family}." in text
    assert "CHGNet" not in text


def test_the_checkpoint_keeps_the_suffix_of_its_architecture(
    tuned: FineTuningDoc, evaluation: EvaluationDoc
) -> None:
    file = tuned.checkpoint.model_copy(update={"path": "checkpoints/0a.pth"})
    changed = tuned.model_copy(update={"checkpoint": file, "family": "sevennet"})
    card = describe_model(changed, evaluation)

    assert (card.checkpoint, card.family) == ("scratch.pth", "sevennet")


def test_both_files_are_written_and_the_json_reads_back(
    tuned: FineTuningDoc, evaluation: EvaluationDoc, tmp_path: Path
) -> None:
    markdown, machine = write_model_card(
        describe_model(tuned, evaluation), tmp_path / "cards"
    )
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


def make_tested(
    tuned: FineTuningDoc, errors: dict[str, float], n_materials: int = 40
) -> ModelCard:
    """Build the card of the model with these test errors."""
    made = make_evaluations({Model(tuned.model): errors}, n_materials=n_materials)
    evaluation = made[f"evaluation/{tuned.model}"]
    assert isinstance(evaluation, EvaluationDoc)
    return describe_model(tuned, evaluation)


def test_a_use_is_recommended_with_its_error_and_interval(
    tuned: FineTuningDoc,
) -> None:
    card = make_tested(tuned, {"energy": 0.06, "forces": 0.03, "stress": 0.1})

    assert list(card.uses) == [
        "Energies of bulk crystals",
        "Forces in bulk crystals",
        "Relaxation of bulk crystals",
    ]
    (finding,) = card.uses["Forces in bulk crystals"]
    assert finding.startswith("forces 30.0 (2")
    assert finding.endswith("relative to zero forces")
    assert "- Forces in bulk crystals: forces 30.0 (2" in format_markdown(card)


def test_labels_of_energies_only_recommend_energies_only(tuned: FineTuningDoc) -> None:
    card = make_tested(tuned, {"energy": 0.06})

    assert list(card.uses) == ["Energies of bulk crystals"]
    assert card.not_recommended["Relaxation of bulk crystals"] == [
        "forces have no test labels",
        "stresses have no test labels",
    ]


def test_a_model_worse_than_zero_stress_is_not_recommended_for_relaxation(
    tuned: FineTuningDoc,
) -> None:
    card = make_tested(tuned, {"energy": 0.06, "forces": 0.03, "stress": 0.322})

    assert "Relaxation of bulk crystals" not in card.uses
    (reason,) = card.not_recommended["Relaxation of bulk crystals"]
    assert reason.startswith("not shown to be better than zero stresses, +2")


def test_a_property_without_weight_in_the_loss_is_not_recommended(
    tuned: FineTuningDoc,
) -> None:
    settings = FineTuningSettings(loss_weights=LossWeights(forces=0))
    weightless = tuned.model_copy(update={"settings": settings})
    card = make_tested(weightless, {"energy": 0.06, "forces": 0.03})

    assert card.not_recommended["Forces in bulk crystals"] == [
        "forces were not trained"
    ]


def test_dynamics_and_small_tests_are_never_recommended(tuned: FineTuningDoc) -> None:
    card = make_tested(tuned, {"energy": 0.01, "forces": 0.01}, n_materials=4)

    assert card.uses == {}
    assert card.not_recommended["Molecular dynamics"][-1].startswith("no dynamics")
    assert "None: no use is supported by the test." in format_markdown(card)


def test_elements_of_the_training_frames_are_told_from_those_with_a_reference(
    tuned: FineTuningDoc, evaluation: EvaluationDoc
) -> None:
    more = tuned.model_copy(update={"elements": [*tuned.elements, "Ar", "Ne"]})
    card = describe_model(more, evaluation)

    assert card.elements_trained == ["Li", "O", "Mn"]
    assert any("2 elements with a reference energy have no" in x for x in card.limits)
    assert "Elements in the training frames: Li, O, Mn." in format_markdown(card)


def test_an_untrained_model_says_so(
    documents: Mapping[str, TaskDoc],
) -> None:
    source, scored = documents["fine_tuning/source"], documents["evaluation/source"]
    assert isinstance(source, FineTuningDoc)
    assert isinstance(scored, EvaluationDoc)
    limits = describe_model(source, scored).limits
    assert "Its network was not trained on these labels." in limits


def test_the_code_of_the_card_runs_in_its_folder(
    tuned: FineTuningDoc,
    evaluation: EvaluationDoc,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    markdown, _ = write_model_card(describe_model(tuned, evaluation), tmp_path)
    copyfile(find_checkpoint("chgnet-0.3.0"), tmp_path / "scratch.pth.tar")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", markdown.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)  # noqa: S102 - the code that the card tells readers to run
        assert names.get("model") or names.get("predictions")


def test_test_errors_have_intervals_and_others_none(tuned: FineTuningDoc) -> None:
    card = make_tested(tuned, {"energy": 0.06, "forces": 0.03})

    low, high = card.intervals["forces"]
    assert low < 0.03 < high
    assert "magmoms" not in card.intervals
    (row,) = (x for x in format_markdown(card).splitlines() if x.startswith("| test"))
    assert f" ({1000 * low:.1f} to {1000 * high:.1f}) |" in row
    assert make_tested(tuned, {"energy": 0.06}, n_materials=4).intervals == {}


@pytest.mark.parametrize(
    ("forces", "n_source_labelled", "limit"),
    [
        (0.05, 0, None),
        (None, 0, "It was not trained on forces of these labels."),
        (
            None,
            21,
            "It was not trained on forces of these labels but on those of the source.",
        ),
    ],
)
def test_a_model_trained_on_energies_alone_has_that_limit(
    forces: float | None,
    n_source_labelled: int,
    limit: str | None,
    tuned: FineTuningDoc,
    evaluation: EvaluationDoc,
) -> None:
    last = tuned.history[-1]
    train = last.train.model_copy(update={"forces_mae": forces})
    trained = tuned.model_copy(
        update={
            "history": [last.model_copy(update={"train": train})],
            "n_source_labelled": n_source_labelled,
        }
    )

    limits = describe_model(trained, evaluation).limits

    assert [text for text in limits if "trained on forces" in text] == (
        [limit] if limit else []
    )
