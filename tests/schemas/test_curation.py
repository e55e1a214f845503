from __future__ import annotations

from nextrung.schemas.curation import MPTRJ_TOLERANCES


def test_duplicates_are_judged_more_loosely_the_more_frames_are_accepted() -> None:
    steps = [level.more_than for level in MPTRJ_TOLERANCES]
    for name in ("energy", "length", "site", "angle"):
        values = [getattr(level, name) for level in MPTRJ_TOLERANCES]
        assert values == sorted(values)
    assert steps == [-1, 10, 30, 50]
