from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.neighbors import find_pairs
from nextrung.potentials.training import frame_screening
from nextrung.potentials.training.frame_screening import estimate_costs, find_unusable
from nextrung.schemas.frames import Frames


def make_frames() -> Frames:
    """Iron, isolated helium, caesium chloride and ytterbium."""
    return Frames.from_structures(
        [
            Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]]),
            Structure(Lattice.cubic(20), ["He"], [[0, 0, 0]]),
            Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
            Structure(Lattice.cubic(3.9), ["Yb"], [[0, 0, 0]]),
        ],
        ["iron", "helium", "salt", "ytterbium"],
    )


@pytest.fixture(params=[1, 256])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one frame, and one chunk of all."""
    monkeypatch.setattr(frame_screening, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
def test_unusable_frames_are_named_with_their_reason() -> None:
    unusable = find_unusable(make_frames(), {"Fe", "He", "Cl"})

    assert list(unusable) == ["helium", "salt", "ytterbium"]
    assert unusable["helium"].startswith("isolated atom: site 0 (He)")
    assert unusable["salt"] == "no atomic reference energy for Cs"
    assert unusable["ytterbium"] == "no atomic reference energy for Yb"


def test_all_missing_elements_are_named() -> None:
    unusable = find_unusable(make_frames()[2:3], {"Fe"})

    assert unusable == {"salt": "no atomic reference energy for Cl, Cs"}


def test_numbers_that_are_no_elements_are_faults() -> None:
    frames = make_frames()[:1]
    numbers = np.array([120], dtype=np.int16)

    unusable = find_unusable(replace(frames, atomic_numbers=numbers), {"Fe"})

    assert unusable == {"iron": "atomic number 120 is outside 1..94"}


@pytest.mark.usefixtures("chunk")
def test_costs_are_those_of_the_pairs() -> None:
    frames = make_frames()

    expected = find_pairs(Crystals.from_frames(frames)).costs
    np.testing.assert_array_equal(estimate_costs(frames), expected)
