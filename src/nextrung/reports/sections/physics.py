"""Section of the tests of the potential energy surface."""

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
from nextrung.reports.html.model_style import appearance, model_cell
from nextrung.reports.html.quantities import ENERGY, FORCES, STRESS, Quantity
from nextrung.reports.sections.section import Section, documents_of, explain_absence
from nextrung.schemas.physics import Measure, PhysicsDoc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.physics import MeasureSummary, PhysicsRecord
    from nextrung.schemas.study import StudyDoc

#: Deviations of relaxed structures by the name that they are stored under.
_FIDELITY: Mapping[str, Quantity] = {
    "volume_change": Quantity("Volume, mean", "%", 2, 100),
    "volume_mae": Quantity("Volume, mean absolute", "%", 2, 100),
    "rmsd": Quantity("Displacement", "Å", 3),
}

#: Title, unit, and what passes, by measure.
TITLES: Mapping[Measure, tuple[str, str, str]] = {
    Measure.LATTICE_PARAMETER: ("Lattice parameter", "Å", "near experiment"),
    Measure.BULK_MODULUS: ("Bulk modulus", "GPa", "near experiment"),
    Measure.C11: ("C11", "GPa", "near experiment"),
    Measure.C12: ("C12", "GPa", "near experiment"),
    Measure.C44: ("C44", "GPa", "near experiment"),
    Measure.LOWEST_STIFFNESS: (
        "Lowest eigenvalue of the stiffness matrix",
        "GPa",
        "positive: Born's stability criterion",
    ),
    Measure.LOWEST_FREQUENCY: (
        "Lowest phonon frequency",
        "THz",
        "no imaginary modes at the wave vectors of the supercell",
    ),
    Measure.CRYSTAL_REPULSION: (
        "Smallest rise of the energy of a compressed crystal",
        "eV/atom",
        "the energy rises at every step of compression",
    ),
    Measure.DIMER_REPULSION: (
        "Smallest rise of the energy of a dimer",
        "eV/atom",
        "the energy rises at every step of approach",
    ),
    Measure.ENERGY_DRIFT: (
        "Drift of the total energy at constant energy",
        "meV/atom/ps",
        "the energy is conserved",
    ),
}


def report_physics(study: StudyDoc, documents: Mapping[str, TaskDoc]) -> Section:
    """Report the tests of the potential energy surface of every model.

    Parameters
    ----------
    study : StudyDoc
        The study.
    documents : mapping of str to TaskDoc
        Its documents: ``physics`` of every model.

    Returns
    -------
    Section
        The section of the physics.
    """
    scored = documents_of(documents, "physics", PhysicsDoc)
    title = "Potential energy surface"
    if not scored:
        absent = explain_absence("physics", study.settings.physics)
        return Section("physics", title, (absent,))
    text = (
        "Simple crystals with measured lattice parameters and elastic constants (room "
        "temperature), relaxed by each model. Passed: the number of crystals whose "
        "value is within the range of the settings, of all that were tested; a crystal "
        "that a model cannot predict has not passed. In brackets: mean absolute "
        "relative deviation from experiment."
    )
    blocks = [element("p", text), _list_measures(scored)]
    blocks += _list_forgetting(scored)
    blocks += _list_fidelity(scored)
    for model, document in scored.items():
        blocks += _list_rows(model, document.rows)
    return Section("physics", title, tuple(blocks))


def _list_measures(documents: Mapping[str, PhysicsDoc]) -> Element:
    """List how many crystals passed, by measure and model."""
    found = {
        model: {summary.measure: summary for summary in document.measures}
        for model, document in documents.items()
    }
    rows = [
        row(
            f"{name} ({unit}): {meaning}",
            *(_cell(found[model].get(measure)) for model in found),
        )
        for measure, (name, unit, meaning) in TITLES.items()
        if any(measure in summaries for summaries in found.values())
    ]
    total = [
        element("td", f"{document.n_passed} of {document.n_values}", class_="number")
        for document in documents.values()
    ]
    rows.append(row(element("b", "All"), *total))
    titles = [
        element("th", appearance(model).title, class_="number") for model in documents
    ]
    return table(["Passed", *titles], rows)


