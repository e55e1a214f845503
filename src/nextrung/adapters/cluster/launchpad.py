"""LaunchPad: database of the workflows whose jobs workers pull."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from fireworks import LaunchPad
from pymongo.errors import DuplicateKeyError

from nextrung.adapters.cluster.config_files import LAUNCHPAD_FILE
from nextrung.adapters.connections import (
    describe_connection_error,
    describe_server,
    limit_timeout,
)
from nextrung.adapters.files.yaml_records import load_yaml
from nextrung.schemas.base import InputError, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fireworks import Workflow

#: Time in s after which the lock of a submission counts as left by a killed process.
LOCK_TIME = 60

#: States of workflows without jobs to pull.
ENDED_STATES = ("COMPLETED", "ARCHIVED", "DEFUSED")


class WorkflowSummary(Record):
    """State of a workflow of a study."""

    fw_id: int
    study: str
    flow: str
    state: str
    n_jobs: int
    n_done: int


def open_launchpad(folder: Path) -> LaunchPad:
    """Connect to the LaunchPad of a configuration folder.

    Parameters
    ----------
    folder : Path
        Folder with ``my_launchpad.yaml``.

    Returns
    -------
    LaunchPad
        A LaunchPad that responds; close its ``connection`` after use.

    Raises
    ------
    InputError
        If the file is invalid, or the server does not respond.
    """
    file = folder / LAUNCHPAD_FILE
    settings = load_yaml(file, "LaunchPad file")
    options = settings.pop("mongoclient_kwargs", None) or {}
    limit_timeout(options)
    quiet = {"strm_lvl": "WARNING", "mongoclient_kwargs": options}
    launchpad: LaunchPad | None = None
    try:
        launchpad = LaunchPad.from_dict(settings | quiet)
        launchpad.fw_id_assigner.find_one({})
    except Exception as error:  # drivers raise any type
        if launchpad is not None:
            launchpad.connection.close()
        raise InputError(
            f"expected a LaunchPad that responds at "
            f"{describe_server(settings.get('host'))}, as set in {file}, got: "
            f"{describe_connection_error(error)}"
        ) from error
    return launchpad


def prepare_launchpad(launchpad: LaunchPad) -> bool:
    """Create the counter and the indexes of a LaunchPad that was never used.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad; unchanged where it is not empty.

    Returns
    -------
    bool
        Whether it was prepared by this call.
    """
    if launchpad.fw_id_assigner.find_one({}) or launchpad.workflows.find_one({}):
        return False
    launchpad.reset("", require_password=False)
    return True


def reset_launchpad(launchpad: LaunchPad, database: str) -> None:
    """Delete every workflow of a LaunchPad.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    database : str
        Name of its database, as a confirmation.

    Raises
    ------
    InputError
        If the name differs.
    """
    if database != launchpad.name:
        raise InputError(
            f"expected the database of the LaunchPad, {launchpad.name}, to delete its "
            f"workflows, got {database}"
        )
    launchpad.reset("", require_password=False)


def add_workflow(launchpad: LaunchPad, workflow: Workflow) -> int:
    """Add a workflow to a LaunchPad, and return its smallest firework id.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    workflow : Workflow
        The workflow.

    Raises
    ------
    InputError
        If the LaunchPad was never prepared.
    """
    if launchpad.fw_id_assigner.find_one({}) is None:
        raise InputError(
            f"expected a prepared LaunchPad, got none in the database "
            f"{launchpad.name}: run `nextrung init` on the configuration folder"
        )
    ids: Mapping[int, int] = launchpad.add_wf(workflow)
    return min(ids.values())


@contextmanager
def lock_study(launchpad: LaunchPad, study: str) -> Iterator[None]:
    """Let one process at a time submit a study; wait while another does.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad; its database holds the lock, its server the clock.
    study : str
        Name of the study.

    Raises
    ------
    InputError
        If the lock is not released in ``LOCK_TIME``.
    """
    locks = launchpad.db["submissions"]
    holder = uuid4().hex
    expired = {"_id": study, "$expr": {"$lt": ["$until", "$$NOW"]}}
    free = {"_id": study, "holder": {"$exists": False}}
    until = {"$add": ["$$NOW", 1000 * LOCK_TIME]}
    deadline = time.monotonic() + 2 * LOCK_TIME
    while True:
        locks.delete_one(expired)  # of a process that was killed
        try:
            locks.update_one(
                free, [{"$set": {"holder": holder, "until": until}}], upsert=True
            )
            break
        except DuplicateKeyError:
            if time.monotonic() > deadline:
                raise InputError(
                    f"expected no other submission of study {study}, got one that has "
                    f"lasted {2 * LOCK_TIME} s"
                ) from None
            time.sleep(0.1)
    try:
        yield
    finally:
        locks.delete_one({"_id": study, "holder": holder})


def find_finished_workflow(
    launchpad: LaunchPad, metadata: Mapping[str, Any]
) -> WorkflowSummary | None:
    """Find the newest completed workflow of the same flow, inputs and algorithms.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    metadata : mapping
        Metadata of a workflow: its ``study``, ``flow`` and ``fingerprint``.
    """
    criteria: dict[str, Any] = {
        f"metadata.{name}": metadata[name] for name in ("study", "flow", "fingerprint")
    }
    return max(
        _list_workflows(launchpad, criteria | {"state": "COMPLETED"}),
        key=lambda found: found.fw_id,
        default=None,
    )


def find_active_workflows(launchpad: LaunchPad, study: str) -> list[WorkflowSummary]:
    """Find the workflows of a study that have not ended, oldest first.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    study : str
        Name of the study.
    """
    criteria = {"metadata.study": study, "state": {"$nin": list(ENDED_STATES)}}
    return _list_workflows(launchpad, criteria)


def find_newest_workflow(launchpad: LaunchPad, study: str) -> dict[str, Any]:
    """Find the document of the newest workflow of a study.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    study : str
        Name of the study.

    Raises
    ------
    InputError
        If the LaunchPad has no workflow of the study.
    """
    found = launchpad.workflows.find(
        {"metadata.study": study, "state": {"$ne": "ARCHIVED"}}
    )  # ids are counted by the server; jobs planned at run time have greater ones
    newest: dict[str, Any] | None = max(
        found, key=lambda workflow: min(workflow["nodes"]), default=None
    )
    if newest is None:
        others = sorted(launchpad.workflows.distinct("metadata.study"))
        raise InputError(
            f"expected a workflow of study {study} on the LaunchPad, got those of "
            f"{', '.join(others) or 'none'}"
        )
    return newest


def count_jobs(
    launchpad: LaunchPad, criteria: Mapping[str, Any], *fields: str
) -> dict[tuple[Any, ...], int]:
    """Count fireworks by the values of fields.

    Parameters
    ----------
    launchpad : LaunchPad
        The LaunchPad.
    criteria : mapping
        Mongo-style query on fireworks.
    *fields : str
        Fields of fireworks, such as ``state`` or ``spec._category``.

    Returns
    -------
    dict of tuple to int
        Number of fireworks by the values, in the order of the fields.
    """
    groups = launchpad.fireworks.aggregate(
        [
            {"$match": dict(criteria)},
            {
                "$group": {
                    "_id": [{"$ifNull": [f"${field}", None]} for field in fields],
                    "count": {"$sum": 1},
                }
            },
        ]
    )
    return {tuple(group["_id"]): group["count"] for group in groups}


def _list_workflows(
    launchpad: LaunchPad, criteria: Mapping[str, Any]
) -> list[WorkflowSummary]:
    """List the workflows that match a query, oldest first."""
    fields = ["nodes", "metadata", "state", "fw_states"]
    found = launchpad.workflows.find(criteria, fields).sort("nodes", 1)
    return [_summarise(workflow) for workflow in found]


def rerun_command(study: str) -> str:
    """Return the command that runs the failed jobs of a study again, and no others.

    Parameters
    ----------
    study : str
        Name of the study.
    """
    query = json.dumps({"spec.study": study, "state": "FIZZLED"})
    return f"lpad rerun_fws -q {shlex.quote(query)}"


def rerun_lost_command(study: str, seconds: int) -> str:
    """Return the command that runs the lost jobs of a study again, and no others.

    Parameters
    ----------
    study : str
        Name of the study.
    seconds : int
        Time without heartbeat after which a job is lost.
    """
    query = json.dumps({"spec.study": study})
    return f"lpad detect_lostruns --time {seconds} --rerun -q {shlex.quote(query)}"


def _summarise(workflow: dict[str, Any]) -> WorkflowSummary:
    """Summarise a stored workflow."""
    states = list(workflow["fw_states"].values())
    return WorkflowSummary(
        fw_id=min(workflow["nodes"]),
        study=workflow["metadata"]["study"],
        flow=workflow["metadata"]["flow"],
        state=workflow["state"],
        n_jobs=len(states),
        n_done=states.count("COMPLETED"),
    )
