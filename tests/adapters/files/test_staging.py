from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nextrung.adapters.files.staging import StagingFolder, remove_stale

#: Makes a folder, says so, and waits for its end.
CHILD = """
import sys
from nextrung.adapters.files.staging import StagingFolder

folder = StagingFolder()
(folder.path / "half").write_text("a file")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(tmp_path))
    return tmp_path / "artifacts"


def test_a_folder_is_beside_the_artifacts_and_goes(artifacts: Path) -> None:
    with StagingFolder() as folder:
        assert folder.parent == artifacts
        (folder / "half").write_text("a file")

    assert list(artifacts.iterdir()) == []


def test_a_folder_in_use_is_left_alone() -> None:
    with StagingFolder() as folder:
        assert remove_stale() == []
        assert folder.is_dir()


def test_the_folder_of_a_dead_process_is_swept_and_not_before(artifacts: Path) -> None:
    """Killed without a warning, as by the queue of a cluster."""
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    folder = child.stdout.readline().strip()
    assert remove_stale() == []

    child.send_signal(signal.SIGKILL)
    child.communicate()

    assert [str(swept) for swept in remove_stale()] == [folder]
    assert list(artifacts.iterdir()) == []


def test_other_files_are_not_swept(artifacts: Path) -> None:
    (artifacts / "frames").mkdir(parents=True)

    assert remove_stale() == []
    assert (artifacts / "frames").is_dir()


def test_nothing_to_sweep_is_no_error() -> None:
    assert remove_stale() == []


def test_a_folder_that_was_swept_while_it_was_made_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def sweep_first(handle: int, _: int) -> None:
        made.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        if len(made) == 1:
            shutil.rmtree(made[0])

    monkeypatch.setattr(fcntl, "flock", sweep_first)

    with StagingFolder() as folder:
        assert made == [made[0], str(folder)]
        assert folder.is_dir()


def test_where_there_are_no_locks_nothing_is_swept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_handle: int, _how: int) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)

    with StagingFolder() as folder:
        assert remove_stale() == []
        assert folder.is_dir()
