from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.made_up_study import make_preflight
from tests.reports.browser import figures_of, html_of

from nextrung.reports.sections.preflight import preflight_table, report_preflight
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from nextrung.schemas.base import TaskDoc


@pytest.fixture
def documents() -> dict[str, TaskDoc]:
    return {"preflight": make_preflight()}


def write(documents: dict[str, TaskDoc]) -> str:
    return html_of(report_preflight(documents))


def test_the_verdict_comes_first_and_every_check_after_it(
    documents: dict[str, TaskDoc],
) -> None:
    text = write(documents)
    assert text.startswith("<p><b>NO-GO</b>: correlation")
    for check in make_preflight().checks:
        assert check.finding in text


def test_models_have_the_titles_of_the_rest_of_the_page() -> None:
    document = make_preflight()
    named = document.model_copy(update={"reason": "mind frozen_atom_refs 20.0×."})
    assert "mind 3 · Frozen atom refs 20.0×." in write({"preflight": named})


def test_every_trial_has_a_row_with_its_stored_errors(
    documents: dict[str, TaskDoc],
) -> None:
    text = write(documents)
    assert 'value="0.05"' in text
    assert ">50.0<" in text
    assert "2.0 h" in text


def test_gradients_are_relative_to_those_of_scratch(
    documents: dict[str, TaskDoc],
) -> None:
    (figure,) = figures_of(report_preflight(documents)).values()
    rows = list(zip(*figure.columns.values(), strict=True))
    assert ("MLP_Layer0", Model.FROZEN_ATOM_REFS, 20) in rows
    assert all(layer != "AngleEmb" for layer, *_ in rows)


def test_without_gradients_of_scratch_there_is_no_figure() -> None:
    document = make_preflight()
    trials = [t.model_copy(update={"gradient_norms": {}}) for t in document.trials]
    bare = document.model_copy(update={"trials": trials})
    assert not figures_of(report_preflight({"preflight": bare}))


def test_frames_out_of_range_are_listed(documents: dict[str, TaskDoc]) -> None:
    assert "far-1" in write(documents)


def test_a_study_without_preflight_has_a_note() -> None:
    assert "No preflight was run" in write({})


def test_a_terminal_shows_one_row_per_check() -> None:
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(preflight_table(make_preflight()))
    assert captured.get().count("✗") == 1
    assert captured.get().count("✓") == 1
