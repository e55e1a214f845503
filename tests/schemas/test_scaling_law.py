from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.models import Model
from nextrung.schemas.scaling_law import ScalingLawSettings


def test_transfer_is_compared_with_scratch_above_a_thousand_frames() -> None:
    settings = ScalingLawSettings()

    assert settings.models == (Model.REFITTED_ATOM_REFS, Model.SCRATCH)
    assert settings.fit_above == 1000


def test_no_sizes_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        ScalingLawSettings(sizes=())
