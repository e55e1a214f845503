from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from maggma.stores import JSONStore, MongoStore, MontyStore
from monty.serialization import dumpfn, loadfn

from nextrung.adapters.sources.document_stores import (
    digest_documents,
    list_documents,
    open_store,
    stream_groups,
)
from nextrung.adapters.sources.registry import source_digest
from nextrung.adapters.sources.task_documents import read_task_documents
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetSettings
from nextrung.schemas.labels.sources import TaskDocumentsSource
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maggma.stores import Store
    from tests.services import Database


def job(uuid: str, index: int = 1, **output: Any) -> dict[str, Any]:  # noqa: ANN401
    """A document of a job, completed on the day of its index."""
    completed = f"2025-01-0{index}"
    return {"uuid": uuid, "index": index, "completed_at": completed, "output": output}


@pytest.fixture
def described(tmp_path: Path) -> dict[str, str]:
    """Description of an embedded store."""
    return {
        "type": "MontyStore",
        "collection_name": "docs",
        "database_path": str(tmp_path / "database"),
    }


def write(folder: Path, described: object) -> str:
    path = folder / "store.yaml"
    path.write_text(yaml.safe_dump(described))
    return str(path)


def fill(described: dict[str, str], *documents: dict[str, Any]) -> None:
    store = MontyStore(**{k: v for k, v in described.items() if k != "type"})
    store.connect()
    store.update(list(documents), key=["uuid", "index"])
    store.close()


@pytest.fixture
def embedded(tmp_path: Path, described: dict[str, str]) -> Iterator[Store]:
    """A store of three jobs, one of which was run twice."""
    fill(described, job("b", x=2), job("a", x=1), job("b", 2, x=3), job("c", x=1))
    with open_store(write(tmp_path, described)) as store:
        yield store


def list_by_x(store: Store, **query: Any) -> list[Any]:  # noqa: ANN401
    return list_documents(
        store, query, fields=["output.x"], find_group=lambda d: str(d["output"]["x"])
    )


def test_documents_are_listed_by_group_with_the_newest_of_each_job(
    embedded: Store,
) -> None:
    groups = list(stream_groups(embedded, list_by_x(embedded)))

    found = [[(d["uuid"], d["index"]) for d in group] for group in groups]
    assert found == [[("a", 1), ("c", 1)], [("b", 2)]]


def test_a_query_selects_documents(embedded: Store) -> None:
    assert [d.group for d in list_by_x(embedded, uuid="c")] == ["1"]


def test_a_document_deleted_in_between_is_an_error(embedded: Store) -> None:
    listed = list_by_x(embedded)
    embedded.remove_docs({"uuid": "c"})

    with pytest.raises(InputError, match="the documents of 1, got one deleted"):
        list(stream_groups(embedded, listed))


def test_a_document_that_was_stored_again_changes_the_digest(embedded: Store) -> None:
    before, again = (digest_documents(list_by_x(embedded)) for _ in "ab")
    embedded.update([job("c", 2, x=1)], key=["uuid", "index"])

    assert before == again != digest_documents(list_by_x(embedded))


def test_every_description_of_a_store_is_read(
    tmp_path: Path, described: dict[str, str]
) -> None:
    fill(described, job("a", x=1))
    jobs = {"docs_store": described}
    (tmp_path / "jobs.yaml").write_text(yaml.safe_dump(jobs))
    store = MontyStore("docs", database_path=described["database_path"])
    dumpfn(store, tmp_path / "monty.json")
    dumpfn(store, tmp_path / "monty.yaml")
    contents = [
        described,
        jobs,
        {"JOB_STORE": jobs},
        {"JOB_STORE": str(tmp_path / "jobs.yaml")},
    ]
    for content in contents:
        with open_store(write(tmp_path, content)) as opened:
            assert opened.count() == 1
    for name in ("monty.json", "monty.yaml"):
        with open_store(str(tmp_path / name)) as opened:
            assert opened.count() == 1


def test_a_path_may_have_environment_variables(
    tmp_path: Path, described: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(described, job("a"))
    monkeypatch.setenv("TASKS", write(tmp_path, described))

    with open_store("$TASKS") as store:
        assert store.count() == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"password": "secret", "type": "NoSuchStore"}, "got KeyError while reading"),
        ({"password": "secret"}, "got .* while reading .*store.yaml"),
        (["secret"], "the description of a store, got another in .*store.yaml"),
        (
            {"@module": "fireworks", "@class": "LaunchPad", "host": "secret"},
            "got an object of fireworks.LaunchPad, which is not imported",
        ),
        (
            {"docs_store": {"@module": "os", "@callable": "system"}},
            "got an object of os.system, which is not imported",
        ),
        ({"JOB_STORE": "/none/secret"}, "expected a file or folder, got none"),
    ],
)
def test_a_file_without_store_is_a_one_line_error(
    content: object, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=reason), open_store(write(tmp_path, content)):
        pass


def test_the_error_of_an_invalid_file_does_not_quote_it(tmp_path: Path) -> None:
    """The line of the parse error may contain the password."""
    path = tmp_path / "store.yaml"
    path.write_text("password: [secret\n: }")

    with (
        pytest.raises(InputError, match="Error while reading") as caught,
        open_store(str(path)),
    ):
        pass

    assert "secret" not in str(caught.value)


