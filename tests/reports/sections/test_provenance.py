"""The section of the provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reports.browser import html_of

from nextrung.reports.sections.provenance import format_time, report_provenance
from nextrung.reports.sections.table import anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def test_every_document_has_a_row_with_an_anchor(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    html = html_of(report_provenance(study, documents))
    for key in documents:
        assert f'id="{anchor(key)}"' in html
        assert (f"uuid-of-{key}" in html) == (key != "preflight")  # none of its jobs
        assert f"fingerprint-of-{key}" in html


def test_settings_are_listed(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> None:
    html = html_of(report_provenance(study, documents))
    assert '"huber_delta": 0.1' in html.replace("&quot;", '"')


def test_a_job_whose_document_is_missing_keeps_its_row(study: StudyDoc) -> None:
    html = html_of(report_provenance(study, {}))
    assert 'id="document-evaluation-source"' in html
    assert "this document was not given to the report" in html


def test_repeats_are_listed_with_seed_and_split(study: StudyDoc) -> None:
    jobs = {"evaluation/scratch/seed=1,split=0": "uuid-of-the-repeat"}
    results = study.results.model_copy(update={"jobs": jobs})
    html = html_of(report_provenance(study.model_copy(update={"results": results}), {}))
    assert "1 · From scratch, seed=1,split=0" in html
    assert "uuid-of-the-repeat" in html
    assert "a repeat, which the report summarises only" in html


def test_wall_time_is_summed_by_device(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    html = html_of(report_provenance(study, documents))
    assert "19.0 h on cpu; 4.0 h on cuda" in html


def test_times_are_in_utc() -> None:
    assert format_time("2026-01-01T01:30:00.123+01:00") == "2026-01-01 00:30:00 UTC"
