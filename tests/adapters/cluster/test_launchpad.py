from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fireworks import Firework, Workflow
from jobflow import job
from jobflow.managers.fireworks import JobFiretask

from nextrung.adapters.cluster.launchpad import (
    add_workflow,
    count_jobs,
    find_active_workflows,
    find_newest_workflow,
    lock_study,
    open_launchpad,
    prepare_launchpad,
    reset_launchpad,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from fireworks import LaunchPad
    from tests.services import Database

pytestmark = pytest.mark.mongo


@job
def nothing() -> None:
    """Do nothing."""


def workflow_of(study: str, *categories: str) -> Workflow:
    fireworks = [
        Firework(
            [JobFiretask(job=nothing(), store=None)],
            {"_category": category},
            fw_id=-number,
        )
        for number, category in enumerate(categories, start=1)
    ]
    return Workflow(fireworks, metadata={"study": study, "flow": f"flow of {study}"})


def test_a_configured_launchpad_responds(database: Database, tmp_path: Path) -> None:
    database.write_configuration(tmp_path)

    launchpad = open_launchpad(tmp_path)

    with closing(launchpad.connection):
        assert launchpad.name == database.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "wrong"}, "Authentication failed"),
        ({"port": 1, "mongoclient_kwargs": {"serverSelectionTimeoutMS": 50}}, "refuse"),
        ({"port": "none"}, "port"),
    ],
)
def test_a_launchpad_that_does_not_respond_is_a_one_line_error_without_the_password(
    database: Database, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    file = database.write_configuration(tmp_path) / "my_launchpad.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | change))

    with pytest.raises(InputError, match=f"expected a LaunchPad .*{reason}") as caught:
        open_launchpad(tmp_path)
    assert database.mongod.password not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_a_launchpad_that_was_never_used_is_prepared(database: Database) -> None:
    launchpad = database.launchpad()
    with closing(launchpad.connection):
        with pytest.raises(InputError, match="expected a prepared LaunchPad"):
            add_workflow(launchpad, workflow_of("demo", "cpu"))

        assert prepare_launchpad(launchpad)
        assert add_workflow(launchpad, workflow_of("demo", "cpu")) == 1
        assert not prepare_launchpad(launchpad)
        assert add_workflow(launchpad, workflow_of("demo", "cpu", "gpu")) == 2


def test_ended_workflows_and_those_of_other_studies_are_not_active(
    launchpad: LaunchPad,
) -> None:
    ended, _other, defused, active = (
        add_workflow(launchpad, workflow_of(study, "cpu", "gpu"))
        for study in ("demo", "other", "demo", "demo")
    )
    launchpad.archive_wf(ended)
    launchpad.defuse_wf(defused)

    (found,) = find_active_workflows(launchpad, "demo")

    assert (found.fw_id, found.state) == (active, "READY")
    assert (found.n_jobs, found.n_done, found.flow) == (2, 0, "flow of demo")


def test_jobs_are_counted_by_any_fields(launchpad: LaunchPad) -> None:
    add_workflow(launchpad, workflow_of("demo", "cpu", "gpu", "gpu"))
    launchpad.fireworks.update_one({"spec._category": "cpu"}, {"$unset": {"name": 1}})

    counts = count_jobs(launchpad, {}, "state", "spec._category")

    assert counts == {("READY", "cpu"): 1, ("READY", "gpu"): 2}
    assert count_jobs(launchpad, {"spec._category": "cpu"}, "name") == {(None,): 1}


def test_workflows_are_deleted_only_with_the_name_of_the_database(
    launchpad: LaunchPad,
) -> None:
    add_workflow(launchpad, workflow_of("demo", "cpu"))

    with pytest.raises(InputError, match=r"delete its workflows, got nextrung$"):
        reset_launchpad(launchpad, "nextrung")
    assert count_jobs(launchpad, {}, "state") == {("READY",): 1}
    reset_launchpad(launchpad, launchpad.name)
    assert count_jobs(launchpad, {}, "state") == {}


def test_the_lock_of_a_killed_submission_expires(
    launchpad: LaunchPad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextrung.adapters.cluster.launchpad.LOCK_TIME", 1)
    killed = lock_study(launchpad, "demo")
    killed.__enter__()  # never released

    with lock_study(launchpad, "demo"):
        held = launchpad.db["submissions"].count_documents({"_id": "demo"})

    assert held == 1
    assert launchpad.db["submissions"].count_documents({}) == 0


def test_a_submission_that_lasts_too_long_is_an_error(
    launchpad: LaunchPad, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock_study(launchpad, "demo"):
        monkeypatch.setattr("nextrung.adapters.cluster.launchpad.LOCK_TIME", 0.1)
        with (
            pytest.raises(InputError, match="expected no other submission of study"),
            lock_study(launchpad, "demo"),
        ):
            pass


def test_the_newest_workflow_is_the_one_added_last_whatever_the_clocks(
    launchpad: LaunchPad,
) -> None:
    for created in ("2026-01-01T14:00:00", "2026-01-01T12:00:00"):
        added = add_workflow(launchpad, workflow_of("demo", "cpu"))
        launchpad.workflows.update_one(
            {"nodes": added}, {"$set": {"created_on": created}}
        )

    assert find_newest_workflow(launchpad, "demo")["nodes"] == [2]
