"""What is around workers fails: the database, the disk, other workers, processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.conftest import Campaign

pytestmark = [pytest.mark.mongo, pytest.mark.slow]


def test_a_database_that_restarts_is_waited_for(
    submit: Callable[..., Campaign],
) -> None:
    """It is away while the first materials end and the job goes on."""
    campaign = submit("relaxation")
    mongod = campaign.database.mongod
    worker = campaign.start()
    campaign.wait_for("material", 2)

    mongod.stop(how=signal.SIGKILL)
    time.sleep(5)
    mongod.start()

    assert worker.wait(PATIENCE) == 0, campaign.logs
    campaign.assert_undisturbed()


def test_two_workers_at_one_shard_share_nothing_and_repeat_nothing(
    submit: Callable[..., Campaign],
) -> None:
    """The first counts as lost, but lives; the second waits, and has nothing to do."""
    campaign = submit("relaxation")
    first = campaign.start()
    campaign.wait_for("material", 2)
    campaign.rerun_lost()

    second = campaign.start()

    assert [first.wait(PATIENCE), second.wait(PATIENCE)] == [0, 0]
    campaign.run()
    campaign.assert_undisturbed()
    assert not list(campaign.root.glob("work/*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of unfinished work on a disk of its own, which is nearly full."""
    folder = tmp_path / "work"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("not allowed to mount a disk")
    (folder / "filling").write_bytes(b"0" * 57_344)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


@pytest.mark.parametrize("kind", ["relaxation", "training"])
def test_a_full_disk_is_one_error_and_what_was_kept_stays(
    submit: Callable[..., Campaign], small_disk: Path, kind: str
) -> None:
    campaign = submit(kind)
    if kind == "training":
        (small_disk / "filling").unlink()  # a state needs much more than there is
    assert campaign.start().wait(PATIENCE) == 0

    failed = list(campaign.launchpad.fireworks.find({"state": "FIZZLED"}))
    assert len(failed) == 1
    assert "InputError: expected disk space for" in campaign.logs
    assert "No space left on device" in campaign.logs
    subprocess.run(  # noqa: S603
        ["mount", "-o", "remount,size=64m", str(small_disk)],  # noqa: S607
        check=True,
    )
    campaign.lpad("rerun_fws", "-s", "FIZZLED")
    campaign.run()

    campaign.assert_undisturbed()


def test_a_killed_process_of_a_training_fizzles_the_job_and_leaves_none_behind(
    submit: Callable[..., Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_N_TRAINING_PROCESSES", "2")
    campaign = submit("training")
    worker = campaign.start()
    campaign.wait(lambda: len(find_children(worker.pid)) == 2)
    campaign.wait(lambda: any(campaign.root.glob("work/*/last.ckpt")))
    first, second = find_children(worker.pid)

    os.kill(second, signal.SIGKILL)

    assert worker.wait(PATIENCE) == 0
    assert "process 2 of a training died: SIGKILL" in campaign.logs
    assert not Path("/proc", str(first)).exists()
    monkeypatch.delenv("NEXTRUNG_N_TRAINING_PROCESSES")
    campaign.lpad("rerun_fws", "-s", "FIZZLED")
    campaign.run()
    assert set(campaign.states()) == {"COMPLETED"}
    steps = Counter(line for line in campaign.notes if line.startswith("step"))
    assert set(steps.values()) <= {1}
    assert "step 0" not in steps


def find_children(parent: int) -> list[int]:
    """List the processes a process has started, in order."""
    children = Path("/proc", str(parent), "task", str(parent), "children")
    return sorted(int(pid) for pid in children.read_text().split())
