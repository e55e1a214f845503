"""A configuration folder, as a person makes one."""

from __future__ import annotations

import io
import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.cli.test_study import QUICK

from nextrung.adapters.cluster.launchpad import open_launchpad
from nextrung.adapters.stores.job_store import INDEXED_FIELDS, open_store_file
from nextrung.cli.setup import PASSWORD_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]


@pytest.fixture(autouse=True)
def folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let defaults point below the folder of the test."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def options(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Options of `nextrung init` for the server of the tests."""
    server = database.mongod
    monkeypatch.setenv(PASSWORD_VARIABLE, server.password)
    where = ["--host", server.host, "--port", server.port, "--user", server.username]
    yield [*where, "--database", database.name]
    with server.client() as client:
        client.drop_database(f"{database.name}_launchpad")


@pytest.mark.mongo
@pytest.mark.parametrize("cluster", ["slurm", "one_machine"])
def test_init_leaves_a_cluster_that_can_be_used(
    call: Call, options: list[Any], database: Database, tmp_path: Path, cluster: str
) -> None:
    root = ("--root", tmp_path / "runs")
    ended = call("init", tmp_path / "config", "--for", cluster, *options, *root)

    assert ended.code == 0
    assert (tmp_path / "runs").is_dir()
    assert f"LaunchPad {database.name}_launchpad prepared" in ended.output
    launchpad = open_launchpad(tmp_path / "config")
    with closing(launchpad.connection):
        assert launchpad.fw_id_assigner.find_one({})["next_fw_id"] == 1
        assert "spec.study_1" in launchpad.fireworks.index_information()
        assert "metadata.study_1" in launchpad.workflows.index_information()
    store = open_store_file(tmp_path / "config" / "jobflow.yaml")
    indexes = store.docs_store._collection.index_information()
    assert {f"{field}_1" for field in INDEXED_FIELDS} <= set(indexes)
    store.close()  # type: ignore[no-untyped-call]


@pytest.mark.mongo
def test_init_keeps_files_and_workflows(
    call: Call, options: list[Any], tmp_path: Path
) -> None:
    call("init", tmp_path, *options)
    (tmp_path / "machine.yaml").write_text("mine")

    again = call("init", tmp_path, *options)

    assert again.code == 0
    assert "is in use" in again.output
    assert (tmp_path / "machine.yaml").read_text() == "mine"


