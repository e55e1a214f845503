from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from torch.nn import HuberLoss

from nextrung.potentials.interface import Outputs
from nextrung.potentials.training.losses import (
    Deviations,
    ErrorMeter,
    Properties,
    _sum_deviations,
    compare_outputs,
    weigh_loss,
)
from nextrung.potentials.training.target_marks import TargetMarks
from nextrung.schemas.fine_tuning import FineTuningSettings, LossWeights
from nextrung.schemas.frames import Frames

SETTINGS = FineTuningSettings()
NAN = float("nan")


def make_properties(seed: int, *, requires_grad: bool = False) -> Properties:
    """Random properties of two frames of three atoms in all."""
    generator = torch.Generator().manual_seed(seed)
    shapes: list[tuple[int, ...]] = [(2,), (3, 3), (2, 3, 3), (3,)]
    energies, forces, stresses, magmoms = (
        torch.randn(
            shape,
            generator=generator,
            dtype=torch.float64,
            requires_grad=requires_grad,
        )
        for shape in shapes
    )
    return Properties(energies, forces, stresses, magmoms)


def compute_loss(predicted: Properties, labels: Properties) -> torch.Tensor:
    deviations = _sum_deviations(predicted, labels, SETTINGS.huber_delta)
    return weigh_loss(deviations, deviations.n_labels, SETTINGS)


def test_the_loss_is_the_weighted_mean_huber_loss_of_each_property() -> None:
    predicted, labels = make_properties(0), make_properties(1)
    huber = HuberLoss(delta=0.1)

    expected = (
        3 * huber(predicted.energies, labels.energies)
        + huber(predicted.forces, labels.forces)
        + 0.1 * huber(predicted.stresses, labels.stresses)
        + huber(predicted.magmoms, labels.magmoms)
    )
    assert compute_loss(predicted, labels).item() == pytest.approx(
        expected.item(), rel=1e-12
    )


def test_missing_labels_do_not_count() -> None:
    predicted, labels = make_properties(0), make_properties(1)
    labels.magmoms[1] = NAN
    labels.forces[0] = NAN

    deviations = _sum_deviations(predicted, labels, 0.1)

    assert deviations.n_labels.tolist() == [2, 6, 18, 2]
    left = (predicted.magmoms - labels.magmoms)[[0, 2]].abs().sum()
    assert deviations.absolute[3].item() == pytest.approx(left.item())


def test_missing_labels_have_no_gradient() -> None:
    predicted, labels = make_properties(0, requires_grad=True), make_properties(1)
    labels.forces[0] = NAN

    compute_loss(predicted, labels).backward()  # type: ignore[no-untyped-call]

    assert predicted.forces.grad is not None
    assert predicted.forces.grad[0].tolist() == [0, 0, 0]
    assert bool((predicted.forces.grad[1:] != 0).all())


def mark(
    labels: Properties, weights: list[float], are_labels: list[list[bool]]
) -> Properties:
    """Mark two frames, of one and two atoms."""
    frames = Frames.from_structures(
        [Structure(Lattice.cubic(4), ["Fe"] * n, np.zeros((n, 3))) for n in (1, 2)]
    )
    marks = TargetMarks(np.array(weights), np.array(are_labels)).spread(frames)
    return replace(labels, marks=marks)


def test_targets_that_are_no_labels_count_in_the_loss_and_in_no_error() -> None:
    predicted, labels = make_properties(0), make_properties(1)
    marked = mark(labels, [1, 1], [[True] * 4, [True, False, False, False]])

    found, plain = (_sum_deviations(predicted, each, 0.1) for each in (marked, labels))

    torch.testing.assert_close(found.huber, plain.huber)
    assert marked.count().tolist() == labels.count().tolist() == [2, 9, 18, 3]
    assert found.n_labels.tolist() == [2, 3, 9, 1]
    first = (predicted.forces[0] - labels.forces[0]).abs().sum()
    assert found.absolute[1].item() == pytest.approx(first.item())


def test_a_target_of_half_the_weight_counts_half_in_a_mean() -> None:
    predicted, labels = make_properties(0), make_properties(1)
    marked = mark(labels, [1, 0.5], [[True] * 4] * 2)
    each = HuberLoss(delta=0.1, reduction="none")(predicted.forces, labels.forces)
    expected = (each[0].sum() + 0.5 * each[1:].sum()) / (3 + 0.5 * 6)
    settings = FineTuningSettings(
        loss_weights=LossWeights(energy=0, forces=1, stress=0, magmoms=0)
    )

    deviations = _sum_deviations(predicted, marked, 0.1)
    loss = weigh_loss(deviations, marked.count(), settings)

    assert loss.item() == pytest.approx(expected.item())


