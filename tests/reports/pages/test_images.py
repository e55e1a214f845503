from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import pytest

from nextrung.reports.pages.images import FORMATS, apply_print_style, write_images
from nextrung.reports.plots.figure import Figure, plot
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

#: What files of each format begin with.
BEGINNINGS = {"pdf": b"%PDF-", "png": b"\x89PNG\r\n"}


def make_figure(**changes: object) -> Figure:
    traces = [
        go.Scatter(x=[1, 2], y=[2, 1], name=name, showlegend=False)
        for name in ("one", "one", "two")
    ]
    drawn = plot(traces, showlegend=False)
    columns = {"x": [1, 2]}
    return Figure(
        **{"name": "f", "caption": "", "plot": drawn, "columns": columns} | changes
    )


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")
def test_figures_become_pdf_and_png(tmp_path: Path) -> None:
    paths = write_images([make_figure()], tmp_path / "images")

    assert [path.name for path in paths] == [f"f.{suffix}" for suffix in FORMATS]
    for path in paths:
        assert path.read_bytes().startswith(BEGINNINGS[path.suffix[1:]])


def test_a_missing_browser_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    with pytest.raises(InputError, match="expected Chrome or Chromium") as refused:
        write_images([make_figure()], tmp_path)
    assert "\n" not in str(refused.value)


def test_a_browser_that_fails_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(broken))
    with pytest.raises(InputError, match="expected a browser to draw figures, got"):
        write_images([make_figure()], tmp_path)


def test_images_are_black_on_white_with_a_legend_of_every_name() -> None:
    figure = make_figure()
    drawn = apply_print_style(figure)

    assert drawn.layout.template.layout.paper_bgcolor == "#ffffff"
    assert [trace.showlegend for trace in drawn.data] == [True, False, True]
    assert drawn.layout.showlegend
    assert not figure.plot.layout.showlegend


def test_the_view_that_a_figure_begins_with_is_drawn() -> None:
    views = {"first": [0], "second": [1, 2]}

    drawn = apply_print_style(make_figure(views=views, shown="second"))

    assert [trace.visible for trace in drawn.data] == [False, True, True]
    assert apply_print_style(make_figure(views=views)).data[0].visible
