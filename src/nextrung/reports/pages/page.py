"""HTML pages that need no other file, and the report of a study as such a page."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from nextrung.atomic_write import atomic_write
from nextrung.reports.html.elements import element, render
from nextrung.reports.pages.study import report_study
from nextrung.reports.plots.figure import Figure, embed
from nextrung.reports.sections.provenance import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.compute.intervals import ErrorsBySplit
    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def write_report(
    study: StudyDoc,
    documents: Mapping[str, TaskDoc],
    path: Path,
    *,
    repeated: Mapping[str, ErrorsBySplit] | None = None,
) -> None:
    """Write the report of a study.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents by stage or stage/model. A section without its documents says
        so.
    path : Path
        The HTML file, replaced atomically.
    repeated : mapping of str to dict, optional
        Errors of the other repeats, by stage/model/repeat.
    """
    results = study.results
    origin = (
        f"source potential: {results.source}; completed "
        f"{format_time(study.provenance.completed_at)}"
    )
    description = study.settings.description
    header = build_header("study", results.study, [results.labels])
    header.append(element("p", origin, class_="origin"))
    header.extend([element("p", description)] if description else [])
    sections = report_study(study, documents, repeated)
    write_page(path, results.study, header=header, sections=sections)


def build_header(kind: str, title: str, labels: Iterable[str]) -> Element:
    """Build the header of a page.

    Parameters
    ----------
    kind : str
        Kind of the page.
    title : str
        Title of the page.
    labels : iterable of str
        Labels of the studies.
    """
    return element(
        "header",
        element("p", f"nextrung {kind}", class_="kicker"),
        element("h1", title),
        *(element("p", f"labels: {label}", class_="labels") for label in labels),
    )


def write_page(
    path: Path, title: str, *, header: Element, sections: Sequence[Section]
) -> None:
    """Write sections as a page that needs no other file.

    Parameters
    ----------
    path : Path
        The HTML file, replaced atomically.
    title : str
        Title of the window.
    header : Element
        Header of the page.
    sections : sequence of Section
        The sections, in order.
    """
    page = _assemble(title, header, sections)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_text(f"<!DOCTYPE html>\n{render(page)}\n", encoding="utf-8")


def _assemble(title: str, header: Element, sections: Sequence[Section]) -> Element:
    """Assemble header, table of contents, sections and scripts."""
    links = [element("a", s.title, href=f"#{s.anchor}") for s in sections]
    contents = element("nav", *links, aria_label="Contents")
    main = element("main", *(_build_section(section) for section in sections))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · nextrung"),
        element("link", rel="icon", href="data:,"),
        element("style", _read("page.css")),
    )
    scripts = (get_plotlyjs(), _read("page.js"), _read("hull.js"))
    bodies = (element("script", text) for text in scripts)
    body = element("body", header, contents, main, *bodies)
    return element("html", head, body, lang="en")


def _read(name: str) -> str:
    """Read a file of the package."""
    return files("nextrung.reports.html").joinpath(name).read_text(encoding="utf-8")


def _build_section(section: Section) -> Element:
    """Build a section; adjacent figures share a row where there is room."""
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