@pytest.mark.mongo
def test_a_wrong_password_is_corrected_by_calling_again(
    call: Call, options: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = os.environ[PASSWORD_VARIABLE]
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong word")
    first = call("init", tmp_path, *options)
    monkeypatch.setenv(PASSWORD_VARIABLE, right)
    kept = call("init", tmp_path)
    replaced = call("init", tmp_path, "--overwrite")

    assert "Authentication failed" in first.output
    assert f"kept, with the password, not that of ${PASSWORD_VARIABLE}" in kept.output
    assert "Authentication failed" in kept.output
    assert "--overwrite" in kept.output
    assert "3 files replaced: jobflow.yaml, my_launchpad.yaml, .env" in replaced.output
    assert "prepared, indexes on" in replaced.output
    assert "wrong word" not in first.output + kept.output + replaced.output


def test_other_options_are_not_ignored_silently(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret word")
    monkeypatch.setattr("nextrung.adapters.connections.TIMEOUT", 100)
    adapter = tmp_path / "gpu" / "my_qadapter.yaml"
    call("init", tmp_path, "--port", 1, "--gpus", 4)
    monkeypatch.delenv(PASSWORD_VARIABLE)

    same = call("init", tmp_path)
    kept = call("init", tmp_path, "--gpu-partition", "h100")
    assert "kept" not in same.output
    assert "kept, with gpu_partition gpu, not h100: --overwrite" in kept.output
    assert yaml.safe_load(adapter.read_text())["queue"] == "gpu"

    replaced = call("init", tmp_path, "--gpu-partition", "h100", "--overwrite")
    assert "gpu/my_qadapter.yaml" in replaced.output
    written = yaml.safe_load(adapter.read_text())
    assert (written["queue"], written["ntasks"]) == ("h100", 4)
    other = call("init", tmp_path, "--for", "one_machine")
    assert (other.code, other.errors.count("\n")) == (2, 1)
    assert "--for: expected slurm" in other.errors


def test_files_of_earlier_versions_are_kept_unless_they_are_overwritten(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret word")
    monkeypatch.setattr("nextrung.adapters.connections.TIMEOUT", 100)
    call("init", tmp_path, "--port", 1)
    (tmp_path / "site.yaml").unlink()

    kept = call("init", tmp_path, "--port", 2)
    assert "they do not tell their options (no site.yaml): --overwrite" in kept.output
    launchpad = tmp_path / "my_launchpad.yaml"
    assert yaml.safe_load(launchpad.read_text())["port"] == 1

    call("init", tmp_path, "--port", 2, "--overwrite")
    assert yaml.safe_load(launchpad.read_text())["port"] == 2
    assert (tmp_path / "site.yaml").is_file()


def test_a_uri_is_no_host_and_its_password_is_not_told(
    call: Call, tmp_path: Path
) -> None:
    ended = call("init", tmp_path / "config", "--host", "mongodb://me:hidden@db")

    assert ended.code == 2
    assert "host: string should match pattern" in ended.errors
    assert "hidden" not in ended.errors


@pytest.mark.mongo
def test_a_launchpad_is_reset_only_by_name(
    call: Call, options: list[Any], database: Database, tmp_path: Path
) -> None:
    call("init", tmp_path, *options)

    wrong = call("init", tmp_path, *options, "--reset-launchpad", "other")
    right = call(
        "init", tmp_path, *options, "--reset-launchpad", f"{database.name}_launchpad"
    )

    assert (wrong.code, right.code) == (2, 0)
    assert "expected the database of the LaunchPad" in wrong.errors


def test_a_server_that_is_not_there_yet_costs_no_files(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret word")
    monkeypatch.setattr("nextrung.adapters.connections.TIMEOUT", 100)

    ended = call("init", tmp_path, "--port", 1)

    assert ended.code == 0
    assert "expected a LaunchPad that responds at localhost" in ended.output
    assert f"then call `nextrung init {tmp_path}` again" in ended.output
    assert "secret word" not in ended.output
    written = yaml.safe_load((tmp_path / "my_launchpad.yaml").read_text())
    assert written["password"] == "secret word"
    mode = (tmp_path / "my_launchpad.yaml").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert call("init", tmp_path, "--reset-launchpad", "a").code == 2


def test_without_a_password_nothing_is_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    ended = call("init", tmp_path / "config")

    assert ended.code == 2
    assert f"in ${PASSWORD_VARIABLE}, or a terminal" in ended.errors
    assert not (tmp_path / "config").exists()


def test_a_password_is_asked_for_on_a_terminal(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "typed word")
    monkeypatch.setattr("nextrung.adapters.connections.TIMEOUT", 100)

    assert call("init", tmp_path, "--port", 1).code == 0
    written = yaml.safe_load((tmp_path / "my_launchpad.yaml").read_text())
    assert written["password"] == "typed word"


def test_what_cannot_be_part_of_a_script_is_one_line_and_exit_code_2(
    call: Call, tmp_path: Path
) -> None:
    ended = call("init", tmp_path / "config", "--gpu-partition", "a b")

    assert ended.code == 2
    assert "gpu_partition: string should match pattern" in ended.errors
    assert not (tmp_path / "config").exists()


@pytest.fixture
def guest(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A user who may read and write one database, which alone knows the user."""
    with database.mongod.client() as client:
        client[database.name].command(
            "createUser", "guest", pwd="guests word", roles=["readWrite"]
        )
        monkeypatch.setenv(PASSWORD_VARIABLE, "guests word")
        yield "guest"
        client[database.name].command("dropUser", "guest")


@pytest.mark.mongo
def test_a_user_of_a_single_database_can_do_everything(
    call: Call,
    database: Database,
    guest: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "config"
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(folder / "jobflow.yaml"))
    study = tmp_path / "quick.yaml"
    study.write_text(yaml.safe_dump(QUICK))
    names = ("--database", database.name, "--launchpad-database", database.name)
    where = ("--host", database.mongod.host, "--port", database.mongod.port)

    user = ("--user", guest, "--auth-database", database.name)
    made = call("init", folder, *where, *names, *user)
    examined = call("doctor", "-c", folder)
    submitted = call("submit", study, "-c", folder)

    assert f"LaunchPad {database.name} prepared" in made.output
    for subject in ("store writable", "indexes", "LaunchPad", "running jobs"):
        assert f"ok   {subject}" in examined.output
    assert "is workflow 1" in submitted.output
    assert '"READY"' in call("status", "quick", "-c", folder, "--json").output
