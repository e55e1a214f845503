from __future__ import annotations

import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.relaxations import (
    Journal,
    read_outcomes,
    read_relaxations,
    write_relaxations,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER = {"job": "a"}


@pytest.fixture
def converged() -> RelaxationRecord:
    return RelaxationRecord(
        status=RelaxationStatus.CONVERGED,
        energy=-7.25,
        initial_energy=-7.0,
        structure=Structure(Lattice.cubic(4.1), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
        n_steps=3,
        fmax=0.01,
    )


@pytest.fixture
def failed() -> RelaxationRecord:
    return RelaxationRecord(
        status=RelaxationStatus.ERROR,
        energy=None,
        structure=None,
        n_steps=0,
        error="no atomic reference energy for Yb",
    )


def test_table_returns_what_was_written(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    records = {"b": converged, "a": failed}

    write_relaxations(tmp_path / "table.parquet", records)
    returned = read_relaxations(tmp_path / "table.parquet")

    assert list(returned) == ["b", "a"]
    assert returned["a"] == failed
    assert returned["b"].energy == converged.energy
    assert converged.structure is not None
    assert returned["b"].structure is not None
    np.testing.assert_array_equal(
        returned["b"].structure.cart_coords, converged.structure.cart_coords
    )


def test_garbled_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(b"nonsense")

    with pytest.raises(InputError, match=r"table of relaxations in .*table\.parquet"):
        read_relaxations(tmp_path / "table.parquet")


def test_reopened_journal_knows_what_is_finished(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    journal = Journal(tmp_path / "shard.jsonl", HEADER)
    journal.record("a", converged)
    journal.record("b", failed)

    assert Journal(tmp_path / "shard.jsonl", HEADER).finished == {
        "a": converged,
        "b": failed,
    }


@pytest.mark.parametrize("kept", [1, 20, 100])
def test_torn_last_line_costs_its_material_alone(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord, kept: int
) -> None:
    path = tmp_path / "shard.jsonl"
    journal = Journal(path, HEADER)
    journal.record("a", failed)
    whole = path.read_bytes()
    journal.record("b", converged)
    path.write_bytes(path.read_bytes()[: len(whole) + kept])

    resumed = Journal(path, HEADER)
    resumed.record("b", converged)

    assert list(Journal(path, HEADER).finished) == ["a", "b"]


def test_torn_header_starts_the_journal_anew(tmp_path: Path) -> None:
    (tmp_path / "shard.jsonl").write_bytes(b'{"hea')

    assert Journal(tmp_path / "shard.jsonl", HEADER).finished == {}
    assert Journal(tmp_path / "shard.jsonl", HEADER).finished == {}


def test_journal_of_another_job_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "shard.jsonl", HEADER)

    with pytest.raises(
        InputError,
        match=r"expected the journal of this job in .*, met job a instead of b",
    ):
        Journal(tmp_path / "shard.jsonl", {"job": "b"})


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"header": 1}'])
def test_a_file_that_is_no_journal_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "shard.jsonl").write_bytes(line + b"\n")

    with pytest.raises(InputError, match=r"expected a header in line 1 of .*\.jsonl"):
        Journal(tmp_path / "shard.jsonl", HEADER)


def test_a_full_disk_costs_the_last_relaxation_alone(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    """Part of a line is written before the disk is full; nothing of it stays."""
    path = tmp_path / "shard.jsonl"
    journal = Journal(path, HEADER)
    journal.record("a", failed)
    whole = path.read_bytes()

    with full_disk(len(whole) + 50):
        with pytest.raises(
            InputError, match=r"room for a relaxation in .*\.jsonl, met"
        ):
            journal.record("b", converged)
        assert path.read_bytes() == whole
        assert journal.finished == {"a": failed}

    again = Journal(path, HEADER)
    again.record("b", converged)
    assert list(Journal(path, HEADER).finished) == ["a", "b"]


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
    Journal(path, HEADER)
    with path.open("ab") as file:
        file.write(b"{}\n")
    Journal.record(_opened(path), "b", failed)

    with pytest.raises(InputError, match="expected a relaxation in line 2"):
        Journal(path, HEADER)


def test_outcomes_are_the_records_without_their_sites(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    records = {"a": converged, "b": failed}
    write_relaxations(tmp_path / "table.parquet", records)

    outcomes = read_outcomes(tmp_path / "table.parquet")

    assert [each.material_id for each in outcomes] == list(records)
    assert [each.volume for each in outcomes] == [pytest.approx(4.1**3), None]
    assert [each.record for each in outcomes] == [
        record.model_copy(update={"structure": None}) for record in records.values()
    ]


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_a_file_without_outcomes_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "table.parquet").write_bytes(content)

    with pytest.raises(InputError, match="expected a table of relaxations in"):
        read_outcomes(tmp_path / "table.parquet")


def test_a_table_of_something_else_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "table.parquet")

    with pytest.raises(InputError, match="expected a table of relaxations in"):
        read_outcomes(tmp_path / "table.parquet")


def _opened(path: Path) -> Journal:
    """Open a journal without reading it, as a writer that never looked back."""
    journal = object.__new__(Journal)
    journal.path, journal.finished, journal.synced = path, {}, 0.0
    return journal
