from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.preflight import Check, CheckOutcome, PreflightSettings


def test_the_defaults_are_the_limits_of_the_paper() -> None:
    settings = PreflightSettings()

    assert settings.n_train_frames == 1000
    assert settings.min_correlation == 0.8
    assert settings.max_gradient_ratio == 10


@pytest.mark.parametrize(
    "nonsense",
    [
        {"n_train_frames": 0},
        {"epochs": 0},
        {"min_correlation": 1.1},
        {"max_gradient_ratio": 0},
        {"max_lost_fraction": 2},
    ],
)
def test_nonsense_is_refused(nonsense: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(nonsense))):
        PreflightSettings.model_validate(nonsense)


def test_a_check_survives_json() -> None:
    check = Check(name="a", outcome=CheckOutcome.WARNING, finding="b")

    assert Check.model_validate_json(check.model_dump_json()) == check
