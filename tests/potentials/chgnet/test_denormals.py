from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from nextrung.potentials.chgnet.denormals import flush_denormals
from nextrung.potentials.graphs.crystals import Crystals

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential


def half_of_the_smallest() -> float:
    return sys.float_info.min / 2


def test_denormal_numbers_are_zero_inside_alone() -> None:
    assert half_of_the_smallest() > 0
    with flush_denormals():
        assert half_of_the_smallest() == 0
        assert (torch.tensor(1e-30) * torch.tensor(1e-12)).item() == 0
    assert half_of_the_smallest() > 0


def test_an_error_inside_leaves_all_as_before() -> None:
    with pytest.raises(KeyError), flush_denormals():
        raise KeyError
    assert half_of_the_smallest() > 0


def test_who_flushed_before_flushes_afterwards() -> None:
    with flush_denormals():
        with flush_denormals():
            pass
        assert half_of_the_smallest() == 0


def test_predictions_leave_the_thread_as_it_was(
    target: Potential, structures: list[Structure]
) -> None:
    crystals = Crystals.of(structures[:3])
    own = target.predict_batch(crystals)
    assert half_of_the_smallest() > 0
    with flush_denormals():
        flushed = target.predict_batch(crystals)
    np.testing.assert_array_equal(own.energies, flushed.energies)
