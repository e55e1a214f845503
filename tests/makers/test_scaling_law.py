from __future__ import annotations

from typing import Any

from nextrung.schemas.models import Model


def test_every_size_of_every_model_is_a_point(documents: dict[str, Any]) -> None:
    points = documents["scaling_law"].points

    zero = [point for point in points if point.n_frames == 0]
    assert [point.model for point in zero] == [Model.SOURCE_REFIT]
    trained = [point for point in points if point.n_frames > 0]
    assert [point.model for point in trained] == [
        Model.REFITTED_ATOM_REFS,
        Model.REFITTED_ATOM_REFS,
        Model.SCRATCH,
        Model.SCRATCH,
    ]


def test_larger_sizes_hold_more_frames(documents: dict[str, Any]) -> None:
    points = documents["scaling_law"].points

    small, large = (point.n_frames for point in points if point.model is Model.SCRATCH)
    assert small < large


def test_zero_point_is_the_error_of_the_refitted_source(
    documents: dict[str, Any],
) -> None:
    zero = documents["scaling_law"].points[0]

    assert zero.energy_mae is not None
    assert zero.energy_mae > 0
