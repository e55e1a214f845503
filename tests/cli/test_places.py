"""Run folders and names of studies, as every command that reads them takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.stored_study import store_study

from nextrung.adapters.stores.job_store import make_embedded_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]

READERS = {
    "results": ("results", "nosuch"),
    "rows": ("results", "nosuch", "--collection", "models"),
    "report": ("report", "nosuch"),
    "status": ("status", "nosuch"),
    "build": ("build", "nosuch"),
    "plot": ("stability", "plot", "nosuch", "Li-O"),
    "provenance": ("provenance", "nosuch", "scratch/m-1"),
    "provenance in one word": ("provenance", "nosuch/scratch/m-1"),
    "provenance of nothing": ("provenance", "nosuch"),
}


@pytest.mark.parametrize("arguments", READERS.values(), ids=READERS)
def test_a_place_that_does_not_exist_is_one_line_with_advice(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE", raising=False)
    monkeypatch.chdir(tmp_path)

    ended = call(*arguments)

    assert ended.code == 2
    assert "there is no run folder nosuch here" in ended.errors
    assert "-c DIR" in ended.errors
    assert ended.errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_cluster_that_cannot_be_asked_is_one_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = call("results", "nosuch", "-c", tmp_path)

    assert ended.code == 2
    assert "no run folder nosuch here; on the cluster, expected" in ended.errors
    assert "jobflow.yaml" in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a finished study."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(root))
        store_study(make_embedded_store(root), root)
    return root


def test_a_study_that_a_run_folder_lacks_is_one_line(call: Call, folder: Path) -> None:
    ended = call("status", folder, "--study", "nosuch")

    assert ended.code == 2
    assert "expected finished jobs of study nosuch" in ended.errors
    assert "got jobs of demo" in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.mark.parametrize(
    "result",
    ["scratch/m-Li2O", "demo/scratch/m-Li2O"],
    ids=["of the last study", "of a named study"],
)
def test_a_result_is_named_beside_its_place_or_after_a_slash(
    call: Call, folder: Path, result: str
) -> None:
    beside = call("provenance", folder, result)
    after = call("provenance", folder / result)

    assert beside.code == after.code == 0
    assert beside.output == after.output
    assert "make stability/scratch" in beside.output


def test_a_place_without_a_result_is_one_line(call: Call, folder: Path) -> None:
    ended = call("provenance", folder)

    assert ended.code == 2
    assert "expected a result beside" in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.mark.mongo
def test_a_study_on_a_cluster_is_read_by_the_configuration_folder_alone(
    call: Call, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = database.write_configuration(tmp_path / "config")
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE", raising=False)
    monkeypatch.delenv("NEXTRUNG_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    store = database.job_store()
    store.connect()
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    store_study(store, tmp_path)

    assert "labels: distilled" in call("results", "demo", "-c", config).output
    assert call("build", "-c", config).code == 0
    traced = call("provenance", "demo/scratch/m-Li2O", "-c", config)
    assert "make stability/scratch" in traced.output
    store.close()  # type: ignore[no-untyped-call]


@pytest.mark.mongo
def test_a_study_that_a_cluster_lacks_is_one_line(
    call: Call, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = database.write_configuration(tmp_path / "config")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(config / "jobflow.yaml"))
    monkeypatch.delenv("NEXTRUNG_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    for command in ("status", "results", "report"):
        ended = call(command, "nosuch")
        assert ended.code == 2
        assert "study nosuch" in ended.errors
        assert ended.errors.count("\n") == 1
