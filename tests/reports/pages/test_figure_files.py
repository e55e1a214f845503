"""The data behind figures."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from nextrung.reports.pages.figure_files import write_figures
from nextrung.reports.pages.study import report_study
from nextrung.reports.plots.figure import Figure
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


@pytest.fixture(autouse=True)
def _without_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")


def test_without_a_browser_every_figure_still_has_a_file_with_rows(
    study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"expected Chrome or Chromium .* as CSV"):
        write_figures(study, documents, tmp_path)
    paths = list(tmp_path.iterdir())
    sections = report_study(study, documents)
    figures = [b for s in sections for b in s.blocks if isinstance(b, Figure)]
    assert sorted(paths) == sorted(tmp_path / f"{f.name}.csv" for f in figures)
    for path in paths:
        assert len(path.read_text().splitlines()) > 1


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
