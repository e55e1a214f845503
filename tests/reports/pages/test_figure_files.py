"""Figures as PDF and PNG, and their data as CSV."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from typing import TYPE_CHECKING

import plotly.graph_objects as go
import pytest
from tests.reports.browser import figures_of

from nextrung.reports.pages.figure_files import write_columns, write_figures
from nextrung.reports.pages.images import FORMATS, apply_print_style, write_images
from nextrung.reports.pages.study import report_study
from nextrung.reports.plots.figure import Figure, plot
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc

#: First bytes of files of each format.
BEGINNINGS = {"pdf": b"%PDF-", "png": b"\x89PNG\r\n"}


@pytest.fixture
def without_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")


def make_figure(**changes: object) -> Figure:
    traces = [
        go.Scatter(x=[1, 2], y=[2, 1], name=name, showlegend=False)
        for name in ("one", "one", "two")
    ]
    drawn = plot(traces, showlegend=False)
    columns = {"x": [1, 3], "y": [2, None]}
    return Figure(
        **{"name": "f", "caption": "", "plot": drawn, "columns": columns} | changes
    )


def test_columns_become_a_csv_file(tmp_path: Path) -> None:
    path = write_columns(make_figure(), tmp_path)
    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["x", "y"], ["1", "2"], ["3", ""]]


def test_columns_of_unequal_length_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_columns(make_figure(columns={"x": [1], "y": []}), tmp_path)


@pytest.mark.usefixtures("without_browser")
def test_without_a_browser_every_figure_still_has_a_csv_file(
    study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"expected Chrome or Chromium .* as CSV"):
        write_figures(study, documents, tmp_path)
    paths = list(tmp_path.iterdir())
    names = [name for s in report_study(study, documents) for name in figures_of(s)]
    assert sorted(paths) == sorted(tmp_path / f"{name}.csv" for name in names)
    for path in paths:
        assert len(path.read_text().splitlines()) > 1


@pytest.mark.usefixtures("without_browser")
def test_parity_lists_every_test_frame_of_every_model(
    study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        write_figures(study, documents, tmp_path)
    with (tmp_path / "parity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 * len(Model)
    scratch = [row for row in rows if row["model"] == "scratch"]
    errors = [
        float(row["predicted_energy_per_atom"]) - float(row["energy_per_atom"])
        for row in scratch
    ]
    assert {round(error, 6) for error in errors} == {-0.03, 0.03, 0.09}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser")
def test_figures_become_pdf_and_png(tmp_path: Path) -> None:
    paths = write_images([make_figure()], tmp_path / "images")

    assert [path.name for path in paths] == [f"f.{suffix}" for suffix in FORMATS]
    for path in paths:
        assert path.read_bytes().startswith(BEGINNINGS[path.suffix[1:]])


@pytest.mark.usefixtures("without_browser")
def test_a_missing_browser_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected Chrome or Chromium") as raised:
        write_images([make_figure()], tmp_path)
    assert "\n" not in str(raised.value)


def test_a_missing_kaleido_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    command = re.escape("pip install 'nextrung[figures]'")
    with pytest.raises(InputError, match=f"^expected kaleido .*{command}") as raised:
        write_images([make_figure()], tmp_path)
    assert "\n" not in str(raised.value)


def test_a_failing_browser_is_an_error(
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


def test_the_view_shown_at_first_is_drawn() -> None:
    views = {"first": [0], "second": [1, 2]}

    drawn = apply_print_style(make_figure(views=views, shown="second"))

    assert [trace.visible for trace in drawn.data] == [False, True, True]
    assert apply_print_style(make_figure(views=views)).data[0].visible
