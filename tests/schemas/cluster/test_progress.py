from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.cluster.progress import ShardProgress


def test_nothing_is_counted_below_zero() -> None:
    with pytest.raises(ValidationError, match="n_left"):
        ShardProgress(
            n_done=0,
            n_left=-1,
            n_materials=0,
            busy_hours=0,
            materials_per_hour=None,
            hours_left=None,
        )
