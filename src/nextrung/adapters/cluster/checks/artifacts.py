"""Checks of the files that the documents of a study refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.stores.provenance import ARTIFACTS
from nextrung.adapters.stores.study_jobs import list_study_jobs, select_current
from nextrung.schemas.base import Artifact, InputError
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobflow import JobStore

    from nextrung.adapters.stores.study_jobs import StudyJob


def check_artifacts(store: JobStore, study: str | None) -> Iterator[Finding]:
    """Check that the files of the documents of a study are there and whole.

    Parameters
    ----------
    store : JobStore
        A connected store.
    study : str or None
        Name of the study; None for all studies in the store.

    Raises
    ------
    InputError
        If the store has no document of the study.
    """
    jobs = list_study_jobs(store)
    uuids = _list_current(jobs, study)
    if not uuids:
        others = ", ".join(sorted({job.study for job in jobs})) or "none"
        raise InputError(f"expected documents of study {study}, got those of {others}")
    checked: set[str] = set()
    n_bytes = n_damaged = 0
    for name, artifact in _list_artifacts(store, uuids):
        if artifact.sha256 in checked:
            continue
        checked.add(artifact.sha256)
        n_bytes += artifact.size
        try:
            artifact_path(artifact)
        except InputError as error:
            n_damaged += 1
            advice = "run or submit the study again: its job computes the file again"
            yield make_finding(f"file of {name}", Level.FAIL, str(error), advice)
    whole = len(checked) - n_damaged
    found = f"{whole} of {len(checked)} whole, {n_bytes / 1e6:.1f} MB in all"
    yield make_finding("artifacts", Level.FAIL if n_damaged else Level.OK, found)


def _list_current(jobs: Sequence[StudyJob], study: str | None) -> list[str]:
    """List the current documents of a study, and all they were computed from."""
    of_study = [job for job in jobs if study in {None, job.study}]
    waiting = [
        job
        for document in {job.document for job in of_study}
        for job in select_current(of_study, document)
    ]
    by_fingerprint = {job.fingerprint: job for job in jobs}
    found: dict[str, str] = {}
    while waiting:
        job = waiting.pop()
        if job.fingerprint not in found:
            found[job.fingerprint] = job.uuid
            parents = job.parents.values()
            waiting += [
                by_fingerprint[each] for each in parents if each in by_fingerprint
            ]
    return list(found.values())


def _list_artifacts(
    store: JobStore, uuids: list[str]
) -> Iterator[tuple[str, Artifact]]:
    """List the files of documents, each with the name of the job."""
    fields = ["name", *(f"output.{name}" for name in ARTIFACTS)]
    for document in store.query({"uuid": {"$in": uuids}}, fields):
        output: dict[str, Any] = document.get("output") or {}
        for file in output.values():
            yield document["name"], Artifact.model_validate(file)
