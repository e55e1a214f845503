from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import Flow, Job, run_locally
from monty.json import MontyDecoder, MontyEncoder

from nextrung.adapters.files.artifacts import artifact_path, store_artifact
from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.makers.jobs import task_job as task_job_module
from nextrung.makers.jobs.flow import make_flow
from nextrung.makers.jobs.stage_maker import StageMaker
from nextrung.makers.jobs.stored_documents import find_document, mark_recomputed
from nextrung.makers.jobs.task_job import (
    JobState,
    provenance,
    report_progress,
    task_job,
    work_folder,
)
from nextrung.schemas.base import Artifact, InputError, Record, TaskDoc

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobflow import JobStore

#: Factors that jobs multiplied by since the test began.
CALLS: list[int] = []
#: Folders of their unfinished work.
FOLDERS: list[Path] = []


class FactorSettings(Record):
    factor: int = 2


class ProductDoc(TaskDoc):
    product: int
    rows: list[int]


@dataclass(kw_only=True)
class MultiplyMaker(StageMaker):
    name: str = "multiply"
    settings: FactorSettings = field(default_factory=FactorSettings)

    @task_job(output_schema=ProductDoc, data=["rows"])
    def make(self, start: ProductDoc | int) -> ProductDoc:
        CALLS.append(self.settings.factor)
        report_progress(1, 2, "half way")
        if self.settings.factor == 0:
            raise ValueError("expected a factor other than 0")
        FOLDERS.append(work_folder())
        (work_folder() / "note").touch()
        number = start if isinstance(start, int) else start.product
        product = number * self.settings.factor
        return ProductDoc(
            product=product, rows=list(range(product)), provenance=provenance()
        )


@dataclass(kw_only=True)
class FileMaker(StageMaker):
    name: str = "read"
    path: str = ""

    def digest_files(self) -> str:
        return Path(self.path).read_text()

    @task_job(output_schema=ProductDoc)
    def make(self) -> ProductDoc:
        CALLS.append(-1)
        return ProductDoc(product=0, rows=[], provenance=provenance())


class NoteDoc(TaskDoc):
    note: Artifact


@dataclass(kw_only=True)
class NoteMaker(StageMaker):
    name: str = "write"

    @task_job(output_schema=NoteDoc)
    def make(self) -> NoteDoc:
        CALLS.append(0)
        FOLDERS.append(work_folder())
        file = work_folder() / "note.txt"
        file.write_text(f"content {len(CALLS)}")
        return NoteDoc(note=store_artifact(file, "notes"), provenance=provenance())


@dataclass(kw_only=True)
class ReadMaker(StageMaker):
    name: str = "read note"

    @task_job(output_schema=ProductDoc)
    def make(self, source: NoteDoc) -> ProductDoc:
        CALLS.append(1)
        artifact_path(source.note)
        return ProductDoc(product=1, rows=[], provenance=provenance())


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    CALLS.clear()
    FOLDERS.clear()
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    return tmp_path


def product_of(*factors: int) -> Flow:
    """3 times each factor, one job after the other."""
    jobs: list[Job] = []
    for factor in factors:
        start = jobs[-1].output if jobs else 3
        settings = FactorSettings(factor=factor)
        jobs.append(MultiplyMaker(settings=settings).make(start))
    return make_flow(jobs, jobs[-1].output, "product")


def run(flow: Flow, store: JobStore) -> ProductDoc:
    run_locally(flow, store=store, log=False, raise_immediately=True)
    return ProductDoc.model_validate(store.get_output(flow.output.uuid, load=True))


def test_same_flow_has_the_same_uuids() -> None:
    first, second = product_of(2, 5), product_of(2, 5)

    assert first.uuid == second.uuid
    assert [job.uuid for job in first.jobs] == [job.uuid for job in second.jobs]
    assert all(job.hosts == [first.uuid] for job in first.jobs)


def test_changed_setting_changes_the_jobs_that_depend_on_it_alone() -> None:
    first, second = product_of(2, 5, 7), product_of(2, 6, 7)

    same = [a.uuid == b.uuid for a, b in zip(first.jobs, second.jobs, strict=True)]
    assert same == [True, False, False]


def test_nothing_is_computed_twice(job_store: JobStore) -> None:
    first = run(product_of(2, 5), job_store)
    second = run(product_of(2, 5), job_store)

    assert CALLS == [2, 5]
    assert first == second
    assert second.rows == list(range(30))


