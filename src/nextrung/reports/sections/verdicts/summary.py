"""Summary of the results of a study in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import format_count
from nextrung.reports.html.model_style import appearance, in_order
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.sections.scaling_law import describe_crossing, describe_size
from nextrung.reports.sections.verdicts.choices import NAMES, choose_model
from nextrung.reports.sections.verdicts.failure_signs import find_unfit
from nextrung.reports.sections.verdicts.finished import describe_finished
from nextrung.reports.sections.verdicts.transfer import compare_transfer
from nextrung.reports.sections.verdicts.usage import describe_files
from nextrung.schemas.models import Rereference, Trained

if TYPE_CHECKING:
    from nextrung.reports.sections.verdicts.evidence import Evidence
    from nextrung.schemas.study import StudyResults

#: With fewer test materials, intervals are wide and their ends uncertain.
FEW_TEST_MATERIALS = 100


def summarise(results: StudyResults, evidence: Evidence) -> list[str]:
    """Summarise the best models, the gain by transfer and the scaling law.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    list of str
        Sentences, most important first.
    """
    sentences = [
        *describe_best_models(evidence),
        *describe_finished(evidence),
        *describe_transfer(evidence),
        *_describe_elements(results),
        *_describe_alignment(results),
    ]
    if results.scaling_law and "energy_mae" in results.scaling_law:
        crossing = describe_crossing(results.scaling_law["energy_mae"].crossing)
        sentences.append(f"Scaling law of the energy: {crossing}")
    n_test = results.dataset.n_materials_by_split.get("test", 0)
    if 0 < n_test < FEW_TEST_MATERIALS:
        sentences.append(
            f"The test split has only {format_count(n_test, 'material')}: intervals "
            "are wide, and small differences cannot be shown."
        )
    return sentences or ["No model was scored on the test split."]


def describe_best_models(evidence: Evidence) -> list[str]:
    """Describe the model of each benchmark: chosen on validation, tested on test.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models, the untouched source included.

    Returns
    -------
    list of str
        One sentence per benchmark; none where no model has errors of both splits.
    """
    sentences = []
    for key, name in NAMES.items():
        choice = choose_model(evidence, key)
        if choice is None:
            continue
        chosen_on = "the crystals themselves" if key == "density" else "validation"
        text = (
            f"{name.capitalize()}: {choice.title}, chosen on {chosen_on}, has a test "
            f"error of {choice.format_error()}; {choice.describe_certainty()}"
        )
        if choice.baseline is not None and not choice.beats_baseline:
            text += "; not shown to be better than the baseline"
        sentences.append(f"{text}.")
    return sentences


def describe_transfer(evidence: Evidence) -> list[str]:
    """Describe transfer against training from scratch, property by property.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    list of str
        One sentence; none unless the study has both.
    """
    verdicts = compare_transfer(evidence)
    if not verdicts:
        return []
    listed = "; ".join(verdict.describe() for verdict in verdicts)
    text = (
        "Transfer against training from scratch, relative difference of test errors "
        f"and its 95 % interval: {listed}."
    )
    return [text]


def _describe_elements(results: StudyResults) -> list[str]:
    """Describe how much elemental phases lower the error of decomposition energies."""
    listed = []
    for model in in_order(results.models):
        hull = results.models[model].stability
        every = hull and hull.decomposition_energy_mae
        compounds = hull and hull.decomposition_energy_mae_compounds
        if every and compounds and compounds > every:
            values = f"{ENERGY.format(compounds)} instead of {ENERGY.format(every)}"
            listed.append(f"{appearance(model).title} {values}")
    if not listed:
        return []
    text = (
        "Test errors of decomposition energies include elements, whose error is zero "
        f"by definition; without them, in {ENERGY.unit}: {', '.join(listed)}."
    )
    return [text]


def _describe_alignment(results: StudyResults) -> list[str]:
    """Describe the correlation of energies before and after re-referencing."""
    alignment = results.alignment
    if alignment is None or alignment.correlation_referenced is None:
        return []
    before = alignment.correlation
    start = "" if before is None else f"from {before:.3f} "
    text = (
        "Subtracting atomic references changes the correlation of source and target "
        f"energies {start}to {alignment.correlation_referenced:.3f}"
    )
    shifted = alignment.correlation_residual
    if shifted is not None:
        text += f" with refitted references, to {shifted:.3f} with shifted references"
    return [f"{text}."]


def advise(results: StudyResults, evidence: Evidence) -> list[str]:
    """Recommend models, the size of the data set, and what to do with bad models.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    evidence : Evidence
        Errors of all models.
    """
    chosen = {
        key: choice
        for key in ("energy", "forces", "decomposition_energy")
        if (choice := choose_model(evidence, key)) and choice.beats_baseline
    }
    advice = describe_files(chosen, results.models)
    if evidence.test:
        advice += _advise_on_size(results)
    return advice + _advise_on_references(evidence)


def _advise_on_references(evidence: Evidence) -> list[str]:
    """Recommend a remedy for models that are worse than scratch or than zero."""
    unfit = find_unfit(evidence)
    recipes = {m: evidence.recipes[m] for m in unfit if m not in evidence.finished}
    trained = [m for m, r in recipes.items() if r.trained is not Trained.NOTHING]
    kept = [m for m in trained if recipes[m].rereference is Rereference.NONE]
    remedies = (
        (kept, "move their atomic references to the target functional first"),
        (
            [m for m in trained if m not in kept],
            "train them longer or on more frames first",
        ),
        (
            [m for m in recipes if m not in trained],
            "train them on the target labels first",
        ),
        ([m for m in unfit if m in evidence.finished], "use another model"),
    )
    return [
        "Do not relax or run dynamics with "
        f"{', '.join(appearance(model).title for model in models)}; {remedy}."
        for models, remedy in remedies
        if models
    ]


def _advise_on_size(results: StudyResults) -> list[str]:
    """List the number of training frames that the wanted errors need."""
    law = (results.scaling_law or {}).get("energy_mae")
    if law is None:
        return ["Run the scaling law to learn how much more target data would help."]
    return [
        f"For {1000 * size.error_wanted:,.0f} meV/atom with "
        f"{appearance(size.model).title}: about {size.n_frames:,.0f} training frames"
        f"{describe_size(size)}."
        for size in law.required_sizes
        if size.n_frames is not None
    ]
