"""Every figure of a report as files for papers, and the data behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.pages.images import write_images
from nextrung.reports.pages.study import report_study
from nextrung.reports.plots.figure import Figure, write_columns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def write_figures(
    study: StudyDoc, documents: Mapping[str, TaskDoc], folder: Path
) -> list[Path]:
    """Write every figure of the report as PDF and PNG, and the data behind it as CSV.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents, keyed as the jobs of its results: by stage or stage/model.
    folder : Path
        Where to write; made where it does not exist.

    Returns
    -------
    list of Path
        The files: data first, in the order of the report; they are there even where
        no browser draws the figures.
    """
    sections = report_study(study, documents)
    blocks = [block for section in sections for block in section.blocks]
    figures = [block for block in blocks if isinstance(block, Figure)]
    return [*write_columns(figures, folder), *write_images(figures, folder)]
