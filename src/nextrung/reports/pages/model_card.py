"""What a potential is, what it is good for, and how to load it."""

from __future__ import annotations

import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from pydantic import Field
from pymatgen.core import Element

from nextrung.atomic_write import atomic_write
from nextrung.reports.html.elements import MISSING, count, format_number
from nextrung.reports.html.model_style import appearance
from nextrung.reports.sections.published_values import CITATION
from nextrung.schemas.base import InputError, Record
from nextrung.schemas.evaluation import PropertyErrors
from nextrung.schemas.models import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.density import DensityDoc
    from nextrung.schemas.evaluation import EvaluationDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.stability import StabilityDoc

#: Elements that the architecture knows.
_N_ELEMENTS = 94

#: Test frames below which the errors are called uncertain.
_FEW_FRAMES = 200

#: Limits of every potential.
_ALWAYS = (
    "Structures unlike the training set, as surfaces or melts, were not tested.",
    "Energies compare with those of the same functional and references only.",
)


class ModelCard(Record):
    """A potential in figures, for machines; the Markdown file is for readers."""

    model: str = Field(description="Model of the study, or name of the potential.")
    checkpoint: str = Field(description="File name of the weights.")
    checkpoint_sha256: str = Field(description="Hash of the weights.")
    source: str = Field(description="Potential it was made from.")
    recipe: Recipe = Field(description="How it was made from the source.")
    functional: str = Field(description="Functional its energies are of.")
    labels: str = Field(description="Functional and origin of the labels.")
    n_train_frames: int = Field(ge=0, description="Training frames used.")
    n_train_materials: int = Field(ge=0, description="Materials of these frames.")
    elements: list[str] = Field(description="Elements that have a reference energy.")
    elements_without_reference: list[str] = Field(
        description="Elements it refuses to predict."
    )
    metrics: dict[str, PropertyErrors] = Field(description="Errors, by split.")
    decomposition_energy_mae: float | None = Field(
        description="Test materials, in eV/atom; null where not scored."
    )
    n_failed_relaxations: int | None = Field(
        description="Relaxations without energy; null where not scored."
    )
    density_mae: float | None = Field(description="In g/cm³; null where not scored.")
    limits: list[str] = Field(description="What not to rely on.")
    fingerprint: str = Field(description="Of the document of the model.")
    citation: str = Field(description="What to cite.")


