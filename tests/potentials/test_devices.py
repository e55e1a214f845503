"""Predictions and training on the device of :mod:`tests.potentials.accelerators`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from tests.potentials.accelerators import DEVICE, accelerator, move
from tests.potentials.networks import backend_of, limited, network_of

from nextrung.potentials import prediction
from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.potential import Potential
from nextrung.potentials.registry import load_potential
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.potentials.training.batch_loss import LossEvaluator
from nextrung.potentials.training.micro_batches import MicroBatchDataset
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from chgnet.model import CHGNet
    from pymatgen.core import Structure


#: Most copies and synchronisations of one step of a relaxation, on average.
MAX_WAITS = 5
#: Most operations of one prediction, three quarters of them in the network, and of one
#: training step, whatever the number of crystals.
MAX_OPERATIONS = {"prediction": 920, "training": 3_400}
#: Most bytes that these operations read and write, per unit of cost of the crystals.
MAX_BYTES = {"prediction": 120_000, "training": 650_000}


@pytest.fixture
def max_cost() -> int:
    """The cost of about two crystals."""
    return 2_000


@pytest.fixture
def remote(
    target: Potential, max_cost: int, monkeypatch: pytest.MonkeyPatch
) -> Potential:
    """The potential on an accelerator of limited memory."""
    monkeypatch.setattr(prediction, "find_max_cost", lambda _: max_cost)
    with accelerator():
        model = cast("CHGNet", move(network_of(target)))
    return Potential(ChgnetBackend(model), target.name, target.elements)


def test_tensors_of_two_devices_cannot_be_combined() -> None:
    with accelerator():
        there = torch.ones(3, device=DEVICE)
        assert (there * 2).sum().item() == 6
        with pytest.raises(AssertionError, match=r"a tensor \(3,\) is on the CPU"):
            there + torch.ones(3)
        assert (there.cpu() + torch.ones(3)).tolist() == [2, 2, 2]
        with pytest.raises(TypeError, match="expected a tensor on the CPU"):
            there.numpy()


def test_predictions_on_an_accelerator_are_those_of_the_cpu(
    remote: Potential, target: Potential, structures: list[Structure]
) -> None:
    crystals = Crystals.of(structures)
    own = target.predict_batch(crystals, "efsm")
    with accelerator():
        found = remote.predict_batch(crystals, "efsm")
    assert found.errors == {}
    np.testing.assert_allclose(found.energies, own.energies, atol=1e-4)
    np.testing.assert_allclose(found.forces, own.forces, atol=2e-3)
    np.testing.assert_allclose(found.stresses, own.stresses, atol=2e-2)
    assert found.magmoms is not None
    assert own.magmoms is not None
    np.testing.assert_allclose(found.magmoms, own.magmoms, atol=1e-3)


def test_relaxations_on_an_accelerator_are_those_of_the_cpu(
    remote: Potential, target: Potential, structures: list[Structure]
) -> None:
    settings = RelaxationSettings(fmax=0.5, max_steps=4)
    small = list(enumerate(structures[:4]))
    own = dict(relax_batched(target, small, settings))
    with accelerator():
        found = dict(relax_batched(remote, small, settings, max_batch_cost=4_000))
    for index, record in own.items():
        assert found[index].status == record.status
        assert found[index].energy == pytest.approx(record.energy, abs=1e-3)


def test_training_steps_on_an_accelerator_are_those_of_the_cpu(
    remote: Potential, target: Potential, structures: list[Structure]
) -> None:
    frames, _ = target.predict_frames(Frames.from_structures(structures[:5]))
    frames.energies[:] += frames.n_atoms  # off by 1 eV/atom, so that there is a loss
    own = _differentiate(target.copy(), frames, torch.device("cpu"))
    with accelerator():
        found = _differentiate(remote, frames, DEVICE)
        gradients = [gradient.cpu() for gradient in found]
    for gradient, expected in zip(gradients, own, strict=True):
        scale = max(float(expected.abs().max()), 1e-6)
        assert float((gradient - expected).abs().max()) < 1e-2 * scale


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_predicts_and_trains_as_the_cpu(structures: list[Structure]) -> None:
    own, there = (load_potential("chgnet-r2scan", name) for name in ("cpu", "cuda"))
    crystals = Crystals.of(structures)
    expected, found = (each.predict_batch(crystals, "efs") for each in (own, there))
    again = there.predict_batch(crystals, "efs")

    assert found.errors == {}
    np.testing.assert_allclose(found.energies, expected.energies, atol=1e-3)
    np.testing.assert_allclose(found.forces, expected.forces, atol=5e-3)
    np.testing.assert_array_equal(found.energies, again.energies)
    np.testing.assert_array_equal(found.forces, again.forces)
    frames, _ = own.predict_frames(Frames.from_structures(structures[:5]))
    frames.energies[:] += frames.n_atoms
    gradients = _differentiate(there.copy(), frames, torch.device("cuda"))
    cpu = _differentiate(own.copy(), frames, torch.device("cpu"))
    for gradient, other in zip(gradients, cpu, strict=True):
        scale = max(float(other.abs().max()), 1e-6)
        assert float((gradient.cpu() - other).abs().max()) < 1e-2 * scale


def _differentiate(
    potential: Potential, frames: Frames, device: torch.device
) -> tuple[torch.Tensor, ...]:
    """Find the gradients of the loss of a batch."""
    backend = backend_of(potential)
    backend.module.requires_grad_(requires_grad=True)
    cpu = limited(load_potential("chgnet-r2scan", "cpu"), 1e9)
    (micro_batch,) = MicroBatchDataset(frames, cpu)[np.arange(len(frames))]
    evaluator = LossEvaluator(
        backend, FineTuningSettings(), list(backend.module.parameters())
    )
    n_labels = micro_batch.labels.count().to(device)
    (loss,) = evaluator.evaluate([micro_batch], n_labels)
    return loss.gradients


@pytest.mark.parametrize(
    ("operate", "n_waits"),
    [
        (lambda there: there.cpu(), 1),
        (lambda there: there + 1, 0),
        (lambda there: there.sum().item(), 1),
        (lambda there: there[there > 1], 1),
        (lambda there: there[there.argsort()], 0),
        (torch.nonzero, 1),
        (torch.bincount, 2),
        (torch.repeat_interleave, 1),
        (lambda there: torch.repeat_interleave(there, there, output_size=6), 0),
        (lambda there: there.tolist(), 1),
    ],
)
def test_waits_for_the_accelerator_are_counted(
    operate: Callable[[torch.Tensor], object], n_waits: int
) -> None:
    """They are those of CUDA: sizes and values that the host needs."""
    with accelerator():
        there = torch.arange(4).to(DEVICE)
    with accelerator() as counts:
        operate(there)
    assert counts.n_waits == n_waits


@pytest.mark.parametrize("max_cost", [10**9])
def test_a_prediction_starts_as_many_operations_for_any_number_of_crystals(
    remote: Potential, structures: list[Structure]
) -> None:
    crystals = Crystals.of(structures)
    costs = remote.backend.prepare(crystals, torch.device("cpu")).costs
    with accelerator() as few:
        remote.predict_batch(crystals[:2], "efs")
    with accelerator() as many:
        remote.predict_batch(crystals, "efs")
    assert many.n_operations == few.n_operations <= MAX_OPERATIONS["prediction"]
    assert many.n_bytes / costs.sum() <= MAX_BYTES["prediction"]


@pytest.mark.parametrize("max_cost", [10**9])
def test_a_relaxation_waits_for_the_accelerator_a_few_times_per_step(
    remote: Potential, structures: list[Structure]
) -> None:
    settings = RelaxationSettings(fmax=1e-6, max_steps=3)
    numbered = list(enumerate(structures[:4]))
    with accelerator() as counts:
        found = dict(relax_batched(remote, numbered, settings, max_batch_cost=1e9))
    assert {record.n_steps for record in found.values()} == {3}
    assert counts.n_waits <= MAX_WAITS * 4, counts.waits


def test_a_training_step_waits_for_the_accelerator_a_few_times(
    remote: Potential, target: Potential, structures: list[Structure]
) -> None:
    """Once for its graphs and once for each label that it copies."""
    frames, _ = target.predict_frames(Frames.from_structures(structures[:3]))
    crystals = Crystals.from_frames(frames)
    costs = remote.backend.prepare(crystals, torch.device("cpu")).costs
    with accelerator() as counts:
        _differentiate(remote, frames, DEVICE)
    assert counts.n_waits <= 8, counts.waits
    assert counts.n_operations <= MAX_OPERATIONS["training"]
    assert counts.n_bytes / costs.sum() <= MAX_BYTES["training"]
