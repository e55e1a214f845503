"""Section of the provenance: job, machine and settings of every document."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    MISSING,
    details,
    element,
    format_duration,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.html.model_style import appearance
from nextrung.reports.sections.section import Section
from nextrung.reports.sections.table import anchor
from nextrung.schemas.repeats import is_repeat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc

_HEADERS = ("Stage", "Model", "Job", "Fingerprint", "Machine", "Completed (UTC)")


def report_provenance(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report the provenance of every document.

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
    listed = table([*_HEADERS, *numeric("Time (s)"), "Settings, versions"], rows)
    return Section("provenance", "Provenance", (_describe_cost(documents), listed))


def _describe(key: str, job: str | None, document: TaskDoc | None) -> Element:
    """Build the row of one document, with its anchor."""
    described = row(*_list_cells(key, job, document))
    described.set("id", anchor(key))
    return described


def _list_cells(
    key: str, job: str | None, document: TaskDoc | None
) -> list[Element | str]:
    """List the provenance of one document."""
    stage, _, model = key.partition("/")
    model, _, repeat = model.partition("/")
    name = ", ".join(filter(None, [model and appearance(model).title, repeat]))
    uuid = element("code", job or MISSING)
    start: list[Element | str] = [stage.replace("_", " "), name, uuid]
    if document is None:
        reason = "this document was not given to the report"
        if is_repeat(key):
            reason = "a repeat, which the report summarises only"
        absent = number(None, reason=reason)
        return [*start, *(MISSING for _ in _HEADERS[3:]), absent, ""]
    origin = document.provenance
    fingerprint = element("code", origin.fingerprint[:12], title=origin.fingerprint)
    return [
        *start,
        fingerprint,
        f"{origin.host}, {origin.device}",
        format_time(origin.completed_at).removesuffix(" UTC"),
        number(origin.wall_time, 1),
        _list_settings(document),
    ]


def format_time(time: str) -> str:
    """Format a time in UTC.

    Parameters
    ----------
    time : str
        Time in ISO 8601.

    Returns
    -------
    str
        Date and time in UTC to the second.
    """
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _list_settings(document: TaskDoc) -> Element:
    """Build the collapsed JSON of settings, parents and versions."""
    chosen = document.model_dump(mode="json", include={"settings"})
    origin = document.provenance.model_dump(
        mode="json", include={"parents", "versions", "git_commit", "fingerprint"}
    )
    text = json.dumps(chosen | origin, indent=2, ensure_ascii=False)
    return details("JSON", element("pre", text))


def _describe_cost(documents: Mapping[str, TaskDoc]) -> Element:
    """Describe the wall time of all jobs by device."""
    times: dict[str, float] = defaultdict(float)
    for document in documents.values():
        times[document.provenance.device] += document.provenance.wall_time
    listed = [f"{format_duration(times[device])} on {device}" for device in times]
    return element(
        "p",
        f"{len(documents)} documents; wall time of their jobs: "
        f"{'; '.join(listed) or MISSING}. Every number of the results table links to a "
        "row here.",
    )
