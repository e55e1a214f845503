from __future__ import annotations

import pytest
from pydantic import ValidationError

from nextrung.schemas.cluster.checks import Finding, make_finding


def test_a_finding_that_is_fine_needs_no_advice() -> None:
    assert make_finding("disk", "ok", "1 TB free").advice == ""  # type: ignore[arg-type]


def test_a_finding_has_one_of_three_levels() -> None:
    with pytest.raises(ValidationError, match="'ok', 'warn' or 'fail'"):
        Finding.model_validate({"subject": "disk", "level": "bad", "found": "full"})
