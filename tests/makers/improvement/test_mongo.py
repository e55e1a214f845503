"""The loop on a LaunchPad, grown by its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jobflow
import pytest
from jobflow.managers.fireworks import flow_to_workflow
from tests.makers.improvement.test_loop import SETTINGS, pool
from tests.makers.test_routing import MACHINE, categories_of, launch_all

from nextrung.adapters.stores.studies import load_improvement
from nextrung.makers.improvement import labels
from nextrung.makers.improvement.flow import ImprovementMaker
from nextrung.makers.routing import kind_of, route_flow
from nextrung.schemas.cluster.machine import GPU_JOBS
from nextrung.schemas.improvement import StopReason

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad
    from jobflow import JobStore

    from nextrung.schemas.base import Artifact
    from nextrung.schemas.study import StudySettings

__all__ = ["pool"]


@pytest.mark.mongo
@pytest.mark.filterwarnings("ignore")
def test_a_loop_grows_on_a_launchpad_and_survives_a_lost_job(
    pool: Artifact,
    launchpad: LaunchPad,
    finished_store: JobStore,
    study_settings: StudySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobflow, "initialize_logger", lambda: None)
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", finished_store)
    flow = ImprovementMaker(settings=SETTINGS, study=study_settings).make(pool)
    route_flow(flow, MACHINE)
    launchpad.add_wf(flow_to_workflow(flow))
    with monkeypatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401
            raise OSError("the node is lost")

        patch.setattr(labels, "join_labels", fail)
        launch_all(launchpad, tmp_path)
    (lost,) = launchpad.get_fw_ids({"state": "FIZZLED"})

    launchpad.rerun_fw(lost)
    launch_all(launchpad, tmp_path)

    assert launchpad.get_fw_ids({"state": {"$ne": "COMPLETED"}}) == []
    document = load_improvement(finished_store)
    assert document.stop is StopReason.BUDGET_SPENT
    assert [each.n_labels for each in document.rounds] == [0, 2, 3]
    ran = categories_of(launchpad)
    assert sum(name.startswith("score round") for name in ran) == len(document.rounds)
    assert ran == {name: "gpu" if kind_of(name) in GPU_JOBS else "cpu" for name in ran}
