"""Sections of the properties of a benchmark, crystal by crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import (
    details_table,
    element,
    number,
    numeric,
    row,
    table,
)
from nextrung.reports.plots.deviations import Deviation, plot_deviations
from nextrung.reports.sections.benchmark.table import (
    index_means,
    mean_cell,
    name_cell,
)
from nextrung.reports.sections.section import Section
from nextrung.schemas.benchmark import BenchmarkProperty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.reports.html.model_style import Appearance
    from nextrung.reports.plots.figure import Figure
    from nextrung.reports.sections.benchmark.columns import BenchmarkColumn
    from nextrung.schemas.benchmark import BenchmarkRecord, BenchmarkResults

#: What is compared with what, by property.
METHODS: Mapping[str, str] = {
    BenchmarkProperty.LATTICE_PARAMETER: "Minimum of a Birch-Murnaghan equation of "
    "state, against lattice parameters extrapolated to 0 K and corrected for the "
    "expansion by zero-point motion.",
    BenchmarkProperty.DENSITY: "Density of the relaxed crystal, against densities "
    "measured at room temperature, without correction: of the crystals whose lattice "
    "parameter is also known at 0 K, without zero-point motion, these densities are "
    "lower by 1.7 % on average (Ta 0.4 %, Na 6 %). A model without error would deviate "
    "by as much, upwards.",
    BenchmarkProperty.BULK_MODULUS: "Curvature of the same equation of state, against "
    "bulk moduli measured at room temperature, where crystals are softer than at 0 K "
    "by a few per cent, alkali metals and lead by 10 to 15 %.",
    BenchmarkProperty.FORMATION_ENTHALPY: "Energy of the relaxed compound minus those "
    "of its elements in their standard states, all by the same model, against standard "
    "enthalpies of formation at 298.15 K. N2, O2, F2, Cl2, Br2 and I2 are molecules in "
    "a box; the measured heats of transition from graphite to diamond, from white to "
    "gray tin, and to the vapors of bromine and iodine are added. Left out: compounds "
    "of elements whose standard state is neither a crystal of one or two atoms nor a "
    "diatomic molecule (B, P, S, As, Ga, In, Mn and others), and of hydrogen. An error "
    "of a model for an element, such as a molecule that is unlike its training data, "
    "enters every compound of that element: intervals and differences are resampled by "
    "the anion. Of the difference between 298.15 K and a resting crystal, heat "
    "capacities lower the enthalpy by 11 meV/atom on average (-26 to +5), and "
    "zero-point motion raises it (MgO: by 48 meV/atom): deviations below about 30 "
    "meV/atom are no error of a model.",
}


def report_property(
    column: BenchmarkColumn,
    results: BenchmarkResults,
    looks: Mapping[str, Appearance],
) -> Section:
    """Report every crystal of one property.

    Parameters
    ----------
    column : BenchmarkColumn
        The property.
    results : BenchmarkResults
        Results of all models.
    looks : mapping of str to Appearance
        Titles and colours, by model.
    """
    rows = {
        each.model: [record for record in each.rows if record.property == column.key]
        for each in results.models
    }
    blocks: list[Element | Figure] = [element("p", METHODS[column.key])]
    blocks.append(_list_scores(column, results, looks))
    deviations = {
        model: [
            Deviation(record.crystal_id, record.deviation)
            for record in found
            if record.deviation is not None
        ]
        for model, found in rows.items()
    }
    caption = (
        f"{column.deviation.title}: deviation of every crystal from experiment; boxes: "
        "quartiles; whiskers: the farthest point within 1.5 times their distance."
    )
    anchor = column.key.replace("_", "-")
    if any(deviations.values()):
        shown = column.deviation
        blocks.append(
            plot_deviations(
                f"{anchor}-deviations", caption, deviations, quantity=shown, looks=looks
            )
        )
    blocks += _list_rows(column, rows, looks)
    return Section(anchor, column.deviation.title, tuple(blocks))


def _list_scores(
    column: BenchmarkColumn,
    results: BenchmarkResults,
    looks: Mapping[str, Appearance],
) -> Element:
    """List the means of one property."""
    biases = index_means(results.comparison.biases)
    means = index_means(results.comparison.means)
    rows = [
        row(
            name_cell(looks[each.model]),
            mean_cell(column, biases.get((each.model, column.key)), "mean deviation"),
            mean_cell(column, means.get((each.model, column.key))),
            number(score.n_facts - score.n_without_value),
            number(score.n_without_value),
        )
        for each in results.models
        for score in each.properties
        if score.property == column.key
    ]
    unit = column.deviation.unit
    titles = numeric(
        f"Mean deviation ({unit})",
        f"Mean absolute deviation ({unit})",
        "Crystals",
        "Without value",
    )
    return table(["Model", *titles], rows)


def _list_rows(
    column: BenchmarkColumn,
    rows: Mapping[str, Sequence[BenchmarkRecord]],
    looks: Mapping[str, Appearance],
) -> list[Element]:
    """List the measured value and those of all models, crystal by crystal."""
    found = {
        model: {record.crystal_id: record for record in records}
        for model, records in rows.items()
    }
    facts = {record.crystal_id: record for each in rows.values() for record in each}
    listed = [
        row(
            element("th", crystal_id, scope="row"),
            column.value.cell(fact.experiment),
            *(_build_cell(column, each.get(crystal_id)) for each in found.values()),
            number(fact.temperature),
            element("td", fact.reference, class_="reference"),
        )
        for crystal_id, fact in facts.items()
    ]
    titles = numeric("Experiment", *(looks[model].title for model in found))
    units = f"{column.value.unit}; below: deviation in {column.deviation.unit}"
    summary = f"Every crystal ({units})"
    headings: list[Element | str] = ["Crystal", *titles, *numeric("T (K)")]
    return details_table(summary, [*headings, "Reference"], listed)


def _build_cell(column: BenchmarkColumn, record: BenchmarkRecord | None) -> Element:
    """Build the cell of the value of a model; its deviation is below."""
    if record is None:
        return number(None, reason="not tested")
    cell = column.value.cell(record.value, record.error or "")
    if record.deviation is not None:
        shown = f"{record.deviation * column.deviation.factor:+,.1f}"
        cell.append(element("span", shown, class_="interval"))
    return cell
