from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.density import EMBEDDED, DensitySettings


def test_crystals_of_the_package_are_compressed_by_a_tenth_by_default() -> None:
    settings = DensitySettings()

    assert settings.source == EMBEDDED
    assert settings.linear_strain == -0.10
    assert settings.relaxation.fmax == 0.03


def test_a_strain_that_leaves_no_volume_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than -1"):
        DensitySettings(linear_strain=-1)
