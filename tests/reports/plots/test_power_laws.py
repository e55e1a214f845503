"""Plot of errors against training size."""

from __future__ import annotations

import pytest

from nextrung.reports.plots.power_laws import plot_law
from nextrung.schemas.models import Model
from nextrung.schemas.scaling_law import (
    Crossing,
    PowerLaw,
    PropertyScaling,
    ScalingPoint,
)

LAW = PowerLaw(slope=-0.5, intercept=0.0, r_squared=1.0, n_points=2)


def make_point(n_frames: int, energy_mae: float | None) -> ScalingPoint:
    return ScalingPoint(
        model=Model.SCRATCH,
        n_frames=n_frames,
        n_materials=n_frames,
        energy_mae=energy_mae,
        forces_mae=None,
    )


def make_scaling(crossing: Crossing) -> PropertyScaling:
    return PropertyScaling(
        laws={Model.SCRATCH: LAW}, crossing=crossing, required_sizes=[]
    )


def test_without_errors_there_is_no_figure() -> None:
    points = [make_point(100, 0.1)]
    assert plot_law("forces_mae", points, make_scaling(Crossing())) == []
    assert plot_law("energy_mae", points[:0], make_scaling(Crossing())) == []


def test_the_line_is_the_fitted_law() -> None:
    points = [make_point(100, 0.1), make_point(10000, 0.01)]
    (figure,) = plot_law("energy_mae", points, make_scaling(Crossing()))
    runs, line = figure.plot.data
    assert list(runs.y) == pytest.approx([100, 10])
    assert list(line.x) == [100, 10000]
    assert list(line.y) == pytest.approx([1000 * size**-0.5 for size in line.x])


def test_lines_extend_to_a_near_crossing() -> None:
    points = [make_point(100, 0.1), make_point(1000, 0.03)]
    near = Crossing(n_frames=5000, low=2000, high=9000)
    (figure,) = plot_law("energy_mae", points, make_scaling(near))
    assert list(figure.plot.data[1].x) == [100, 5000]
    line, band = figure.plot.layout.shapes
    assert (line.x0, line.x1) == (5000, 5000)
    assert (band.x0, band.x1) == (2000, 9000)


def test_a_far_crossing_is_not_drawn() -> None:
    points = [make_point(100, 0.1), make_point(1000, 0.03)]
    (figure,) = plot_law("energy_mae", points, make_scaling(Crossing(n_frames=1e9)))
    assert list(figure.plot.data[1].x) == [100, 1000]
    assert figure.plot.layout.shapes == ()


def test_an_error_without_training_is_a_horizontal_line() -> None:
    points = [make_point(0, 0.3), make_point(100, 0.1)]
    (figure,) = plot_law("energy_mae", points, make_scaling(Crossing()))
    assert figure.plot.layout.shapes[0].y0 == pytest.approx(300)
    assert "without training (1 · From scratch 300.0 meV/atom)" in figure.caption
    assert list(figure.plot.data[0].x) == [100]
