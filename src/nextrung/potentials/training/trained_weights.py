"""Trained part of a network: its weights themselves, or low-rank changes of them.

References
----------
E. J. Hu et al., LoRA: Low-rank adaptation of large language models, ICLR (2022).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nextrung.schemas.models import Trained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.potentials.interface import TrainableBackend
    from nextrung.schemas.models import Recipe

    #: Shape of a matrix.
    Shape = tuple[int, int]

#: Groups of parameters whose weights are trained.
_TRAINED_GROUPS: Mapping[Trained, tuple[str, ...]] = {
    Trained.NOTHING: (),
    Trained.READOUT: ("readout",),
    Trained.LAST_BLOCK: ("readout", "last_block"),
    Trained.ADAPTERS: (),
    Trained.NETWORK: ("readout", "last_block", "body"),
    Trained.NETWORK_AND_ATOM_REFS: ("readout", "last_block", "body", "references"),
}


class TrainedWeights(nn.Module):
    """Weights of a network that are trained themselves.

    Parameters
    ----------
    weights : sequence of Parameter
        The weights, which stay those of the network.
    """

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.weights = tuple(weights)

    def list_optimised(self) -> list[nn.Parameter]:
        """List the parameters of the optimiser."""
        return list(self.weights)

    def values(self) -> list[Tensor]:
        """Compute the weights as functions of the parameters of the optimiser."""
        return list(self.weights)

    def update(self) -> None:
        """Set the weights of the network after a step of the optimiser."""


class LowRankChanges(TrainedWeights):
    """Weights of a network that are trained by low-rank changes.

    A matrix of a weight is its start plus the product of a tall and a wide factor. The
    network holds the sum at all times, so that it is evaluated and saved as any other.

    Parameters
    ----------
    weights : sequence of Parameter
        The weights, which stay those of the network; the optimiser has the factors.
    shapes : sequence of sequence of (int, int)
        Shapes of the matrices that each weight consists of.
    rank : int
        Rank of the changes; a matrix with fewer rows or columns has a lower one.
    seed : int
        Seed of the factors.

    Notes
    -----
    Tall factors start at zero, wide ones with the variance of one over the rank: Adam's
    first step then changes the weights as much as if they were trained themselves,
    whatever the rank.
    """

    def __init__(
        self,
        weights: Sequence[nn.Parameter],
        shapes: Sequence[Sequence[Shape]],
        *,
        rank: int,
        seed: int,
    ) -> None:
        super().__init__(weights)
        generator = torch.Generator().manual_seed(seed)
        self.tall = nn.ParameterList()
        self.wide = nn.ParameterList()
        self._n_matrices = [len(matrices) for matrices in shapes]
        for index, (weight, matrices) in enumerate(zip(weights, shapes, strict=True)):
            start = weight.detach().clone()
            self.register_buffer(f"start_{index}", start, persistent=False)
            for n_rows, n_columns in matrices:
                width = min(rank, n_rows, n_columns)
                wide = torch.randn(width, n_columns, generator=generator)
                self.wide.append(nn.Parameter(wide.to(start) / math.sqrt(width)))
                self.tall.append(nn.Parameter(start.new_zeros(n_rows, width)))

    def list_optimised(self) -> list[nn.Parameter]:
        """List the parameters of the optimiser: the factors of all changes."""
        return [*self.tall, *self.wide]

    def values(self) -> list[Tensor]:
        """Compute the weights as functions of the parameters of the optimiser."""
        changes = iter(
            [tall @ wide for tall, wide in zip(self.tall, self.wide, strict=True)]
        )
        values = []
        for index, n_matrices in enumerate(self._n_matrices):
            start = self.get_buffer(f"start_{index}")
            flat = torch.cat([next(changes).flatten() for _ in range(n_matrices)])
            values.append(start + flat.view_as(start))
        return values

    @torch.no_grad()
    def update(self) -> None:
        """Set the weights of the network after a step of the optimiser."""
        for weight, value in zip(self.weights, self.values(), strict=True):
            weight.copy_(value)


def choose_weights(
    backend: TrainableBackend, recipe: Recipe, *, seed: int
) -> TrainedWeights:
    """Choose the weights of a network that a recipe trains, and freeze all others.

    Parameters
    ----------
    backend : TrainableBackend
        Network in training mode; its weights require a gradient where they can be
        trained.
    recipe : Recipe
        Recipe of the model.
    seed : int
        Seed of adapters.

    Returns
    -------
    TrainedWeights
        The weights, in the order of the parameters of the network.
    """
    groups = backend.parameter_groups()
    kept = {id(w) for name in _TRAINED_GROUPS[recipe.trained] for w in groups[name]}
    for weight in backend.module.parameters():
        weight.requires_grad_(weight.requires_grad and id(weight) in kept)
    if recipe.adapter_rank is None:
        return TrainedWeights(
            [weight for weight in backend.module.parameters() if weight.requires_grad]
        )
    matrices = backend.linear_maps()
    weights = [backend.module.get_parameter(name) for name in matrices]
    return LowRankChanges(
        weights, list(matrices.values()), rank=recipe.adapter_rank, seed=seed
    )
