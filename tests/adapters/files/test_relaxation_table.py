from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nextrung.adapters.files.relaxation_table import (
    read_energies,
    read_outcomes,
    read_relaxations,
    write_relaxations,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.schemas.relaxation import RelaxationRecord


def test_a_table_is_read_as_written(
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


def test_notes_are_read_as_written_and_missing_in_older_tables(
    tmp_path: Path, converged: RelaxationRecord
) -> None:
    file, older = tmp_path / "table.parquet", tmp_path / "older.parquet"
    noted = converged.model_copy(update={"note": "of the prior"})
    write_relaxations(file, {"a": noted})
    pq.write_table(pq.read_table(file).drop_columns("note"), older)

    assert read_relaxations(file)["a"].note == "of the prior"
    assert read_relaxations(older)["a"].note is None
    assert read_outcomes(older)[0].record.note is None


def test_the_error_of_an_invalid_table_names_it(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_bytes(b"nonsense")

    with pytest.raises(InputError, match=r"table of relaxations in .*table\.parquet"):
        read_relaxations(tmp_path / "table.parquet")


def test_outcomes_are_records_without_sites(
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
def test_the_error_of_a_file_without_outcomes_names_it(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "table.parquet").write_bytes(content)

    with pytest.raises(InputError, match="expected a table of relaxations in"):
        read_outcomes(tmp_path / "table.parquet")


def test_the_error_of_a_table_of_another_schema_names_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "table.parquet")

    with pytest.raises(InputError, match="expected a table of relaxations in"):
        read_outcomes(tmp_path / "table.parquet")


def test_energies_are_in_the_order_asked_for(
    tmp_path: Path, converged: RelaxationRecord, failed: RelaxationRecord
) -> None:
    path = tmp_path / "table.parquet"
    write_relaxations(path, {"a": converged, "b": failed})

    energies = read_energies(path, ["b", "a"])

    assert np.isnan(energies.relaxed).tolist() == [True, False]
    assert energies.relaxed[1] == converged.energy
    assert energies.statuses.tolist() == [failed.status, converged.status]


def test_a_material_without_relaxation_is_named(
    tmp_path: Path, converged: RelaxationRecord
) -> None:
    path = tmp_path / "table.parquet"
    write_relaxations(path, {"a": converged})

    with pytest.raises(InputError, match=r"expected the relaxation of c in .*got none"):
        read_energies(path, ["a", "c"])
