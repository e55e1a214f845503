"""Errors on which verdicts rest: models compared on the same materials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nextrung.reports.sections.residuals import (
    Residuals,
    ResidualTable,
    average,
    read_residuals,
    select_common,
)
from nextrung.reports.sections.section import documents_of
from nextrung.reports.sections.verdicts.differences import (
    Difference,
    paired_difference,
)
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.models import RECIPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.base import TaskDoc
    from nextrung.schemas.models import FinishedPotential, Recipe
    from nextrung.schemas.repeats import Spread
    from nextrung.schemas.study import StudyResults


@dataclass(frozen=True)
class Evidence:
    """Errors of all models on the validation and on the test split.

    Parameters
    ----------
    val, test : dict of str to dict
        Residuals of the first repeat by column of Table 1 and by model. Elemental
        phases of hulls, whose error is zero by definition, are left out.
    spreads : dict of (str, str) to Spread
        Test errors over several repeats, by column and model.
    differences : dict of (str, str, str) to Difference
        Differences over several repeats, by column, model and other model.
    best : dict of str to str
        Model of the lowest validation error over several repeats, by column.
    significant : dict of (str, str, str) to bool
        Whether a difference is significant after Holm, by column, model and other
        model, in both directions.
    finished : mapping of str to FinishedPotential
        Finished potentials, by name: compared, and never chosen. Their errors of
        energies are left out where their functional is not that of the labels.
    recipes : mapping of str to Recipe
        Recipes, by model; those of the table by default.
    """

    val: ResidualTable
    test: ResidualTable
    spreads: dict[tuple[str, str], Spread] = field(default_factory=dict)
    differences: dict[tuple[str, str, str], Difference] = field(default_factory=dict)
    best: dict[str, str] = field(default_factory=dict)
    significant: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    finished: Mapping[str, FinishedPotential] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=lambda: RECIPES)
    _compared: dict[tuple[str, ...], Difference | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def models(self, key: str) -> list[str]:
        """List the models with a test error of a column.

        Parameters
        ----------
        key : str
            Column of Table 1.
        """
        return list(self.test.get(key, {}))

    def compare(self, key: str, model: str, other: str) -> Difference | None:
        """Compare the test errors of two models on the materials that both have.

        Over all repeats where there are several.

        Parameters
        ----------
        key : str
            Column of Table 1.
        model, other : str
            The models.

        Returns
        -------
        Difference or None
            Error of the first minus that of the second; None where a model has no
            error or there are fewer than five materials.
        """
        if (key, model, other) in self.differences:
            return self.differences[key, model, other]
        models = self.test.get(key, {})
        if model not in models or other not in models:
            return None
        if (key, model, other) not in self._compared:
            found = compare_residuals(models[model], models[other])
            significant = self.significant.get((key, model, other), True)
            self._compared[key, model, other] = found and found._replace(
                is_significant=significant
            )
        return self._compared[key, model, other]

    def compare_with_baseline(self, key: str, model: str) -> Difference | None:
        """Compare the test errors of a model with those of the baseline.

        Parameters
        ----------
        key : str
            Column of Table 1.
        model : str
            The model.

        Returns
        -------
        Difference or None
            Error of the model minus that of the baseline; None without a baseline or
            below five materials.
        """
        if (key, model) not in self._compared:
            residuals = self.test.get(key, {}).get(model, {})
            self._compared[key, model] = _compare_with_baseline(residuals)
        return self._compared[key, model]

    def has_baseline(self, key: str) -> bool:
        """Check whether a column has a baseline: densities have none.

        Parameters
        ----------
        key : str
            Column of Table 1.
        """
        models = self.test.get(key, {}).values()
        return any(r.baseline is not None for rows in models for r in rows.values())

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
        models = {m: r for m, r in table.get(key, {}).items() if m in eligible}
        common = select_common(models)
        errors = {
            model: error
            for model, residuals in models.items()
            if (error := average(residuals[name] for name in common)) is not None
        }
        return min(errors, key=errors.__getitem__) if errors else None


def read_evidence(
    documents: Mapping[str, TaskDoc], results: StudyResults | None = None
) -> Evidence:
    """Read the errors of all models.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.
    results : StudyResults, optional
        Results of the study, for the errors of several repeats.

    Returns
    -------
    Evidence
        Errors on the validation and on the test split.
    """
    finished = {} if results is None else results.finished
    val, test = (
        _drop_uncompared(_drop_elements(read_residuals(documents, split)), finished)
        for split in ("val", "test")
    )
    made = documents_of(documents, "fine_tuning", FineTuningDoc)
    recipes = {**RECIPES, **{model: doc.recipe for model, doc in made.items()}}
    if results is None:
        return Evidence(val, test, recipes=recipes)
    spreads = {
        (key, model): spread
        for model, repeated in results.repeats.items()
        for key, spread in repeated.spread.items()
        if spread.n_repeats > 1
    }
    significant = {
        (each.property, *pair): each.significant
        for each in results.differences
        for pair in ((each.model, each.reference), (each.reference, each.model))
    }
    if not spreads:
        return Evidence(
            val, test, significant=significant, finished=finished, recipes=recipes
        )
    best = {key: found.model for key, found in results.best.items()}
    differences = _read_differences(results, spreads)
    return Evidence(
        val, test, spreads, differences, best, significant, finished, recipes
    )


def _read_differences(
    results: StudyResults, spreads: Mapping[tuple[str, str], Spread]
) -> dict[tuple[str, str, str], Difference]:
    """Read the differences over several repeats, in both directions."""
    found = {}
    for each in results.differences:
        key, ends = each.property, (each.low, each.high)
        for model, other, mean, low, high in (
            (each.model, each.reference, each.difference, *ends),
            (each.reference, each.model, -each.difference, -ends[1], -ends[0]),
        ):
            spread = spreads.get((key, other))
            if each.n_repeats > 1 and spread is not None and spread.mean:
                relative, *interval = (
                    max(-1.0, value / spread.mean) for value in (mean, low, high)
                )  # an error cannot fall by more than all of it
                found[key, model, other] = Difference(
                    mean, relative, interval[0], interval[1], each.significant
                )
    return found


def compare_residuals(residuals: Residuals, others: Residuals) -> Difference | None:
    """Compare two lists of errors on what both have.

    Parameters
    ----------
    residuals, others : dict of str to Residual
        Errors by frame, material or crystal.

    Returns
    -------
    Difference or None
        First minus second mean; None below five common materials.
    """
    common = sorted(residuals.keys() & others.keys())
    return paired_difference(
        [residuals[name].error for name in common],
        [others[name].error for name in common],
        [residuals[name].material_id for name in common],
        weights=[residuals[name].weight for name in common],
    )


def _compare_with_baseline(residuals: Residuals) -> Difference | None:
    """Compare errors with those of the baseline, where there is one."""
    known = [r for r in residuals.values() if r.baseline is not None]
    return paired_difference(
        [residual.error for residual in known],
        [residual.baseline or 0.0 for residual in known],
        [residual.material_id for residual in known],
        weights=[residual.weight for residual in known],
    )


def _drop_elements(table: ResidualTable) -> ResidualTable:
    """Drop elemental phases."""
    return {
        key: {
            model: {n: r for n, r in residuals.items() if not r.is_element}
            for model, residuals in models.items()
        }
        for key, models in table.items()
    }


def _drop_uncompared(
    table: ResidualTable, finished: Mapping[str, FinishedPotential]
) -> ResidualTable:
    """Drop energies of finished potentials of another functional than the labels."""
    return {
        key: {
            model: residuals
            for model, residuals in models.items()
            if model not in finished or finished[model].is_compared(key)
        }
        for key, models in table.items()
    }
