"""Stored documents and shards that answer jobs, and jobs to be computed again."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB
from pydantic import ValidationError

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.stores.insertion_order import SEQUENCE
from nextrung.adapters.stores.shards import find_shards
from nextrung.adapters.stores.write_retries import RECOMPUTE, retry
from nextrung.makers.jobs.fingerprints import fingerprint_of
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobflow import Flow, JobStore

    from nextrung.makers.jobs.stage_maker import StageMaker
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.relaxation import ShardPlan

logger = logging.getLogger("nextrung")


def find_document(schema: type[TaskDoc], fingerprint: str) -> TaskDoc | None:
    """Find the newest document of the running job whose arrays and files are whole.

    Parameters
    ----------
    schema : type of TaskDoc
        Class of the document.
    fingerprint : str
        Fingerprint of the job.

    Returns
    -------
    TaskDoc or None
        The document; None where the job has to compute it.
    """
    wanted = {"output.provenance.fingerprint": fingerprint}
    if token := recompute_token():
        wanted[f"metadata.{RECOMPUTE}"] = token
    damage = ""
    try:
        for found in retry(partial(_query_newest_first, CURRENT_JOB.store, wanted)):
            document, damage = _read_document(schema, found["output"])
            if document is not None:
                return document
    except KeyError:  # the connection was lost between a document and its arrays
        damage = "stored without its arrays"
    if damage:
        logger.warning("%s: computed again: %s", CURRENT_JOB.job.name, damage)
    return None


def _query_newest_first(store: JobStore, wanted: dict[str, str]) -> list[Any]:
    """Query the outputs of documents, the newest first."""
    return list(store.query(wanted, ["output"], {SEQUENCE: -1}, load=True))


def _read_document(
    schema: type[TaskDoc],
    output: Any,  # noqa: ANN401 - a stored output
) -> tuple[TaskDoc | None, str]:
    """Read a document and check its files; describe in one line what is damaged."""
    try:
        document = schema.model_validate(output)
        for artifact in document.artifacts:
            artifact_path(artifact)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        return None, f"stored with other fields: {field}: {error.errors()[0]['msg']}"
    except InputError as error:
        return None, str(error)
    return document, ""


def recompute_token() -> str | None:
    """Return the token of the running job if it is to be computed again, else None.

    Returns
    -------
    str or None
        The token in its metadata.
    """
    token: str | None = CURRENT_JOB.job.metadata.get(RECOMPUTE)
    return token


def keep_shards(plan: ShardPlan, maker: StageMaker) -> int:
    """Count the shards of a relaxation as those that are stored, where there are any.

    Parts of a relaxation are thus never computed again because its shards are cut
    otherwise. Of several numbers, that of which most materials are relaxed is kept.

    Parameters
    ----------
    plan : ShardPlan
        Plan of the first shard, with the number of shards that is asked for.
    maker : StageMaker
        Maker of the shards.
    """
    if recompute_token() is not None:
        return plan.n_shards
    n_relaxed: Counter[int] = Counter({plan.n_shards: 0})
    for stored, fingerprint, n_materials in find_shards(CURRENT_JOB.store, plan):
        place = {"shard": stored.shard, "n_shards": stored.n_shards}
        same = plan.model_copy(update=place)
        if fingerprint_of(maker, [same]) == fingerprint:
            n_relaxed[stored.n_shards] += n_materials
    n_shards = max(n_relaxed, key=lambda number: n_relaxed[number])
    if n_shards != plan.n_shards:
        logger.warning(
            "%s: %d materials are relaxed in shards of another size; keeping %d shards",
            CURRENT_JOB.job.name,
            n_relaxed[n_shards],
            n_shards,
        )
    return n_shards


def require_stages(flow: Flow, stages: Collection[str]) -> None:
    """Check that a flow has jobs of stages.

    Parameters
    ----------
    flow : Flow
        Flow of a study.
    stages : collection of str
        Stages, such as ``fine_tuning``.

    Raises
    ------
    InputError
        If the study has no such stage.
    """
    known = dict.fromkeys(_find_stages(flow).values())
    for stage in stages:
        if stage not in known:
            raise InputError(
                f"--recompute: expected a stage of this study: {', '.join(known)}; "
                f"got {stage}"
            )


def _find_stages(flow: Flow) -> dict[str, str]:
    """Find the stage of every job by its uuid."""
    jobs = [job for job, _ in flow.iterflow()]  # type: ignore[no-untyped-call]
    return {job.uuid: job.metadata["part"].partition("/")[0] for job in jobs}


def mark_recomputed(flow: Flow, stages: Collection[str], token: str) -> None:
    """Mark the jobs of stages, and all that depend on them, to be computed again.

    Parameters
    ----------
    flow : Flow
        Flow of a study; its jobs are changed in place.
    stages : collection of str
        Stages, such as ``fine_tuning``.
    token : str
        Token of this computation: jobs marked with it are computed once.

    Raises
    ------
    InputError
        If the study has no such stage.
    """
    require_stages(flow, stages)
    stage_of = _find_stages(flow)
    marked: set[str] = set()
    for job, _ in flow.iterflow():  # type: ignore[no-untyped-call]  # parents first
        if stage_of[job.uuid] in stages or marked.intersection(job.input_uuids):
            marked.add(job.uuid)
            job.update_metadata({RECOMPUTE: token}, dynamic=True)
