from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.stability.hull_decompositions import (
    Phases,
    allocate_decompositions,
    fill_decompositions,
)


@pytest.fixture
def phases() -> Phases:
    """A (0), B (1), AB (2, -1 eV/atom), AB3 (3, +1), AC (4, no entry of C)."""
    return Phases(
        offsets=np.array([0, 1, 2, 4, 6, 8]),
        elements=np.array([0, 1, 0, 1, 0, 1, 0, 2]),
        fractions=np.array([1, 1, 0.5, 0.5, 0.25, 0.75, 0.5, 0.5]),
        formation=np.array([0, 0, -1, 1, np.nan]),
        ground_states=np.array([0, 1, -1]),
        members=np.array([0, 1, 2, 3, 4]),
        member_offsets=np.array([0, 1, 2, 4, 5]),
        subsystems=np.array([2, 3]),
        subsystem_offsets=np.array([0, 0, 0, 1, 2]),
    )


def test_a_composition_is_mixed_from_the_others(phases: Phases) -> None:
    """AB without itself is A and B; AB3 is half AB and half B."""
    mixtures = allocate_decompositions(phases)

    fill_decompositions(phases, np.arange(4), mixtures)

    np.testing.assert_array_equal(mixtures.formation, [0, 0, 0, -0.5, np.nan])
    assert set(mixtures.products[2]) == {0, 1}
    assert dict(zip(mixtures.products[3], mixtures.shares[3], strict=True)) == {
        2: 0.5,
        1: 0.5,
    }


def test_only_the_chosen_systems_are_mixed(phases: Phases) -> None:
    mixtures = allocate_decompositions(phases)

    fill_decompositions(phases, np.array([0]), mixtures)

    assert mixtures.formation[0] == 0
    assert mixtures.products[0].tolist() == [0, -1]
    assert np.isnan(mixtures.formation[1:]).all()
