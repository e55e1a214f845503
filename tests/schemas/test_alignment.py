from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.alignment import AlignmentSettings


@pytest.mark.parametrize(
    "field", ["max_depth", "importance_scale", "importance_scale_uncorrected"]
)
def test_depth_and_scale_are_positive(field: str) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        AlignmentSettings.model_validate({field: 0})


def test_the_labels_of_the_source_functional_are_a_source_of_any_kind() -> None:
    settings = AlignmentSettings.model_validate(
        {"source": {"kind": "matpes", "paths": ["a.json"]}, "pairing": "materials"}
    )
    assert settings.source is not None
    assert settings.source.kind == "matpes"
