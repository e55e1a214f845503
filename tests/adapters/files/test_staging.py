from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nextrung.adapters.files.staging import StagingFolder, remove_stale

#: Creates a folder, prints its path, and waits for a signal.
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


def test_a_folder_is_created_beside_the_artifacts_and_removed(artifacts: Path) -> None:
    with StagingFolder() as folder:
        assert folder.parent == artifacts
        (folder / "half").write_text("a file")

    assert list(artifacts.iterdir()) == []


def test_a_folder_in_use_is_not_removed() -> None:
    with StagingFolder() as folder:
        assert remove_stale() == []
        assert folder.is_dir()


def test_the_folder_of_a_killed_process_is_removed_and_not_before(
    artifacts: Path,
) -> None:
    """SIGKILL, as by the queue of a cluster."""
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

    assert [str(removed) for removed in remove_stale()] == [folder]
    assert list(artifacts.iterdir()) == []


def test_other_folders_are_not_removed(artifacts: Path) -> None:
    (artifacts / "frames").mkdir(parents=True)

    assert remove_stale() == []
    assert (artifacts / "frames").is_dir()


def test_a_run_folder_without_artifacts_is_valid() -> None:
    assert remove_stale() == []


def test_a_folder_that_is_removed_before_it_is_locked_is_created_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def remove_first(handle: int, _: int) -> None:
        made.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        if len(made) == 1:
            shutil.rmtree(made[0])

    monkeypatch.setattr(fcntl, "flock", remove_first)

    with StagingFolder() as folder:
        assert made == [made[0], str(folder)]
        assert folder.is_dir()


def test_nothing_is_removed_on_a_file_system_without_locks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_handle: int, _how: int) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)

    with StagingFolder() as folder:
        assert remove_stale() == []
        assert folder.is_dir()
