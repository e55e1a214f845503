from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.stability import (
    CompetingPhase,
    Competitors,
    DecompositionRecord,
    StabilitySettings,
)


def test_polymorphs_do_not_compete_by_default() -> None:
    assert StabilitySettings().competitors is Competitors.OTHER_COMPOSITIONS


def test_a_choice_of_competitors_survives_json() -> None:
    chosen = StabilitySettings(competitors=Competitors.SELF)

    assert StabilitySettings.model_validate_json(chosen.model_dump_json()) == chosen


def test_unknown_competitors_are_refused() -> None:
    with pytest.raises(ValidationError, match="'other_compositions' or 'self'"):
        StabilitySettings.model_validate({"competitors": "all"})


def test_energies_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        DecompositionRecord(entry_id="a", formula="Li", energy_above_hull=float("nan"))


def test_amounts_below_zero_are_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        CompetingPhase(entry_id="a", formula="Li", amount=-0.1)
