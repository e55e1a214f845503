"""The data of every figure of a report, for papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.plots import Figure, write_columns
from nextrung.reports.study import report_study

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def write_figures(
    study: StudyDoc, documents: Mapping[str, TaskDoc], folder: Path
) -> list[Path]:
    """Write the data behind every figure of the report as CSV.

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
        The files, in the order of the report.
    """
    sections = report_study(study, documents)
    blocks = [block for section in sections for block in section.blocks]
    return write_columns([b for b in blocks if isinstance(b, Figure)], folder)
