from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.evaluation import EvaluationSettings


def test_every_split_is_scored_by_default() -> None:
    assert EvaluationSettings().splits == ("train", "val", "test")


@pytest.mark.parametrize(
    ("splits", "message"),
    [(("dev",), "'train', 'val' or 'test'"), ((), "at least 1 item")],
    ids=["unknown", "none"],
)
def test_splits_that_cannot_be_scored_are_refused(
    splits: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationSettings.model_validate({"splits": splits})
