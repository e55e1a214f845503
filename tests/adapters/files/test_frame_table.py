from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.frame_table import (
    frames_from_table,
    frames_to_columns,
    nan_to_null,
    to_array,
)
from nextrung.schemas.frames import Frames


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=6))
def test_missing_site_labels_keep_their_positions(
    recipe: list[tuple[int, bool]],
) -> None:
    structures = [
        Structure(Lattice.cubic(3), ["H"] * size, np.zeros((size, 3)))
        for size, _ in recipe
    ]
    frames = Frames.from_structures(structures)
    for index, (_, labelled) in enumerate(recipe):
        if labelled:
            frames.forces[frames.offsets[index] : frames.offsets[index + 1]] = index

    read = frames_from_table(pa.table(frames_to_columns(frames)))

    np.testing.assert_array_equal(read.forces, frames.forces)
    assert read.offsets.tolist() == frames.offsets.tolist()


def test_nan_becomes_null_and_nan_again() -> None:
    values = np.array([[1.0, np.nan], [np.nan, 4.0]])

    column = nan_to_null(values)

    assert column.to_pylist() == [1.0, None, None, 4.0]
    np.testing.assert_array_equal(to_array(column), values.ravel())


def test_lists_of_unequal_lengths_are_rejected() -> None:
    frames = Frames.from_structures(
        [Structure(Lattice.cubic(3), ["H", "H"], np.zeros((2, 3)))]
    )
    columns = frames_to_columns(frames) | {"magmoms": pa.array([[1.0]])}

    with pytest.raises(ValueError, match="unexpected number of magmoms in row 0"):
        frames_from_table(pa.table(columns))


def test_a_table_of_two_functionals_is_rejected() -> None:
    frames = Frames.from_structures(
        [Structure(Lattice.cubic(3), ["H"], [[0, 0, 0]])] * 2, functional="PBE"
    )
    columns = frames_to_columns(frames) | {"functional": pa.array(["PBE", "HSE06"])}

    with pytest.raises(ValueError, match="expected one functional, got 2"):
        frames_from_table(pa.table(columns))
