"""The section of the provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import render
from nextrung.reports.plots.figure import Figure
from nextrung.reports.sections.provenance import report_provenance, write_time
from nextrung.reports.sections.table import anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.reports.sections.section import Section
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def html_of(section: Section) -> str:
    return "".join(render(b) for b in section.blocks if not isinstance(b, Figure))


def test_every_document_has_a_row_that_links_lead_to(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    html = html_of(report_provenance(study, documents))
    for key in documents:
        assert f'id="{anchor(key)}"' in html
        assert (f"uuid-of-{key}" in html) == (key != "preflight")  # none of its jobs
        assert f"fingerprint-of-{key}" in html


def test_settings_are_whole(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> None:
    html = html_of(report_provenance(study, documents))
    assert '"huber_delta": 0.1' in html.replace("&quot;", '"')


def test_a_job_whose_document_is_missing_keeps_its_row(study: StudyDoc) -> None:
    html = html_of(report_provenance(study, {}))
    assert 'id="document-evaluation-source"' in html
    assert "this document was not given to the report" in html


def test_wall_time_is_summed_by_device(
    study: StudyDoc, documents: Mapping[str, TaskDoc]
) -> None:
    html = html_of(report_provenance(study, documents))
    assert "19.0 h on cpu; 4.0 h on cuda" in html


def test_moments_are_written_in_utc() -> None:
    assert write_time("2026-01-01T01:30:00.123+01:00") == "2026-01-01 00:30:00 UTC"
