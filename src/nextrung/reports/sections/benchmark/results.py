"""Sections of a benchmark: results, every property, labelled frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals import TOTAL_ENERGIES
from nextrung.reports.html.elements import (
    details_table,
    element,
    format_count,
    format_duration,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.sections.benchmark.columns import (
    FRAMES,
    PROPERTIES,
    style_models,
)
from nextrung.reports.sections.benchmark.properties import report_property
from nextrung.reports.sections.benchmark.table import (
    html_results,
    list_columns,
    name_cell,
)
from nextrung.reports.sections.provenance import format_time
from nextrung.reports.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.html.model_style import Appearance
    from nextrung.reports.sections.benchmark.columns import BenchmarkColumn
    from nextrung.schemas.benchmark import BenchmarkResults


def report_benchmark(results: BenchmarkResults) -> list[Section]:
    """Report the benchmarks of one or several models.

    Parameters
    ----------
    results : BenchmarkResults
        Results of all models.
    """
    looks = style_models([each.model for each in results.models])
    columns = list_columns(results)
    sections = [_report_results(results, looks)]
    sections += [
        report_property(column, results, looks)
        for column in columns
        if column.key in PROPERTIES
    ]
    sections += _report_frames(results, looks)
    return [*sections, _report_provenance(results, looks)]


def _report_results(
    results: BenchmarkResults, looks: Mapping[str, Appearance]
) -> Section:
    """Report the means of all models, and which of them differ."""
    text = (
        "Mean absolute deviations from experiment, no model trained or adjusted. Below "
        "each: the 95 % interval of the mean over crystals of which these are a "
        "sample. The level of theory is the functional of the labels that a model was "
        "trained on: a model that reproduced it exactly would keep the deviations of "
        "that functional. Without value: measured values that a model cannot predict, "
        "of all; its means are over the others."
    )
    findings = element(
        "ul", *(element("li", each) for each in describe_leaders(results))
    )
    blocks = [findings, element("p", text), html_results(results)]
    blocks += _list_differences(results, looks)
    blocks += _list_failures(results, looks)
    return Section("results", "Results", tuple(blocks))


def describe_leaders(results: BenchmarkResults) -> list[str]:
    """Describe which model has the lowest deviation, where one is shown to have it.

    Parameters
    ----------
    results : BenchmarkResults
        Results of all models.

    Returns
    -------
    list of str
        One sentence per quantity; models are named only where their difference, over
        the values that both have, excludes zero after Holm's adjustment.
    """
    if len(results.models) == 1:
        return ["One model: nothing to compare it with."]
    looks = style_models([each.model for each in results.models])
    return [
        _describe_leader(column, results, looks) for column in list_columns(results)
    ]


def _describe_leader(
    column: BenchmarkColumn,
    results: BenchmarkResults,
    looks: Mapping[str, Appearance],
) -> str:
    """Describe which models are shown to differ by one quantity."""
    title = column.deviation.title
    if column.key == TOTAL_ENERGIES and len({m.labels for m in results.models}) > 1:
        return (
            f"{title}: not compared, since total energies of different levels of "
            "theory have different zeros."
        )
    compared = [
        each for each in results.comparison.differences if each.quantity == column.key
    ]
    higher = [looks[each.model].title for each in compared if each.significant]
    if (leader := results.comparison.leaders.get(column.key)) is not None:
        fewest = min(each.n_values for each in compared)
        return (
            f"{title}: {looks[leader].title} deviates less than every other model "
            f"({format_count(fewest, 'shared value')} or more)."
        )
    if higher:
        verb = "deviate" if len(higher) > 1 else "deviates"
        return (
            f"{title}: {', '.join(higher)} {verb} more than "
            f"{looks[compared[0].reference].title}; the other models are not told "
            "apart from it."
        )
    return f"{title}: no model is shown to deviate less than another one."


def _list_differences(
    results: BenchmarkResults, looks: Mapping[str, Appearance]
) -> list[Element]:
    """List the paired differences from the lowest mean of each quantity."""
    columns = {**PROPERTIES, **FRAMES}
    rows = []
    for each in results.comparison.differences:
        shown = columns[each.quantity].deviation
        ends = " to ".join(shown.format(end) for end in (each.low, each.high))
        rows.append(
            row(
                shown.heading,
                looks[each.model].title,
                looks[each.reference].title,
                shown.cell(each.difference),
                element("td", ends, class_="number"),
                number(each.p_adjusted, 3),
                number(each.n_values),
            )
        )
    titles = numeric("Difference", "95 % interval", "p (Holm)", "Values")
    summary = "Differences from the lowest, each over the values that both models have"
    return details_table(summary, ["Quantity", "Model", "Lowest", *titles], rows)


def _list_failures(
    results: BenchmarkResults, looks: Mapping[str, Appearance]
) -> list[Element]:
    """List why values are missing, and of which crystals or frames."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in results.models:
        failed = [(row.error or "", row.crystal_id) for row in each.rows if row.error]
        if each.frames is not None:
            failed += [
                (failure.reason, frame_id)
                for failure in each.frames.failures
                for frame_id in failure.frame_ids
            ]
        for reason, name in failed:
            names = reasons.setdefault((each.model, reason), [])
            names += [] if name in names else [name]
    rows = [
        row(looks[model].title, reason, number(len(names)), ", ".join(names))
        for (model, reason), names in reasons.items()
    ]
    headings: list[Element | str] = ["Model", "Reason", *numeric("Number")]
    headings.append("Crystals or frames")
    return details_table("Why values are missing", headings, rows)


def _report_frames(
    results: BenchmarkResults, looks: Mapping[str, Appearance]
) -> list[Section]:
    """Report the errors on labelled frames; no section without frames."""
    scored = [each for each in results.models if each.frames is not None]
    if not scored:
        return []
    labels = next(each.frame_labels for each in scored)
    text = (
        f"Frames with labels of {labels}. Total energies of different levels of "
        "theory have different zeros: the energy error of a model at another level "
        "than the labels is mostly that of the atomic references, which the command "
        "atom-refs fit moves; forces and stresses have no such shift."
    )
    rows = []
    for each in scored:
        found = each.frames.metrics["all"] if each.frames else None
        if found is None:
            continue
        rows.append(
            row(
                name_cell(looks[each.model]),
                element("span", each.labels, class_="badge"),
                FRAMES["frames_energy"].deviation.cell(found.energy_mae, "no labels"),
                FRAMES["frames_forces"].deviation.cell(found.forces_mae, "no labels"),
                FRAMES["frames_stress"].deviation.cell(found.stress_mae, "no labels"),
                number(found.n_frames),
                number(found.n_failed),
            )
        )
    titles = numeric(*(column.deviation.heading for column in FRAMES.values()))
    listed = table(
        ["Model", "Level of theory", *titles, *numeric("Frames", "Failed")], rows
    )
    return [Section("frames", "Labelled frames", (element("p", text), listed))]


def _report_provenance(
    results: BenchmarkResults, looks: Mapping[str, Appearance]
) -> Section:
    """Report what every benchmark was computed with, and when."""
    rows = [
        row(
            name_cell(looks[each.model]),
            each.model,
            format_time(each.provenance.completed_at),
            format_duration(each.provenance.wall_time),
            each.provenance.device,
            each.provenance.versions["nextrung"],
            element("code", each.provenance.fingerprint[:12]),
        )
        for each in results.models
    ]
    headings = ["Model", "Potential", "Computed", "Duration", "Device", "nextrung"]
    listed = table([*headings, "Fingerprint"], rows)
    return Section("provenance", "Provenance", (listed,))
