"""The preflight of a study as a page of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import element
from nextrung.reports.pages.page import write_page
from nextrung.reports.sections.preflight import report_preflight

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.preflight import PreflightDoc


def write_preflight(document: PreflightDoc, study: str, path: Path) -> None:
    """Write a preflight as a page of its own.

    Parameters
    ----------
    document : PreflightDoc
        The preflight.
    study : str
        Name of the study.
    path : Path
        The HTML file; it appears whole or not at all.
    """
    head = element(
        "header",
        element("p", "nextrung preflight", class_="kicker"),
        element("h1", study),
        element("p", f"labels: {document.labels}", class_="labels"),
    )
    section = report_preflight({"preflight": document})
    write_page(path, f"{study} preflight", header=head, sections=[section])
