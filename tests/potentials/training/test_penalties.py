from __future__ import annotations

import pytest
import torch

from nextrung.potentials.training.penalties import L2Penalty, build_penalties
from nextrung.schemas.models import L2Anchor, ReplayAnchor

WEIGHTS = [torch.tensor([1.0, -2.0]), torch.tensor([[0.5]])]


def moved() -> list[torch.Tensor]:
    """The weights after some steps."""
    return [weight + shift for weight, shift in zip(WEIGHTS, (0.25, -1.0), strict=True)]


def test_the_gradient_is_that_of_the_squared_distance_from_the_start() -> None:
    weights = [weight.requires_grad_() for weight in moved()]
    squares = [
        ((weight - start) ** 2).sum()
        for weight, start in zip(weights, WEIGHTS, strict=True)
    ]
    distance = torch.stack(squares).sum()
    expected = torch.autograd.grad(3.0 * distance, weights)
    gradients = [torch.ones_like(weight) for weight in weights]

    L2Penalty(WEIGHTS, 3.0).add_gradients(gradients, weights, 1.0)

    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, 1 + wanted)


def test_ranks_add_equal_shares_of_the_gradient() -> None:
    """Gradients of ranks are summed."""
    penalty = L2Penalty(WEIGHTS, 3.0)
    alone, together = ([torch.zeros_like(w) for w in WEIGHTS] for _ in range(2))

    penalty.add_gradients(alone, moved(), 1.0)
    for _ in range(2):
        penalty.add_gradients(together, moved(), 0.5)

    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other)


def test_weights_that_change_later_keep_their_start() -> None:
    """A resumed training loads weights after the penalty is built."""
    weights = [weight.clone() for weight in WEIGHTS]
    penalty = L2Penalty(weights, 1.0)
    for weight, value in zip(weights, moved(), strict=True):
        weight.copy_(value)
    gradients = [torch.zeros_like(weight) for weight in weights]

    penalty.add_gradients(gradients, weights, 1.0)

    assert gradients[0].tolist() == [0.5, 0.5]
    assert gradients[1].tolist() == [[-2.0]]


@pytest.mark.parametrize(
    ("anchor", "n_penalties"), [(None, 0), (ReplayAnchor(), 0), (L2Anchor(weight=1), 1)]
)
def test_only_the_l2_anchor_is_a_penalty_on_weights(
    anchor: L2Anchor | ReplayAnchor | None, n_penalties: int
) -> None:
    assert len(build_penalties(anchor, WEIGHTS)) == n_penalties
