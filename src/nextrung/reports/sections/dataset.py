"""Section of the data set: splits, elements and rejections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    details_table,
    element,
    format_count,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.plots.figure import Figure
from nextrung.reports.plots.periodic_table import Scale, plot_periodic_table
from nextrung.reports.sections.section import Section

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.labels.identity import IdentitySummary, Mixture
    from nextrung.schemas.study import DatasetSummary, StudyDoc

#: Groups of materials that are one crystal, listed on the page.
N_GROUPS = 20

#: Rejections listed on the page; the artifact of the data set has all.
N_LISTED = 200


def report_dataset(study: StudyDoc) -> Section:
    """Report the frames of the data set and the rejected ones.

    Parameters
    ----------
    study : StudyDoc
        The study.

    Returns
    -------
    Section
        The section of the data set.
    """
    summary = study.results.dataset
    return Section(
        "dataset",
        "Data set",
        (
            _describe_origin(study.settings.dataset, study.results.labels),
            _count_splits(summary),
            *_describe_labels(summary),
            _plot_elements(summary),
            *_list_rejections(summary),
            *_list_identities(summary.identity),
        ),
    )


def _describe_origin(settings: DatasetSettings, labels: str) -> Element:
    """Describe the source of frames and labels."""
    text = (
        f"Source: {settings.source.kind}; labels: {labels}; functional: "
        f"{settings.curation.functional}; split by {settings.split.unit} with seed "
        f"{settings.split.seed}."
    )
    return element("p", text)


def _count_splits(summary: DatasetSummary) -> Element:
    """List the number of materials and frames of each split."""
    splits = list(summary.n_frames_by_split)
    materials = [summary.n_materials_by_split.get(split, 0) for split in splits]
    frames = [summary.n_frames_by_split[split] for split in splits]
    return table(
        ["", *numeric(*splits, "all")],
        [
            row("Materials", *map(number, [*materials, summary.n_materials])),
            row("Frames", *map(number, [*frames, summary.n_frames])),
        ],
    )


def _describe_labels(summary: DatasetSummary) -> list[Element]:
    """Describe how many frames have each label, and which columns have no errors."""
    counts = summary.n_frames_by_label
    if not counts:
        return []
    listed = (
        f"{label} {count:,} of {summary.n_frames:,}" for label, count in counts.items()
    )
    text = f"Frames with each label: {', '.join(listed)}."
    if missing := [label for label, count in counts.items() if not count]:
        text += f" Errors of {', '.join(missing)} cannot be computed without labels."
    return [element("p", text)]


def _plot_elements(summary: DatasetSummary) -> Figure:
    """Plot the number of frames with each element (Fig. 1a)."""
    counts = summary.element_counts
    drawn = plot_periodic_table(
        {symbol: float(count) for symbol, count in counts.items()},
        {symbol: f"{count:,} frames" for symbol, count in counts.items()},
        title="frames",
        scale=Scale.LOGARITHMIC,
    )
    caption = (
        f"Number of frames with each of the {len(counts)} elements (as Fig. 1a of the "
        "paper; logarithmic colours)."
    )
    return Figure(
        "elements",
        caption,
        drawn,
        {"element": list(counts), "n_frames": list(counts.values())},
    )


def _list_rejections(summary: DatasetSummary) -> list[Element]:
    """List the number of rejections by rule, and the first rejections."""
    broken = {rule: count for rule, count in summary.n_rejected.items() if count}
    if not broken:
        return [element("p", f"No frame of {summary.n_seen:,} was rejected.")]
    total = sum(broken.values())
    counted = table(
        ["Rule", *numeric("Rejected frames or files")],
        [row(rule.replace("_", " "), number(count)) for rule, count in broken.items()],
    )
    text = (
        f"Of {summary.n_seen:,} frames or unreadable files, {summary.n_frames:,} were "
        f"kept and {total:,} rejected; before duplicates were removed, "
        f"{summary.n_frames_before_deduplication:,} frames remained."
    )
    return [element("p", text), counted, *_list_first(summary)]


def _list_first(summary: DatasetSummary) -> list[Element]:
    """List the first rejections other than duplicates."""
    listed = summary.rejections[:N_LISTED]
    rows = [
        row(e.frame_id, e.material_id, e.rule.replace("_", " "), e.reason)
        for e in listed
    ]
    title = f"Rejections other than duplicates (first {len(listed)})"
    return details_table(title, ["Frame or file", "Material", "Rule", "Reason"], rows)


def _list_identities(found: IdentitySummary) -> list[Element]:
    """List how the runs were calculated, and what is mixed among them."""
    if not found.identities:
        return []
    rows = [
        row(each.field.replace("_", " "), each.value, number(each.n_runs), each.example)
        for each in found.identities
    ]
    header: list[Element | str] = ["Field", "Value", *numeric("Runs"), "Such as"]
    return [
        *(element("p", _describe_mixture(mixture)) for mixture in found.mixtures),
        *(
            element("p", f"One crystal of several names: {', '.join(names)}.")
            for names in found.same_crystals[:N_GROUPS]
        ),
        *details_table("How the accepted runs were calculated", header, rows),
    ]


def _describe_mixture(mixture: Mixture) -> str:
    """Describe the values of a field in which runs differ, and what it changes."""
    values = ", ".join(
        f"{value.value} ({format_count(value.n_runs, 'run')})"
        for value in mixture.values
    )
    text = f"Labels are mixed in {mixture.field.replace('_', ' ')}: {values}; "
    if mixture.energy_difference is None:
        return text + "no two of them share a composition."
    return (
        text + f"the lowest energies of {mixture.composition} differ by "
        f"{1000 * mixture.energy_difference:.0f} meV/atom."
    )
