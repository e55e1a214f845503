"""Table of the model to use for each purpose, and how certain that is."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from nextrung.reports.html.elements import MISSING, element, row, table
from nextrung.reports.html.model_style import appearance, model_cell
from nextrung.reports.sections.verdicts.choices import (
    BASELINES,
    NAMES,
    Choice,
    choose_model,
)
from nextrung.reports.sections.verdicts.dynamics import find_failed_dynamics
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.study import ModelSummary, StudyResults


class _Use(NamedTuple):
    """A purpose, the error it is chosen by, and errors that it needs besides."""

    title: str
    key: str
    needs: tuple[str, ...] = ()
    is_dynamics: bool = False


_USES = (
    _Use("Energies of given structures", "energy"),
    _Use("Relaxation", "forces", ("stress",)),
    _Use("Molecular dynamics", "forces", is_dynamics=True),
    _Use("Phase stability", "decomposition_energy"),
)


def list_uses(results: StudyResults, evidence: Evidence) -> list[Element]:
    """List the model to use for energies, relaxation, dynamics and phase stability.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    list of Element
        A title, the table, and how models are chosen; empty without test errors.
    """
    chosen = [(use, choose_model(evidence, use.key)) for use in _USES]
    if not any(choice for _, choice in chosen):
        return []
    rows = [
        _build_row(
            use, choice, find_unmet(evidence, choice, use.needs), results=results
        )
        if choice
        else row(
            element("th", use.title, scope="row"),
            "None shown to be fit",
            MISSING,
            MISSING,
            _explain_unscored(use, results),
        )
        for use, choice in chosen
    ]
    titles = ("Purpose", "Model", "Test error", "Against the baseline", "Certainty")
    note = (
        "Chosen by the lowest error on the validation split; errors are those of the "
        "test split. Parentheses: 95 % intervals over test materials and, where there "
        "are several, over repeats; relative differences are then geometric means over "
        "repeats. A model is named where it is shown to be better than the baseline, "
        "which is zero or, for energies, the atomic references alone, and the purpose "
        "was tested."
    )
    return [
        element("h3", "What to use"),
        table(list(titles), rows),
        element("p", note, class_="note"),
    ]


def _build_row(
    use: _Use, choice: Choice, unmet: list[str], *, results: StudyResults
) -> Element:
    """Build the row of one purpose."""
    summary = results.models.get(choice.model)
    physics = summary.physics if summary else None
    failed = find_failed_dynamics(physics) if use.is_dynamics else []
    remarks = [
        *(f"Not shown to be better than {BASELINES[key]}." for key in unmet),
        choice.describe_rank(),
        f"Chosen by forces: {'; '.join(failed)}." if failed else "",
        _describe_isolated(summary),
    ]
    recommended = choice.baseline is not None and not unmet and not failed
    error = f"{NAMES[use.key]} {choice.format_error()}"
    compared = choice.baseline.format() if choice.baseline else MISSING
    return row(
        element("th", use.title, scope="row"),
        model_cell(choice.model) if recommended else "None shown to be fit",
        error if recommended else f"{choice.title}: {error}",
        f"{BASELINES[use.key]}: {compared}",
        " ".join(filter(None, remarks)),
    )


def _explain_unscored(use: _Use, results: StudyResults) -> str:
    """Explain why no model has the error that a purpose is chosen by."""
    counts = {str(key): n for key, n in results.dataset.n_frames_by_label.items()}
    if counts.get(use.key) == 0:
        return f"No frame has labels of {NAMES[use.key]}."
    return "Not scored."


def find_unmet(evidence: Evidence, choice: Choice, needs: tuple[str, ...]) -> list[str]:
    """Find the errors that are not shown to be lower than the baseline's.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    choice : Choice
        Chosen model.
    needs : tuple of str
        Columns that the purpose needs besides that of the choice.

    Returns
    -------
    list of str
        Columns of Table 1; none where there are too few materials to compare.
    """
    if choice.baseline is None:
        return []
    unmet = [] if choice.baseline.is_lower else [choice.key]
    for key in needs:
        found = evidence.compare_with_baseline(key, choice.model)
        if found is None or not found.is_lower:
            unmet.append(key)
    return unmet


def _describe_isolated(summary: ModelSummary | None) -> str:
    """Describe relaxations that left an atom without neighbours."""
    stability = summary and summary.stability
    failed = stability and stability.statuses.get(RelaxationStatus.ISOLATED_ATOM)
    if not stability or not failed:
        return ""
    share = f"{failed:,} of {stability.n_materials:,}"
    return f"{share} relaxations leave an atom without neighbours."


def describe_files(
    choices: Mapping[str, Choice], models: Mapping[str, ModelSummary]
) -> list[str]:
    """Describe where the chosen models are.

    Parameters
    ----------
    choices : mapping of str to Choice
        Chosen models.
    models : mapping of str to ModelSummary
        Models of the study, for the suffix of their checkpoints.

    Returns
    -------
    list of str
        One sentence per model.
    """
    chosen = dict.fromkeys(choice.model for choice in choices.values())
    return [
        f"{appearance(model).title}: models/{model}{_suffix(models.get(model))} of the "
        "run folder; its model card is in the same folder."
        for model in chosen
    ]


def _suffix(summary: ModelSummary | None) -> str:
    """Return the suffix of the checkpoint of a model; empty if it is unknown."""
    return (
        "" if summary is None else "".join(PurePosixPath(summary.checkpoint).suffixes)
    )
