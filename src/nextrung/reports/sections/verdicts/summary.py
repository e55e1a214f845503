"""Summary of the results of a study in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import format_count
from nextrung.reports.html.model_style import appearance, transfers
from nextrung.reports.html.quantities import ENERGY
from nextrung.reports.sections.benchmarks import find_best
from nextrung.reports.sections.scaling_law import describe_crossing
from nextrung.reports.sections.verdicts.failure_signs import (
    compare_errors,
    find_worse_than_scratch,
    format_change,
    read_test_errors,
)
from nextrung.schemas.models import RECIPES, Model, Rereference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.study import StudyResults

#: With fewer test materials, differences of a few per cent are not significant.
FEW_TEST_MATERIALS = 100


def summarise(results: StudyResults) -> list[str]:
    """Summarise the best model, the gain by transfer and the scaling law.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        Sentences, most important first.
    """
    sentences = [
        *describe_best_model(results),
        *describe_transfer(results),
        *_describe_alignment(results),
    ]
    if results.scaling_law and "energy_mae" in results.scaling_law:
        crossing = describe_crossing(results.scaling_law["energy_mae"].crossing)
        sentences.append(f"Scaling law of the energy: {crossing}")
    n_test = results.dataset.n_materials_by_split.get("test", 0)
    if 0 < n_test < FEW_TEST_MATERIALS:
        sentences.append(
            f"The test split has only {format_count(n_test, 'material')}: differences "
            "of a few per cent between models are not significant."
        )
    return sentences or ["No model was scored on the test split."]


def describe_best_model(results: StudyResults) -> list[str]:
    """Describe the model with the lowest energy error on the test split.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence; none where no energy was scored.
    """
    errors = read_test_errors(results)
    best = _find_best_energy(errors, errors)
    if best is None:
        return []
    lowest = errors[best].energy_mae or 0.0
    text = (
        f"{appearance(best).title} has the lowest energy error on the test split: "
        f"{ENERGY.format(lowest)} {ENERGY.unit}"
    )
    others = [
        f"{_format_ratio(error, lowest)} {name} ({ENERGY.format(error)} {ENERGY.unit})"
        for model, name in (
            (Model.SCRATCH, "training from scratch"),
            (Model.SOURCE, "the untouched source"),
        )
        if model in errors and model != best
        for error in [errors[model].energy_mae or 0.0]
    ]
    return [f"{text}, {' and '.join(others)}." if others else f"{text}."]


def _find_best_energy(
    errors: Mapping[str, PropertyErrors], models: Iterable[str]
) -> str | None:
    """Find the model with the lowest energy error."""
    return next(iter(find_best({m: errors[m].energy_mae for m in models})), None)


def _format_ratio(larger: float, smaller: float) -> str:
    """Format how many times lower an error is."""
    return f"{larger / smaller:,.1f} times lower than" if smaller else "lower than"


def describe_transfer(results: StudyResults) -> list[str]:
    """Compare the best transferred model with training from scratch.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence; none unless the study has both.
    """
    errors = read_test_errors(results)
    best = _find_best_energy(errors, filter(transfers, errors))
    if Model.SCRATCH not in errors or best is None:
        return []
    changes = compare_errors(errors[best], errors[Model.SCRATCH])
    helped = [name for name, change in changes.items() if change < 0]
    if len(helped) == len(changes):
        verdict = "Transfer helped"
    else:
        verdict = "Transfer helped in part" if helped else "Transfer did not help"
    listed = ", ".join(f"{name} {format_change(c)}" for name, c in changes.items())
    text = (
        f"{verdict}: errors of {appearance(best).title}, the best transferred model, "
        f"relative to training from scratch: {listed}."
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


def advise(results: StudyResults) -> list[str]:
    """Recommend a model, the size of the data set, and what to do with bad models.

    Parameters
    ----------
    results : StudyResults
        Results of a study.
    """
    errors = read_test_errors(results)
    advice = []
    best = _find_best_energy(errors, errors)
    if best is not None:
        advice.append(
            f"For energies use {appearance(best).title}: models/{best}.pth.tar of the "
            "run folder; its model card is in the same folder."
        )
        advice += _advise_on_size(results)
    return advice + _advise_on_references(errors)


def _advise_on_references(errors: Mapping[str, PropertyErrors]) -> list[str]:
    """Recommend a remedy for negative transfer."""
    worse = find_worse_than_scratch(errors)
    kept = [m for m in worse if RECIPES[Model(m)].rereference is Rereference.NONE]
    moved = [model for model in worse if model not in kept]
    remedies = (
        (kept, "move their atomic references to the target functional first"),
        (moved, "train them longer or on more frames first"),
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
        f"{appearance(size.model).title}: about {size.n_frames:,.0f} training frames."
        for size in law.required_sizes
        if size.n_frames is not None
    ]
