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
    from chgnet.model import CHGNet
    from pymatgen.core import Structure


@pytest.fixture
def remote(target: Potential, monkeypatch: pytest.MonkeyPatch) -> Potential:
    """The potential on the accelerator, which holds about two crystals at once."""
    monkeypatch.setattr(prediction, "find_max_cost", lambda _: 2_000)
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
    evaluator = LossEvaluator(backend, FineTuningSettings())
    n_labels = micro_batch.labels.count().to(device)
    (loss,) = evaluator.evaluate([micro_batch], n_labels)
    return loss.gradients
