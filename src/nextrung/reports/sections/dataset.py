"""What the data set holds, and what was left out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    details,
    header,
    number,
    numeric,
    paragraph,
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

#: Rejections listed on the page; the artifact of the data set lists all.
N_LISTED = 200


def report_dataset(study: StudyDoc) -> Section:
    """Report the frames that were kept and those that were not.

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
    """Say where the frames and the labels come from."""
    text = (
        f"Source: {settings.source.kind}; labels: {labels}; functional asked for: "
        f"{settings.curation.functional}; split by material with seed "
        f"{settings.split.seed}."
    )
    return paragraph(text)


def _count_splits(summary: DatasetSummary) -> Element:
    """Count materials and frames, split by split."""
    splits = list(summary.n_frames_by_split)
    materials = [summary.n_materials_by_split.get(split, 0) for split in splits]
    frames = [summary.n_frames_by_split[split] for split in splits]
    return table(
        header("", *numeric(*splits, "all")),
        [
            row("Materials", *map(number, [*materials, summary.n_materials])),
            row("Frames", *map(number, [*frames, summary.n_frames])),
        ],
    )


def _plot_elements(summary: DatasetSummary) -> Figure:
    """Draw how often each element occurs (Fig. 1a)."""
    counts = summary.element_counts
    drawn = plot_periodic_table(
        {symbol: float(count) for symbol, count in counts.items()},
        {symbol: f"{count:,} frames" for symbol, count in counts.items()},
        title="frames",
        scale=Scale.LOGARITHMIC,
    )
    caption = (
        f"Frames that hold each of the {len(counts)} elements (as Fig. 1a of the "
        "paper; the colour is logarithmic)."
    )
    return Figure(
        "elements",
        caption,
        drawn,
        {"element": list(counts), "n_frames": list(counts.values())},
    )


def _list_rejections(summary: DatasetSummary) -> list[Element]:
    """Count the rejections by rule and list the first of them."""
    broken = {rule: count for rule, count in summary.n_rejected.items() if count}
    if not broken:
        return [paragraph("No frame was left out.")]
    total = sum(broken.values())
    counted = table(
        header("Rule", *numeric("Frames or files left out")),
        [row(rule.replace("_", " "), number(count)) for rule, count in broken.items()],
    )
    said = paragraph(
        f"{total:,} frames or files were left out; "
        f"{summary.n_frames_before_deduplication:,} frames broke no rule but the one "
        "on duplicates."
    )
    return [said, counted, *_list_first(summary)]


def _list_first(summary: DatasetSummary) -> list[Element]:
    """List the first rejections that are no duplicates."""
    listed = summary.rejections[:N_LISTED]
    if not listed:
        return []
    rows = [
        row(e.frame_id, e.material_id, e.rule.replace("_", " "), e.reason)
        for e in listed
    ]
    titles = header("Frame or file", "Material", "Rule", "Why")
    title = f"Rejections that are no duplicates, by name: the first {len(listed)}"
    return [details(title, table(titles, rows))]
