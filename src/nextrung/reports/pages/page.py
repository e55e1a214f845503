"""The report of a study: one HTML file that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from nextrung.atomic_write import atomic_write
from nextrung.reports.html.elements import element, render
from nextrung.reports.pages.study import report_study
from nextrung.reports.plots.figure import Figure, embed
from nextrung.reports.sections.provenance import write_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def write_report(study: StudyDoc, documents: Mapping[str, TaskDoc], path: Path) -> None:
    """Write the report of a study.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents, keyed as the jobs of its results: by stage or stage/model. A
        section whose documents are missing says so.
    path : Path
        The HTML file; it appears whole or not at all.
    """
    sections = report_study(study, documents)
    write_page(path, study.results.study, header=_title(study), sections=sections)


def write_page(
    path: Path, title: str, *, header: Element, sections: Sequence[Section]
) -> None:
    """Write sections as a page that needs no other file.

    Parameters
    ----------
    path : Path
        The HTML file; it appears whole or not at all.
    title : str
        Title of the window.
    header : Element
        Head of the page.
    sections : sequence of Section
        The sections, in order.
    """
    page = _assemble(title, header, sections)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_text(f"<!DOCTYPE html>\n{render(page)}\n", encoding="utf-8")


def _assemble(title: str, header: Element, sections: Sequence[Section]) -> Element:
    """Put head, table of contents, sections and scripts together."""
    links = [element("a", s.title, href=f"#{s.anchor}") for s in sections]
    contents = element("nav", *links, aria_label="Contents")
    main = element("main", *(_write_section(section) for section in sections))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · nextrung"),
        element("link", rel="icon", href="data:,"),
        element("style", _read("page.css")),
    )
    scripts = (element("script", get_plotlyjs()), element("script", _read("page.js")))
    body = element("body", header, contents, main, *scripts)
    return element("html", head, body, lang="en")


def _read(name: str) -> str:
    """Read a file that comes with the package."""
    return files("nextrung.reports.html").joinpath(name).read_text(encoding="utf-8")


def _write_section(section: Section) -> Element:
    """Write a section; neighbouring figures share a row where there is room."""
    made = element("section", element("h2", section.title), id=section.anchor)
    row: Element | None = None
    for block in section.blocks:
        if not isinstance(block, Figure):
            made.append(block)
            row = None
            continue
        if row is None:
            least = f"--least:{block.least_width}px"
            row = element("div", class_="figures", style=least)
            made.append(row)
        row.append(embed(block))
    return made


def _title(study: StudyDoc) -> Element:
    """Write the head of a report."""
    results = study.results
    description = study.settings.description
    said = [element("p", description)] if description else []
    return element(
        "header",
        element("p", "nextrung study", class_="kicker"),
        element("h1", results.study),
        element("p", f"labels: {results.labels}", class_="labels"),
        element(
            "p",
            f"source potential: {results.source}; completed "
            f"{write_time(study.provenance.completed_at)}",
            class_="origin",
        ),
        *said,
    )
