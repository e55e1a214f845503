"""Rows of the result collections, and the documents they are built from."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_materials
from nextrung.adapters.files.relaxation_table import read_outcomes
from nextrung.adapters.files.stability_table import load_rows
from nextrung.adapters.stores.study_jobs import StudyJob, select_current
from nextrung.compute.collections import (
    MaterialSummary,
    describe_materials,
    describe_model,
    list_benchmarks,
    list_densities,
    list_metrics,
    list_physics,
    list_relaxations,
    list_residuals,
    list_scaling,
    list_stability,
)
from nextrung.schemas.benchmark import BenchmarkDoc
from nextrung.schemas.dataset import DatasetDoc
from nextrung.schemas.density import DensityDoc
from nextrung.schemas.evaluation import EvaluationDoc
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.physics import PhysicsDoc
from nextrung.schemas.relaxation import ShardDoc
from nextrung.schemas.repeats import is_repeat
from nextrung.schemas.scaling_law import ScalingLawDoc
from nextrung.schemas.stability import StabilityDoc
from nextrung.schemas.stores.collections import ROWS, Collection, JobRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nextrung.schemas.base import Artifact, TaskDoc
    from nextrung.schemas.stores.collections import Row

#: Stage and document class of each collection; jobs are built from all documents.
_SOURCES: Mapping[Collection, tuple[str, type[TaskDoc]]] = {
    Collection.MODELS: ("fine_tuning", FineTuningDoc),
    Collection.METRICS: ("evaluation", EvaluationDoc),
    Collection.RESIDUALS: ("evaluation", EvaluationDoc),
    Collection.RELAXATIONS: ("relaxation", ShardDoc),
    Collection.STABILITY: ("stability", StabilityDoc),
    Collection.DENSITIES: ("density", DensityDoc),
    Collection.PHYSICS: ("physics", PhysicsDoc),
    Collection.SCALING: ("scaling_law", ScalingLawDoc),
    Collection.BENCHMARKS: ("benchmark", BenchmarkDoc),
}

#: Functions that list rows from a document alone.
_LISTERS: Mapping[Collection, Callable[[Any, Mapping[str, str]], Sequence[Row]]] = {
    Collection.METRICS: list_metrics,
    Collection.RESIDUALS: list_residuals,
    Collection.STABILITY: list_stability,
    Collection.DENSITIES: list_densities,
    Collection.PHYSICS: list_physics,
    Collection.SCALING: list_scaling,
    Collection.BENCHMARKS: list_benchmarks,
}


def select_sources(
    jobs: Sequence[StudyJob], collection: Collection
) -> Sequence[StudyJob]:
    """Select the documents of a collection.

    Parameters
    ----------
    jobs : sequence of StudyJob
        Finished jobs, oldest first.
    collection : Collection
        The collection.

    Returns
    -------
    sequence of StudyJob
        The current documents of the first repeat; all documents for ``jobs``.
    """
    if collection is Collection.JOBS:
        return jobs
    stage, document = _SOURCES[collection]
    of_stage = [job for job in jobs if job.stage == stage and not is_repeat(job.part)]
    return select_current(of_stage, document.__name__)


def source_version(job: StudyJob, collection: Collection) -> str:
    """Return the version of a document, its part, the code and the row layout.

    A copy of a document that was stored again has the same version.

    Parameters
    ----------
    job : StudyJob
        Job of the document.
    collection : Collection
        The collection.

    Returns
    -------
    str
        The version; rows are rebuilt when it changes.
    """
    code = version("nextrung")
    computed = f"{job.provenance['completed_at']} {job.provenance['wall_time']}"
    document = f"{job.index} {job.fingerprint[:16]} {computed}"
    return f"{document} {job.part} {code} {_layout(collection)}"


def list_rows(item: Mapping[str, Any], collection: Collection) -> Sequence[Row]:
    """List the rows of one document.

    Parameters
    ----------
    item : mapping
        The ``job``, its ``output``, and for models the output of its ``dataset``.
    collection : Collection
        The collection.

    Raises
    ------
    ValueError
        If the document is invalid, or one of its files is missing.
    """
    job: StudyJob = item["job"]
    origin = {
        "study": job.study,
        "job_uuid": job.uuid,
        "fingerprint": job.fingerprint,
        "completed_at": job.provenance["completed_at"],
    }
    if collection is Collection.JOBS:
        return [_describe_job(job, origin)]
    doc: Any = load_rows(_SOURCES[collection][1].model_validate(item["output"]))
    if collection is Collection.MODELS:
        labels = item["dataset"] and DatasetDoc.model_validate(item["dataset"])
        return describe_model(doc, labels, origin)
    if collection is Collection.RELAXATIONS:
        outcomes = read_outcomes(artifact_path(doc.records))
        materials = _materials(doc.plan.materials)
        return list_relaxations(doc, outcomes, materials=materials, origin=origin)
    return _LISTERS[collection](doc, origin)


@lru_cache
def _layout(collection: Collection) -> str:
    """Hash the layout of the rows of a collection."""
    schema = json.dumps(ROWS[collection].model_json_schema(), sort_keys=True)
    return hashlib.sha256(schema.encode()).hexdigest()[:12]


@lru_cache(maxsize=2)
def _materials(artifact: Artifact) -> dict[str, MaterialSummary]:
    """Describe the materials of a file; cached for all shards."""
    return describe_materials(read_materials(artifact_path(artifact)).initial)


def _describe_job(job: StudyJob, origin: Mapping[str, str]) -> JobRow:
    """Describe a job."""
    provenance = job.provenance
    return JobRow(
        **origin,
        name=job.name,
        part=job.part,
        stage=job.stage,
        model=job.model,
        document=job.document,
        shard=job.plan.get("shard"),
        n_materials=job.output.get("n_materials"),
        wall_time=provenance["wall_time"],
        host=provenance["host"],
        device=provenance["device"],
        git_commit=provenance.get("git_commit"),
        nextrung_version=provenance["versions"]["nextrung"],
        parents=tuple(job.parents.values()),
    )
