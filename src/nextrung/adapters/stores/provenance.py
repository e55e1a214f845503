"""Provenance graph of a result, back to the frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nextrung.adapters.stores.collections import open_collection
from nextrung.adapters.stores.insertion_order import SEQUENCE, insertion_key
from nextrung.adapters.stores.study_jobs import REFERENCE
from nextrung.schemas.base import Artifact, InputError
from nextrung.schemas.stores.collections import KEYS, Collection
from nextrung.schemas.stores.provenance import ProvenanceGraph, ProvenanceNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobflow import JobStore

#: Fields that characterise a document.
_FACTS = (
    "labels",
    "functional",
    "source",
    "n_frames",
    "n_materials",
    "n_train_frames",
    "best_epoch",
)

#: Fields of files.
ARTIFACTS = ("checkpoint", "frames", "materials", "rejections", "records")

_PROPERTIES = (
    "uuid",
    "index",
    "name",
    "completed_at",
    "metadata.study",
    SEQUENCE,
    "output.@class",
    "output.model",
    "output.settings",
    "output.plan",
    "output.provenance",
    *(f"output.{name}" for name in (*_FACTS, *ARTIFACTS)),
)

#: Fewest digits of an abbreviated fingerprint.
_MIN_DIGITS = 8


def trace_provenance(store: JobStore, identifier: str) -> ProvenanceGraph:
    """Trace a result back to the frames it was computed from.

    Parameters
    ----------
    store : JobStore
        A connected store.
    identifier : str
        Uuid of a job, fingerprint or its first digits, sha256 of a checkpoint, or the
        row ``study/model/material`` or ``study/model`` of a result collection.

    Raises
    ------
    InputError
        If there is no such result.
    """
    rows = _find_rows(store, identifier) if "/" in identifier else {}
    uuids = sorted({row["job_uuid"] for row in rows.values()})
    criteria = {"uuid": {"$in": uuids}} if rows else {"$or": _interpret(identifier)}
    found = _find(store, criteria)
    if not found and (planned := _planned_by(store, identifier)):
        found = _find(store, {"uuid": planned})
    if not found:
        hint = "; `nextrung build` builds rows" if "/" in identifier else ""
        raise InputError(
            "expected a job's uuid, a fingerprint, a checkpoint's sha256, or a row "
            f"study/model/material, got {identifier}, which the store does not contain"
            f"{hint}"
        )
    nodes = dict(found)
    waiting = _parents(found.values())
    while waiting:
        generation = _find(
            store, {"output.provenance.fingerprint": {"$in": sorted(waiting)}}
        )
        nodes |= generation
        waiting = _parents(generation.values()) - set(nodes)
    return ProvenanceGraph(
        asked=identifier,
        rows=rows,
        results=tuple(found),
        nodes=nodes,
        missing=tuple(sorted(_parents(nodes.values()) - set(nodes))),
    )


def _find_rows(store: JobStore, identifier: str) -> dict[str, dict[str, Any]]:
    """Find the rows with a name in the result collections."""
    names = identifier.split("/", 2)
    key = ("study", "model", "material_id")[: len(names)]
    rows: dict[str, dict[str, Any]] = {}
    for collection in Collection:
        if KEYS[collection] == key:
            with open_collection(store, collection.value) as target:
                row = target.query_one(dict(zip(key, names, strict=True)))
            if row is not None:
                row.pop("_id", None)
                rows[collection.value] = row
    return rows


def _planned_by(store: JobStore, uuid: str) -> str | None:
    """Find the job that merges the output of those that a job planned."""
    planner = {"uuid": uuid, "output.@class": REFERENCE}
    found = store.query_one(planner, ["output.uuid"])
    return None if found is None else str(found["output"]["uuid"])


def _interpret(identifier: str) -> list[dict[str, Any]]:
    """List the queries that an identifier may match."""
    queries: list[dict[str, Any]] = [
        {"uuid": identifier},
        {"output.provenance.fingerprint": identifier},
        {"output.checkpoint.sha256": identifier},
    ]
    if re.fullmatch(f"[0-9a-f]{{{_MIN_DIGITS},63}}", identifier):
        queries.append({"output.provenance.fingerprint": {"$regex": f"^{identifier}"}})
    return queries


def _find(store: JobStore, criteria: dict[str, Any]) -> dict[str, ProvenanceNode]:
    """Find documents by fingerprint; the oldest copy of the newest computation."""
    found: dict[str, ProvenanceNode] = {}
    for stored in sorted(store.query(criteria, list(_PROPERTIES)), key=insertion_key):
        if "provenance" in (stored.get("output") or {}):
            node = _describe(stored)
            known = found.setdefault(node.provenance.fingerprint, node)
            if known.provenance != node.provenance:
                found[node.provenance.fingerprint] = node
    return found


def _describe(stored: Mapping[str, Any]) -> ProvenanceNode:
    """Describe a stored document."""
    output = stored["output"]
    plan = output.get("plan") or {}
    facts = {name: output[name] for name in _FACTS if output.get(name) is not None}
    if plan:
        facts["shard"] = f"{plan['shard'] + 1} of {plan['n_shards']}"
    files = {name: output.get(name) or plan.get(name) for name in ARTIFACTS}
    return ProvenanceNode(
        uuid=stored["uuid"],
        name=stored["name"],
        document=output.get("@class", ""),
        study=stored.get("metadata", {}).get("study"),
        model=output.get("model") or plan.get("model"),
        facts=facts,
        settings=output.get("settings"),
        artifacts={
            name: Artifact.model_validate(file) for name, file in files.items() if file
        },
        parents={**plan.get("parents", {}), **output["provenance"]["parents"]},
        provenance=output["provenance"],
    )


def _parents(nodes: Iterable[ProvenanceNode]) -> set[str]:
    """List the fingerprints of the inputs of documents."""
    return {parent for each in nodes for parent in each.parents.values()}
