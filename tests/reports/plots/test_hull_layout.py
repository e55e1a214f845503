"""Where the panels of two hulls are."""

from __future__ import annotations

import numpy as np
import pytest

from nextrung.reports.plots.hull_layout import CORNERS, lay_out

TITLES = ("labels", "model")


@pytest.mark.parametrize("n_elements", CORNERS)
def test_pure_elements_are_equally_far_from_one_another(n_elements: int) -> None:
    corners = CORNERS[n_elements]

    distances = np.linalg.norm(corners[:, None] - corners, axis=2)

    np.testing.assert_allclose(distances, 1 - np.eye(n_elements))


def test_two_elements_share_one_axis_of_energy() -> None:
    layout = lay_out(("Li", "O"), TITLES)

    assert layout["yaxis2"]["matches"] == "y"
    assert "eV/atom" in layout["yaxis"]["title"]["text"]
    for axis in ("xaxis", "xaxis2"):
        assert layout[axis]["title"]["text"] == "fraction of O"


def test_triangles_have_no_axes_and_are_not_distorted() -> None:
    layout = lay_out(("Li", "Mn", "O"), TITLES)

    for x, y in (("x", "y"), ("x2", "y2")):
        name = f"{y[0]}axis{y[1:]}"
        assert layout[name]["scaleanchor"] == x
        assert not layout[name]["visible"]


def test_four_elements_have_two_scenes_and_no_flat_axis() -> None:
    layout = lay_out(("Li", "Fe", "P", "O"), TITLES)

    assert {key for key in layout if "axis" in key} == {"coloraxis"}
    assert layout["scene"]["domain"]["x"][1] < layout["scene2"]["domain"]["x"][0]


def test_titles_stand_above_their_panels() -> None:
    layout = lay_out(("Li", "O"), TITLES)

    for note, axis in zip(layout["annotations"], ("xaxis", "xaxis2"), strict=True):
        low, high = layout[axis]["domain"]
        assert note["x"] == pytest.approx((low + high) / 2)
    assert [note["text"] for note in layout["annotations"]] == [
        "<b>labels</b>",
        "<b>model</b>",
    ]
