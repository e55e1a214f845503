from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from nextrung.schemas.prediction import Prediction


def test_a_failed_prediction_has_a_reason_and_no_number() -> None:
    prediction = Prediction(energy=None, error="isolated atom")

    properties = (prediction.forces, prediction.stress, prediction.magmoms)
    assert properties == (None, None, None)


def test_predictions_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Prediction(energy=-1.0).energy = 0.0  # type: ignore[misc]
