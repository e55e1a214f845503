"""Helpers that read sections, and pages with and without a browser."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal

from nextrung.reports.html.elements import render
from nextrung.reports.plots.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from nextrung.reports.sections.section import Section

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def html_of(section: Section) -> str:
    """Render the text and the tables of a section."""
    return "".join(render(b) for b in section.blocks if not isinstance(b, Figure))


def figures_of(section: Section) -> dict[str, Figure]:
    """Find the figures of a section by name."""
    return {b.name: b for b in section.blocks if isinstance(b, Figure)}


class Reader(HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        inside = self.tags[-1][0] if self.tags else ""
        (self.scripts if inside in {"script", "style"} else self.texts).append(data)

    def attributes(self, name: str) -> list[str]:
        return [value for _, found in self.tags if (value := found.get(name))]


def read_page(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def open_page(
    browser: Browser,
    path: Path,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> tuple[Page, list[str]]:
    """Open a page, scroll through it, and collect messages, errors and requests."""
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("file:", "data:", "blob:"))
            else complaints.append(request.url)
        ),
    )
    page.goto(path.as_uri())
    for top in range(0, int(page.evaluate("document.body.scrollHeight")), 500):
        page.evaluate(f"window.scrollTo(0, {top})")
        page.wait_for_timeout(30)
    page.wait_for_function(
        "[...document.querySelectorAll('figure.chart')].every("
        "figure => figure.querySelector('.main-svg'))"
    )
    return page, complaints
