"""Spread of errors over repeats, and the best model by validation error."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.repeats import PROPERTIES, BestModel, ModelRepeats, Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nextrung.schemas.repeats import RepeatErrors


def summarise_repeats(repeats: Sequence[RepeatErrors]) -> ModelRepeats:
    """Compute mean and spread of the test errors of one model.

    Parameters
    ----------
    repeats : sequence of RepeatErrors
        Errors of each repeat.

    Returns
    -------
    ModelRepeats
        The repeats, and the spread of each property that a repeat has.
    """
    names = dict.fromkeys(name for repeat in repeats for name in repeat.test)
    return ModelRepeats(
        repeats=list(repeats),
        spread={name: _spread(name, repeats) for name in names},
    )


def choose_best(models: Mapping[str, ModelRepeats]) -> dict[str, BestModel]:
    """Choose the model with the lowest validation error of each property.

    Parameters
    ----------
    models : mapping of str to ModelRepeats
        Repeats of each model.

    Returns
    -------
    dict of str to BestModel
        Best model by property, with the test error that the choice did not see; without
        the properties that no model has validation errors of.
    """
    best: dict[str, BestModel] = {}
    for name in PROPERTIES:
        errors = {
            model: float(np.mean(known))
            for model, found in models.items()
            if (known := [r.val[name] for r in found.repeats if name in r.val])
        }
        if errors:
            model = min(errors, key=lambda each: errors[each])
            spread = models[model].spread.get(name)
            best[name] = BestModel(
                model=model,
                val_error=errors[model],
                test_error=None if spread is None else spread.mean,
            )
    return best


def _spread(name: str, repeats: Sequence[RepeatErrors]) -> Spread:
    """Compute the spread of one error."""
    known = [repeat for repeat in repeats if name in repeat.test]
    values = [repeat.test[name] for repeat in known]
    return Spread(
        n_repeats=len(values),
        mean=float(np.mean(values)),
        std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        std_seeds=_pool(name, known, lambda repeat: repeat.split),
        std_splits=_pool(name, known, lambda repeat: repeat.seed or 0),
    )


def _pool(
    name: str, repeats: Sequence[RepeatErrors], group_of: Callable[[RepeatErrors], int]
) -> float | None:
    """Pool the standard deviation within groups of repeats; None without any."""
    squares, freedom = 0.0, 0
    for _, group in groupby(sorted(repeats, key=group_of), key=group_of):
        values = [repeat.test[name] for repeat in group]
        squares += float(np.var(values)) * len(values)
        freedom += len(values) - 1
    return float(np.sqrt(squares / freedom)) if freedom else None
