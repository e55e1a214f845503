from __future__ import annotations

import pytest
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure

from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import (
    MPTRJ_TOLERANCES,
    CorrectionScheme,
    CurationSettings,
    Rejection,
    Rule,
)


def test_duplicates_are_judged_more_loosely_the_more_frames_are_accepted() -> None:
    steps = [level.more_than for level in MPTRJ_TOLERANCES]
    for name in ("energy", "length", "site", "angle"):
        values = [getattr(level, name) for level in MPTRJ_TOLERANCES]
        assert values == sorted(values)
    assert steps == [-1, 10, 30, 50]


def test_corrections_are_for_the_functional_they_were_fitted_for() -> None:
    with pytest.raises(ValidationError, match="expected PBE to correct, got r2SCAN"):
        CurationSettings(corrections=CorrectionScheme.MP2020)


def test_every_frame_of_a_run_is_rejected_for_its_reason() -> None:
    cell = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])
    frames = Frames.from_structures([cell] * 2, ["a", "b"])

    rejections = Rejection.of(frames, Rule.DUPLICATE, "seen")

    assert [r.frame_id for r in rejections] == ["a", "b"]
    assert {(r.rule, r.reason) for r in rejections} == {(Rule.DUPLICATE, "seen")}
