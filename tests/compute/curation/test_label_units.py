from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.label_units import (
    choose_strained,
    explain_factor,
    measure_factor,
    validate_stress_unit,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

RNG = np.random.default_rng(0)
STRESSES = RNG.normal(scale=5, size=(16, 3, 3)).astype(np.float32)


def test_large_stresses_of_small_frames_are_chosen() -> None:
    """Sizes 1 to 6; frame 0 has no stress, 1 is at rest, 4 and 5 are large."""
    structures = [
        Structure(Lattice.cubic(9), ["H"] * n, RNG.random((n, 3))) for n in range(1, 7)
    ]
    frames = Frames.from_structures(structures)
    frames.stresses[1:] = np.array([0, 2, -3, 9, 9])[:, None, None]

    assert choose_strained(frames, 2).tolist() == [3, 2]
    assert choose_strained(frames, 9).tolist() == [4, 5, 3, 2]


@pytest.mark.parametrize("factor", [0.264, 0.5, 1.0, 2.0, 3.8])
def test_stresses_of_similar_size_pass(factor: float) -> None:
    validate_stress_unit(factor * STRESSES, STRESSES)


@pytest.mark.parametrize(
    ("factor", "got"),
    [
        (-1.0, "-1 times"),
        (-10.0, "-10 times"),
        (10.0, "10 times"),
        (0.1, "0.1 times"),
        (0.00624, "0.00624 times"),
        (160.2, "160 times"),
    ],
)
def test_every_wrong_unit_or_sign_is_rejected(factor: float, got: str) -> None:
    """Between GPa, VASP's kBar and eV/Å³."""
    with pytest.raises(InputError, match=f"got {got} what the potential predicts"):
        validate_stress_unit(factor * STRESSES, STRESSES)


def test_uncorrelated_stresses_are_not_checked() -> None:
    other = RNG.normal(scale=500, size=STRESSES.shape).astype(np.float32)

    validate_stress_unit(other, STRESSES)


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_missing_stresses_are_not_checked(value: float) -> None:
    validate_stress_unit(np.full_like(STRESSES, value), STRESSES)


def test_small_forces_tell_nothing() -> None:
    small = np.float32(0.001) * np.arange(12, dtype=np.float32).reshape(4, 3)
    assert measure_factor(-small, small, min_predicted=0.1) is None
    assert measure_factor(np.full_like(small, np.nan), small, min_predicted=0) is None


@pytest.mark.parametrize("factor", [0.264, 0.5, 1.0, 2.0, 3.8])
def test_soft_and_stiff_potentials_are_no_wrong_units(factor: float) -> None:
    assert explain_factor(factor) is None
