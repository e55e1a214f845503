from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.alignment import AlignmentSettings


@pytest.mark.parametrize("field", ["max_depth", "importance_scale"])
def test_depth_and_scale_are_positive(field: str) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        AlignmentSettings.model_validate({field: 0})
