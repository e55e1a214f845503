from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.frames import (
    read_frames,
    read_materials,
    read_metadata,
    write_frames,
    write_materials,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.materials import Materials

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def frames() -> Frames:
    """Three frames of 2, 1 and 3 atoms; the last one has no label but its energy."""
    rng = np.random.default_rng(0)
    structures = [
        Structure(
            Lattice(rng.normal(size=(3, 3)) + 4 * np.eye(3)),
            rng.integers(1, 94, size).tolist(),
            rng.random((size, 3)),
        )
        for size in (2, 1, 3)
    ]
    frames = Frames.from_structures(structures, ["a-0", "a-1", "b-0"], functional="PBE")
    frames.energies[:] = rng.normal(size=3)
    frames.forces[:3] = rng.normal(size=(3, 3))
    frames.stresses[:2] = rng.normal(size=(2, 3, 3))
    frames.magmoms[:2] = [0.5, np.nan]
    return replace(
        frames,
        material_ids=np.array(["a", "a", "b"]),
        splits=np.array(["train", "train", "test"]),
    )


def assert_same(left: Frames, right: Frames) -> None:
    for field in fields(Frames):
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        np.testing.assert_array_equal(ours, theirs, err_msg=field.name)
        if field.name != "functional":
            assert ours.dtype.kind == theirs.dtype.kind


def rewrite(path: Path, **columns: list[Any]) -> None:
    """Replace columns of a Parquet file."""
    table = pq.read_table(path)
    for name, values in columns.items():
        index = table.column_names.index(name)
        column = pa.array(values, table.schema.field(name).type)
        table = table.set_column(index, name, column)
    pq.write_table(table, path)


def test_frames_are_read_as_written_bit_for_bit(frames: Frames, tmp_path: Path) -> None:
    write_frames(frames, tmp_path / "frames.parquet")

    assert_same(read_frames(tmp_path / "frames.parquet"), frames)


def test_a_selection_of_frames_is_read_as_written(
    frames: Frames, tmp_path: Path
) -> None:
    write_frames(frames[[2, 0]], tmp_path / "frames.parquet")

    assert_same(read_frames(tmp_path / "frames.parquet"), frames[[2, 0]])


def test_a_file_may_have_no_frames(tmp_path: Path) -> None:
    write_frames(Frames.from_structures([]), tmp_path / "frames.parquet")

    assert len(read_frames(tmp_path / "frames.parquet")) == 0


def test_pandas_reads_the_documented_columns(frames: Frames, tmp_path: Path) -> None:
    write_frames(frames, tmp_path / "frames.parquet")

    table = pd.read_parquet(tmp_path / "frames.parquet")

    assert table.columns.tolist() == [
        *("material_id", "frame_id", "functional", "split", "atomic_numbers"),
        *("lattice", "frac_coords", "energy", "forces", "stress", "magmoms"),
    ]
    assert table["magmoms"].isna().tolist() == [False, True, True]
    assert table["forces"].isna().tolist() == [False, False, True]
    assert table["lattice"].str.len().tolist() == [9, 9, 9]
    np.testing.assert_array_equal(table["forces"][1], frames.forces[2])
    np.testing.assert_array_equal(table["atomic_numbers"][2], frames.atomic_numbers[3:])


def test_metadata_are_read_as_written(frames: Frames, tmp_path: Path) -> None:
    write_frames(frames, tmp_path / "frames.parquet", {"n_rejected": {"functional": 2}})

    content = read_metadata(tmp_path / "frames.parquet")

    assert content == {"n_rejected": {"functional": 2}}


def test_materials_are_read_as_written(frames: Frames, tmp_path: Path) -> None:
    materials = Materials(frames[1:], np.array([-3.5, np.nan]))

    write_materials(materials, tmp_path / "materials.parquet")
    read = read_materials(tmp_path / "materials.parquet")

    assert_same(read.initial, materials.initial)
    np.testing.assert_array_equal(read.energies, materials.energies)


def test_materials_have_formula_and_energy_columns(
    tmp_path: Path,
) -> None:
    """LiF has no reference of F, so it has no formation energy."""
    cell = Lattice.cubic(4)
    structures = [
        Structure(cell, symbols, np.arange(3 * len(symbols)).reshape(-1, 3) / 7)
        for symbols in (["Li", "Li"], ["O", "O"], ["Li", "Li", "O"], ["Li", "F"])
    ]
    initial = Frames.from_structures(structures, functional="r2SCAN")
    by_functional = {
        "PBE": np.array([-1.0, np.nan, -3.0, np.nan]),
        "r2SCAN": np.array([-2.0, -5.0, -4.5, -6.0]),
    }
    path = tmp_path / "materials.parquet"

    write_materials(Materials(initial, np.zeros(4), by_functional), path)

    table = pq.read_table(path)
    read = read_materials(path)
    assert table["formula"].to_pylist() == ["Li", "O2", "Li2O", "LiF"]
    assert table["chemical_system"].to_pylist() == ["Li", "O", "Li-O", "F-Li"]
    for functional, energies in by_functional.items():
        np.testing.assert_array_equal(read.by_functional[functional], energies)
    formed = [dict(row) for row in table["formation_energies"].to_pylist()]
    assert formed[0] == {"PBE": 0, "r2SCAN": 0}
    assert formed[2] == pytest.approx({"r2SCAN": -4.5 + (2 * 2 + 5) / 3})
    assert formed[3] == {}


@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1"])
def test_an_invalid_file_is_rejected(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "frames.parquet"
    path.write_bytes(content)

    for read in (read_frames, read_metadata):
        with pytest.raises(InputError, match=r"expected a Parquet file, got .*parquet"):
            read(path)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a Parquet file, got .*nowhere"):
        read_frames(tmp_path / "nowhere.parquet")


def test_a_truncated_file_is_rejected(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "frames.parquet"
    write_frames(frames, path)
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(InputError, match="expected a Parquet file"):
        read_frames(path)


def test_a_missing_column_is_named(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "frames.parquet"
    write_frames(frames, path)
    pq.write_table(pq.read_table(path).drop_columns(["forces"]), path)

    with pytest.raises(InputError, match="expected a column 'forces', got none"):
        read_frames(path)


def test_a_column_of_another_type_is_rejected(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "frames.parquet"
    write_frames(frames, path)
    table = pq.read_table(path)
    energies = pa.array(["low", "high", "higher"])
    pq.write_table(table.set_column(7, "energy", energies), path)

    with pytest.raises(InputError, match="unexpected column type"):
        read_frames(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"forces": [[1.0] * 6, [1.0] * 4, None]}, "number of forces in row 1"),
        ({"magmoms": [None, None, [1.0]]}, "number of magmoms in row 2"),
        ({"frac_coords": [[0.0] * 6, None, [0.0] * 9]}, "frac_coords in row 1"),
        ({"functional": ["PBE", "PBE", "r2SCAN"]}, "expected one functional, got 2"),
        ({"split": ["train", "train", "exam"]}, "test, got 'exam'"),
        ({"split": ["train", "test", "test"]}, "in one split, got 'a' in two"),
        ({"frame_id": ["a-0", "b-0", "b-0"]}, "unique frame ids, got 'b-0' twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_inconsistent_rows_are_rejected(
    columns: dict[str, list[Any]], message: str, frames: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "frames.parquet"
    write_frames(frames, path)
    rewrite(path, **columns)

    with pytest.raises(InputError, match=message):
        read_frames(path)
