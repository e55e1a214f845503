"""Table 1 in the terminal and on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from nextrung.compute.intervals import summarise_repeats
from nextrung.reports.html.elements import MISSING
from nextrung.reports.html.model_style import appearance
from nextrung.reports.sections.benchmarks import COLUMNS, find_best
from nextrung.reports.sections.published_values import PAPER_STUDY
from nextrung.reports.sections.table import anchor, html_table, results_table
from nextrung.schemas.evaluation import PropertyErrors
from nextrung.schemas.labels.curation import Label
from nextrung.schemas.models import FinishedPotential, Model
from nextrung.schemas.repeats import RepeatErrors

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from nextrung.schemas.study import StudyResults


def cell_of(made: Element, model: str, column: str) -> Element:
    for line in made.iter("tr"):
        names = [th.get("data-model") for th in line.iter("th")]
        if model in names:
            (cell,) = (td for td in line if td.get("data-column") == column)
            return cell
    raise AssertionError(model)


@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_every_cell_holds_the_value_of_the_results(
    results: StudyResults, model: Model, column: object
) -> None:
    assert column in COLUMNS
    column = COLUMNS[COLUMNS.index(column)]
    cell = cell_of(html_table(results, {}), model, column.key)
    value = column.read(results.models[model])
    data = cell.find(".//data")
    if value is None:
        assert data is None
        assert "not computed" in (cell.get("title") or "")
    else:
        assert data is not None
        assert float(data.get("value") or "nan") == value
        assert float((data.text or "").replace(",", "")) == pytest.approx(
            value * column.quantity.factor, abs=0.51 * 10**-column.quantity.digits
        )


def test_numbers_link_to_their_jobs(results: StudyResults) -> None:
    cell = cell_of(html_table(results, {}), Model.SCRATCH, "decomposition_energy")
    link = cell.find("a")
    assert link is not None
    assert link.get("href") == "#document-stability-scratch"
    assert "uuid-of-stability/scratch" in (cell.get("title") or "")


def test_the_best_of_each_column_is_marked(results: StudyResults) -> None:
    made = html_table(results, {})
    for column in COLUMNS:
        marked = {
            model
            for model in Model
            if "best" in (cell_of(made, model, column.key).get("class") or "").split()
        }
        assert marked == set(
            find_best({m: column.read(s) for m, s in results.models.items()})
        )


def test_the_paper_is_shown_for_its_own_study_only(
    results: StudyResults,
) -> None:
    def paper_values(shown: StudyResults) -> list[str]:
        made = html_table(shown, {}).iter("span")
        return [span.text or "" for span in made if span.get("class") == "paper"]

    assert paper_values(results) == []
    ours = results.model_copy(update={"study": PAPER_STUDY})
    assert len(paper_values(ours)) == 4 * 6
    assert "paper 23.7" in paper_values(ours)


def test_the_terminal_table_fits_a_hundred_columns(results: StudyResults) -> None:
    console = Console(width=100, record=True, quiet=False, file=None)
    with console.capture() as capture:
        console.print(results_table(results))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 100
    for model in Model:
        assert any(appearance(model).title in line for line in lines)
    assert any("2,300.0" in line and MISSING in line for line in lines)


def test_anchors_have_no_slash() -> None:
    assert anchor("evaluation/source") == "document-evaluation-source"


def test_intervals_have_the_unit_of_their_number(results: StudyResults) -> None:
    made = html_table(results, {(Model.SCRATCH, "energy"): (0.0512, 0.0701)})
    spans = [span for span in made.iter("span") if span.get("class") == "interval"]
    assert [span.text for span in spans] == [f"51.2{MISSING}70.1"]
    assert spans[0] in list(cell_of(made, Model.SCRATCH, "energy"))


def test_equal_values_are_not_marked(results: StudyResults) -> None:
    same = results.models[Model.SCRATCH]
    models = {Model.SCRATCH: same, Model.SOURCE: same}
    made = html_table(results.model_copy(update={"models": models}), {})
    assert not [td for td in made.iter("td") if "best" in (td.get("class") or "")]


def repeat_energies(results: StudyResults, energies: list[float]) -> StudyResults:
    """The same results, with the training from scratch repeated."""
    repeats = [
        RepeatErrors(seed=seed, split=0, test={"energy": energy}, val={})
        for seed, energy in enumerate(energies)
    ]
    return results.model_copy(
        update={"repeats": {Model.SCRATCH.value: summarise_repeats(repeats)}}
    )


def test_repeated_errors_are_shown_as_mean_and_spread(results: StudyResults) -> None:
    repeated = repeat_energies(results, [0.010, 0.020, 0.030])
    console = Console(width=100)
    with console.capture() as capture:
        console.print(results_table(repeated))
    text = capture.get()
    assert "20.0" in text
    assert "±10.0" in text
    assert "over up to 3 repeats" in " ".join(text.split())
    made = html_table(repeated, {})
    cell = cell_of(made, Model.SCRATCH, "energy")
    assert list(cell.itertext()) == ["20.0", "±10.0"]
    assert "±" not in "".join(cell_of(made, Model.SOURCE, "energy").itertext())


def test_one_repeat_has_no_spread(results: StudyResults) -> None:
    once = repeat_energies(results, [0.010])
    assert "±" not in "".join(html_table(once, {}).itertext())


def with_baseline(results: StudyResults) -> StudyResults:
    """Give every model the same errors of the baseline on its test frames."""
    baseline = {"energy_baseline_mae": 0.3, "forces_baseline_mae": 0.0681}
    models = {
        model: summary.model_copy(
            update={
                "metrics": {
                    split: errors.model_copy(update=baseline)
                    for split, errors in summary.metrics.items()
                }
            }
        )
        for model, summary in results.models.items()
    }
    return results.model_copy(update={"models": models})


def test_the_baseline_has_a_row_below_the_models(results: StudyResults) -> None:
    lines = list(html_table(with_baseline(results), {}).iter("tr"))
    texts = ["".join(cell.itertext()) for cell in lines[-1]]
    assert texts[:4] == ["Baseline", "300.0", "68.1", MISSING]

    console = Console(width=100, record=True)
    console.print(results_table(with_baseline(results)))
    (line,) = (x for x in console.export_text().splitlines() if "Baseline" in x)
    assert line.split()[:3] == ["Baseline", "300.0", "68.1"]


def test_results_without_a_baseline_have_no_row_of_it(results: StudyResults) -> None:
    texts = "".join(html_table(results, {}).itertext())
    assert "Baseline" not in texts


def test_bold_models_can_be_given_by_column(results: StudyResults) -> None:
    made = html_table(results, {}, {"energy": [Model.SOURCE, Model.SCRATCH]})
    bold = {
        model
        for model in Model
        if "best" in (cell_of(made, model, "energy").get("class") or "").split()
    }
    assert bold == {Model.SOURCE, Model.SCRATCH}


def name_finished(results: StudyResults, *, same_functional: bool) -> StudyResults:
    """Add a finished potential without any error."""
    name = "chgnet-r2scan"
    perfect = PropertyErrors(n_frames=9, n_failed=0, energy_mae=1e-6, forces_mae=1e-6)
    summary = results.models[Model.SOURCE].model_copy(
        update={"metrics": {"test": perfect}, "stability": None, "density": None}
    )
    functional = "r2SCAN" if same_functional else "PBE"
    finished = FinishedPotential(
        potential=name, functional=functional, same_functional=same_functional
    )
    return results.model_copy(
        update={
            "models": results.models | {name: summary},
            "finished": {name: finished},
        }
    )


@pytest.mark.parametrize("same_functional", [True, False])
def test_energies_of_a_finished_potential_are_bold_only_with_the_labels_functional(
    results: StudyResults, *, same_functional: bool
) -> None:
    named = name_finished(results, same_functional=same_functional)
    made = html_table(named, {})

    energy = cell_of(made, "chgnet-r2scan", "energy")
    forces = cell_of(made, "chgnet-r2scan", "forces")
    assert ("best" in (energy.get("class") or "")) is same_functional
    assert "best" in (forces.get("class") or "")
    assert energy.find(".//data") is not None


def test_the_functional_of_a_finished_potential_is_its_badge(
    results: StudyResults,
) -> None:
    named = name_finished(results, same_functional=False)

    badges = [b.text for b in html_table(named, {}).iter("span") if is_badge(b)]
    assert badges == ["PBE"]
    console = Console(width=80, record=True)
    console.print(results_table(named))
    text = console.export_text()
    assert "[PBE]" in text
    assert "…" not in text
    assert "finished potential" in text


def is_badge(found: Element) -> bool:
    return found.get("class") == "badge"


@pytest.mark.parametrize(("n_frames", "said"), [(0, True), (5, False)])
def test_labels_that_no_frame_has_are_said(
    n_frames: int, *, said: bool, results: StudyResults
) -> None:
    counts = {Label.ENERGY: 33, Label.FORCES: n_frames, Label.STRESS: n_frames}
    dataset = results.dataset.model_copy(update={"n_frames_by_label": counts})
    console = Console(width=200, record=True)

    console.print(results_table(results.model_copy(update={"dataset": dataset})))

    text = " ".join(console.export_text().split())
    assert ("; no frame has labels of forces, stress" in text) == said
