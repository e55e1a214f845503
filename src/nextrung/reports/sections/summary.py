"""What the numbers of a study say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import count
from nextrung.reports.html.model_style import appearance, in_order, transfers
from nextrung.reports.sections.failure_signs import (
    compare_errors,
    find_worse_than_scratch,
    read_test_errors,
    write_change,
)
from nextrung.reports.sections.scaling_law import describe_crossing
from nextrung.schemas.models import RECIPES, Model, Rereference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.evaluation import PropertyErrors
    from nextrung.schemas.study import StudyResults

#: Test materials below which differences of a few per cent mean nothing.
FEW_TEST_MATERIALS = 100


def summarise(results: StudyResults) -> list[str]:
    """Say which model won, by how much, and whether transfer helped.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        Sentences, most important first.
    """
    said = [
        *describe_best_model(results),
        *describe_transfer(results),
        *_describe_alignment(results),
    ]
    if results.scaling_law and "energy_mae" in results.scaling_law:
        crossing = describe_crossing(results.scaling_law["energy_mae"].crossing)
        said.append(f"Scaling law of the energy: {crossing}")
    n_test = results.dataset.n_materials_by_split.get("test", 0)
    if 0 < n_test < FEW_TEST_MATERIALS:
        said.append(
            f"The test split holds only {count(n_test, 'material')}: differences of a "
            "few per cent between models mean nothing."
        )
    return said or ["No model was scored on the test split."]


def describe_best_model(results: StudyResults) -> list[str]:
    """Say which model has the lowest energy error, and how far the others are.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence; none where no energy was scored.
    """
    energies = {m: e.energy_mae or 0.0 for m, e in read_test_errors(results).items()}
    if not energies:
        return []
    best = min(in_order(energies), key=lambda model: energies[model])
    text = (
        f"{appearance(best).title} has the lowest energy error on the test split: "
        f"{1000 * energies[best]:,.1f} meV/atom"
    )
    others = [
        f"{_ratio(energies[model], energies[best])} {name} "
        f"({1000 * energies[model]:,.1f} meV/atom)"
        for model, name in (
            (Model.SCRATCH, "training from scratch"),
            (Model.SOURCE, "the untouched source"),
        )
        if model in energies and model != best
    ]
    return [f"{text}, {' and '.join(others)}." if others else f"{text}."]


def _ratio(larger: float, smaller: float) -> str:
    """Say how many times lower an error is."""
    return f"{larger / smaller:,.1f} times lower than" if smaller else "lower than"


def describe_transfer(results: StudyResults) -> list[str]:
    """Say whether training from the source's weights beats training from scratch.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        One sentence on the best transferred model; none without both.
    """
    errors = read_test_errors(results)
    candidates = [model for model in in_order(errors) if transfers(model)]
    if Model.SCRATCH not in errors or not candidates:
        return []
    best = min(candidates, key=lambda model: errors[model].energy_mae or 0.0)
    changes = compare_errors(errors[best], errors[Model.SCRATCH])
    helped = [name for name, change in changes.items() if change < 0]
    if len(helped) == len(changes):
        verdict = "Transfer helped"
    else:
        verdict = "Transfer helped in part" if helped else "Transfer did not help"
    listed = ", ".join(f"{name} {write_change(c)}" for name, c in changes.items())
    text = (
        f"{verdict}: the errors of {appearance(best).title}, the best transferred "
        f"model, against training from scratch: {listed}."
    )
    return [text]


def _describe_alignment(results: StudyResults) -> list[str]:
    """Say what re-referencing does to the correlation."""
    alignment = results.alignment
    if alignment is None or alignment.correlation_referenced is None:
        return []
    before = alignment.correlation
    start = "" if before is None else f"from {before:.3f} "
    text = (
        "Subtracting atomic references moves the correlation of source and target "
        f"energies {start}to {alignment.correlation_referenced:.3f}"
    )
    shifted = alignment.correlation_residual
    if shifted is not None:
        text += f" where they are refitted, to {shifted:.3f} where they are shifted"
    return [f"{text}."]


def advise(results: StudyResults) -> list[str]:
    """Say what to do next.

    Parameters
    ----------
    results : StudyResults
        Results of a study.

    Returns
    -------
    list of str
        Sentences.
    """
    errors = read_test_errors(results)
    advice = []
    if errors:
        best = min(in_order(errors), key=lambda m: errors[m].energy_mae or 0.0)
        advice.append(
            f"For energies use {appearance(best).title}: models/{best}.pth.tar of the "
            "run folder, with its card beside it."
        )
        advice += _advise_on_size(results)
    return advice + _advise_on_references(errors)


def _advise_on_references(errors: Mapping[str, PropertyErrors]) -> list[str]:
    """Say what to do about negative transfer."""
    worse = find_worse_than_scratch(errors)
    if not worse:
        return []
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
    """Say how many target structures wanted errors ask for."""
    law = (results.scaling_law or {}).get("energy_mae")
    if law is None:
        return ["Run the scaling law to learn how much more target data would help."]
    return [
        f"For {1000 * size.error_wanted:,.0f} meV/atom with "
        f"{appearance(size.model).title}: about {size.n_frames:,.0f} training frames."
        for size in law.required_sizes
        if size.n_frames is not None
    ]
