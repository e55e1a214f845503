"""Terms of the training loss that depend on the weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from nextrung.schemas.models import L2Anchor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nextrung.schemas.models import Anchor


class Penalty(Protocol):
    """A term of the loss that depends on the weights alone."""

    def add_gradients(
        self, gradients: list[Tensor], weights: Sequence[Tensor], share: float
    ) -> None:
        """Add the gradients of the term, in place.

        Parameters
        ----------
        gradients : list of Tensor
            Gradient of the loss by each trained weight.
        weights : sequence of Tensor
            Trained weights.
        share : float
            Fraction that this rank adds; the gradients of all ranks are summed.
        """
        ...


class L2Penalty:
    """Squared distance of the weights from the start of the training (L2-SP) [1]_.

    Parameters
    ----------
    start : sequence of Tensor
        Trained weights before the first step; they are copied, so that a resumed
        training has the start of the interrupted one.
    weight : float
        Factor of the sum of squares.

    References
    ----------
    .. [1] X. Li, Y. Grandvalet and F. Davoine, Proc. Mach. Learn. Res. 80, 2825 (2018).
    """

    def __init__(self, start: Sequence[Tensor], weight: float) -> None:
        self._start = [each.detach().clone() for each in start]
        self._weight = weight

    def add_gradients(
        self, gradients: list[Tensor], weights: Sequence[Tensor], share: float
    ) -> None:
        """Add twice the distance from the start, times the factor, in place.

        Parameters
        ----------
        gradients : list of Tensor
            Gradient of the loss by each trained weight.
        weights : sequence of Tensor
            Trained weights.
        share : float
            Fraction that this rank adds; the gradients of all ranks are summed.
        """
        device = weights[0].device
        if self._start[0].device != device:
            self._start = [each.to(device) for each in self._start]
        distances = torch._foreach_sub([each.detach() for each in weights], self._start)  # noqa: SLF001 - as torch.optim does
        torch._foreach_add_(gradients, distances, alpha=2 * share * self._weight)


def build_penalties(anchor: Anchor | None, start: Sequence[Tensor]) -> list[Penalty]:
    """Build the penalties of an anchor.

    Parameters
    ----------
    anchor : L2Anchor, ReplayAnchor or None
        What keeps a model near its source; replay is no penalty on weights.
    start : sequence of Tensor
        Trained weights before the first step.
    """
    return [L2Penalty(start, anchor.weight)] if isinstance(anchor, L2Anchor) else []
