from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.relaxation_log import RelaxationLog, crash_marker
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nextrung.schemas.relaxation import RelaxationRecord

HEADER = {"job": "a"}


def test_reopened_journal_knows_what_is_finished(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    journal = RelaxationLog(tmp_path / "shard.jsonl", HEADER)
    journal.record("a", converged)
    journal.record("b", failed)

    assert RelaxationLog(tmp_path / "shard.jsonl", HEADER).finished == {
        "a": converged,
        "b": failed,
    }


@pytest.mark.parametrize("kept", [1, 20, 100])
def test_torn_last_line_costs_its_material_alone(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord, kept: int
) -> None:
    path = tmp_path / "shard.jsonl"
    journal = RelaxationLog(path, HEADER)
    journal.record("a", failed)
    whole = path.read_bytes()
    journal.record("b", converged)
    path.write_bytes(path.read_bytes()[: len(whole) + kept])

    resumed = RelaxationLog(path, HEADER)
    resumed.record("b", converged)

    assert list(RelaxationLog(path, HEADER).finished) == ["a", "b"]


def test_torn_header_starts_the_journal_anew(tmp_path: Path) -> None:
    (tmp_path / "shard.jsonl").write_bytes(b'{"hea')

    assert RelaxationLog(tmp_path / "shard.jsonl", HEADER).finished == {}
    assert RelaxationLog(tmp_path / "shard.jsonl", HEADER).finished == {}


def test_journal_of_another_job_is_refused(tmp_path: Path) -> None:
    RelaxationLog(tmp_path / "shard.jsonl", HEADER)

    with pytest.raises(
        InputError,
        match=r"expected the journal of this job in .*, got job a instead of b",
    ):
        RelaxationLog(tmp_path / "shard.jsonl", {"job": "b"})


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"header": 1}'])
def test_a_file_that_is_no_journal_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "shard.jsonl").write_bytes(line + b"\n")

    with pytest.raises(InputError, match=r"expected a header in line 1 of .*\.jsonl"):
        RelaxationLog(tmp_path / "shard.jsonl", HEADER)


def test_a_full_disk_costs_the_last_relaxation_alone(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    """Part of a line is written before the disk is full; nothing of it stays."""
    path = tmp_path / "shard.jsonl"
    journal = RelaxationLog(path, HEADER)
    journal.record("a", failed)
    whole = path.read_bytes()

    with full_disk(len(whole) + 50):
        with pytest.raises(
            InputError, match=r"room for a relaxation in .*\.jsonl, got"
        ):
            journal.record("b", converged)
        assert path.read_bytes() == whole
        assert journal.finished == {"a": failed}

    again = RelaxationLog(path, HEADER)
    again.record("b", converged)
    assert list(RelaxationLog(path, HEADER).finished) == ["a", "b"]


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_damage_in_the_middle_is_named(
    tmp_path: Path, failed: RelaxationRecord
) -> None:
    path = tmp_path / "shard.jsonl"
    RelaxationLog(path, HEADER)
    with path.open("ab") as file:
        file.write(b"{}\n")
    RelaxationLog.record(_opened(path), "b", failed)

    with pytest.raises(InputError, match="expected a relaxation in line 2"):
        RelaxationLog(path, HEADER)


def test_an_attempt_that_ends_leaves_no_mark_whatever_its_end(tmp_path: Path) -> None:
    def attempt(ending: BaseException) -> None:
        with crash_marker(tmp_path / "mark") as crashed:
            assert not crashed
            assert (tmp_path / "mark").exists()
            raise ending

    for ending in (SystemExit(143), KeyboardInterrupt(), InputError("full")):
        with pytest.raises(type(ending)):
            attempt(ending)

    assert not (tmp_path / "mark").exists()


def test_the_mark_of_a_killed_attempt_is_met_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()

    with crash_marker(tmp_path / "mark") as crashed:
        pass

    assert crashed
    assert not (tmp_path / "mark").exists()


def _opened(path: Path) -> RelaxationLog:
    """Open a journal without reading it, as a writer that never looked back."""
    journal = object.__new__(RelaxationLog)
    journal.path, journal.finished, journal.synced = path, {}, 0.0
    return journal
