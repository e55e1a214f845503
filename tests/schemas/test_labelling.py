from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.labelling import InputSet, LabelSettings


def test_the_paper_s_functional_is_the_default() -> None:
    assert LabelSettings().input_set is InputSet.MP_R2SCAN


def test_an_unknown_input_set_is_refused() -> None:
    with pytest.raises(ValidationError, match="'mp_r2scan', 'matpes_pbe'"):
        LabelSettings.model_validate({"input_set": "r2scan"})
