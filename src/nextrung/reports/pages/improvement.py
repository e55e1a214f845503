"""Page of an improvement loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.pages.page import build_header, write_page
from nextrung.reports.sections.improvement import report_improvement

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.improvement import ImprovementDoc


def write_improvement(
    document: ImprovementDoc, path: Path, *, beside: ImprovementDoc | None = None
) -> None:
    """Write an improvement loop as a page.

    Parameters
    ----------
    document : ImprovementDoc
        Last document of the loop.
    path : Path
        The HTML file, replaced atomically.
    beside : ImprovementDoc, optional
        Last document of the loop that it is compared with.
    """
    header = build_header("improve", document.study, [document.labels])
    sections = report_improvement(document, beside)
    title = f"{document.study} improvement"
    write_page(path, title, header=header, sections=sections)
