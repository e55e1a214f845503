"""Choice of a recipe by nested cross-validation.

The recipe is chosen on validation errors alone, so that the test errors that confirm
or reject it did not take part in its choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError
from nextrung.schemas.models import Model
from nextrung.schemas.recipe_comparison import FoldChoice, RecipeChoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nextrung.schemas.repeats import ModelDifference, ModelRepeats, RepeatErrors

#: Properties that decide; every recipe has to keep all of them.
DECISIVE = ("energy", "forces", "stress")

#: Smallest error that enters a ratio, in stored units.
SMALLEST_ERROR = 1e-12


def score_validation(
    repeats: Mapping[str, ModelRepeats],
) -> dict[str, dict[int, float]]:
    """Score the validation errors of every recipe relative to those of the source.

    Parameters
    ----------
    repeats : mapping of str to ModelRepeats
        Errors of each recipe in each repeat, the source among them.

    Returns
    -------
    dict of str to dict of int to float
        Geometric mean of the ratios of energy, forces and stress errors, by recipe and
        split; 1 for the source, less is better.

    Raises
    ------
    InputError
        If a recipe has no validation errors in a split of the source.
    """
    source = _average_by_split(repeats[Model.SOURCE].repeats, "val")
    scores: dict[str, dict[int, float]] = {}
    for model, found in repeats.items():
        errors = _average_by_split(found.repeats, "val")
        scores[model] = {
            split: _score(errors.get(split, {}), of_source, f"{model} in split {split}")
            for split, of_source in source.items()
        }
    return scores


def choose_by_fold(
    repeats: Mapping[str, ModelRepeats], scores: Mapping[str, Mapping[int, float]]
) -> list[FoldChoice]:
    """Choose the recipe of the lowest validation score in every fold.

    Parameters
    ----------
    repeats : mapping of str to ModelRepeats
        Errors of each recipe in each repeat.
    scores : mapping of str to mapping of int to float
        Scores of :func:`score_validation`.

    Returns
    -------
    list of FoldChoice
        The choice of each fold, with test errors that it did not see.
    """
    choices = []
    for split in scores[Model.SOURCE]:
        model = min(scores, key=lambda each: scores[each][split])
        test = _average_by_split(repeats[model].repeats, "test")[split]
        choices.append(FoldChoice(split=split, model=model, test=test))
    return choices


def recommend(
    scores: Mapping[str, float], differences: Iterable[ModelDifference]
) -> RecipeChoice:
    """Recommend the recipe of the lowest validation score where test errors confirm it.

    Parameters
    ----------
    scores : mapping of str to float
        Validation score of every recipe, mean over folds.
    differences : iterable of ModelDifference
        Test errors of every recipe beside those of the source.

    Returns
    -------
    RecipeChoice
        A recommendation where the recipe is better than the source by one of energy,
        forces and stress, and worse by none, each after adjustment for the number of
        recipes; without one, the reason.
    """
    candidate = min(scores, key=lambda model: scores[model])
    if candidate == Model.SOURCE:
        reason = "no recipe has lower validation errors than the untouched source"
        return RecipeChoice(candidate=candidate, recommended=None, reason=reason)
    found = {
        each.property: each
        for each in differences
        if each.model == candidate
        and each.reference == Model.SOURCE
        and each.property in DECISIVE
    }
    told = {name: each for name, each in found.items() if each.significant}
    worse = [each for each in told.values() if each.difference > 0]
    better = [each for each in told.values() if each.difference < 0]
    open_ones = [name for name in found if name not in told]
    if not found:
        reason = "too few test materials to compare it with the source"
    elif worse:
        reason = f"test errors are worse than those of the source: {_list(worse)}"
    elif not better:
        reason = (
            "its test errors are not told apart from those of the source: "
            f"{_list(list(found.values()))}"
        )
    else:
        reason = f"test errors relative to the source: {_list(better)}"
        if open_ones:
            reason += f"; not told apart: {', '.join(open_ones)}"
    recommended = candidate if better and not worse else None
    return RecipeChoice(candidate=candidate, recommended=recommended, reason=reason)


def _list(differences: Sequence[ModelDifference]) -> str:
    """List properties with the ratio of errors and its 95 % interval."""
    return ", ".join(
        each.property
        if each.ratio is None or each.ratio_low is None or each.ratio_high is None
        else f"{each.property} × {each.ratio:.2f} "
        f"({each.ratio_low:.2f} to {each.ratio_high:.2f})"
        for each in differences
    )


def _average_by_split(
    repeats: Sequence[RepeatErrors], kind: str
) -> dict[int, dict[str, float]]:
    """Average the errors of a recipe over the seeds of each split."""
    found: dict[int, dict[str, list[float]]] = {}
    for repeat in repeats:
        of_split = found.setdefault(repeat.split, {})
        for name, error in getattr(repeat, kind).items():
            of_split.setdefault(name, []).append(error)
    return {
        split: {name: float(np.mean(errors)) for name, errors in of_split.items()}
        for split, of_split in found.items()
    }


def _score(
    errors: Mapping[str, float], of_source: Mapping[str, float], where: str
) -> float:
    """Compute the geometric mean of the errors of a split over those of the source."""
    names = [name for name in DECISIVE if name in of_source]
    if not names or any(name not in errors for name in names):
        raise InputError(
            f"expected validation errors of {where}, got "
            f"{', '.join(errors) or 'none'}: give the data set more materials, or "
            "compare with fewer folds"
        )
    ratios = [
        max(errors[name], SMALLEST_ERROR) / max(of_source[name], SMALLEST_ERROR)
        for name in names
    ]
    return float(np.exp(np.mean(np.log(ratios))))
