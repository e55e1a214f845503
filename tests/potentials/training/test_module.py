from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from chgnet.model import CHGNet
from tests.potentials.networks import backend_of
from tests.potentials.operations import OperationCounter

from nextrung.checked_files import write_checked
from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.batch_loss import LossEvaluator
from nextrung.potentials.training.checkpoint import CheckedCheckpointIO
from nextrung.potentials.training.gradients import attach_gradients, record_gradients
from nextrung.potentials.training.module import FineTuningModule
from nextrung.potentials.training.state import EpochProgress, TrainingState
from nextrung.potentials.training.trained_weights import choose_weights
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    Errors,
    FineTuningSettings,
    GradientRecord,
)
from nextrung.schemas.models import RECIPES, Model

if TYPE_CHECKING:
    from pathlib import Path


SETTINGS = FineTuningSettings(epochs=4)


@pytest.fixture
def module() -> FineTuningModule:
    """A module of four epochs of three batches with frozen references."""
    backend = backend_of(load_potential("chgnet-0.3.0", "cpu")).for_training()
    trained = choose_weights(backend, RECIPES[Model.FROZEN_ATOM_REFS], seed=0)
    return FineTuningModule(
        backend,
        trained,
        SETTINGS,
        n_batches=3,
        identity="test",
        loss_evaluator=LossEvaluator(backend, SETTINGS, trained.weights),
    )


def test_the_optimiser_of_the_paper_has_the_trained_weights(
    module: FineTuningModule,
) -> None:
    (group,) = module.configure_optimizers()["optimizer"].param_groups

    assert (group["betas"], group["eps"], group["weight_decay"]) == (
        (0.9, 0.999),
        1e-8,
        0,
    )
    frozen = module.model.composition_model.fc.weight
    assert all(weight is not frozen for weight in group["params"])
    assert sum(weight.numel() for weight in group["params"]) == 412_525 - frozen.numel()


@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")  # no gradients here
def test_the_last_step_has_the_final_learning_rate(module: FineTuningModule) -> None:
    configured = module.configure_optimizers()
    scheduler = configured["lr_scheduler"]["scheduler"]

    rates = []
    for _ in range(4 * 3):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.step()

    assert rates[0] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-5)
    assert configured["lr_scheduler"]["interval"] == "step"


def test_the_state_is_in_the_checkpoint(module: FineTuningModule) -> None:
    module.state.best_epoch = 2
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    module.state = TrainingState()

    module.on_load_checkpoint(checkpoint)

    assert module.state == TrainingState("test", best_epoch=2)


ERRORS = Errors(
    energy_mae=0.1, forces_mae=0.2, stress_mae=None, magmoms_mae=None, loss=0.3
)


def make_state() -> TrainingState:
    record = EpochRecord(
        epoch=1, learning_rate=1e-3, train=ERRORS, val=ERRORS, wall_time=2.0
    )
    gradient = GradientRecord(
        step=0,
        fraction_of_epoch=0,
        layer="AtomEmb",
        minimum=-1,
        p5=-1,
        p25=0,
        median=0,
        p75=0,
        p95=1,
        maximum=1,
        mean_abs=0.1,
        norm=2,
    )
    return TrainingState(
        "identity",
        [record],
        [gradient],
        1,
        {"weight": torch.ones(2)},
        EpochProgress(3, [0.5], 2.0),
    )


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    CheckedCheckpointIO().save_checkpoint(content, path)


def test_a_state_is_restored_from_a_file_of_plain_values(tmp_path: Path) -> None:
    """``TrainingState.read`` loads weights only: no code in the file can run."""
    state = make_state()
    write_checkpoint(tmp_path / "state", {"nextrung": state.dump()})

    returned = TrainingState.read(tmp_path / "state")

    assert returned.history == state.history
    assert returned.gradients == state.gradients
    assert (returned.identity, returned.best_epoch) == ("identity", 1)
    assert returned.epoch_progress == state.epoch_progress
    assert returned.best_weights["weight"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_without_a_state_is_rejected(content: bytes, tmp_path: Path) -> None:
    write_checked(tmp_path / "state", content)

    with pytest.raises(InputError, match="state: expected the state of a training"):
        TrainingState.read(tmp_path / "state")


def test_another_checkpoint_is_rejected(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "state", {"state_dict": {}})

    with pytest.raises(InputError, match="state: expected the state of a training"):
        TrainingState.read(tmp_path / "state")


@pytest.fixture(scope="module")
def backend() -> ChgnetBackend:
    torch.manual_seed(0)
    return ChgnetBackend(CHGNet())


def test_records_describe_the_components_of_the_gradient(
    backend: ChgnetBackend,
) -> None:
    weight = backend.module.get_parameter("bond_embedding.weight")
    gradient = np.random.default_rng(0).normal(size=tuple(weight.shape))
    weight.grad = torch.tensor(gradient, dtype=weight.dtype)

    records = {record.layer: record for record in record_gradients(backend, 3, 0.5)}

    record = records["BondEmb"]
    components = weight.grad.double().numpy().ravel()
    assert (record.step, record.fraction_of_epoch) == (3, 0.5)
    assert record.norm == pytest.approx(np.sqrt((components**2).sum()))
    assert record.mean_abs == pytest.approx(np.abs(components).mean())
    found = [record.minimum, record.p5, record.p25, record.median]
    found += [record.p75, record.p95, record.maximum]
    expected = np.percentile(components, [0, 5, 25, 50, 75, 95, 100])
    assert found == pytest.approx(expected)


def test_a_layer_without_gradient_has_zero_gradients(backend: ChgnetBackend) -> None:
    backend.module.zero_grad()

    norms = [record.norm for record in record_gradients(backend, 0, 0.0)]

    assert norms == [0.0] * 8


def test_attached_gradients_are_those_of_the_linear_function_they_replace() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5,), (1,), ()]
    weights = [torch.randn(s, generator=generator, requires_grad=True) for s in shapes]
    gradients = [torch.randn(shape, generator=generator) for shape in shapes]
    n_processes = 3

    products = [(w * g).sum() for w, g in zip(weights, gradients, strict=True)]
    expected = torch.autograd.grad(torch.stack(products).sum() * n_processes, weights)
    loss = attach_gradients(torch.tensor(0.7), weights, gradients)
    found = torch.autograd.grad(loss * n_processes, weights)

    assert loss.item() == pytest.approx(0.7)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_attaching_gradients_takes_one_function_for_all_weights() -> None:
    weights = [torch.ones(2, requires_grad=True) for _ in range(50)]
    loss = attach_gradients(torch.tensor(1.0), weights, [torch.ones(2)] * 50)

    with OperationCounter() as counter:
        loss.backward()  # type: ignore[no-untyped-call]

    assert counter.n_operations["_foreach_mul"] == 1
    per_weight = sum(counter.n_operations.values()) / len(weights)
    assert per_weight <= 2  # a detached copy of each, and no product
