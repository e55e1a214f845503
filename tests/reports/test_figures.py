"""The data behind figures."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from nextrung.reports.figures import write_figures
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc


def test_every_figure_becomes_a_file_with_rows(
    study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
    paths = write_figures(study, documents, tmp_path)
    assert sorted(paths) == sorted(tmp_path.iterdir())
    for path in paths:
        assert len(path.read_text().splitlines()) > 1


def test_parity_lists_every_test_frame_of_every_model(
    study: StudyDoc, documents: Mapping[str, TaskDoc], tmp_path: Path
) -> None:
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
