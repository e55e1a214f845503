from __future__ import annotations

import errno
import fcntl
import logging
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.locks import hold_lock, remove_unlocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLDER = """
import sys
from pathlib import Path
from nextrung.adapters.files.locks import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it reads a line."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", _HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_process_waits_for_a_held_lock(
    holder: subprocess.Popen[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", f"sleep 1; kill {holder.pid}"]
    )
    started = time.monotonic()

    with caplog.at_level(logging.WARNING, "nextrung"), hold_lock(tmp_path / "lock"):
        waited = time.monotonic() - started

    release.wait()
    assert waited > 0.5
    assert "another process runs this job; waiting" in caplog.text


def test_the_lock_of_a_killed_process_is_released(
    holder: subprocess.Popen[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holder.kill()
    holder.wait()

    with caplog.at_level(logging.WARNING, "nextrung"), hold_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()

    assert caplog.text == ""


def test_a_released_lock_can_be_held_again(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_lock(tmp_path / "lock"):
            assert (tmp_path / "lock").read_bytes() == b""


def test_a_folder_is_removed_unless_another_process_holds_its_lock(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    (tmp_path / "last.ckpt").touch()

    remove_unlocked(tmp_path)
    assert (tmp_path / "last.ckpt").exists()
    holder.kill()
    holder.wait()
    remove_unlocked(tmp_path)

    assert not tmp_path.exists()
    remove_unlocked(tmp_path)


def test_a_process_that_waits_for_a_removed_lock_locks_a_new_one(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Another one then waits for it."""
    command = f"sleep 1; rm -r {tmp_path}; kill {holder.pid}"
    remove = subprocess.Popen(["/bin/sh", "-c", command])  # noqa: S603

    with hold_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()
        other = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _HOLDER, str(tmp_path / "lock")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(1)
        assert other.stdout is not None
        assert not select.select([other.stdout], [], [], 1)[0]
    assert other.stdout.readline() == "held\n"
    other.kill()
    other.communicate()
    remove.wait()


def test_a_file_system_without_locks_is_not_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)

    with caplog.at_level(logging.WARNING, "nextrung"), hold_lock(tmp_path / "lock"):
        pass

    assert "no locks on this file system (No locks available)" in caplog.text
