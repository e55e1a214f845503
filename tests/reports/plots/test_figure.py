"""Figures on the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import pytest

from nextrung.reports.plots.figure import Figure, embed, log_axis, plot, size_axis

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@pytest.fixture
def figure() -> Figure:
    drawn = plot([go.Scatter(x=[1], y=[2])], "x (Å)", "y (eV)")
    return Figure("name", "Caption.", drawn, {"x": [1, 3], "y": [2, None]})


def read_plot(made: Element) -> dict[str, object]:
    spec: dict[str, object] = json.loads(made.findtext("script") or "")
    return spec


def test_the_page_gets_traces_and_titles_but_no_template(figure: Figure) -> None:
    spec = read_plot(embed(figure))
    assert spec["data"] == [{"x": [1], "y": [2], "type": "scatter"}]
    layout = spec["layout"]
    assert isinstance(layout, dict)
    assert layout["xaxis"]["title"]["text"] == "x (Å)"
    assert "template" not in layout


def test_a_figure_has_anchor_caption_and_height(figure: Figure) -> None:
    made = embed(figure)
    assert made.get("id") == "name"
    assert made.findtext("figcaption") == "Caption."
    (canvas,) = made.iter("div")
    assert canvas.attrib == {"class": "plot", "style": "height:360px"}


def test_only_a_figure_of_several_views_has_a_menu(figure: Figure) -> None:
    assert embed(figure).find("label") is None
    views = {"one": [0], "two": [0]}
    several = embed(Figure("n", "", figure.plot, {}, views=views))
    assert [option.text for option in several.iter("option")] == ["one", "two"]
    assert read_plot(several)["views"] == views


def test_the_view_shown_at_first_can_be_set(figure: Figure) -> None:
    views = {"one": [0], "two": [0]}
    made = embed(Figure("n", "", figure.plot, {}, views=views, shown="two"))
    chosen = [o.text for o in made.iter("option") if "selected" in o.attrib]
    assert chosen == ["two"]


def test_logarithmic_axes_have_round_ticks() -> None:
    axis = log_axis([30.0, 200.0])
    ticks = ["1", "2", "5", "10", "20", "50", "100", "200", "500", "1,000", "2,000"]
    assert axis["ticktext"] == [*ticks, "5,000", "10,000", "20,000", "50,000"]
    assert log_axis([0.01, 1e6])["tickvals"] == [10.0**p for p in range(-3, 8)]
    assert log_axis([])["type"] == "log"
    assert 12.0 in log_axis([11.0, 14.0])["tickvals"]


def test_every_training_size_has_a_tick() -> None:
    assert size_axis([300, 40], 300)["ticktext"] == ["40", "300"]
    assert size_axis([40, 300], 20000)["tickvals"] == [40, 300, 1000, 10000]
