from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.curation import (
    MPTRJ_TOLERANCES,
    Corrections,
    CurationSettings,
)


def test_duplicates_are_judged_more_loosely_the_more_frames_are_accepted() -> None:
    steps = [level.more_than for level in MPTRJ_TOLERANCES]
    for name in ("energy", "length", "site", "angle"):
        values = [getattr(level, name) for level in MPTRJ_TOLERANCES]
        assert values == sorted(values)
    assert steps == [-1, 10, 30, 50]


def test_corrections_are_for_the_functional_they_were_fitted_for() -> None:
    with pytest.raises(ValidationError, match="expected PBE to correct, met r2SCAN"):
        CurationSettings(corrections=Corrections.MP2020)
