"""Vectorised conversion between frames and columns of an Arrow table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute  # defines pa.compute

from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray


def frames_to_columns(frames: Frames) -> dict[str, pa.Array]:
    """Convert frames to columns, one row per frame; missing labels become null.

    Parameters
    ----------
    frames : Frames
        Frames whose missing labels are NaN.
    """
    return {
        "material_id": pa.array(frames.material_ids.tolist(), pa.string()),
        "frame_id": pa.array(frames.frame_ids.tolist(), pa.string()),
        "functional": pa.array([frames.functional] * len(frames), pa.string()),
        "split": pa.array(frames.splits.tolist(), pa.string()),
        "atomic_numbers": _lists(pa.array(frames.atomic_numbers), frames.offsets),
        "lattice": pa.FixedSizeListArray.from_arrays(
            pa.array(frames.lattices.reshape(-1)), 9
        ),
        "frac_coords": _lists(
            pa.array(frames.frac_coords.reshape(-1)), 3 * frames.offsets
        ),
        "energy": nan_to_null(frames.energies),
        "forces": _label_lists(frames.forces, frames),
        "stress": pa.FixedSizeListArray.from_arrays(
            nan_to_null(frames.stresses),
            9,
            mask=pa.array(np.isnan(frames.stresses).all(axis=(1, 2))),
        ),
        "magmoms": _label_lists(frames.magmoms[:, None], frames),
    }


def frames_from_table(table: pa.Table) -> Frames:
    """Convert a table with the schema of a frames file; null labels become NaN.

    Parameters
    ----------
    table : pyarrow.Table
        One row per frame.

    Raises
    ------
    ValueError
        If lists of one row differ in length, a structure is missing, or labels have
        several functionals.
    """
    n_atoms = _lengths(table["atomic_numbers"])
    offsets = np.concatenate([[0], np.cumsum(n_atoms)])
    functionals = table["functional"].unique().to_pylist()
    if len(functionals) > 1:
        raise ValueError(f"expected one functional, got {len(functionals)}")
    return Frames(
        material_ids=_strings(table["material_id"]),
        frame_ids=_strings(table["frame_id"]),
        splits=_strings(table["split"]),
        offsets=offsets,
        atomic_numbers=_values(table["atomic_numbers"], n_atoms, "atomic_numbers"),
        lattices=_matrices(table["lattice"], np.float64),
        frac_coords=_values(table["frac_coords"], 3 * n_atoms, "frac_coords").reshape(
            -1, 3
        ),
        energies=to_array(table["energy"]),
        forces=_labels(table["forces"], 3 * n_atoms, "forces").reshape(-1, 3),
        stresses=_matrices(table["stress"], np.float32),
        magmoms=_labels(table["magmoms"], n_atoms, "magmoms"),
        functional=functionals[0] if functionals else "",
    )


def nan_to_null(values: NDArray[Any]) -> pa.Array:
    """Convert to a flat Arrow array in which NaN is null.

    Parameters
    ----------
    values : ndarray of float
        Values of any shape.
    """
    return pa.array(values.reshape(-1), from_pandas=True)


def to_array(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Convert a numeric column to a writable array in which null is NaN.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array
        Numbers.
    """
    array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    array = array.astype(column.type.to_pandas_dtype(), copy=False)
    return array if array.flags.writeable else array.copy()


def _strings(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """Convert a column of strings to an array."""
    return np.array(column.to_pylist(), dtype=np.str_)


def _lists(values: pa.Array, bounds: NDArray[np.int64], **mask: pa.Array) -> pa.Array:
    """Split flat values into one list per frame."""
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values, **mask)


def _label_lists(labels: NDArray[Any], frames: Frames) -> pa.Array:
    """Split a site label into one list per frame; null where all values are NaN."""
    known = np.isfinite(labels).any(axis=1)
    n_known = np.bincount(frames.frame_of_site[known], minlength=len(frames))
    return _lists(
        nan_to_null(labels),
        labels.shape[1] * frames.offsets,
        mask=pa.array(n_known == 0),
    )


def _lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Count the values of every list; 0 for null."""
    lengths = pa.compute.list_value_length(column).fill_null(0)
    return to_array(lengths).astype(np.int64)


def _values(column: pa.ChunkedArray, expected: NDArray[np.int64], name: str) -> Any:  # noqa: ANN401
    """Flatten lists; raise where one is missing or has another length."""
    if wrong := np.flatnonzero(_lengths(column) != expected).tolist():
        raise ValueError(f"unexpected number of {name} in row {wrong[0]}")
    return to_array(pa.compute.list_flatten(column))


def _labels(
    column: pa.ChunkedArray, expected: NDArray[np.int64], name: str
) -> NDArray[np.float32]:
    """Flatten lists of labels; NaN for lists that are null."""
    known = to_array(column.is_valid())
    given: NDArray[np.float32] = _values(column, np.where(known, expected, 0), name)
    if known.all():
        return given
    labels = np.full(expected.sum(), np.nan, dtype=np.float32)
    labels[np.repeat(known, expected)] = given
    return labels


def _matrices(column: pa.ChunkedArray, dtype: type) -> NDArray[Any]:
    """Convert rows to 3 × 3 matrices; NaN for rows that are null."""
    matrices: NDArray[Any] = np.full((len(column), 3, 3), np.nan, dtype=dtype)
    known = to_array(column.is_valid())
    matrices[known] = to_array(pa.compute.list_flatten(column)).reshape(-1, 3, 3)
    return matrices
