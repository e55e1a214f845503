"""Loss and mean errors of batches over the existing labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import huber_loss

from nextrung.potentials.training.target_marks import N_PROPERTIES
from nextrung.schemas.fine_tuning import Errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from nextrung.potentials.interface import Outputs
    from nextrung.potentials.training.target_marks import SpreadMarks
    from nextrung.schemas.fine_tuning import FineTuningSettings


@dataclass(frozen=True, eq=False)
class Properties:
    """Targets or predictions of a batch; NaN where a target is missing.

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
    marks : tuple of SpreadMarks, optional
        Weights of the targets of each property, and which are labels; by default all
        are labels of weight 1.
    """

    energies: Tensor
    forces: Tensor
    stresses: Tensor
    magmoms: Tensor
    marks: tuple[SpreadMarks, ...] | None = None

    def __iter__(self) -> Iterator[Tensor]:
        """List energies, forces, stresses and magmoms."""
        return iter((self.energies, self.forces, self.stresses, self.magmoms))

    def count(self) -> Tensor:
        """Sum the weights of the targets of each property, shape (4,)."""
        if self.marks is None:
            return torch.stack([(~targets.isnan()).sum() for targets in self])
        return torch.stack(
            [
                (marks.weights * ~targets.isnan()).sum()
                for marks, targets in zip(self.marks, self, strict=True)
            ]
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> Properties:
        """Copy the properties to a device; the energies stay in float64.

        Parameters
        ----------
        device : torch.device
            Device of the training.
        dtype : torch.dtype
            Floating-point type of the others.
        """
        return Properties(
            energies=self.energies.to(device),
            forces=self.forces.to(device, dtype),
            stresses=self.stresses.to(device, dtype),
            magmoms=self.magmoms.to(device, dtype),
            marks=self.marks and tuple(marks.to(device) for marks in self.marks),
        )


@dataclass(frozen=True, eq=False)
class Deviations:
    """Sums over the labels of energies, forces, stresses and magnetic moments.

    Parameters
    ----------
    huber : Tensor, shape (4,)
        Weighted sums of the Huber loss over the targets; differentiable.
    absolute : Tensor, shape (4,)
        Sums of absolute errors over the labels.
    n_labels : Tensor, shape (4,)
        Numbers of labels.
    """

    huber: Tensor
    absolute: Tensor
    n_labels: Tensor


def compare_outputs(
    outputs: Outputs, n_atoms: Tensor, labels: Properties, *, huber_delta: float
) -> Deviations:
    """Sum the deviations of the outputs of a network from the labels.

    Parameters
    ----------
    outputs : Outputs
        Properties of the batch.
    n_atoms : Tensor, shape (n_frames,)
        Atoms of each frame.
    labels : Properties
        Labels, NaN where missing.
    huber_delta : float
        Error from which the Huber loss grows linearly.

    Returns
    -------
    Deviations
        Sums of each property; zero for one that the network does not predict.
    """
    predicted = (
        outputs.energies / n_atoms,
        outputs.forces,
        outputs.stresses,
        outputs.magmoms,
    )
    return _sum_deviations(predicted, labels, huber_delta)


def _sum_deviations(
    predicted: Iterable[Tensor | None], labels: Properties, huber_delta: float
) -> Deviations:
    """Sum the deviations; missing labels contribute nothing, also no gradient."""
    huber, absolute, n_labels = [], [], []
    all_marks = labels.marks or (None,) * N_PROPERTIES
    for prediction, label, marks in zip(predicted, labels, all_marks, strict=True):
        if prediction is None:
            zero = label.new_zeros((), dtype=torch.float64)
            huber.append(zero)
            absolute.append(zero)
            n_labels.append(zero.long())
            continue
        exists = ~label.isnan()
        error = torch.where(exists, prediction - label.nan_to_num(), 0.0)
        zeros = torch.zeros_like(error)
        if marks is None:
            total = huber_loss(error, zeros, reduction="sum", delta=huber_delta)
        else:
            each = huber_loss(error, zeros, reduction="none", delta=huber_delta)
            total = (marks.weights * each).sum()
            exists = exists & marks.are_labels
            error = torch.where(exists, error, 0.0)
        huber.append(total.double())
        absolute.append(error.detach().abs().double().sum())
        n_labels.append(exists.sum())
    return Deviations(torch.stack(huber), torch.stack(absolute), torch.stack(n_labels))


def weigh_loss(
    deviations: Deviations, n_labels: Tensor, settings: FineTuningSettings
) -> Tensor:
    """Compute the weighted sum of the mean Huber losses of the properties.

    Parameters
    ----------
    deviations : Deviations
        Sums of a batch.
    n_labels : Tensor, shape (4,)
        Weights of the targets in the whole batch, of all ranks.
    settings : FineTuningSettings
        Weights of the properties.

    Returns
    -------
    Tensor, shape ()
        The loss; a property without labels contributes nothing.
    """
    weights = settings.loss_weights
    factors = deviations.huber.new_tensor(
        [weights.energy, weights.forces, weights.stress, weights.magmoms]
    )
    return (factors * deviations.huber / n_labels.where(n_labels > 0, 1)).sum()


class ErrorMeter:
    """Running means of errors and loss over the batches of an epoch.

    Attributes
    ----------
    totals : Tensor of float64, shape (10,)
        Sums of absolute errors of energies, forces, stresses and magmoms, the numbers
        of their labels, the sum of losses and the number of batches. Totals of several
        ranks can be summed.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set all totals to zero."""
        self.totals = torch.zeros(10, dtype=torch.float64)

    def add(self, deviations: Deviations, loss: Tensor) -> None:
        """Add a micro-batch.

        Parameters
        ----------
        deviations : Deviations
            Sums over the labels of the micro-batch.
        loss : Tensor, shape ()
            Its contribution to the loss of the batch.
        """
        sums = [deviations.absolute, deviations.n_labels, loss.detach().view(1)]
        added = torch.cat([*(total.double() for total in sums), loss.new_zeros(1)])
        self.totals = self.totals.to(added.device) + added

    def close_batch(self) -> None:
        """Count the batch whose micro-batches were added."""
        self.totals[-1] += 1

    def mean(self) -> Errors:
        """Compute mean errors over the labels and the mean loss over the batches."""
        totals = self.totals.tolist()
        sums, numbers, (loss, n_batches) = totals[:4], totals[4:8], totals[8:]
        pairs = zip(sums, numbers, strict=True)
        energy, forces, stress, magmoms = (a / n if n else None for a, n in pairs)
        return Errors(
            energy_mae=energy,
            forces_mae=forces,
            stress_mae=stress,
            magmoms_mae=magmoms,
            loss=loss / max(n_batches, 1),
        )
