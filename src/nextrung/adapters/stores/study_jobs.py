"""Selection of the current document of each part of a study."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nextrung.adapters.stores.insertion_order import insertion_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobflow import JobStore

    from nextrung.adapters.stores.insertion_order import InsertionKey

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
class StudyJob:
    """A finished job of a study, without its results.

    Parameters
    ----------
    uuid, index : str, int
        Key of its document.
    name : str
        Name of the job.
    document : str
        Class of the document.
    order : tuple
        Sort key in the order of storage, oldest first.
    study, part : str
        Study, and stage or ``stage/model``; empty where they are unknown.
    output : mapping
        Fields of the document without results.
    """

    uuid: str
    index: int
    name: str
    document: str
    order: InsertionKey
    study: str
    part: str
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
    def stage(self) -> str:
        """Stage of the part."""
        return self.part.partition("/")[0]

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
    found = [job for job in jobs if job.study and job.part]
    for study in _newest(job for job in jobs if job.document == "StudyDoc"):
        found += _list_referenced(study, jobs, planned)
    found.sort(key=lambda job: job.order)
    once: dict[tuple[str, str, str], StudyJob] = {}
    for job in found:
        key = (job.study, job.part, job.fingerprint)
        known = once.pop(key, job)  # of copies of one computation, the oldest
        once[key] = known if known.provenance == job.provenance else job
    return list(once.values())


def select_current(jobs: Iterable[StudyJob], document: str) -> list[StudyJob]:
    """Select the current documents of one class in each part, oldest first.

    That is the newest document; for shards, all shards of the newest relaxation.

    Parameters
    ----------
    jobs : iterable of StudyJob
        Finished jobs, oldest first.
    document : str
        Class of the documents.
    """
    parts: defaultdict[tuple[str, str], list[StudyJob]] = defaultdict(list)
    for job in jobs:
        if job.document == document:
            parts[job.study, job.part].append(job)
    return [
        job
        for part in parts.values()
        for job in part
        if job is part[-1]
        or (document == "ShardDoc" and job.shard_plan == part[-1].shard_plan)
    ]


def _list_jobs(store: JobStore) -> tuple[list[StudyJob], dict[str, str]]:
    """List finished jobs at their newest index, and the job each planner refers to."""
    newest: dict[str, StudyJob] = {}
    planned: dict[str, str] = {}
    for found in store.query({"metadata.study": {"$exists": True}}, list(_PROPERTIES)):
        output = found.get("output") or {}
        if output.get("@class") == REFERENCE:
            planned[found["uuid"]] = output["uuid"]
        if "provenance" not in output:
            continue
        metadata = found.get("metadata") or {}
        job = StudyJob(
            uuid=found["uuid"],
            index=found["index"],
            name=found["name"],
            document=output.get("@class", ""),
            order=insertion_key(found),
            study=metadata.get("study") or "",
            part=metadata.get("part") or "",
            output=output,
        )
        if job.uuid not in newest or newest[job.uuid].index < job.index:
            newest[job.uuid] = job
    return sorted(newest.values(), key=lambda job: job.order), planned


def _newest(studies: Iterable[StudyJob]) -> list[StudyJob]:
    """Select the newest results of each study."""
    newest: dict[str, StudyJob] = {}
    for job in sorted(studies, key=lambda job: job.order):
        newest[job.output["results"]["study"]] = job
    return list(newest.values())


def _list_referenced(
    study: StudyJob, jobs: Iterable[StudyJob], planned: Mapping[str, str]
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
        referenced.append(replace(job, study=results["study"], part=part))
        if job.document == "RelaxationDoc":
            referenced += [
                replace(by_fingerprint[shard], study=results["study"], part=part)
                for shard in job.parents.values()
                if shard in by_fingerprint
            ]
    return referenced
