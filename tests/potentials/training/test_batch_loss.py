from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import chgnet.graph.converter
import chgnet.model.model
import numpy as np
import pytest
import torch
from chgnet.graph import CrystalGraphConverter
from chgnet.trainer.trainer import CombinedLoss
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import network_of
from tests.potentials.operations import OperationCounter

from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.chgnet.double_backward import use_fast_double_backward
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.batch_loss import BatchLoss, LossEvaluator
from nextrung.potentials.training.losses import (
    ErrorMeter,
    Properties,
    compare_outputs,
    weigh_loss,
)
from nextrung.potentials.training.micro_batches import (
    MicroBatch,
    MicroBatchDataset,
    read_labels,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import FineTuningSettings, Precision
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from chgnet.model import CHGNet

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.interface import Outputs

SETTINGS = FineTuningSettings(precision=Precision.FLOAT64)


def make_structures() -> list[Structure]:
    """Rock salt, a two-atom alloy, and a crystal without bonds below 3 Å."""
    salt = Structure(Lattice.cubic(2.9), ["Li", "F"], [[0, 0, 0], [0.52, 0.5, 0.47]])
    alloy = Structure(Lattice.cubic(2.9), ["Fe", "Co"], [[0, 0, 0], [0.5, 0.45, 0.5]])
    caesium = Structure(Lattice.cubic(5.1), ["Cs"], [[0, 0, 0]])
    return [salt, alloy, caesium]


def make_frames(structures: list[Structure]) -> Frames:
    """Frames with random labels, rounded as in files."""
    rng = np.random.default_rng(0)
    frames = Frames.from_structures(structures)
    n_sites = len(frames.atomic_numbers)
    return replace(
        frames,
        energies=rng.normal(size=len(frames)) * frames.n_atoms,
        forces=rng.normal(size=(n_sites, 3)).astype(np.float32),
        stresses=rng.normal(size=(len(frames), 3, 3)).astype(np.float32),
        magmoms=rng.normal(size=n_sites).astype(np.float32),
    )


def make_model() -> CHGNet:
    """A network in double precision whose references are frozen."""
    model = network_of(load_potential("chgnet-0.3.0", "cpu").double())
    model.requires_grad_(requires_grad=True)
    model.composition_model.requires_grad_(requires_grad=False)
    return model


def differentiate_chgnet(structures: list[Structure], labels: Properties) -> CHGNet:
    """Compute gradients as chgnet's Trainer does, without atomic references."""
    converter = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)
    sizes = [len(structure) for structure in structures]
    targets = {
        "e": labels.energies,
        "f": list(torch.split(labels.forces, sizes)),
        "s": list(labels.stresses),
        "m": list(torch.split(labels.magmoms, sizes)),
    }
    criterion = CombinedLoss(
        target_str="efsm",
        criterion="Huber",
        energy_loss_ratio=3,
        force_loss_ratio=1,
        stress_loss_ratio=0.1,
        mag_loss_ratio=1,
        delta=0.1,
    )
    model = make_model()
    model.composition_model = None
    predicted = model([converter(structure) for structure in structures], task="efsm")
    criterion(targets, predicted)["loss"].backward()
    return model


def make_micro_batches(backend: ChgnetBackend, frames: Frames) -> list[MicroBatch]:
    """Each frame as a micro-batch of its own."""
    backend.limits = replace(backend.limits, training={"cpu": 1})
    return MicroBatchDataset(frames, backend)[np.arange(len(frames))]


def make_evaluator(
    backend: ChgnetBackend,
    settings: FineTuningSettings = SETTINGS,
    **options: Any,  # noqa: ANN401
) -> LossEvaluator:
    """An evaluator of the losses of all weights that require gradients."""
    weights = [each for each in backend.module.parameters() if each.requires_grad]
    return LossEvaluator(backend, settings, weights, **options)


def evaluate(model: CHGNet, frames: Frames, n_threads: int = 1) -> list[BatchLoss]:
    """Evaluate each frame as a micro-batch of its own."""
    backend = ChgnetBackend(model)
    evaluator = make_evaluator(backend, n_threads=n_threads)
    n_labels = read_labels(frames).count()
    return evaluator.evaluate(make_micro_batches(backend, frames), n_labels)


@pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")  # chgnet's own
def test_gradients_are_those_of_chgnets_own_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (chgnet.graph.converter, chgnet.model.model):
        monkeypatch.setattr(module, "TORCH_DTYPE", torch.float64)
    structures = make_structures()
    frames = make_frames(structures)
    labels = read_labels(frames).to(torch.device("cpu"), torch.float64)
    reference = differentiate_chgnet(structures, labels)
    model = use_fast_double_backward(make_model())
    with torch.no_grad():
        model.composition_model.fc.weight.zero_()

    losses = evaluate(model, frames)

    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    for name, *addends in zip(names, *(loss.gradients for loss in losses), strict=True):
        found = torch.stack(addends).sum(dim=0)
        expected = reference.get_parameter(name).grad
        if expected is None:  # the last angle update, which nothing reads
            expected = torch.zeros_like(found)
        scale = float(expected.norm())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * scale)


def test_losses_do_not_depend_on_the_number_of_threads() -> None:
    frames = make_frames(make_structures())
    model = make_model()

    alone, together = (evaluate(model, frames, n_threads) for n_threads in (1, 3))

    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.loss, other.loss)
        pairs = zip(one.gradients, other.gradients, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_validation_has_the_loss_of_training() -> None:
    frames = make_frames(make_structures())
    backend = ChgnetBackend(make_model())
    evaluator = make_evaluator(backend)
    n_labels = read_labels(frames).count()
    micro_batches = MicroBatchDataset(frames, backend)[np.arange(len(frames))]

    with torch.no_grad():
        (validated,) = evaluator.evaluate(micro_batches, n_labels)

    (trained,) = evaluator.evaluate(micro_batches, n_labels)
    assert float(validated.loss) == pytest.approx(float(trained.loss), rel=1e-9)
    torch.testing.assert_close(
        validated.deviations.absolute, trained.deviations.absolute
    )
    assert validated.gradients == ()


def test_a_batch_without_micro_batches_has_no_losses() -> None:
    evaluator = make_evaluator(ChgnetBackend(make_model()), n_threads=2)

    assert evaluator.evaluate([], torch.zeros(4)) == []


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [(Precision.FLOAT32, torch.float32), (Precision.FLOAT64, torch.float64)],
)
def test_losses_are_computed_in_the_precision_of_the_training(
    precision: Precision, dtype: torch.dtype
) -> None:
    backend = ChgnetBackend(make_model().to(dtype))
    settings = FineTuningSettings(precision=precision)
    frames = make_frames(make_structures()[:1])

    (loss,) = make_evaluator(backend, settings).evaluate(
        make_micro_batches(backend, frames), read_labels(frames).count()
    )

    assert {gradient.dtype for gradient in loss.gradients} == {dtype}


class SmallMemory(ChgnetBackend):
    """A network whose memory holds a number of crystals."""

    capacity = 1

    def __init__(self, model: CHGNet) -> None:
        super().__init__(model)
        self.sizes: list[int] = []

    def differentiate(  # type: ignore[override]
        self, batch: GraphBatch, properties: str
    ) -> Outputs:
        self.sizes.append(len(batch.n_atoms))
        if len(batch.n_atoms) > self.capacity:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().differentiate(batch, properties)


def sum_gradients(losses: list[BatchLoss]) -> list[torch.Tensor]:
    gradients = zip(*(loss.gradients for loss in losses), strict=True)
    return [torch.stack(addends).sum(dim=0) for addends in gradients]


