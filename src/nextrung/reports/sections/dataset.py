"""Section of the data set: splits, elements and rejections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    details_table,
    element,
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
    from nextrung.schemas.study import DatasetSummary, StudyDoc

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
            _plot_elements(summary),
            *_list_rejections(summary),
        ),
    )


def _describe_origin(settings: DatasetSettings, labels: str) -> Element:
    """Describe the source of frames and labels."""
    text = (
        f"Source: {settings.source.kind}; labels: {labels}; functional: "
        f"{settings.curation.functional}; split by material with seed "
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
        return [element("p", "No frame was rejected.")]
    total = sum(broken.values())
    counted = table(
        ["Rule", *numeric("Rejected frames or files")],
        [row(rule.replace("_", " "), number(count)) for rule, count in broken.items()],
    )
    text = (
        f"{total:,} frames or files were rejected; "
        f"{summary.n_frames_before_deduplication:,} frames remained before duplicates "
        "were removed."
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
