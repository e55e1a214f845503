from __future__ import annotations

import numpy as np
import torch
from tests.potentials.accelerators import DEVICE, accelerator

from nextrung.potentials.graphs.transfers import download, upload

INTEGERS = np.arange(12).reshape(3, 4)
FLOATS = np.array([[0.1], [np.nan], [-np.inf]])
EMPTY = np.zeros((0, 3))


def test_arrays_of_integers_and_floats_travel_together() -> None:
    """Every bit, in one copy."""
    with accelerator() as counts:
        there = upload(DEVICE, INTEGERS, FLOATS, EMPTY)
        assert counts.n_waits == 1
        assert {tensor.device for tensor in there} == {DEVICE}
        back = [tensor.cpu().numpy() for tensor in there]
    for array, found in zip((INTEGERS, FLOATS, EMPTY), back, strict=True):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_arrays_that_stay_on_the_cpu_are_not_copied() -> None:
    (tensor,) = upload("cpu", INTEGERS)
    assert np.shares_memory(tensor.numpy(), INTEGERS)


def test_tensors_of_both_precisions_come_back_together() -> None:
    with accelerator() as counts:
        there = torch.from_numpy(FLOATS).to(DEVICE), torch.ones(2, 3, device=DEVICE)
        own, ones = download(*there)
    assert counts.n_waits == 2  # the first is the way there
    np.testing.assert_array_equal(own, FLOATS)
    np.testing.assert_array_equal(ones, np.ones((2, 3)))