def test_a_step_that_runs_out_of_memory_has_the_gradients_of_the_whole_batch() -> None:
    frames = make_frames(make_structures())
    n_labels = read_labels(frames).count()
    model = make_model()
    whole, small = ChgnetBackend(model), SmallMemory(model)
    (micro_batch,) = MicroBatchDataset(frames, whole)[np.arange(len(frames))]

    (expected,) = make_evaluator(whole).evaluate([micro_batch], n_labels)
    losses = make_evaluator(small).evaluate([micro_batch], n_labels)

    assert small.sizes == [3, 1, 2, 1, 1]
    total = torch.stack([loss.loss for loss in losses]).sum()
    torch.testing.assert_close(total, expected.loss)
    summed = sum_gradients(losses)
    for gradient, other in zip(summed, expected.gradients, strict=True):
        scale = float(other.abs().max())
        torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-9 * scale)


def test_memory_runs_out_once_and_later_batches_are_split_before() -> None:
    frames = make_frames([make_structures()[1]] * 4)
    n_labels = read_labels(frames).count()
    backend = SmallMemory(make_model())
    backend.capacity = 2
    micro_batches = MicroBatchDataset(frames, backend)[np.arange(4)]
    evaluator = make_evaluator(backend)

    evaluator.evaluate(micro_batches, n_labels)
    assert backend.sizes == [4, 2, 2]
    backend.sizes.clear()
    evaluator.evaluate(micro_batches, n_labels)

    assert backend.sizes == [2, 2]


def test_a_frame_too_large_for_memory_is_named() -> None:
    frames = make_frames(make_structures()[:1])
    backend = SmallMemory(make_model())
    backend.capacity = 0
    evaluator = make_evaluator(backend)

    with pytest.raises(InputError, match=r"fit the memory of cpu .* of 2 atoms, cost"):
        evaluator.evaluate(
            make_micro_batches(backend, frames), read_labels(frames).count()
        )


def test_other_errors_of_a_step_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    frames = make_frames(make_structures()[:1])
    backend = ChgnetBackend(make_model())
    monkeypatch.setattr(backend, "differentiate", fail)

    with pytest.raises(RuntimeError, match="illegal memory access"):
        make_evaluator(backend).evaluate(
            make_micro_batches(backend, frames), read_labels(frames).count()
        )


def test_a_training_step_reads_no_number_back_from_the_device() -> None:
    """Each number that is read waits for all kernels launched before."""
    frames = make_frames(make_structures())
    n_labels = read_labels(frames).count()
    backend = ChgnetBackend(make_model())
    (micro_batch,) = MicroBatchDataset(frames, backend)[np.arange(len(frames))]
    batch, labels = micro_batch.to(backend, backend.device, torch.float64)
    meter = ErrorMeter()

    with OperationCounter() as counter:
        outputs = backend.differentiate(cast("GraphBatch", batch), "efsm")
        delta = SETTINGS.huber_delta
        sums = compare_outputs(outputs, batch.n_atoms, labels, huber_delta=delta)
        loss = weigh_loss(sums, n_labels, SETTINGS)
        gradients = torch.autograd.grad(loss, [backend.module.bond_embedding.weight])
        meter.add(sums, loss)

    assert gradients[0].isfinite().all()
    assert counter.n_operations["_local_scalar_dense"] == 0
    assert counter.n_operations["nonzero"] == 0


def test_derivatives_without_targets_change_no_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A training on energies alone does not compute forces, which takes most of it."""
    frames = make_frames(make_structures())
    for missing in (frames.forces, frames.stresses, frames.magmoms):
        missing[:] = np.nan
    asked: list[str] = []
    whole = ChgnetBackend.differentiate

    def differentiate(
        backend: ChgnetBackend, batch: GraphBatch, properties: str
    ) -> Outputs:
        asked.append(properties)
        return whole(backend, batch, properties)

    monkeypatch.setattr(ChgnetBackend, "differentiate", differentiate)
    losses = []
    for trained in ("efsm", "e"):
        backend = ChgnetBackend(make_model())
        evaluator = make_evaluator(backend, properties=(trained, "efsm"))
        micro_batches = MicroBatchDataset(frames, backend)[np.arange(len(frames))]
        n_labels = read_labels(frames).count()
        losses += evaluator.evaluate(micro_batches, n_labels)

    assert asked == ["efsm", "e"]
    torch.testing.assert_close(losses[0].loss, losses[1].loss)
    for one, other in zip(losses[0].gradients, losses[1].gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