def test_a_store_without_tasks_is_an_error(
    tmp_path: Path, described: dict[str, str]
) -> None:
    fill(described, job("a", x=1))
    source = TaskDocumentsSource(store=write(tmp_path, described), query={"uuid": "a"})

    with pytest.raises(
        InputError, match=r"got none in the store of .* query {'uuid': 'a'}"
    ):
        source_digest(source)


def read(source: TaskDocumentsSource) -> list[Trajectory]:
    found = list(read_task_documents(source, lambda _done, _total, _text: None))
    return [run for run in found if isinstance(run, Trajectory)]


@pytest.fixture
def tasks(real_data: Path) -> list[dict[str, Any]]:
    """Two static tasks and a relaxation, of real documents."""
    folder = real_data / "mp-task-documents"
    listed = loadfn(folder / "test_As2SO6_tasks.json.gz", cls=json.JSONDecoder)
    short = sorted(listed, key=lambda t: len(json.dumps(t, default=str)))
    return json.loads(json.dumps(short[:3], default=str))  # type: ignore[no-any-return]


def as_jobs(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tasks stored by jobs of atomate2, among jobs of other kinds."""
    done = [
        job(f"job-{number}", **task) | {"metadata": {"material_id": "mp-1"}}
        for number, task in enumerate(tasks)
    ]
    return [*done, job("another", structure={"sites": []})]


@pytest.mark.mongo
def test_an_atomate2_job_store_gives_the_frames_of_the_files(
    tasks: list[dict[str, Any]], database: Database, tmp_path: Path
) -> None:
    """A real MongoDB with a password, which is in no stored document."""
    store = database.job_store()
    store.connect()
    store.docs_store.update(as_jobs(tasks), key=["uuid", "index"])
    store.close()  # type: ignore[no-untyped-call]
    jobflow_yaml = database.write_configuration(tmp_path / "config") / "jobflow.yaml"
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    files = TaskDocumentsSource(paths=(str(tmp_path / "tasks.json"),))
    stored = TaskDocumentsSource(
        store=str(jobflow_yaml), material_id_key="metadata.material_id"
    )

    from_files, from_store = read(files), read(stored)

    names = [run.frames.frame_ids.tolist() for run in from_store]
    assert names == [run.frames.frame_ids.tolist() for run in from_files]
    for there, here in zip(from_store, from_files, strict=True):
        np.testing.assert_array_equal(there.frames.energies, here.frames.energies)
        np.testing.assert_array_equal(there.frames.forces, here.frames.forces)
        assert there.material_id == "mp-1"
    password = database.mongod.password
    assert password in jobflow_yaml.read_text()
    assert password not in DatasetSettings(source=stored).model_dump_json()


@pytest.mark.mongo
def test_a_wrong_password_is_a_one_line_error_without_it(
    database: Database, tmp_path: Path
) -> None:
    where = database.where | {"password": "wrong-secret"}
    described = {"type": "MongoStore", "collection_name": "tasks", **where}
    source = TaskDocumentsSource(store=write(tmp_path, described))

    with pytest.raises(InputError, match="to respond, got: Authentication fail") as got:
        read(source)

    assert "wrong-secret" not in str(got.value)
    assert "\n" not in str(got.value)


@pytest.mark.mongo
def test_the_order_of_tasks_does_not_depend_on_their_insertion(
    tasks: list[dict[str, Any]], database: Database, tmp_path: Path
) -> None:
    """Independent of the order of insertion."""
    described = {"type": "MongoStore", "collection_name": "tasks", **database.where}
    source = TaskDocumentsSource(store=write(tmp_path, described))
    orders = []
    for documents in (tasks, tasks[::-1]):
        store = MongoStore(collection_name="tasks", **database.where)
        store.connect()
        store.remove_docs({})
        store.update([dict(task) for task in documents], key="task_id")
        store.close()
        orders.append([run.frames.frame_ids[0] for run in read(source)])

    assert orders[0] == orders[1] != []


def test_an_embedded_store_gives_the_frames_of_the_files(
    tasks: list[dict[str, Any]], described: dict[str, str], tmp_path: Path
) -> None:
    fill(described, *as_jobs(tasks))
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    files = TaskDocumentsSource(paths=(str(tmp_path / "tasks.json"),))

    from_store = read(TaskDocumentsSource(store=write(tmp_path, described)))

    names = [run.frames.frame_ids.tolist() for run in from_store]
    assert sorted(names) == sorted(run.frames.frame_ids.tolist() for run in read(files))


def test_a_json_file_can_be_a_store(
    tasks: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    path = tmp_path / "store.json"
    dumpfn(JSONStore(str(tmp_path / "tasks.json"), key="task_id"), path)

    runs = read(TaskDocumentsSource(store=str(path)))

    files = TaskDocumentsSource(paths=(str(tmp_path / "tasks.json"),))
    names = sorted(run.frames.frame_ids[0] for run in runs)
    assert names == sorted(run.frames.frame_ids[0] for run in read(files))
