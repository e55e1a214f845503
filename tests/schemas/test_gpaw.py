from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.labels.gpaw import FUNCTIONALS, GpawSettings, name_kernel


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("r2scan", "r2SCAN"),
        ("MGGA_X_R2SCAN+MGGA_C_R2SCAN", "r2SCAN"),
        ("MGGA_C_R2SCAN + MGGA_X_R2SCAN", "r2SCAN"),
        ("GGA_X_PBE+GGA_C_PBE", "PBE"),
        ("GGA_X_PBE_SOL+GGA_C_PBE_SOL", "GGA_X_PBE_SOL+GGA_C_PBE_SOL"),
    ],
)
def test_a_functional_has_one_name_however_it_is_written(given: str, name: str) -> None:
    assert GpawSettings(functional=given).functional == name


@pytest.mark.parametrize("name", ["HSE06", "HYB_GGA_XC_HSE06", "nonsense", ""])
def test_a_functional_that_is_not_semilocal_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"one of LDA, PBE, .* or a semi"):
        GpawSettings(functional=name)


@pytest.mark.parametrize("name", FUNCTIONALS)
def test_every_common_name_survives_settings_and_has_a_kernel(name: str) -> None:
    settings = GpawSettings(functional=name)
    assert settings.functional == name
    assert GpawSettings(functional=name_kernel(name)) == settings
