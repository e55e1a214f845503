"""Selection of the current document of each part of a study."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobflow import JobStore

#: Fields that are read of every document, without arrays and histories.
_PROPERTIES = (
    "uuid",
    "index",
    "name",
    "completed_at",
    "metadata",
    "output.@class",
    "output.model",
    "output.plan",
    "output.settings",
    "output.n_materials",
    "output.provenance",
    "output.results.study",
    "output.results.jobs",
    "output.uuid",
)

#: Class of the output of a job that planned others, which refers to their output.
REFERENCE = "OutputReference"


@dataclass(frozen=True)
class StoredJob:
    """A finished job, without its results.

    Parameters
    ----------
    uuid, index : str, int
        Key of its document.
    name : str
        Name of the job.
    document : str
        Class of the document.
    stored_at : str
        Local time at which jobflow stored it.
    study, part : str or None
        Study and part in its metadata.
    output : mapping
        Fields of the document without results.
    """

    uuid: str
    index: int
    name: str
    document: str
    stored_at: str
    study: str | None
    part: str | None
    output: Mapping[str, Any]

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Provenance of the document."""
        provenance: Mapping[str, Any] = self.output["provenance"]
        return provenance

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the document."""
        return str(self.provenance["fingerprint"])

    @property
    def plan(self) -> Mapping[str, Any]:
        """Plan of a shard; empty for other documents."""
        return self.output.get("plan") or {}

    @property
    def parents(self) -> dict[str, str]:
        """Fingerprint of each input, by its name."""
        return {**self.plan.get("parents", {}), **self.provenance["parents"]}

    @property
    def model(self) -> str | None:
        """Model of the document."""
        return self.output.get("model") or self.plan.get("model")

    @property
    def shard_plan(self) -> str:
        """Hash of the settings that all shards of one relaxation share."""
        shared = {
            name: value
            for name, value in self.plan.items()
            if name not in {"shard", "parents"}
        }
        key = json.dumps([shared, self.output.get("settings")], sort_keys=True)
        return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class StudyJob:
    """A job as a part of a study.

    Parameters
    ----------
    study, part : str
        Study, and stage or ``stage/model``.
    job : StoredJob
        The job.
    """

    study: str
    part: str
    job: StoredJob

    @property
    def stage(self) -> str:
        """Stage of the part."""
        return self.part.partition("/")[0]


def list_study_jobs(store: JobStore) -> list[StudyJob]:
    """List the finished jobs of every study.

    A job belongs to the study in its metadata, and to every finished study whose
    results refer to it: the metadata of a job that two studies share name the study
    that ran last.

    Parameters
    ----------
    store : JobStore
        A connected store.

    Returns
    -------
    list of StudyJob
        Each job once per study, oldest first.
    """
    jobs, planned = _list_jobs(store)
    found = [
        StudyJob(job.study, job.part, job) for job in jobs if job.study and job.part
    ]
    for study in _newest(job for job in jobs if job.document == "StudyDoc"):
        found += _list_referenced(study, jobs, planned)
    found.sort(key=lambda study_job: study_job.job.stored_at)
    once = {(each.study, each.part, each.job.fingerprint): each for each in found[::-1]}
    return list(once.values())[::-1]


def select_current(study_jobs: Iterable[StudyJob], document: str) -> list[StudyJob]:
    """Select the current documents of one class in each part, oldest first.

    That is the newest document; for shards, all shards of the newest relaxation.

    Parameters
    ----------
    study_jobs : iterable of StudyJob
        Finished jobs, oldest first.
    document : str
        Class of the documents.
    """
    parts: defaultdict[tuple[str, str], list[StudyJob]] = defaultdict(list)
    for study_job in study_jobs:
        if study_job.job.document == document:
            parts[study_job.study, study_job.part].append(study_job)
    return [
        study_job
        for part in parts.values()
        for study_job in part
        if study_job is part[-1]
        or (
            document == "ShardDoc"
            and study_job.job.shard_plan == part[-1].job.shard_plan
        )
    ]


def _list_jobs(store: JobStore) -> tuple[list[StoredJob], dict[str, str]]:
    """List finished jobs at their newest index, and the job each planner refers to."""
    newest: dict[str, StoredJob] = {}
    planned: dict[str, str] = {}
    for found in store.query({"metadata.study": {"$exists": True}}, list(_PROPERTIES)):
        output = found.get("output") or {}
        if output.get("@class") == REFERENCE:
            planned[found["uuid"]] = output["uuid"]
        if "provenance" not in output:
            continue
        metadata = found.get("metadata") or {}
        job = StoredJob(
            uuid=found["uuid"],
            index=found["index"],
            name=found["name"],
            document=output.get("@class", ""),
            stored_at=found["completed_at"],
            study=metadata.get("study"),
            part=metadata.get("part"),
            output=output,
        )
        if job.uuid not in newest or newest[job.uuid].index < job.index:
            newest[job.uuid] = job
    return list(newest.values()), planned


def _newest(studies: Iterable[StoredJob]) -> list[StoredJob]:
    """Select the newest results of each study."""
    newest: dict[str, StoredJob] = {}
    for job in sorted(studies, key=lambda job: job.stored_at):
        newest[job.output["results"]["study"]] = job
    return list(newest.values())


def _list_referenced(
    study: StoredJob, jobs: Iterable[StoredJob], planned: Mapping[str, str]
) -> list[StudyJob]:
    """List the jobs in the results of a study, and the shards of its relaxations."""
    results = study.output["results"]
    by_uuid = {job.uuid: job for job in jobs}
    by_fingerprint = {job.fingerprint: job for job in jobs}
    referenced: list[StudyJob] = []
    for part, stored_uuid in results["jobs"].items():
        uuid = planned.get(stored_uuid, stored_uuid)
        if uuid not in by_uuid:
            continue
        job = by_uuid[uuid]
        referenced.append(StudyJob(results["study"], part, job))
        if job.document == "RelaxationDoc":
            referenced += [
                StudyJob(results["study"], part, by_fingerprint[shard])
                for shard in job.parents.values()
                if shard in by_fingerprint
            ]
    return referenced
