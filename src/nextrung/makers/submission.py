"""Workflow of a study for a LaunchPad."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from jobflow.managers.fireworks import flow_to_workflow

from nextrung.makers.jobs.fingerprints import fingerprint_of
from nextrung.makers.jobs.stored_documents import mark_recomputed
from nextrung.makers.routing import MAKERS, route_flow
from nextrung.makers.study import StudyMaker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fireworks import Workflow

    from nextrung.makers.recipes.comparison import RecipeComparisonMaker
    from nextrung.schemas.cluster.machine import Machine
    from nextrung.schemas.study import StudySettings


def make_workflow(
    settings: StudySettings,
    machine: Machine,
    labels: Mapping[str, str],
    *,
    priority: int | None = None,
    recompute: Collection[str] = (),
    maker: StudyMaker | RecipeComparisonMaker | None = None,
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
    priority : int, optional
        Priority of every job; workers pull jobs of greater priority first.
    recompute : collection of str
        Stages that are computed again, with all that depends on them.
    maker : StudyMaker or RecipeComparisonMaker, optional
        Maker of the flow; that of the study by default.

    Returns
    -------
    Workflow
        Its metadata hold the study, the uuid of the flow, a fingerprint of both and of
        all algorithms, and the labels. It contains no store and no password.
    """
    maker = maker or StudyMaker(settings)
    flow = maker.make()
    if labels:
        flow.update_metadata({"labels": dict(labels)}, dynamic=True)
    if recompute:
        mark_recomputed(flow, recompute, uuid4().hex)
    route_flow(flow, machine, priority)
    algorithms = {name: kind.algorithm for name, kind in MAKERS.items()}
    metadata = {
        "study": settings.name,
        "flow": flow.uuid,
        "fingerprint": fingerprint_of(maker, [flow.uuid, algorithms]),
        "labels": dict(labels),
    }
    return flow_to_workflow(flow, metadata=metadata)