def test_a_term_is_the_mean_over_the_frames_that_have_it() -> None:
    """Forces of one of two frames weigh as much as those of both would."""
    predicted, labels = make_properties(0), make_properties(1)
    labels.forces[1:] = NAN
    settings = FineTuningSettings(
        loss_weights=LossWeights(energy=1, forces=1, stress=0, magmoms=0)
    )
    huber = HuberLoss(delta=0.1)
    expected = huber(predicted.energies, labels.energies) + huber(
        predicted.forces[0], labels.forces[0]
    )

    deviations = _sum_deviations(predicted, labels, 0.1)

    loss = weigh_loss(deviations, labels.count(), settings)
    assert loss.item() == pytest.approx(expected.item())


def test_a_batch_without_energies_has_the_loss_of_the_other_properties() -> None:
    """chgnet's Trainer gives NaN here."""
    predicted, labels = make_properties(0, requires_grad=True), make_properties(1)
    labels.energies[:] = NAN

    loss = compute_loss(predicted, labels)
    loss.backward()  # type: ignore[no-untyped-call]

    assert torch.isfinite(loss)
    assert predicted.energies.grad is not None
    assert predicted.energies.grad.tolist() == [0, 0]


def test_a_property_of_weight_zero_is_not_trained() -> None:
    weights = LossWeights(energy=1, forces=0, stress=0, magmoms=0)
    settings = FineTuningSettings(loss_weights=weights)
    predicted, labels = make_properties(0), make_properties(1)
    deviations = _sum_deviations(predicted, labels, 0.1)

    loss = weigh_loss(deviations, deviations.n_labels, settings)

    expected = HuberLoss(delta=0.1)(predicted.energies, labels.energies)
    assert loss.item() == pytest.approx(expected.item())


def test_outputs_are_compared_per_atom() -> None:
    predicted, labels = make_properties(0), make_properties(1)
    n_atoms = torch.tensor([1, 2])
    outputs = Outputs(
        predicted.energies * n_atoms,
        predicted.forces,
        predicted.stresses,
        predicted.magmoms,
    )

    deviations = compare_outputs(outputs, n_atoms, labels, huber_delta=0.1)

    expected = _sum_deviations(predicted, labels, 0.1)
    torch.testing.assert_close(deviations.absolute, expected.absolute)


def test_a_property_that_a_network_lacks_has_no_errors() -> None:
    predicted, labels = make_properties(0), make_properties(1)
    outputs = Outputs(predicted.energies, predicted.forces, None, None)

    deviations = compare_outputs(outputs, torch.ones(2), labels, huber_delta=0.1)

    whole = _sum_deviations(predicted, labels, 0.1)
    for found, expected in (
        (deviations.huber, whole.huber),
        (deviations.absolute, whole.absolute),
        (deviations.n_labels, whole.n_labels),
    ):
        torch.testing.assert_close(found[:2], expected[:2])
        assert found[2:].tolist() == [0, 0]


def make_deviations(absolute: list[float], n_labels: list[int]) -> Deviations:
    return Deviations(torch.zeros(4), torch.tensor(absolute), torch.tensor(n_labels))


def test_mean_errors_are_over_labels_not_batches() -> None:
    """Errors 1, 1, 1 in one batch and 5 in the next are 2 on average."""
    meter = ErrorMeter()

    for deviations, loss in (
        (make_deviations([3.0] * 4, [3] * 4), torch.tensor(0.5)),
        (make_deviations([5.0] * 4, [1] * 4), torch.tensor(1.5)),
    ):
        meter.add(deviations, loss)
        meter.close_batch()

    errors = meter.mean()
    assert (errors.energy_mae, errors.magmoms_mae) == (2.0, 2.0)
    assert errors.loss == 1.0


def test_losses_of_micro_batches_add_up_to_that_of_the_batch() -> None:
    meter = ErrorMeter()
    for _ in range(2):
        meter.add(make_deviations([1.0] * 4, [1] * 4), torch.tensor(0.5))
    meter.close_batch()

    assert meter.mean().loss == 1.0


def test_labels_are_counted_per_property() -> None:
    labels = make_properties(0)
    labels.forces[0, 1] = NAN

    assert labels.count().tolist() == [2, 8, 18, 3]


def test_a_property_without_labels_has_no_error() -> None:
    meter = ErrorMeter()
    meter.add(make_deviations([1.0, 2, 3, 0], [1, 1, 1, 0]), torch.tensor(0.0))

    assert meter.mean().magmoms_mae is None


def test_a_reset_meter_is_empty() -> None:
    meter = ErrorMeter()
    meter.add(make_deviations([1.0] * 4, [1] * 4), torch.tensor(1.0))
    meter.reset()

    assert meter.mean().energy_mae is None
