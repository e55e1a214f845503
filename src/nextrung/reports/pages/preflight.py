"""Page of the preflight of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.pages.page import build_header, write_page
from nextrung.reports.sections.preflight import report_preflight

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.preflight import PreflightDoc


def write_preflight(document: PreflightDoc, study: str, path: Path) -> None:
    """Write the preflight of a study as a page.

    Parameters
    ----------
    document : PreflightDoc
        The preflight.
    study : str
        Name of the study.
    path : Path
        The HTML file, replaced atomically.
    """
    header = build_header("preflight", study, [document.labels])
    section = report_preflight({"preflight": document})
    write_page(path, f"{study} preflight", header=header, sections=[section])
