"""CHGNet behind the interface of backends."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Structure
from tests.potentials.networks import backend_of

from nextrung.potentials.registry import load_potential

BACKEND = backend_of(load_potential("chgnet-r2scan", "cpu"))


def test_costs_are_counts_of_neighbors_and_angles() -> None:
    """In a large random crystal of even density."""
    rng = np.random.default_rng(0)
    structure = Structure(np.eye(3) * 12, ["H"] * 150, rng.random((150, 3)))
    n_neighbors = len(structure.get_neighbor_list(6.0)[0])
    n_bonds = np.bincount(structure.get_neighbor_list(3.0)[0], minlength=150)

    cost = BACKEND.estimate_costs(structure.lattice.matrix[None], np.array([150]))

    assert cost == pytest.approx(n_neighbors + (n_bonds**2).sum(), rel=0.15)


def test_every_parameter_is_in_one_group() -> None:
    groups = BACKEND.parameter_groups()

    listed = [id(weight) for group in groups.values() for weight in group]
    assert sorted(listed) == sorted(map(id, BACKEND.module.parameters()))
    assert [tuple(w.shape) for w in groups["references"]] == [(1, 94)]
    assert [tuple(w.shape) for w in groups["readout"][-2:]] == [(1, 64), (1,)]
    last = BACKEND.module.atom_conv_layers[3].parameters()
    assert list(map(id, groups["last_block"])) == list(map(id, last))


def test_every_tracked_layer_has_a_weight_of_its_own() -> None:
    names = BACKEND.tracked_layers.values()
    weights = {id(BACKEND.module.get_parameter(name)) for name in names}

    assert len(weights) == 8
    assert BACKEND.checked_layer in BACKEND.tracked_layers


def test_a_copy_for_training_leaves_the_original_frozen() -> None:
    training = BACKEND.for_training()

    assert training.module.training
    assert all(weight.requires_grad for weight in training.module.parameters())
    assert not BACKEND.module.training
    assert not any(weight.requires_grad for weight in BACKEND.module.parameters())
