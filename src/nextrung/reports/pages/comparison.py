"""Page that compares studies of other functionals, sources, data sets or seeds."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nextrung.reports.html.elements import MISSING, element, number, numeric, row, table
from nextrung.reports.html.model_style import appearance, in_order, model_cell
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.pages.page import build_header, write_page
from nextrung.reports.pages.paired_studies import compare_studies
from nextrung.reports.plots.figure import Figure, log_axis, plot
from nextrung.reports.sections.benchmarks import COLUMNS, read_baselines
from nextrung.reports.sections.section import Section
from nextrung.reports.sections.table import badge_of, column_title, read_value
from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.undertraining import find_undertrained
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from nextrung.reports.sections.benchmarks import Column
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.study import StudyDoc, StudyResults

#: Settings in which studies of one group may differ.
_UNIMPORTANT = {"seed", "name", "description"}

#: Meaning of the baseline.
_BASELINE = "predicting zero; energies: atomic references alone"

_COLOURS = ("#3b86e0", "#ee8434", "#17a589", "#b068c9", "#dd4b63", "#c09a4e")


def write_comparison(
    studies: Sequence[StudyDoc],
    path: Path,
    documents: Sequence[Mapping[str, TaskDoc]] = (),
) -> None:
    """Write a page that compares studies.

    Parameters
    ----------
    studies : sequence of StudyDoc
        At least two studies of different names.
    path : Path
        The HTML file, replaced atomically.
    documents : sequence of mapping of str to TaskDoc
        Documents of each study, to compare every other study with the first on the
        same test frames; none to leave that out.

    Raises
    ------
    InputError
        If there are fewer than two studies, or two of the same name.
    """
    names = [study.results.study for study in studies]
    if len(set(names)) < max(len(names), 2):
        raise InputError(
            "comparison: expected two or more studies of different names, got "
            f"{', '.join(names) or 'none'}"
        )
    sections = (
        Section("studies", "Studies", (_list_studies(studies),)),
        Section("results", "Results", _compare_models(studies, documents)),
        *(
            compare_studies(studies[0].results, study.results, (documents[0], other))
            for study, other in zip(studies[1:], documents[1:], strict=bool(documents))
        ),
        Section("seeds", "Spread over seeds", _compare_seeds(studies)),
    )
    title = " · ".join(names)
    labels = dict.fromkeys(study.results.labels for study in studies)
    header = build_header("comparison", title, labels)
    write_page(path, title, header=header, sections=sections)


def group_by_seed(studies: Sequence[StudyDoc]) -> list[list[StudyDoc]]:
    """Group the studies that differ in names and seeds only.

    Parameters
    ----------
    studies : sequence of StudyDoc
        Studies.

    Returns
    -------
    list of list of StudyDoc
        Groups in the order of their first study; a group may have one study.
    """
    groups: dict[str, list[StudyDoc]] = defaultdict(list)
    for study in studies:
        settings = _drop_seeds(study.settings.model_dump(mode="json"))
        groups[f"{settings}"].append(study)
    return list(groups.values())


def _drop_seeds(settings: Any) -> Any:  # noqa: ANN401
    """Drop names and seeds from nested settings."""
    if isinstance(settings, dict):
        return {
            key: _drop_seeds(value)
            for key, value in settings.items()
            if key not in _UNIMPORTANT
        }
    if isinstance(settings, list):
        return [_drop_seeds(value) for value in settings]
    return settings


def _list_studies(studies: Sequence[StudyDoc]) -> Element:
    """List labels, source, data and seeds of every study."""
    rows = [
        row(
            element("th", study.results.study, scope="row"),
            study.results.labels,
            study.results.source,
            study.settings.dataset.source.kind,
            number(study.results.dataset.n_materials),
            number(study.results.dataset.n_frames),
            number(study.settings.dataset.split.seed),
            number(study.settings.training.seed),
            number(study.settings.training.epochs),
        )
        for study in studies
    ]
    counts = ("Materials", "Frames", "Split seed", "Training seed", "Epochs")
    return table(["Study", "Labels", "Source", "Data", *numeric(*counts)], rows)


def _compare_models(
    studies: Sequence[StudyDoc], documents: Sequence[Mapping[str, TaskDoc]]
) -> tuple[Element | Figure, ...]:
    """List every benchmark of every study, model by model, and the baselines."""
    undertrained = [
        find_undertrained(found, read_evidence(found, study.results))
        for study, found in zip(studies, documents, strict=bool(documents))
    ] or [{} for _ in studies]
    rows = []
    for model in _all_models(studies):
        for study, reasons in zip(studies, undertrained, strict=True):
            cells = [_build_cell(column, study.results, model) for column in COLUMNS]
            name = model_cell(model, badge_of(study.results, model))
            sign = _describe_sign(reasons.get(model))
            rows.append(row(name, study.results.study, *cells, sign))
    for study in studies:
        found = read_baselines(study.results)
        baseline = element("th", "Baseline", scope="row", title=_BASELINE)
        cells = [c.quantity.cell(found.get(c.key), "no baseline") for c in COLUMNS]
        rows.append(row(baseline, study.results.study, *cells, MISSING))
    text = (
        "Each study is scored on its own test split; means over its repeats. Baseline: "
        f"{_BASELINE}. Undertrained: signs in the first repeat that a training was too "
        "short."
    )
    columns = map(column_title, COLUMNS)
    listed = table(["Model", "Study", *columns, "Undertrained"], rows)
    return element("p", text), listed, *_plot_energies(studies)


def _describe_sign(reasons: Sequence[str] | None) -> str:
    """Describe signs of a short training; a dash without a training."""
    if reasons is None:
        return MISSING
    return "; ".join(reasons) or "no sign of it"


def _all_models(studies: Sequence[StudyDoc]) -> list[str]:
    """List the models of all studies."""
    return in_order({model for study in studies for model in study.results.models})


def _build_cell(column: Column, results: StudyResults, model: str) -> Element:
    """Build the cell of a benchmark of a model that a study may lack."""
    value = read_value(results, model, column) if model in results.models else None
    return column.quantity.cell(value, "not computed")


def _plot_energies(studies: Sequence[StudyDoc]) -> list[Figure]:
    """Plot the test energy error of every model of every study."""
    columns: dict[str, list[Any]] = {"study": [], "model": [], "energy_mae": []}
    traces = []
    for index, study in enumerate(studies):
        results = study.results
        found = {m: read_value(results, m, COLUMNS[0]) for m in results.models}
        known = {m: found[m] for m in in_order(found) if found[m] is not None}
        columns["study"] += [study.results.study] * len(known)
        columns["model"] += list(known)
        columns["energy_mae"] += list(known.values())
        traces.append(
            go.Scatter(
                x=[appearance(model).title for model in known],
                y=[ENERGY.factor * (value or 0) for value in known.values()],
                mode="markers",
                name=study.results.study,
                marker={"size": 10, "color": _COLOURS[index % len(_COLOURS)]},
                hovertemplate="%{x}: %{y:,.1f} meV/atom<extra>%{fullData.name}</extra>",
            )
        )
    if not columns["model"]:
        return []
    titles = [appearance(model).title for model in _all_models(studies)]
    drawn = plot(
        traces,
        y_title="energy MAE (meV/atom)",
        xaxis={"categoryorder": "array", "categoryarray": titles, "tickangle": -40},
        yaxis=log_axis(ENERGY.factor * value for value in columns["energy_mae"]),
        showlegend=True,
    )
    caption = "Mean absolute energy error over the test frames of every study."
    return [Figure("energies", caption, drawn, columns, height=420)]


def _compare_seeds(studies: Sequence[StudyDoc]) -> tuple[Element, ...]:
    """List mean and spread over the studies that differ in seeds only."""
    groups = [group for group in group_by_seed(studies) if len(group) > 1]
    if not groups:
        text = "No two of these studies differ in names and seeds only."
        return (element("p", text, class_="absent"),)
    return tuple(block for group in groups for block in _list_spread(group))


def _list_spread(group: Sequence[StudyDoc]) -> list[Element]:
    """List mean and standard deviation of one group."""
    rows = [
        row(model_cell(model), *(_build_spread_cell(group, model, c) for c in COLUMNS))
        for model in _all_models(group)
    ]
    names = ", ".join(study.results.study for study in group)
    text = f"Mean ± sample standard deviation over {len(group)} studies: {names}."
    listed = table(["Model", *map(column_title, COLUMNS)], rows)
    return [element("p", text), listed]


def _build_spread_cell(
    group: Sequence[StudyDoc], model: str, column: Column
) -> Element:
    """Build the cell of mean and standard deviation of one benchmark."""
    found = [
        read_value(study.results, model, column)
        for study in group
        if model in study.results.models
    ]
    values = [value for value in found if value is not None]
    if len(values) < 2:  # noqa: PLR2004
        return element("td", MISSING, class_="number missing", title="fewer than two")
    numbers = (column.quantity.format(value) for value in (mean(values), stdev(values)))
    return element("td", " ± ".join(numbers), class_="number")
