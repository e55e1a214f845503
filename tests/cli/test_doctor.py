"""A cluster examined, as a person asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.cli.test_study import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireworks import LaunchPad
    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]


@pytest.fixture
def config(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder in use."""
    folder = database.write_configuration(tmp_path / "config")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(folder / "jobflow.yaml"))
    for category in ("cpu", "gpu"):
        (folder / category).mkdir()
        (folder / category / "my_fworker.yaml").write_text(f"category: {category}")
    return folder


@pytest.mark.mongo
def test_every_finding_is_one_line_and_a_failure_is_exit_code_1(
    call: Call, config: Path, launchpad: LaunchPad
) -> None:
    ended = call("doctor", "-c", config)

    lines = ended.output.splitlines()
    assert ended.code == 1  # the tests leave NEXTRUNG_ROOT empty: a relative folder
    assert {line.split()[0] for line in lines} <= {"ok", "warn", "fail"}
    (failed,) = [line for line in lines if line.startswith("fail")]
    assert failed == (
        "fail run folder: . is relative → export NEXTRUNG_ROOT, an absolute path: "
        "source env.sh"
    )
    assert f"ok   store: {config / 'jobflow.yaml'} answers" in lines
    assert any(launchpad.name in line for line in lines)


@pytest.mark.mongo
def test_a_launchpad_that_does_not_answer_hides_nothing_else(
    call: Call, config: Path
) -> None:
    file = config / "my_launchpad.yaml"
    file.write_text(file.read_text().replace("password: ", "password: not-"))

    ended = call("doctor", "-c", config)

    assert "fail LaunchPad: expected a LaunchPad that responds" in ended.output
    assert "ok   store writable" in ended.output


def test_a_store_that_is_not_configured_is_a_failure(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE", raising=False)
    monkeypatch.setattr("nextrung.adapters.connections.TIMEOUT", 100)
    (tmp_path / "my_launchpad.yaml").write_text("{host: 127.0.0.1, port: 1}")

    ended = call("doctor", "-c", tmp_path)

    assert ended.code == 1
    assert "fail store: expected $JOBFLOW_CONFIG_FILE to name" in ended.output


@pytest.mark.parametrize(
    "server",
    ["me:hidden@127.0.0.1:1", "me:hid/hidden@127.0.0.1:1", "me:hidden@127.0.0.1:port"],
)
@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("init",),
        ("submit", "quick.yaml"),
        ("status", "quick"),
        ("results", "quick"),
        ("build",),
        ("report", "quick"),
        ("provenance", "quick/a/b"),
    ],
)
def test_no_command_prints_the_password_of_a_uri(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    server: str,
) -> None:
    uri = f"mongodb://{server}/db?serverSelectionTimeoutMS=50"
    Path("quick.yaml").write_text(yaml.safe_dump(QUICK))
    launchpad = {"host": uri, "uri_mode": True, "name": "db"}
    store = {"type": "MongoStore", "uri": uri, "database": "db"}
    described = {
        "docs_store": store | {"collection_name": "outputs"},
        "additional_stores": {"data": store | {"collection_name": "blobs"}},
    }
    (tmp_path / "my_launchpad.yaml").write_text(yaml.safe_dump(launchpad))
    (tmp_path / "jobflow.yaml").write_text(yaml.safe_dump({"JOB_STORE": described}))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    monkeypatch.setattr("nextrung.adapters.connections.TIMEOUT", 50)

    where = (tmp_path,) if command == ("init",) else ("-c", tmp_path)
    ended = call(*command, *where)

    shown = ended.output + ended.errors
    assert "127.0.0.1" in shown or "URI" in shown or "Port" in shown
    assert "hidden" not in shown


@pytest.mark.mongo
def test_a_store_of_another_folder_is_noticed(
    call: Call, config: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = database.write_configuration(config.parent / "other")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(other / "jobflow.yaml"))

    ended = call("doctor", "-c", config)

    assert f"warn store: {other / 'jobflow.yaml'}, not of {config}" in ended.output
