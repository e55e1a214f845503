"""Where every number comes from."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    MISSING,
    details,
    element,
    header,
    number,
    numeric,
    paragraph,
    row,
    table,
    write_duration,
)
from nextrung.reports.html.model_style import appearance
from nextrung.reports.sections.section import Section
from nextrung.reports.sections.table import anchor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc

_HEADERS = ("Stage", "Model", "Job", "Fingerprint", "Machine", "Ended (UTC)")


def report_provenance(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report the origin of every document.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents, by stage or by stage/model.

    Returns
    -------
    Section
        The section of the provenance.
    """
    jobs = study.results.jobs
    keys = [*documents, *(key for key in jobs if key not in documents)]
    rows = [_describe(key, jobs.get(key), documents.get(key)) for key in keys]
    rows.append(_describe("study", jobs.get("study"), study))
    titles = header(*_HEADERS, *numeric("Time (s)"), "Settings, versions")
    blocks = (_describe_cost(documents), table(titles, rows))
    return Section("provenance", "Provenance", blocks)


def _describe(key: str, job: str | None, document: TaskDoc | None) -> Element:
    """Describe one document in a row that links lead to."""
    described = row(*_list_cells(key, job, document))
    described.set("id", anchor(key))
    return described


def _list_cells(
    key: str, job: str | None, document: TaskDoc | None
) -> list[Element | str]:
    """List what is known of the origin of one document."""
    stage, _, model = key.partition("/")
    name = appearance(model).title if model else ""
    start: list[Element | str] = [stage.replace("_", " "), name, _code(job)]
    if document is None:
        gone = number(None, reason="this document was not given to the report")
        return [*start, *(MISSING for _ in _HEADERS[3:]), gone, ""]
    origin = document.provenance
    fingerprint = element("code", origin.fingerprint[:12], title=origin.fingerprint)
    return [
        *start,
        fingerprint,
        f"{origin.host}, {origin.device}",
        write_time(origin.completed_at).removesuffix(" UTC"),
        number(origin.wall_time, 1),
        _list_settings(document),
    ]


def write_time(moment: str) -> str:
    """Write a moment for readers.

    Parameters
    ----------
    moment : str
        ISO 8601.

    Returns
    -------
    str
        Date and time in UTC, to the second.
    """
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _code(job: str | None) -> Element:
    """Write the uuid of a job."""
    return element("code", job or MISSING)


def _list_settings(document: TaskDoc) -> Element:
    """Write settings, parents and versions as JSON."""
    chosen = document.model_dump(mode="json", include={"settings"})
    origin = document.provenance.model_dump(
        mode="json", include={"parents", "versions", "git_commit", "fingerprint"}
    )
    text = json.dumps(chosen | origin, indent=2, ensure_ascii=False)
    return details("JSON", element("pre", text))


def _describe_cost(documents: Mapping[str, TaskDoc]) -> Element:
    """Say how long all jobs took, by device."""
    times: dict[str, float] = defaultdict(float)
    for document in documents.values():
        times[document.provenance.device] += document.provenance.wall_time
    said = "; ".join(f"{write_duration(times[device])} on {device}" for device in times)
    return paragraph(
        f"{len(documents)} documents; wall time of their jobs: {said or MISSING}. "
        "Every number of the results table leads to its row here."
    )
