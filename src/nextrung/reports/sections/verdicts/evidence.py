"""Errors on which verdicts rest: all models, materials and repeats of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.intervals import (
    BASELINE,
    EVERY,
    Comparison,
    ModelComparison,
    collect_errors,
    select_compared,
    tabulate_errors,
)
from nextrung.reports.sections.section import documents_of
from nextrung.reports.sections.verdicts.differences import Difference
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import RECIPES
from nextrung.schemas.repeats import parse_repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from nextrung.compute.intervals import Errors, ErrorsBySplit, ErrorTable, Repeat
    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.models import FinishedPotential, Recipe
    from nextrung.schemas.study import StudyResults

#: Repeat of a model in a study without repeats.
_ALONE: Repeat = (None, 0)


@dataclass(frozen=True)
class Evidence:
    """Errors of all models in all repeats.

    Parameters
    ----------
    val, test, every : dict of str to dict
        Errors on the validation split, on the test split, and of the materials of every
        split, by column of Table 1, model and repeat.
    best : dict of str to str
        Model of the lowest validation error over several repeats, by column.
    n_repeats : int
        Largest number of repeats of a model of the study.
    finished : mapping of str to FinishedPotential
        Finished potentials, by name: compared, and never chosen. Their errors of
        energies are not compared where their functional is not that of the labels.
    recipes : mapping of str to Recipe
        Recipes, by model; those of the table by default.
    """

    val: ErrorTable = field(default_factory=dict)
    test: ErrorTable = field(default_factory=dict)
    every: ErrorTable = field(default_factory=dict)
    best: dict[str, str] = field(default_factory=dict)
    n_repeats: int = 1
    finished: Mapping[str, FinishedPotential] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=lambda: RECIPES)
    _comparisons: dict[str, ModelComparison] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def models(self, key: str) -> list[str]:
        """List the models with a test error of a column.

        Parameters
        ----------
        key : str
            Column of Table 1.
        """
        return list(self.comparison(key).models)

    def comparison(self, key: str) -> ModelComparison:
        """Return the comparison of the test errors of all models.

        Parameters
        ----------
        key : str
            Column of Table 1. Elemental phases of hulls, whose error is zero by
            definition, are left out, and energies of finished potentials of another
            functional than that of the labels.
        """
        if key not in self._comparisons:
            models = select_compared(key, self.test.get(key, {}), self.finished)
            self._comparisons[key] = ModelComparison.of(models)
        return self._comparisons[key]

    def compare(self, key: str, model: str, reference: str) -> Difference | None:
        """Compare the test errors of two models on the materials that both have.

        Parameters
        ----------
        key : str
            Column of Table 1.
        model, reference : str
            The models, or the baseline as reference. The p-value is adjusted for
            all models that are compared with the reference.

        Returns
        -------
        Difference or None
            Error of the first relative to that of the second over all repeats; None
            where a model has no error or there are fewer than five materials.
        """
        found = self.comparison(key).compare(model, reference)
        return None if found is None else Difference.of(found)

    def compare_with_baseline(self, key: str, model: str) -> Difference | None:
        """Compare the test errors of a model with those of the baseline.

        Parameters
        ----------
        key : str
            Column of Table 1.
        model : str
            One model, named before the test errors are known; the p-value is not
            adjusted for other models.

        Returns
        -------
        Difference or None
            Error of the model relative to that of the baseline over all repeats; None
            without a baseline or below five materials.
        """
        found = self.comparison(key).compare_alone(model, BASELINE)
        return (
            None if found is None else Difference.of(Comparison(found, found.p_value))
        )

    def has_baseline(self, key: str) -> bool:
        """Check whether a column has a baseline: densities have none.

        Parameters
        ----------
        key : str
            Column of Table 1.
        """
        return BASELINE in self.comparison(key).everything

    def count_repeats(self, key: str, model: str) -> int:
        """Count the repeats of a model that have a test error of a column.

        Parameters
        ----------
        key : str
            Column of Table 1.
        model : str
            The model.
        """
        return len(self.test.get(key, {}).get(model, {}))

    def choose(self, key: str, candidates: Iterable[str]) -> str | None:
        """Choose the model of the lowest validation error.

        Parameters
        ----------
        key : str
            Column of Table 1. Experimental densities have no validation split: the
            model of the lowest error on the crystals is chosen.
        candidates : iterable of str
            Models to choose from; finished potentials among them are not chosen.

        Returns
        -------
        str or None
            The model; None where no candidate has errors of both splits.
        """
        table = self.test if key == "density" else self.val
        eligible = set(candidates) & set(self.models(key)) - self.finished.keys()
        if self.best.get(key) in eligible:
            return self.best[key]
        known = ModelComparison.of(table.get(key, {})).models
        models = {m: repeats for m, repeats in known.items() if m in eligible}
        common = _find_common(models.values())
        errors = {
            model: float(np.mean(found))
            for model, repeats in models.items()
            if (found := _average_common(repeats, common))
        }
        return min(errors, key=errors.__getitem__) if errors else None


def read_evidence(
    documents: Mapping[str, TaskDoc],
    results: StudyResults | None = None,
    repeated: Mapping[str, ErrorsBySplit] | None = None,
) -> Evidence:
    """Read the errors of all models.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of the first repeat, by stage/model.
    results : StudyResults, optional
        Results of the study: the seeds of its repeats, and its best models.
    repeated : mapping of str to dict, optional
        Errors of the other repeats, by stage/model/repeat.

    Returns
    -------
    Evidence
        Errors of all repeats.
    """
    repeats = {} if results is None else results.repeats
    firsts: dict[str, Repeat] = {
        model: (found.repeats[0].seed, found.repeats[0].split)
        for model, found in repeats.items()
    }
    n_repeats = max((len(found.repeats) for found in repeats.values()), default=1)
    made = documents_of(documents, "fine_tuning", FineTuningDoc)
    collected = list(_collect(documents, firsts, repeated or {}))
    best = {} if results is None or n_repeats == 1 else results.best
    return Evidence(
        tabulate_errors(collected, "val"),
        tabulate_errors(collected, "test"),
        tabulate_errors(collected, EVERY),
        {key: found.model for key, found in best.items()},
        n_repeats,
        {} if results is None else results.finished,
        {**RECIPES, **{model: doc.recipe for model, doc in made.items()}},
    )


def _collect(
    documents: Mapping[str, TaskDoc],
    firsts: Mapping[str, Repeat],
    repeated: Mapping[str, ErrorsBySplit],
) -> Iterator[tuple[str, Repeat, ErrorsBySplit]]:
    """Collect the errors of the first repeat, then of the others."""
    for part, document in documents.items():
        model = part.partition("/")[2]
        yield model, firsts.get(model, _ALONE), collect_errors(document)
    for part, errors in repeated.items():
        yield part.split("/")[1], parse_repeat(part), errors


def _find_common(
    models: Iterable[Mapping[Repeat, Errors]],
) -> dict[int, NDArray[np.str_]]:
    """Find what all models have an error of in all repeats of a split, by split."""
    common: dict[int, NDArray[np.str_]] = {}
    for repeats in models:
        for (_, split), errors in repeats.items():
            known = common.get(split, errors.names)
            common[split] = np.intersect1d(known, errors.names)
    return common


def _average_common(
    repeats: Mapping[Repeat, Errors], common: Mapping[int, NDArray[np.str_]]
) -> list[float]:
    """Average the errors of each repeat on what all models have of its split."""
    chosen = [
        errors.take(np.isin(errors.names, common[split]))
        for (_, split), errors in repeats.items()
    ]
    return [errors.mean for errors in chosen if len(errors)]
