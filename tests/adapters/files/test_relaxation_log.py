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


def test_a_reopened_log_lists_the_finished_relaxations(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    log = RelaxationLog(tmp_path / "shard.jsonl", HEADER)
    log.record("a", converged)
    log.record("b", failed)

    assert RelaxationLog(tmp_path / "shard.jsonl", HEADER).finished == {
        "a": converged,
        "b": failed,
    }


@pytest.mark.parametrize("kept", [1, 20, 100])
def test_only_the_material_of_an_incomplete_last_line_is_lost(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord, kept: int
) -> None:
    path = tmp_path / "shard.jsonl"
    log = RelaxationLog(path, HEADER)
    log.record("a", failed)
    whole = path.read_bytes()
    log.record("b", converged)
    path.write_bytes(path.read_bytes()[: len(whole) + kept])

    resumed = RelaxationLog(path, HEADER)
    resumed.record("b", converged)

    assert list(RelaxationLog(path, HEADER).finished) == ["a", "b"]


def test_an_incomplete_header_starts_a_new_log(tmp_path: Path) -> None:
    (tmp_path / "shard.jsonl").write_bytes(b'{"hea')

    assert RelaxationLog(tmp_path / "shard.jsonl", HEADER).finished == {}
    assert RelaxationLog(tmp_path / "shard.jsonl", HEADER).finished == {}


def test_the_log_of_another_job_is_rejected(tmp_path: Path) -> None:
    RelaxationLog(tmp_path / "shard.jsonl", HEADER)

    with pytest.raises(
        InputError,
        match=r"expected the relaxation log of this job in .*, got job a instead of b",
    ):
        RelaxationLog(tmp_path / "shard.jsonl", {"job": "b"})


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"header": 1}'])
def test_the_error_of_a_file_without_header_names_it(
    tmp_path: Path, line: bytes
) -> None:
    (tmp_path / "shard.jsonl").write_bytes(line + b"\n")

    with pytest.raises(InputError, match=r"expected a header in line 1 of .*\.jsonl"):
        RelaxationLog(tmp_path / "shard.jsonl", HEADER)


def test_on_a_full_disk_only_the_last_relaxation_is_lost(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    """A partly written line is removed."""
    path = tmp_path / "shard.jsonl"
    log = RelaxationLog(path, HEADER)
    log.record("a", failed)
    whole = path.read_bytes()

    with full_disk(len(whole) + 50):
        with pytest.raises(
            InputError, match=r"disk space for a relaxation in .*\.jsonl, got"
        ):
            log.record("b", converged)
        assert path.read_bytes() == whole
        assert log.finished == {"a": failed}

    again = RelaxationLog(path, HEADER)
    again.record("b", converged)
    assert list(RelaxationLog(path, HEADER).finished) == ["a", "b"]


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Limit the size of files that this process writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_the_error_of_a_damaged_line_names_it(
    tmp_path: Path, failed: RelaxationRecord
) -> None:
    path = tmp_path / "shard.jsonl"
    RelaxationLog(path, HEADER)
    with path.open("ab") as file:
        file.write(b"{}\n")
    RelaxationLog.record(_opened(path), "b", failed)

    with pytest.raises(InputError, match="expected a relaxation in line 2"):
        RelaxationLog(path, HEADER)


def test_the_marker_is_removed_whichever_exception_ends_the_block(
    tmp_path: Path,
) -> None:
    def attempt(ending: BaseException) -> None:
        with crash_marker(tmp_path / "marker") as crashed:
            assert not crashed
            assert (tmp_path / "marker").exists()
            raise ending

    for ending in (SystemExit(143), KeyboardInterrupt(), InputError("full")):
        with pytest.raises(type(ending)):
            attempt(ending)

    assert not (tmp_path / "marker").exists()


def test_the_marker_of_a_killed_attempt_is_reported_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()

    with crash_marker(tmp_path / "marker") as crashed:
        pass

    assert crashed
    assert not (tmp_path / "marker").exists()


def _opened(path: Path) -> RelaxationLog:
    """Open a log for writing without reading it."""
    log = object.__new__(RelaxationLog)
    log.path, log.finished, log.synced = path, {}, 0.0
    return log
