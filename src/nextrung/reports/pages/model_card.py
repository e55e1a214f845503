"""Model cards: recipe, errors, limits and use of a potential."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pymatgen.core import Composition, Element

from nextrung.atomic_write import atomic_write
from nextrung.reports.html.elements import format_count
from nextrung.reports.pages.card_markdown import ModelCard, format_markdown
from nextrung.reports.sections.intervals import estimate_intervals
from nextrung.reports.sections.published_values import CITATION
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.fitness import assess_fitness
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.density import DensityDoc
    from nextrung.schemas.evaluation import EvaluationDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.physics import PhysicsDoc
    from nextrung.schemas.stability import StabilityDoc

#: Elements that a card lists at least, up to plutonium.
_N_ELEMENTS = 94

#: With fewer test frames the errors are uncertain.
_FEW_FRAMES = 200

#: Limits of every potential.
_ALWAYS = (
    "Structures unlike the training set, such as surfaces or melts, were not tested.",
    "Energies are comparable only with those of the same functional and references.",
)


def write_model_card(card: ModelCard, folder: Path) -> tuple[Path, Path]:
    """Write the model card of a potential as Markdown and JSON.

    Parameters
    ----------
    card : ModelCard
        The card.
    folder : Path
        Folder to write to; created if missing.

    Returns
    -------
    tuple of Path
        The Markdown file and the JSON file, named after the model.
    """
    markdown, machine = folder / f"{card.model}.md", folder / f"{card.model}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(markdown) as file:
        file.write_text(format_markdown(card), encoding="utf-8")
    with atomic_write(machine) as file:
        file.write_text(json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    return markdown, machine


def describe_model(
    tuned: FineTuningDoc,
    evaluation: EvaluationDoc,
    *,
    evidence: Evidence | None = None,
    stability: StabilityDoc | None = None,
    density: DensityDoc | None = None,
    physics: PhysicsDoc | None = None,
) -> ModelCard:
    """Build the model card of a potential.

    Parameters
    ----------
    tuned : FineTuningDoc
        The potential.
    evaluation : EvaluationDoc
        Its errors.
    evidence : Evidence, optional
        Errors of all models and repeats of its study; those of these documents by
        default.
    stability : StabilityDoc, optional
        Its hull.
    density : DensityDoc, optional
        Its densities.
    physics : PhysicsDoc, optional
        Tests of its energy surface.

    Raises
    ------
    InputError
        If the documents are of different models.
    """
    parts = {
        "evaluation": evaluation,
        "stability": stability,
        "density": density,
        "physics": physics,
    }
    scored = {stage: document for stage, document in parts.items() if document}
    others = sorted({document.model for document in scored.values()} - {tuned.model})
    if others:
        raise InputError(
            f"model card: expected documents of {tuned.model}, got {', '.join(others)}"
        )
    last = max([_N_ELEMENTS, *(Element(symbol).Z for symbol in tuned.elements)])
    known = [Element.from_Z(number).symbol for number in range(1, last + 1)]
    test = stability.metrics.get("test") if stability else None
    trained = _find_trained(evaluation)
    if evidence is None:
        evidence = read_evidence(
            {f"{stage}/{tuned.model}": document for stage, document in scored.items()}
        )
    intervals = estimate_intervals(evidence.test, evidence.every)
    fitness = assess_fitness(tuned, evidence, physics)
    return ModelCard(
        model=tuned.model,
        family=tuned.family,
        checkpoint=f"{tuned.model}{tuned.checkpoint.suffix}",
        checkpoint_sha256=tuned.checkpoint.sha256,
        source=tuned.source,
        recipe=tuned.recipe,
        functional=tuned.functional,
        labels=evaluation.labels,
        n_train_frames=tuned.n_train_frames,
        n_train_materials=tuned.n_train_materials,
        elements=[symbol for symbol in known if symbol in tuned.elements],
        elements_without_reference=[s for s in known if s not in tuned.elements],
        elements_trained=[symbol for symbol in known if symbol in trained],
        uses={f.use: list(f.findings) for f in fitness if not f.reasons},
        not_recommended={f.use: list(f.reasons) for f in fitness if f.reasons},
        metrics=evaluation.metrics,
        intervals={
            key: ends
            for (model, key), ends in intervals.items()
            if model == tuned.model
        },
        decomposition_energy_mae=test.decomposition_energy_mae if test else None,
        n_failed_relaxations=stability.n_failed_relaxations if stability else None,
        density_mae=density.mae if density else None,
        limits=_find_limits(tuned, evaluation, stability),
        fingerprint=tuned.provenance.fingerprint,
        citation=CITATION,
    )


def _find_trained(evaluation: EvaluationDoc) -> set[str]:
    """Find the elements in the training frames."""
    rows = evaluation.rows
    formulas = {
        formula
        for formula, split in zip(rows.formula, rows.split, strict=True)
        if split == "train"
    }
    return {str(e) for formula in formulas for e in Composition(formula)}


def _find_limits(
    tuned: FineTuningDoc, evaluation: EvaluationDoc, stability: StabilityDoc | None
) -> list[str]:
    """List the limits that follow from labels, test size and failures."""
    limits = list(_ALWAYS)
    untrained = set(tuned.elements) - _find_trained(evaluation)
    if untrained:
        limits.append(
            f"{format_count(len(untrained), 'element')} with a reference energy "
            "have no training frame with these labels: errors of their compounds are "
            "unknown."
        )
    if "distilled" in evaluation.labels:
        limits.append(
            f"The labels are {evaluation.labels}: the errors are relative to the "
            "teacher potential, not to a calculation."
        )
    if not tuned.history:
        limits.append("Its network was not trained on these labels.")
    elif tuned.history[-1].train.forces_mae is None:
        source = " but on those of the source" if tuned.n_source_labelled else ""
        limits.append(f"It was not trained on forces of these labels{source}.")
    test = evaluation.metrics.get("test")
    if test is None or test.n_frames < _FEW_FRAMES:
        n_frames = format_count(test.n_frames if test else 0, "test frame")
        limits.append(f"The errors are uncertain: only {n_frames}.")
    if tuned.unusable_frames:
        unusable = format_count(tuned.n_unusable_frames, "frame")
        limits.append(f"{unusable} could not be used for training.")
    if stability is not None and stability.n_failed_relaxations:
        limits.append(
            f"{stability.n_failed_relaxations:,} of {stability.n_materials:,} "
            "relaxations failed."
        )
    return limits
