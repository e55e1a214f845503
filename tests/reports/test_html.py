"""The report as a page."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal

import pytest

from nextrung.reports.benchmarks import COLUMNS
from nextrung.reports.html import write_page, write_report
from nextrung.reports.markup import element
from nextrung.reports.models import appearance
from nextrung.reports.sections import Section
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


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


@pytest.fixture(scope="module")
def page(report: Path) -> Reader:
    return read_page(report)


def test_every_anchor_resolves(page: Reader) -> None:
    names = page.attributes("id")
    assert len(set(names)) == len(names)
    links = [href for href in page.attributes("href") if href.startswith("#")]
    assert len(links) > 10
    assert {href.removeprefix("#") for href in links} <= set(names)


def test_nothing_is_asked_of_the_network(page: Reader) -> None:
    links = page.attributes("href") + page.attributes("src")
    assert all(link.startswith(("#", "data:")) for link in links)


def test_plotly_is_embedded_once(report: Path) -> None:
    assert report.read_text(encoding="utf-8").count("plotly.js v") == 1


def test_labels_are_named_and_never_called_dft(page: Reader) -> None:
    text = " ".join(page.texts)
    assert "labels: distilled from chgnet-r2scan" in text
    assert "DFT" not in text


def test_numbers_of_the_page_are_those_of_the_results(
    page: Reader, study: StudyDoc
) -> None:
    shown: dict[tuple[str, str], float] = {}
    model = column = ""
    for tag, attributes in page.tags:
        model = attributes.get("data-model") or model
        column = attributes.get("data-column") or ("" if tag == "td" else column)
        if tag == "data" and column:
            shown[model, column] = float(attributes.get("value") or "nan")
    expected = {
        (model, column.key): column.read(summary)
        for model, summary in study.results.models.items()
        for column in COLUMNS
    }
    assert shown == {key: value for key, value in expected.items() if value is not None}


def test_every_figure_has_data(page: Reader) -> None:
    specs = [text for text in page.scripts if text.startswith('{"data"')]
    figures = [a for tag, a in page.tags if tag == "figure"]
    assert len(specs) == len(figures) > 15
    assert all(json.loads(spec)["data"] for spec in specs)


def test_no_name_becomes_markup(page: Reader) -> None:
    assert "<script>alert(1)</script>" in page.texts
    assert not any("alert(1)" in script for script in page.scripts)
    assert "Does transfer help? <b>Let us see.</b>" in page.texts


def test_every_stage_left_out_is_said(
    study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    settings = study.settings.model_copy(
        update=dict.fromkeys(("alignment", "stability", "density", "scaling_law"))
    )
    kept = {"dataset": documents["dataset"]}
    write_report(study.model_copy(update={"settings": settings}), kept, tmp_path / "r")
    text = " ".join(read_page(tmp_path / "r").texts)
    for stage in ("alignment", "stability", "density", "scaling law"):
        assert f"The study leaves the {stage} stage out." in text


def test_a_report_replaces_its_predecessor_whole(
    report: Path, study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(study, documents, path)
    write_report(study, documents, path)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == report.read_bytes()


def test_a_page_holds_its_sections_in_order(tmp_path: Path) -> None:
    sections = [Section(name, name.upper(), ()) for name in ("one", "two")]
    write_page(tmp_path / "p", "title", header=element("header"), sections=sections)
    page = read_page(tmp_path / "p")
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["one", "two"]
    assert "title · nextrung" in page.texts


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; tests skip without it."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no browser: expected a program named chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS)
        )
        yield started
        started.close()


def open_page(
    browser: Browser,
    path: Path,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> tuple[Page, list[str]]:
    """Open a report, scroll through it, and collect what goes wrong."""
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
    for place in range(0, int(page.evaluate("document.body.scrollHeight")), 500):
        page.evaluate(f"window.scrollTo(0, {place})")
        page.wait_for_timeout(30)
    page.wait_for_function(
        "[...document.querySelectorAll('figure.chart')].every("
        "figure => figure.querySelector('.main-svg'))"
    )
    return page, complaints


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 400)]
)
def test_a_browser_draws_every_figure_without_complaint(
    browser: Browser,
    report: Path,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
    width: int,
) -> None:
    page, complaints = open_page(browser, report, width, scheme)
    drawn = page.evaluate(
        "[...document.querySelectorAll('figure.chart')].map(figure =>"
        " figure.querySelectorAll('.trace, .hm, .barlayer path, image').length)"
    )
    assert complaints == []
    assert all(count > 0 for count in drawn)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "report.png", full_page=True)
    page.close()


@pytest.mark.slow
def test_hovering_shows_the_name_of_a_frame(browser: Browser, report: Path) -> None:
    page, complaints = open_page(browser, report)
    page.evaluate("document.querySelector('#parity').scrollIntoView()")
    page.evaluate(
        """() => {
            const plot = document.querySelector("#parity .plot");
            const visible = plot.data.map((trace) => trace.visible);
            const curve = visible.lastIndexOf(true);
            Plotly.Fx.hover(plot, [{ curveNumber: curve, pointNumber: 0 }]);
        }"""
    )
    page.wait_for_selector("#parity .hovertext")
    assert "Li2O2-0" in (page.text_content("#parity .hovertext") or "")
    assert complaints == []
    page.close()


@pytest.mark.slow
def test_a_view_shows_another_model(browser: Browser, report: Path) -> None:
    page, _ = open_page(browser, report)
    page.select_option("#parity select", appearance(Model.SCRATCH).title)
    shown = page.evaluate(
        "document.querySelector('#parity .plot').data"
        ".filter(trace => trace.visible).map(trace => trace.name)"
    )
    assert appearance(Model.SCRATCH).title in shown
    assert len(shown) == 2
    page.close()


@pytest.mark.slow
def test_the_hull_explorer_draws_any_system(browser: Browser, report: Path) -> None:
    page, complaints = open_page(browser, report)
    for system, count in (("Mn-O", 5), ("Li-Mn-O", 11), ("Li", 1)):
        page.fill("#hull-explorer input", system)
        page.press("#hull-explorer input", "Tab")
        assert page.locator(".hull-table tbody tr").count() == count
    assert complaints == []
    page.close()
