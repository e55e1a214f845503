from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import Flow, Job, Response, run_locally
from jobflow.core.flow import get_flow
from monty.json import MontyDecoder, MontyEncoder
from pymongo.errors import AutoReconnect

from nextrung.adapters.stores import write_retries
from nextrung.makers.jobs.flow import TaskJob, make_flow
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.task_job import provenance, task_job
from nextrung.schemas.base import Record, TaskDoc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobflow import JobStore


class SumSettings(Record):
    addend: int = 1


class SumDoc(TaskDoc):
    total: int


@dataclass(kw_only=True)
class AddMaker(StageMaker):
    name: str = "add"
    settings: SumSettings = field(default_factory=SumSettings)

    @task_job(output_schema=SumDoc)
    def make(self, start: int, uuids: dict[str, str] | None = None) -> SumDoc:
        """Add the number of the settings."""
        assert uuids is None or set(uuids) == {"first"}
        return SumDoc(total=start + self.settings.addend, provenance=provenance())


@dataclass(kw_only=True)
class AddTwiceMaker(StageMaker):
    name: str = "add twice"
    settings: SumSettings = field(default_factory=SumSettings)

    @task_job()
    def make(self, start: int) -> Response[Any]:
        """Plan two jobs."""
        return Response(replace=add_twice(self.settings.addend, start))


@dataclass(kw_only=True)
class AddOneMoreMaker(AddMaker):
    name: str = "add one more"

    def make(self, start: int) -> TaskJob:
        """Make the job of the parent class."""
        job: TaskJob = super().make(start + 1)
        return job


def add_twice(addend: int, start: Any = 0) -> Flow:  # noqa: ANN401
    """Two jobs, the second with the total of the first and its uuid as text."""
    settings = SumSettings(addend=addend)
    first = AddMaker(settings=settings).make(start)
    uuids = {"first": first.uuid}
    second = AddMaker().make(first.output.total, uuids)
    second.name = "add to it"
    return make_flow([first, second], second.output, "twice")


def nested(addend: int) -> Flow:
    """A flow in a flow, and a job that depends on it."""
    before = AddMaker(settings=SumSettings(addend=addend)).make(0)
    inner = add_twice(7, before.output.total)
    after = AddMaker(settings=SumSettings(addend=9)).make(inner.output.total)
    return make_flow([after, inner, before], after.output, "nested")


def json_trip(flow: Flow) -> Flow:
    """A flow as read from JSON: no two jobs share a reference."""
    restored: Flow = json.loads(json.dumps(flow, cls=MontyEncoder), cls=MontyDecoder)
    return restored


def parents_first(flow: Flow) -> list[tuple[Job, list[str]]]:
    """The jobs of a flow and the uuids of their parents."""
    return list(flow.iterflow())  # type: ignore[no-untyped-call]


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))


def test_default_inputs_make_the_same_job_as_if_they_were_given() -> None:
    jobs = [
        AddMaker().make(1),
        AddMaker().make(start=1),
        AddMaker().make(1, None),
        AddMaker().make(uuids=None, start=1),
    ]
    assert len({job.uuid for job in jobs}) == 1
    assert {tuple(job.function_kwargs) for job in jobs} == {("start", "uuids")}


def test_a_missing_input_is_an_error_where_the_job_is_made() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'start'"):
        AddMaker().make()


def test_a_subclass_may_extend_make(job_store: JobStore) -> None:
    job = AddOneMoreMaker().make(3)

    run_locally(job, store=job_store, log=False, raise_immediately=True)

    assert job_store.get_output(job.uuid)["total"] == 5


@pytest.mark.parametrize("trip", [lambda flow: flow, json_trip], ids=["made", "read"])
@pytest.mark.parametrize("wire", [add_twice, nested])
def test_an_updated_flow_is_the_flow_of_the_updated_settings(
    wire: Callable[[int], Flow], trip: Callable[[Flow], Flow]
) -> None:
    flow, wanted = trip(wire(2)), wire(3)

    change = {"settings": {"addend": 3}}
    (first,) = (job for job, parents in parents_first(flow) if not parents)
    first.name = "first"  # and that of its Maker
    flow.update_maker_kwargs(change, name_filter="first")

    assert flow.uuid == wanted.uuid
    assert flow.all_uuids == wanted.all_uuids
    assert flow.output == wanted.output
    for (job, parents), (other, others) in zip(
        parents_first(get_flow(flow)), parents_first(wanted), strict=True
    ):
        assert parents == others
        assert job.function_kwargs == other.function_kwargs
        assert job.hosts == other.hosts


def test_an_update_that_changes_nothing_renames_nothing() -> None:
    flow, wanted = nested(2), nested(2)
    flow.update_maker_kwargs({"settings": {"addend": 2}}, name_filter="none of them")
    assert (flow.uuid, flow.all_uuids) == (wanted.uuid, wanted.all_uuids)


def test_updated_inputs_rename_the_jobs_too() -> None:
    flow = add_twice(2)
    flow.update_kwargs({"start": 5})
    assert [job.uuid for job in flow.jobs] == [
        AddMaker(settings=SumSettings(addend=2)).make(5).uuid,
        AddMaker().make(5, {"first": flow.jobs[0].uuid}).uuid,
    ]


def test_both_documents_of_a_job_before_and_after_an_update_are_kept(
    job_store: JobStore,
) -> None:
    for addend in (2, 3):
        flow = add_twice(2)
        flow.update_maker_kwargs({"settings": {"addend": addend}})
        run_locally(flow, store=job_store, log=False, raise_immediately=True)

    totals = [document["output"]["total"] for document in job_store.query()]
    assert sorted(totals) == [2, 3, 4, 6]


def test_the_jobs_that_a_job_plans_follow_an_update_of_it(job_store: JobStore) -> None:
    job = AddTwiceMaker(settings=SumSettings(addend=2)).make(0)
    job.update_maker_kwargs({"settings": {"addend": 10}})

    run_locally(job, store=job_store, log=False, raise_immediately=True)

    assert job_store.get_output(job.uuid).total == 11
    assert job.uuid == AddTwiceMaker(settings=SumSettings(addend=10)).make(0).uuid


def test_the_job_that_stores_the_output_of_a_plan_retries(
    job_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jobflow adds it; on a LaunchPad it is read from JSON and gets a plain store."""
    plan = AddTwiceMaker().make(1)
    monkeypatch.setattr(write_retries, "DELAYS", (0,))
    response = plan.run(job_store)
    assert isinstance(response.replace, Flow)
    *sums, last = json.loads(
        json.dumps(response.replace.jobs, cls=MontyEncoder), cls=MontyDecoder
    )
    for job in sums:
        job.run(job_store)
    update = type(job_store.docs_store).update
    failures = [AutoReconnect("server gone")]

    def fail_once(*arguments: Any, **options: Any) -> None:  # noqa: ANN401
        if failures:
            raise failures.pop()
        update(*arguments, **options)

    monkeypatch.setattr(type(job_store.docs_store), "update", fail_once)

    last.run(job_store)

    assert (last.name, last.uuid) == ("store_inputs", plan.uuid)
    assert failures == []
    assert job_store.get_output(plan.uuid, load=True).total == 3
