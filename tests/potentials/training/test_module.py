from __future__ import annotations

from typing import Any

import pytest

from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.module import FineTuningModule
from nextrung.potentials.training.state import TrainingState
from nextrung.schemas.fine_tuning import FineTuningSettings

SETTINGS = FineTuningSettings(epochs=4)


@pytest.fixture
def training() -> FineTuningModule:
    """A training of four epochs of three batches with frozen references."""
    model = load_potential("chgnet-0.3.0", "cpu").copy().model
    model.requires_grad_(requires_grad=True)
    model.composition_model.requires_grad_(requires_grad=False)
    return FineTuningModule(model, SETTINGS, n_batches=3, identity="test")


def test_the_optimiser_is_the_papers_over_the_trained_weights(
    training: FineTuningModule,
) -> None:
    (group,) = training.configure_optimizers()["optimizer"].param_groups

    assert (group["betas"], group["eps"], group["weight_decay"]) == (
        (0.9, 0.999),
        1e-8,
        0,
    )
    frozen = training.model.composition_model.fc.weight
    assert all(weight is not frozen for weight in group["params"])
    assert sum(weight.numel() for weight in group["params"]) == 412_525 - frozen.numel()


@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")  # no gradients here
def test_the_last_of_all_steps_has_the_final_rate(training: FineTuningModule) -> None:
    configured = training.configure_optimizers()
    scheduler = configured["lr_scheduler"]["scheduler"]

    rates = []
    for _ in range(4 * 3):
        rates.append(scheduler.get_last_lr()[0])
        scheduler.step()

    assert rates[0] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-5)
    assert configured["lr_scheduler"]["interval"] == "step"


def test_a_checkpoint_carries_the_state(training: FineTuningModule) -> None:
    training.state.best_epoch = 2
    checkpoint: dict[str, Any] = {}
    training.on_save_checkpoint(checkpoint)
    training.state = TrainingState()

    training.on_load_checkpoint(checkpoint)

    assert training.state == TrainingState("test", best_epoch=2)
