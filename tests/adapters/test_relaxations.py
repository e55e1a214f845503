from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.relaxations import Journal, read_relaxations, write_relaxations
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

if TYPE_CHECKING:
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

    with pytest.raises(InputError, match="expected the journal of this job"):
        Journal(tmp_path / "shard.jsonl", {"job": "b"})


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


def _opened(path: Path) -> Journal:
    """Open a journal without reading it, as a writer that never looked back."""
    journal = object.__new__(Journal)
    journal.path, journal.finished = path, {}
    return journal
