"""The loss of a batch, and the errors it is made of, over the labels there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import huber_loss

from nextrung.schemas.fine_tuning import Errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from nextrung.schemas.fine_tuning import FineTuningSettings


@dataclass(frozen=True, eq=False)
class Properties:
    """Properties of a batch, as labels or as predictions; NaN where there is no label.

    Parameters
    ----------
    energies : Tensor, shape (n_frames,)
        Energies in eV/atom.
    forces : Tensor, shape (n_sites, 3)
        Forces in eV/Å.
    stresses : Tensor, shape (n_frames, 3, 3)
        Stresses in GPa, compression negative.
    magmoms : Tensor, shape (n_sites,)
        Absolute magnetic moments in μ_B.
    """

    energies: Tensor
    forces: Tensor
    stresses: Tensor
    magmoms: Tensor

    def __iter__(self) -> Iterator[Tensor]:
        """List energies, forces, stresses and magmoms."""
        return iter((self.energies, self.forces, self.stresses, self.magmoms))


@dataclass(frozen=True, eq=False)
class Deviations:
    """Sums over the labels of a batch: of energies, forces, stresses and magmoms.

    Parameters
    ----------
    huber : Tensor, shape (4,)
        Sums of the Huber loss; differentiable.
    absolute : Tensor, shape (4,)
        Sums of absolute errors.
    n_labels : Tensor, shape (4,)
        Numbers of labels.
    """

    huber: Tensor
    absolute: Tensor
    n_labels: Tensor


def sum_deviations(
    predicted: Properties, labels: Properties, huber_delta: float
) -> Deviations:
    """Sum how far predictions are from the labels there are.

    Parameters
    ----------
    predicted : Properties
        Predictions.
    labels : Properties
        Labels, NaN where there is none.
    huber_delta : float
        Error from which the Huber loss grows linearly.

    Returns
    -------
    Deviations
        Sums per property; a missing label adds nothing, not even to the gradient.
    """
    huber, absolute, n_labels = [], [], []
    for prediction, label in zip(predicted, labels, strict=True):
        there = ~label.isnan()
        error = torch.where(there, prediction - label.nan_to_num(), 0.0)
        zero = torch.zeros_like(error)
        huber.append(huber_loss(error, zero, reduction="sum", delta=huber_delta))
        absolute.append(error.detach().abs().sum())
        n_labels.append(there.sum())
    return Deviations(torch.stack(huber), torch.stack(absolute), torch.stack(n_labels))


def weigh_loss(
    deviations: Deviations, n_labels: Tensor, settings: FineTuningSettings
) -> Tensor:
    """Weigh the mean Huber loss of each property.

    Parameters
    ----------
    deviations : Deviations
        Sums of a batch.
    n_labels : Tensor, shape (4,)
        Numbers of labels to divide by: those of the batch, or those that all
        processes share of it.
    settings : FineTuningSettings
        Weights of the properties.

    Returns
    -------
    Tensor, shape ()
        The loss; a property without any label adds nothing.
    """
    weights = settings.loss_weights
    factors = deviations.huber.new_tensor(
        [weights.energy, weights.forces, weights.stress, weights.magmoms]
    )
    return (factors * deviations.huber / n_labels.clamp(min=1)).sum()


class ErrorMeter:
    """Running means of errors and loss over the batches of an epoch."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._absolute = torch.zeros(4, dtype=torch.float64)
        self._n_labels = torch.zeros(4, dtype=torch.float64)
        self._losses = torch.zeros(2, dtype=torch.float64)

    def add(self, absolute: Tensor, n_labels: Tensor, loss: Tensor) -> None:
        """Add one batch.

        Parameters
        ----------
        absolute : Tensor, shape (4,)
            Sums of absolute errors of energies, forces, stresses and magmoms.
        n_labels : Tensor, shape (4,)
            Numbers of labels.
        loss : Tensor, shape ()
            Loss of the batch.
        """
        self._absolute = self._absolute.to(absolute.device) + absolute
        self._n_labels = self._n_labels.to(absolute.device) + n_labels
        batch = torch.stack([loss.detach(), torch.ones_like(loss)])
        self._losses = self._losses.to(absolute.device) + batch

    def mean(self) -> Errors:
        """Mean errors over the labels, and mean loss over the batches, so far."""
        sums = zip(self._absolute.tolist(), self._n_labels.tolist(), strict=True)
        means = [total / number if number else None for total, number in sums]
        loss, n_batches = self._losses.tolist()
        return Errors(
            energy_mae=means[0],
            forces_mae=means[1],
            stress_mae=means[2],
            magmoms_mae=means[3],
            loss=loss / max(n_batches, 1),
        )
