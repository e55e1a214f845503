"""Section of two studies whose models are compared on the same test frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.intervals import (
    Comparison,
    PairedErrors,
    collect_errors,
    tabulate_errors,
)
from nextrung.reports.html.elements import MISSING, element, numeric, row, table
from nextrung.reports.html.model_style import in_order, model_cell
from nextrung.reports.html.quantities import PROPERTIES
from nextrung.reports.sections.section import Section, documents_of
from nextrung.reports.sections.verdicts.differences import Difference
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.compute.intervals import Errors, ErrorTable, Repeat
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyResults

#: The repeat that is compared: the first of each study.
_FIRST: Repeat = (None, 0)

#: Labels in eV/atom that differ by less are the same, stored with other rounding.
SAME_ENERGY = 1e-5


def compare_studies(
    first: StudyResults,
    second: StudyResults,
    documents: tuple[Mapping[str, TaskDoc], Mapping[str, TaskDoc]],
) -> Section:
    """Compare two studies model by model, where their test frames are the same.

    Parameters
    ----------
    first, second : StudyResults
        Results of the studies, such as one of CHGNet and one of SevenNet.
    documents : tuple of mapping of str to TaskDoc
        Documents of each: ``evaluation`` of every model, and ``fine_tuning/source``.

    Returns
    -------
    Section
        Test errors of both, and the relative difference with its 95 % interval;
        without them where labels or test frames differ, which is said.
    """
    names = [first.study, second.study]
    about = [
        element("p", f"{results.study}: {describe_source(results, of_study)}.")
        for results, of_study in zip((first, second), documents, strict=True)
    ]
    title = f"{names[1]} against {names[0]}"
    anchor = f"against-{names[1]}"
    reason = _find_difference(*map(_read_labels, documents))
    if reason:
        text = f"Not compared model by model: {reason}."
        absent = element("p", text, class_="absent")
        return Section(anchor, title, (*about, absent))
    tables = [_read_errors(of_study) for of_study in documents]
    shared = set(first.models) & set(second.models)
    rows = [
        _build_row(
            model, key, (tables[0][key][model][_FIRST], tables[1][key][model][_FIRST])
        )
        for key in PROPERTIES
        for model in in_order(shared - first.finished.keys() - second.finished.keys())
        if all(model in of_study.get(key, {}) for of_study in tables)
    ]
    note = (
        "Mean absolute errors of the same test frames, in the first repeat of each "
        "study; finished potentials left out. Difference: error of "
        f"{names[1]} relative to that of {names[0]}, below zero where it is lower; "
        "parentheses: 95 % interval over test materials, not adjusted for the number "
        "of rows."
    )
    counts = numeric("Frames", *names, "Difference")
    listed = table(["Property", "Model", *counts], rows)
    return Section(anchor, title, (*about, element("p", note), listed))


def describe_source(results: StudyResults, documents: Mapping[str, TaskDoc]) -> str:
    """Describe the source potential of a study, its family and its functional.

    Parameters
    ----------
    results : StudyResults
        Results of the study.
    documents : mapping of str to TaskDoc
        Its documents: ``fine_tuning/source``.
    """
    made = documents_of(documents, "fine_tuning", FineTuningDoc).get(Model.SOURCE)
    text = f"source potential {results.source}"
    return text + (f", family {made.family}, {made.functional}" if made else "")


def _read_errors(documents: Mapping[str, TaskDoc]) -> ErrorTable:
    """Read the test errors of the models of a study."""
    scored = documents_of(documents, "evaluation", EvaluationDoc)
    collected = ((m, _FIRST, collect_errors(doc)) for m, doc in scored.items())
    return tabulate_errors(collected, "test")


def _build_row(model: str, key: str, errors: tuple[Errors, Errors]) -> Element:
    """Build the row of one property and model."""
    quantity = PROPERTIES[key]
    paired = PairedErrors.of({_FIRST: errors[1]}, {_FIRST: errors[0]})
    means: list[float | None] = [None, None]
    n_common = 0
    for second, first in paired.pairs:
        means, n_common = [first.mean, second.mean], len(first)
    found = paired.compare()
    missing = "fewer than five test materials"
    difference = (
        element(
            "td",
            Difference.of(Comparison(found, found.p_value)).format(),
            class_="number",
        )
        if found
        else element("td", MISSING, class_="number missing", title=missing)
    )
    return row(
        quantity.heading,
        model_cell(model),
        element("td", f"{n_common:,}", class_="number"),
        *(quantity.cell(mean, "no common frame") for mean in means),
        difference,
    )


def _read_labels(documents: Mapping[str, TaskDoc]) -> dict[str, float]:
    """Read the labels of the test frames that any model was scored on, in eV/atom."""
    return {
        frame: np.nan if energy is None else energy
        for document in documents_of(documents, "evaluation", EvaluationDoc).values()
        for frame, split, energy in zip(
            document.rows.frame_id,
            document.rows.split,
            document.rows.energy_per_atom,
            strict=True,
        )
        if split == "test"
    }


def _find_difference(first: dict[str, float], second: dict[str, float]) -> str:
    """Describe how the test frames of two studies differ; empty where they do not."""
    shared = sorted(first.keys() & second.keys())
    if not shared or len(shared) < max(len(first), len(second)):
        return (
            f"the test frames differ, {len(shared):,} are in both, of {len(first):,} "
            f"and {len(second):,}"
        )
    ours, others = (np.array([of[n] for n in shared]) for of in (first, second))
    same = np.isclose(ours, others, rtol=0, atol=SAME_ENERGY, equal_nan=True)
    if same.all():
        return ""
    return f"the labels of {int((~same).sum()):,} of {len(shared):,} test frames differ"
