from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.fine_tuning import (
    FineTuningSettings,
    LossWeights,
    Precision,
    TrackedLayer,
)


def test_defaults_are_the_scheme_of_the_paper() -> None:
    """Methods section: Huber 0.1, 3:1:0.1:1, batch 64, Adam 1e-3 → 1e-5, 50 epochs."""
    settings = FineTuningSettings()

    assert settings.huber_delta == 0.1
    assert settings.loss_weights == LossWeights(
        energy=3, forces=1, stress=0.1, magmoms=1
    )
    assert (settings.batch_size, settings.epochs) == (64, 50)
    assert (settings.learning_rate, settings.final_learning_rate) == (1e-3, 1e-5)
    assert settings.gradient_points == 10


def test_figure_3a_follows_eight_layers() -> None:
    assert len(TrackedLayer) == 8


def test_settings_survive_json() -> None:
    settings = FineTuningSettings(n_train_frames=7, precision=Precision.FLOAT64)

    assert (
        FineTuningSettings.model_validate_json(settings.model_dump_json()) == settings
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", -1),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("final_learning_rate", 0),
        ("huber_delta", 0),
        ("seed", -1),
        ("n_train_frames", 0),
        ("shuffle_window", 0),
        ("gradient_points", -1),
        ("precision", "bfloat16"),
    ],
)
def test_nonsense_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        FineTuningSettings.model_validate({name: value})


def test_a_growing_learning_rate_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"final_learning_rate 0\.1 is above"):
        FineTuningSettings(learning_rate=0.01, final_learning_rate=0.1)


def test_a_loss_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one loss weight"):
        LossWeights(energy=0, forces=0, stress=0, magmoms=0)
