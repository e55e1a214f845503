"""Errors on which verdicts rest: models compared on the same materials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.reports.sections.residuals import (
    Residuals,
    ResidualTable,
    average,
    read_residuals,
    select_common,
)
from nextrung.reports.sections.verdicts.differences import (
    Difference,
    paired_difference,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.base import TaskDoc


@dataclass(frozen=True)
class Evidence:
    """Errors of all models on the validation and on the test split.

    Parameters
    ----------
    val, test : dict of str to dict
        Residuals by column of Table 1 and by model. Elemental phases of hulls, whose
        error is zero by definition, are left out.
    """

    val: ResidualTable
    test: ResidualTable

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
        models = self.test.get(key, {})
        if model not in models or other not in models:
            return None
        return compare_residuals(models[model], models[other])

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
        residuals = self.test.get(key, {}).get(model, {})
        known = [r for r in residuals.values() if r.baseline is not None]
        return paired_difference(
            [residual.error for residual in known],
            [residual.baseline or 0.0 for residual in known],
            [residual.material_id for residual in known],
            weights=[residual.weight for residual in known],
        )

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
            Models to choose from.

        Returns
        -------
        str or None
            The model; None where no candidate has errors of both splits.
        """
        table = self.test if key == "density" else self.val
        eligible = set(candidates) & set(self.models(key))
        models = {m: r for m, r in table.get(key, {}).items() if m in eligible}
        common = select_common(models)
        errors = {
            model: error
            for model, residuals in models.items()
            if (error := average(residuals[name] for name in common)) is not None
        }
        return min(errors, key=errors.__getitem__) if errors else None


def read_evidence(documents: Mapping[str, TaskDoc]) -> Evidence:
    """Read the errors of all models.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.

    Returns
    -------
    Evidence
        Errors on the validation and on the test split.
    """
    val, test = (
        _drop_elements(read_residuals(documents, split)) for split in ("val", "test")
    )
    return Evidence(val, test)


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


def _drop_elements(table: ResidualTable) -> ResidualTable:
    """Drop elemental phases."""
    return {
        key: {
            model: {n: r for n, r in residuals.items() if not r.is_element}
            for model, residuals in models.items()
        }
        for key, models in table.items()
    }
