"""Which weights of a network are trained, and low-rank changes of them."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tests.potentials.networks import backend_of
from torch import nn

from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.trained_weights import (
    LowRankChanges,
    choose_weights,
)
from nextrung.schemas.models import Recipe, Rereference, Trained

if TYPE_CHECKING:
    from nextrung.potentials.interface import TrainableBackend

#: Parts whose weights are trained themselves, from the smallest to the largest.
NESTED = (
    Trained.NOTHING,
    Trained.READOUT,
    Trained.LAST_BLOCK,
    Trained.NETWORK,
    Trained.NETWORK_AND_ATOM_REFS,
)


def recipe_of(trained: Trained, rank: int | None = None) -> Recipe:
    return Recipe(
        pretrained=True,
        rereference=Rereference.NONE,
        trained=trained,
        adapter_rank=rank,
    )


@pytest.fixture
def backend() -> TrainableBackend:
    return backend_of(load_potential("chgnet-0.3.0", "cpu")).for_training()


def test_each_trained_part_contains_the_smaller_ones(backend: TrainableBackend) -> None:
    chosen = [
        set(
            map(
                id,
                choose_weights(
                    ChgnetBackend(backend.module.requires_grad_(requires_grad=True)),
                    recipe_of(trained),
                    seed=0,
                ).weights,
            )
        )
        for trained in NESTED
    ]

    assert all(a < b for a, b in pairwise(chosen))
    assert chosen[0] == set()
    assert chosen[-1] == set(map(id, backend.module.parameters()))


def test_all_other_weights_are_frozen(backend: TrainableBackend) -> None:
    trained = choose_weights(backend, recipe_of(Trained.LAST_BLOCK), seed=0)

    required = [w for w in backend.module.parameters() if w.requires_grad]
    assert list(map(id, required)) == list(map(id, trained.weights))
    assert trained.list_optimised() == list(trained.weights)


def test_what_an_architecture_freezes_stays_frozen(backend: TrainableBackend) -> None:
    constant = backend.module.mlp.layers[0].weight.requires_grad_(requires_grad=False)

    trained = choose_weights(backend, recipe_of(Trained.NETWORK), seed=0)

    assert not constant.requires_grad
    assert id(constant) not in map(id, trained.weights)


def test_adapters_are_on_every_dense_layer_but_the_references(
    backend: TrainableBackend,
) -> None:
    dense = {
        f"{name}.weight": (tuple(layer.weight.shape),)
        for name, layer in backend.module.named_modules()
        if isinstance(layer, nn.Linear) and not name.startswith("composition_model")
    }

    assert backend.linear_maps() == dense
    assert len(dense) > 40


def test_adapters_start_at_the_weights_of_the_source(backend: TrainableBackend) -> None:
    before = {n: w.detach().clone() for n, w in backend.module.named_parameters()}

    trained = choose_weights(backend, recipe_of(Trained.ADAPTERS, 4), seed=0)
    trained.update()

    after = dict(backend.module.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(weight.requires_grad for weight in after.values())


def test_adapters_of_a_rank_have_few_parameters(backend: TrainableBackend) -> None:
    """A matrix of m rows and n columns has r (m + n), r at most m and n."""
    trained = choose_weights(backend, recipe_of(Trained.ADAPTERS, 4), seed=0)

    shapes = [shape for maps in backend.linear_maps().values() for shape in maps]
    expected = sum(min(4, m, n) * (m + n) for m, n in shapes)
    assert sum(weight.numel() for weight in trained.list_optimised()) == expected


def make_changes(rank: int) -> LowRankChanges:
    """Two weights: a matrix, and two matrices one after the other in a vector."""
    weights = [
        nn.Parameter(torch.randn(5, 7, dtype=torch.float64), requires_grad=False),
        nn.Parameter(torch.randn(3 * 4 + 2 * 6).double(), requires_grad=False),
    ]
    shapes = [[(5, 7)], [(3, 4), (2, 6)]]
    return LowRankChanges(weights, shapes, rank=rank, seed=0)


def test_changes_have_the_rank_asked_for() -> None:
    changes = make_changes(2)
    starts = [weight.clone() for weight in changes.weights]
    with torch.no_grad():
        for tall in changes.tall:
            tall.normal_()

    changes.update()

    first, second = (
        weight - start for weight, start in zip(changes.weights, starts, strict=True)
    )
    blocks = (first, second[:12].view(3, 4), second[12:].view(2, 6))
    assert [int(torch.linalg.matrix_rank(block)) for block in blocks] == [2, 2, 2]


def test_gradients_of_the_factors_are_those_of_finite_differences() -> None:
    changes = make_changes(2)
    with torch.no_grad():
        for tall in changes.tall:
            tall.normal_()

    def loss() -> torch.Tensor:
        return torch.stack([value.sin().sum() for value in changes.values()]).sum()

    parameters = changes.list_optimised()
    gradients = torch.autograd.grad(loss(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        step = 1e-6
        found = torch.zeros_like(gradient).flatten()
        flat = parameter.data.view(-1)
        for index in range(flat.numel()):
            ends = []
            for sign in (1, -1):
                flat[index] += sign * step
                ends.append(loss().item())
                flat[index] -= sign * step
            found[index] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(gradient.flatten(), found, atol=1e-7)


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_the_first_step_of_adam_changes_weights_by_its_learning_rate(
    rank: int,
) -> None:
    """As if they were trained themselves, whatever the rank."""
    weight = nn.Parameter(torch.zeros(64, 256), requires_grad=False)
    changes = LowRankChanges([weight], [[(64, 256)]], rank=rank, seed=0)
    optimizer = torch.optim.Adam(changes.list_optimised(), lr=1e-3)
    loss = (torch.randn(64, 256) * changes.values()[0]).sum()
    torch.autograd.backward(loss)

    optimizer.step()
    changes.update()

    assert float(weight.square().mean().sqrt()) == pytest.approx(1e-3, rel=0.3)


def test_changes_and_the_network_stay_together_in_another_process(
    backend: TrainableBackend,
) -> None:
    trained = choose_weights(backend, recipe_of(Trained.ADAPTERS, 4), seed=0)

    module, copied = pickle.loads(  # noqa: S301 - just dumped
        pickle.dumps((backend.module, trained))
    )

    named = dict(module.named_parameters())
    assert [id(named[name]) for name in backend.linear_maps()] == [
        id(weight) for weight in copied.weights
    ]
