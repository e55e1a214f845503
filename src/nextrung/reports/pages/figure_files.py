"""Figures of a report as PDF and PNG, and their data as CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from nextrung.reports.pages.images import write_images
from nextrung.reports.pages.study import report_study
from nextrung.reports.plots.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def write_figures(
    study: StudyDoc, documents: Mapping[str, TaskDoc], folder: Path
) -> list[Path]:
    """Write every figure of a report as PDF and PNG, and its data as CSV.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents by stage or stage/model.
    folder : Path
        Folder to write to; created if missing.

    Returns
    -------
    list of Path
        The files, CSV first; these are written even if no browser draws the figures.
    """
    sections = report_study(study, documents)
    blocks = [block for section in sections for block in section.blocks]
    figures = [block for block in blocks if isinstance(block, Figure)]
    folder.mkdir(parents=True, exist_ok=True)
    data = [write_columns(figure, folder) for figure in figures]
    return [*data, *write_images(figures, folder)]


def write_columns(figure: Figure, folder: Path) -> Path:
    """Write the data of a figure as CSV.

    Parameters
    ----------
    figure : Figure
        The figure.
    folder : Path
        Folder to write to.
    """
    path = folder / f"{figure.name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(figure.columns)
        writer.writerows(zip(*figure.columns.values(), strict=True))
    return path
