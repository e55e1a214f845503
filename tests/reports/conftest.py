"""Fixtures of the made-up study, its report and a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.made_up_study import make_documents, make_study
from tests.reports.browser import ARGUMENTS, CHROMIUM

from nextrung.reports.pages.page import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc, StudyResults


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def documents() -> dict[str, TaskDoc]:
    """The documents of a study of eight models and every stage."""
    return make_documents()


@pytest.fixture(scope="session")
def study(documents: dict[str, TaskDoc]) -> StudyDoc:
    """The study of these documents."""
    return make_study(documents)


@pytest.fixture
def results(study: StudyDoc) -> StudyResults:
    """The results of the study."""
    return study.results


@pytest.fixture(scope="session")
def report(
    study: StudyDoc,
    documents: dict[str, TaskDoc],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report of that study."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(study, documents, path)
    return path
