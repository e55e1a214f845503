"""Workflow of a study for a LaunchPad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobflow.managers.fireworks import flow_to_workflow

from nextrung.makers.jobs.fingerprints import fingerprint_of
from nextrung.makers.routing import route_flow
from nextrung.makers.study import StudyMaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fireworks import Workflow

    from nextrung.schemas.cluster.machine import Machine
    from nextrung.schemas.study import StudySettings


def make_workflow(
    settings: StudySettings, machine: Machine, labels: Mapping[str, str]
) -> Workflow:
    """Make the workflow of a study.

    Parameters
    ----------
    settings : StudySettings
        The study.
    machine : Machine
        Route of every kind of job.
    labels : mapping of str to str
        Labels of the user: metadata of the workflow and of every document.

    Returns
    -------
    Workflow
        Its metadata hold the study, the uuid of the flow, a fingerprint of both and of
        package versions, and the labels. It contains no store and no password.
    """
    maker = StudyMaker(settings)
    flow = maker.make()
    if labels:
        flow.update_metadata({"labels": dict(labels)}, dynamic=True)
    route_flow(flow, machine)
    metadata = {
        "study": settings.name,
        "flow": flow.uuid,
        "fingerprint": fingerprint_of(maker, [flow.uuid]),
        "labels": dict(labels),
    }
    return flow_to_workflow(flow, metadata=metadata)