def test_inputs_by_position_and_by_name_have_the_same_fingerprint(
    job_store: JobStore,
) -> None:
    """Also in a job that was made before inputs were stored by their names."""
    maker = MultiplyMaker()
    before = Job(maker.make, function_args=(3,))
    before.config = maker.make(3).config

    for job in (maker.make(3), maker.make(start=3), before):
        run_locally(job, store=job_store, log=False, raise_immediately=True)

    assert CALLS == [2]
    assert maker.make(3).uuid == maker.make(start=3).uuid


def test_changed_setting_recomputes_what_depends_on_it_alone(
    job_store: JobStore,
) -> None:
    run(product_of(2, 5), job_store)

    assert run(product_of(2, 6), job_store).product == 36
    assert CALLS == [2, 5, 6]


def test_name_does_not_make_a_new_computation(job_store: JobStore) -> None:
    run(product_of(2), job_store)
    renamed = MultiplyMaker(name="double").make(3)

    run_locally(renamed, store=job_store, log=False, raise_immediately=True)

    assert CALLS == [2]


def test_changed_file_is_a_new_computation(job_store: JobStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for content in ("a", "a", "b"):
        source.write_text(content)
        job = FileMaker(path=str(source)).make()
        run_locally(job, store=job_store, log=False, raise_immediately=True)

    assert len(CALLS) == 2


def test_document_names_its_parents(job_store: JobStore) -> None:
    flow = product_of(2, 5)
    last = run(flow, job_store)
    first = ProductDoc.model_validate(
        job_store.get_output(flow.jobs[0].uuid, load=True)
    )

    assert last.provenance.parents == {"start": first.provenance.fingerprint}
    assert last.provenance.versions["jobflow"]
    assert last.provenance.wall_time >= 0


def test_work_folder_is_named_by_the_fingerprint(
    job_store: JobStore, tmp_path: Path
) -> None:
    fingerprint = run(product_of(2), job_store).provenance.fingerprint

    assert [tmp_path / "work" / fingerprint[:32]] == FOLDERS


def test_unfinished_work_is_removed_once_the_document_is_stored(
    tmp_path: Path,
) -> None:
    """A job that fails keeps it; what a job left before is removed by its rerun."""
    store = make_embedded_store(tmp_path)
    fingerprint = run(product_of(2), store).provenance.fingerprint
    folder = tmp_path / "work" / fingerprint[:32]
    assert not folder.exists()

    folder.mkdir(parents=True)
    for name in ("lock", "last.ckpt"):
        (folder / name).touch()
    run(product_of(2), store)

    assert CALLS == [2]
    assert not folder.exists()


def test_unfinished_work_stays_when_the_document_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_embedded_store(tmp_path)
    flow = product_of(2)
    monkeypatch.setattr(type(store.docs_store), "update", _fail)

    with pytest.raises(OSError, match="disk full"):
        run(flow, store)

    assert len(list(tmp_path.glob("work/*/note"))) == 1


def _fail(*_arguments: object, **_options: object) -> None:
    raise OSError("disk full")


def test_a_document_stored_while_a_job_waited_for_the_lock_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up before found none; the one that holds the lock finds it."""
    store = make_embedded_store(tmp_path)
    first = run(product_of(2), store)
    answers = [None]

    def miss_once(*arguments: Any) -> TaskDoc | None:  # noqa: ANN401
        return answers.pop() if answers else find_document(*arguments)

    monkeypatch.setattr(task_job_module, "find_document", miss_once)

    assert run(product_of(2), store) == first
    assert answers == []
    assert not list(tmp_path.glob("work/*/note"))


def test_job_survives_the_trip_through_a_launchpad(job_store: JobStore) -> None:
    settings = FactorSettings(factor=2)
    job = MultiplyMaker(settings=settings).make(3)
    returned = json.loads(json.dumps(job, cls=MontyEncoder), cls=MontyDecoder)

    assert returned.maker == job.maker
    assert returned.uuid == job.uuid
    assert run(Flow([returned], output=returned.output), job_store).product == 6


def test_what_becomes_of_jobs_is_logged(
    job_store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="nextrung")
    run(product_of(2), job_store)
    run(product_of(2), job_store)
    run_locally(product_of(0), store=job_store, log=False)

    ours = [record for record in caplog.records if record.name == "nextrung"]
    states = [record.state for record in ours if hasattr(record, "state")]
    assert states == [
        JobState.STARTED,
        JobState.DONE,
        JobState.ANSWERED,
        JobState.STARTED,
        JobState.FAILED,
    ]
    assert ours[1].progress == {  # type: ignore[attr-defined]
        "done": 1,
        "total": 2,
        "text": "half way",
    }


def launched(flow: Flow) -> Flow:
    """A flow as a worker of a cluster runs it."""
    flow.update_metadata({"fw_id": 1})
    return flow


def test_a_worker_without_a_store_refuses_to_compute(job_store: JobStore) -> None:
    with pytest.raises(InputError, match=r"JOBFLOW_CONFIG_FILE .* would be lost"):
        run(launched(product_of(2)), job_store)
    assert CALLS == []


def test_a_worker_without_a_run_folder_refuses_to_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_ROOT", "runs")
    with pytest.raises(InputError, match=r"NEXTRUNG_ROOT to be .* would be lost"):
        run(launched(product_of(2)), make_embedded_store(tmp_path))
    assert CALLS == []


def test_documents_say_where_the_queue_ran_their_job(
    job_store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("SLURM_JOB_PARTITION", "gpu"),
        ("SLURM_JOB_ID", "7"),
        ("CUDA_VISIBLE_DEVICES", "1"),
    ):
        monkeypatch.setenv(name, value)

    run(product_of(2), job_store)

    (document,) = job_store.query()
    found = document["output"]["provenance"]
    assert found["partition"] == "gpu"
    assert (found["queue_job"], found["visible_gpus"]) == ("7", "1")


def note_and_reader() -> Flow:
    """A job that writes a file, and one that reads it, as parts of a study."""
    note = NoteMaker().make()
    reader = ReadMaker().make(note.output)
    for job, part in ((note, "dataset"), (reader, "evaluation/source")):
        job.update_metadata({"part": part})
    return make_flow([note, reader], reader.output, "note")


def remove(file: Path) -> None:
    file.unlink()


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [remove, truncate, flip_a_bit])
def test_a_document_whose_file_is_lost_or_damaged_is_computed_again(
    job_store: JobStore,
    run_folder: Path,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
) -> None:
    """The job that depends on it is too, as the new file has another content."""
    run(note_and_reader(), job_store)
    (file,) = run_folder.glob("artifacts/notes/*")
    harm(file)

    run(note_and_reader(), job_store)
    run(note_and_reader(), job_store)

    assert CALLS == [0, 1, 0, 1]
    assert f"computed again: artifact {'missing' if harm is remove else 'damaged'}" in (
        caplog.text
    )


def test_a_document_with_the_fields_of_another_release_is_computed_again(
    job_store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    run(product_of(2), job_store)
    (stored,) = job_store.docs_store.query()
    del stored["output"]["product"]
    job_store.docs_store.update([stored], key=["uuid", "index"])

    assert run(product_of(2), job_store).product == 6
    assert CALLS == [2, 2]
    assert "computed again: stored with other fields: product: Field req" in caplog.text


def test_dependents_of_a_file_that_is_made_again_alike_are_answered(
    job_store: JobStore, run_folder: Path
) -> None:
    run(note_and_reader(), job_store)
    (file,) = run_folder.glob("artifacts/notes/*")
    remove(file)
    CALLS.clear()

    run(note_and_reader(), job_store)

    assert CALLS == [0]


def test_a_stage_that_is_recomputed_takes_along_what_depends_on_it(
    job_store: JobStore,
) -> None:
    run(product_of(2, 5), job_store)
    for stages, token in (
        (["evaluation"], "a"),
        (["evaluation"], "a"),  # an interrupted run that continues
        (["dataset"], "b"),
        ([], ""),
    ):
        flow = product_of(2, 5)
        for job, part in zip(flow.jobs, ("dataset", "evaluation/source"), strict=True):
            job.update_metadata({"part": part})
        mark_recomputed(flow, stages, token)
        run(flow, job_store)

    assert CALLS == [2, 5, 5, 2, 5]


def test_unfinished_work_is_not_taken_up_by_a_recomputation(
    job_store: JobStore,
) -> None:
    flow = note_and_reader()
    mark_recomputed(flow, ["dataset"], "token")

    run(flow, job_store)

    assert [folder.name.endswith("-token") for folder in FOLDERS] == [True]


def test_a_stage_that_the_study_lacks_is_rejected() -> None:
    with pytest.raises(InputError, match=r"a stage .*: dataset, evaluation; "):
        mark_recomputed(note_and_reader(), ["density"], "token")
