"""The report as a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_preflight
from tests.reports.browser import Reader, read_page

from nextrung.reports.html.elements import element
from nextrung.reports.pages.page import write_page, write_report
from nextrung.reports.pages.preflight import write_preflight
from nextrung.reports.sections.benchmarks import COLUMNS
from nextrung.reports.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture(scope="module")
def page(report: Path) -> Reader:
    return read_page(report)


def test_every_anchor_resolves(page: Reader) -> None:
    names = page.attributes("id")
    assert len(set(names)) == len(names)
    links = [href for href in page.attributes("href") if href.startswith("#")]
    assert len(links) > 10
    assert {href.removeprefix("#") for href in links} <= set(names)


def test_the_page_makes_no_network_requests(page: Reader) -> None:
    links = page.attributes("href") + page.attributes("src")
    assert all(link.startswith(("#", "data:")) for link in links)


def test_plotly_is_embedded_once(report: Path) -> None:
    assert report.read_text(encoding="utf-8").count("plotly.js v") == 1


def test_labels_are_described_without_the_word_dft(page: Reader) -> None:
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


def test_names_are_escaped(page: Reader) -> None:
    assert "<script>alert(1)</script>" in page.texts
    assert not any("alert(1)" in script for script in page.scripts)
    assert "Does transfer help? <b>Let us see.</b>" in page.texts


def test_every_stage_left_out_is_mentioned(
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


def test_writing_a_report_again_replaces_it(
    report: Path, study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(study, documents, path)
    write_report(study, documents, path)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == report.read_bytes()


def test_a_page_has_its_sections_in_order(tmp_path: Path) -> None:
    sections = [Section(name, name.upper(), ()) for name in ("one", "two")]
    write_page(tmp_path / "p", "title", header=element("header"), sections=sections)
    page = read_page(tmp_path / "p")
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["one", "two"]
    assert "title · nextrung" in page.texts


def test_the_page_of_a_preflight_has_study_and_labels(tmp_path: Path) -> None:
    write_preflight(make_preflight(), "tried<out>", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert "<h1>tried&lt;out&gt;</h1>" in text
    assert "labels: distilled from chgnet-r2scan" in text
    assert "<b>NO-GO</b>" in text