def write_model_card(
    tuned: FineTuningDoc,
    evaluation: EvaluationDoc,
    folder: Path,
    *,
    stability: StabilityDoc | None = None,
    density: DensityDoc | None = None,
) -> tuple[Path, Path]:
    """Write the card of a potential as Markdown and as JSON.

    Parameters
    ----------
    tuned : FineTuningDoc
        The potential.
    evaluation : EvaluationDoc
        Its errors.
    folder : Path
        Where to write; made where it does not exist.
    stability : StabilityDoc, optional
        Its hull.
    density : DensityDoc, optional
        Its densities.

    Returns
    -------
    tuple of Path
        The Markdown file and the JSON file, named after the model.

    Raises
    ------
    InputError
        If the documents are of different models.
    """
    card = describe_model(tuned, evaluation, stability=stability, density=density)
    folder.mkdir(parents=True, exist_ok=True)
    markdown, machine = folder / f"{card.model}.md", folder / f"{card.model}.json"
    with atomic_write(markdown) as file:
        file.write_text(write_markdown(card), encoding="utf-8")
    with atomic_write(machine) as file:
        file.write_text(json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    return markdown, machine


def describe_model(
    tuned: FineTuningDoc,
    evaluation: EvaluationDoc,
    *,
    stability: StabilityDoc | None = None,
    density: DensityDoc | None = None,
) -> ModelCard:
    """Collect what a card says.

    Parameters
    ----------
    tuned : FineTuningDoc
        The potential.
    evaluation : EvaluationDoc
        Its errors.
    stability : StabilityDoc, optional
        Its hull.
    density : DensityDoc, optional
        Its densities.

    Returns
    -------
    ModelCard
        The card.

    Raises
    ------
    InputError
        If the documents are of different models.
    """
    scored = [document for document in (evaluation, stability, density) if document]
    others = sorted({document.model for document in scored} - {tuned.model})
    if others:
        raise InputError(
            f"model card: expected documents of {tuned.model}, got {', '.join(others)}"
        )
    known = [Element.from_Z(number).symbol for number in range(1, _N_ELEMENTS + 1)]
    test = stability.metrics.get("test") if stability else None
    return ModelCard(
        model=tuned.model,
        checkpoint=tuned.checkpoint.path.rpartition("/")[2],
        checkpoint_sha256=tuned.checkpoint.sha256,
        source=tuned.source,
        recipe=tuned.recipe,
        functional=tuned.functional,
        labels=evaluation.labels,
        n_train_frames=tuned.n_train_frames,
        n_train_materials=tuned.n_train_materials,
        elements=[symbol for symbol in known if symbol in tuned.elements],
        elements_without_reference=[s for s in known if s not in tuned.elements],
        metrics=evaluation.metrics,
        decomposition_energy_mae=test.decomposition_energy_mae if test else None,
        n_failed_relaxations=stability.n_failed_relaxations if stability else None,
        density_mae=density.mae if density else None,
        limits=_find_limits(tuned, evaluation, stability),
        fingerprint=tuned.provenance.fingerprint,
        citation=CITATION,
    )


def _find_limits(
    tuned: FineTuningDoc, evaluation: EvaluationDoc, stability: StabilityDoc | None
) -> list[str]:
    """Say what the numbers warn of."""
    limits = list(_ALWAYS)
    if "distilled" in evaluation.labels:
        limits.append(
            f"The labels are {evaluation.labels}: the errors say how well the "
            "potential follows its teacher, not how well it follows a calculation."
        )
    test = evaluation.metrics.get("test")
    if test is None or test.n_frames < _FEW_FRAMES:
        n_frames = count(test.n_frames if test else 0, "test frame")
        limits.append(f"The errors rest on {n_frames}: they are uncertain.")
    if tuned.unusable_frames:
        left_out = count(tuned.n_unusable_frames, "frame")
        limits.append(f"{left_out} could not be trained on.")
    if stability is not None and stability.n_failed_relaxations:
        limits.append(
            f"{stability.n_failed_relaxations:,} of {stability.n_materials:,} "
            "relaxations failed."
        )
    return limits


def write_markdown(card: ModelCard) -> str:
    """Write a card for readers.

    Parameters
    ----------
    card : ModelCard
        The card.

    Returns
    -------
    str
        Markdown.
    """
    template = files("nextrung.reports.pages").joinpath("model_card.md")
    failed = card.n_failed_relaxations
    return Template(template.read_text(encoding="utf-8")).substitute(
        card.model_dump(mode="json"),
        title=appearance(card.model).title,
        start="the source's weights" if card.recipe.pretrained else "random weights",
        rereference=card.recipe.rereference.value,
        trained=card.recipe.trained.value.replace("_", " "),
        data=f"{count(card.n_train_frames, 'frame')} of "
        f"{count(card.n_train_materials, 'material')}",
        elements=", ".join(card.elements),
        missing_elements=", ".join(card.elements_without_reference) or "none",
        errors="\n".join(map(_write_errors, card.metrics, card.metrics.values())),
        decomposition=_shown(card.decomposition_energy_mae, 1000, 1),
        failed=MISSING if failed is None else f"{failed:,}",
        density=_shown(card.density_mae, 1, 3),
        limits="\n".join(f"- {limit}" for limit in card.limits),
    )


def _write_errors(split: str, errors: PropertyErrors) -> str:
    """Write the errors of one split as a row."""
    values = (
        _shown(errors.energy_mae, 1000, 1),
        _shown(errors.forces_mae, 1000, 1),
        _shown(errors.stress_mae, 1, 3),
        _shown(errors.magmoms_mae, 1, 3),
    )
    return f"| {split} | {errors.n_frames:,} | {' | '.join(values)} |"


def _shown(value: float | None, factor: float, digits: int) -> str:
    """Write a value in its shown unit."""
    return format_number(None if value is None else value * factor, digits)