def _cell(summary: MeasureSummary | None) -> Element:
    """Build the cell of one measure of one model."""
    if summary is None:
        return number(None, reason="not tested")
    text = f"{summary.n_passed} of {summary.n_crystals}"
    if summary.relative_error is not None:
        text += f" ({100 * summary.relative_error:.1f} %)"
    tooltip = f"{summary.n_without_value} without a value"
    return element("td", text, class_="number", title=tooltip)


def _list_forgetting(documents: Mapping[str, PhysicsDoc]) -> list[Element]:
    """List the deviations of the models from their source."""
    found = {m: doc.forgetting for m, doc in documents.items() if doc.forgetting}
    if not found:
        return []
    text = (
        "Mean absolute deviation from the predictions of the source potential on "
        "experimental crystals with random strains and displacements, drawn without "
        "regard to the data set. Energies are relative to the unperturbed crystal, so "
        "that a change of the atomic references has no effect. A deviation is what "
        "training changed; it is an error only as far as the source was right. Grey: "
        "95 % interval over crystals."
    )
    reason = "no crystal that both predict"
    rows = [
        row(
            model_cell(model),
            ENERGY.cell(
                errors.deformation_energy_mae,
                reason,
                errors.deformation_energy_interval,
            ),
            FORCES.cell(errors.forces_mae, reason, errors.forces_interval),
            STRESS.cell(errors.stress_mae, reason, errors.stress_interval),
            number(errors.n_structures),
            number(errors.n_crystals),
            number(errors.n_without_value),
        )
        for model, errors in found.items()
    ]
    titles = numeric(
        "Deformation energy (meV/atom)",
        FORCES.heading,
        STRESS.heading,
        "Structures",
        "Crystals",
        "Crystals without prediction",
    )
    heading = element("h3", "Deviation from the source (forgetting)")
    return [heading, element("p", text), table(["Model", *titles], rows)]


def _list_fidelity(documents: Mapping[str, PhysicsDoc]) -> list[Element]:
    """List the deviations of relaxed structures from relaxed labels."""
    found = [
        (model, part, errors)
        for model, document in documents.items()
        for part, errors in document.fidelity.items()
    ]
    if not found:
        return []
    text = (
        "Structures relaxed by a model against the relaxed label of lowest energy of "
        "the same material: relative deviation of the volume, and root-mean-square "
        "displacement of the sites at equal cell, over materials with a converged "
        "relaxation. Grey: 95 % interval over materials."
    )
    reason = "nothing compared"
    rows = [
        row(
            model_cell(model),
            part,
            *(
                quantity.cell(
                    getattr(errors, name), reason, getattr(errors, f"{name}_interval")
                )
                for name, quantity in _FIDELITY.items()
            ),
            number(errors.n_compared),
            number(errors.n_materials),
        )
        for model, part, errors in found
    ]
    titles = numeric(
        *(quantity.heading for quantity in _FIDELITY.values()),
        "Compared",
        "With relaxed label",
    )
    heading = element("h3", "Relaxed structures against labels")
    return [heading, element("p", text), table(["Model", "Materials", *titles], rows)]


def _list_rows(model: str, records: Sequence[PhysicsRecord]) -> list[Element]:
    """List every number of one model."""
    rows = [
        row(
            record.crystal_id,
            f"{TITLES[record.measure][0]} ({TITLES[record.measure][1]})",
            number(record.value, 3, reason=record.error or ""),
            number(record.experiment, 3, reason="no measured value"),
            number(record.lower, 3, reason="no lower limit"),
            number(record.upper, 3, reason="no upper limit"),
            "pass" if record.passed else "fail",
        )
        for record in records
    ]
    titles = numeric("Value", "Experiment", "From", "To")
    summary = f"Every number: {appearance(model).title}"
    return details_table(summary, ["Crystal", "Measure", *titles, "Result"], rows)
