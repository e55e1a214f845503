from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"header": 1}', b"\xff"])
def test_garbage_in_place_of_the_header_is_counted_and_kept_out(
    tmp_path: Path, line: bytes, failed: RelaxationRecord
) -> None:
    path = tmp_path / "shard.jsonl"
    path.write_bytes(line + b"\n")

    log = RelaxationLog(path, HEADER)
    log.record("a", failed)

    again = RelaxationLog(path, HEADER)
    assert (again.finished, again.n_damaged) == ({"a": failed}, 1)


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


def test_a_damaged_line_costs_its_material_and_is_said(
    tmp_path: Path,
    converged: RelaxationRecord,
    failed: RelaxationRecord,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An altered energy too, in a line that is JSON still."""
    path = tmp_path / "shard.jsonl"
    log = RelaxationLog(path, HEADER)
    log.record("a", converged)
    log.record("b", failed)
    path.write_bytes(path.read_bytes().replace(b"-7.25", b"-8.25"))

    resumed = RelaxationLog(path, HEADER)

    assert resumed.finished == {"b": failed}
    assert resumed.n_damaged == 1
    (warning,) = caplog.messages
    assert warning.endswith(
        "1 of 3 lines are damaged; their materials are relaxed again"
    )
    resumed.record("a", converged)
    again = RelaxationLog(path, HEADER)
    assert again.finished == {"a": converged, "b": failed}
    assert again.n_damaged == 1


def test_a_line_of_the_log_of_another_job_is_not_accepted(
    tmp_path: Path, converged: RelaxationRecord
) -> None:
    lines = []
    for job in ("a", "b"):
        path = tmp_path / f"{job}.jsonl"
        RelaxationLog(path, {"job": job}).record("m", converged)
        lines.append(path.read_bytes().splitlines(keepends=True))
    path.write_bytes(lines[1][0] + lines[0][1])

    log = RelaxationLog(path, {"job": "b"})

    assert (log.finished, log.n_damaged) == ({}, 1)


@given(
    position=st.integers(min_value=0),
    damage=st.sampled_from(["flip", "cut", "insert", "zero"]),
    mask=st.integers(1, 255),
)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_happens_to_a_log_it_has_true_records_only(
    tmp_path: Path,
    converged: RelaxationRecord,
    failed: RelaxationRecord,
    position: int,
    damage: str,
    mask: int,
) -> None:
    """Materials that are lost are relaxed again; then all are there."""
    path = tmp_path / "shard.jsonl"
    path.unlink(missing_ok=True)
    records = {"a": converged, "b": failed, "c": converged}
    log = RelaxationLog(path, HEADER)
    for name, record in records.items():
        log.record(name, record)
    content = bytearray(path.read_bytes())
    position %= len(content)
    if damage == "flip":
        content[position] ^= mask
    elif damage == "cut":
        del content[position : position + mask]
    elif damage == "insert":
        content[position:position] = bytes([mask, 10, mask])
    else:
        content[position : position + 64] = bytes(
            len(content[position : position + 64])
        )
    path.write_bytes(content)

    resumed = RelaxationLog(path, HEADER)
    assert all(records[name] == record for name, record in resumed.finished.items())
    for name in records.keys() - resumed.finished.keys():
        resumed.record(name, records[name])

    assert RelaxationLog(path, HEADER).finished == records


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


def test_the_marker_stays_where_a_structure_may_have_crashed_the_device(
    tmp_path: Path,
) -> None:
    def attempt(message: str) -> None:
        with crash_marker(tmp_path / "marker"):
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="illegal"):
        attempt("CUDA error: an illegal memory access was encountered")
    assert (tmp_path / "marker").exists()

    with pytest.raises(RuntimeError, match="disk"):
        attempt("disk quota exceeded")
    assert not (tmp_path / "marker").exists()


def test_the_marker_of_a_killed_attempt_is_reported_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()

    with crash_marker(tmp_path / "marker") as crashed:
        pass

    assert crashed
    assert not (tmp_path / "marker").exists()
