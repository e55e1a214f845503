"""Models whose values are bold: the lowest, and those not shown to be higher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.sections.residuals import average

if TYPE_CHECKING:
    from nextrung.reports.sections.verdicts.evidence import Evidence


def find_leaders(evidence: Evidence, key: str) -> list[str] | None:
    """Find the models of a column that no other is shown to be better than.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    key : str
        Column of Table 1.

    Returns
    -------
    list of str or None
        The model of the lowest test error and those without a shown difference from
        it, of those shown to be better than the baseline, if any; None where the
        column has too few test materials for intervals.
    """
    models = {
        model: error
        for model, residuals in evidence.test.get(key, {}).items()
        if (error := average(residuals.values())) is not None
    }
    if not models:
        return None
    lowest = min(models, key=models.__getitem__)
    others = models.keys() - {lowest}
    differences = {model: evidence.compare(key, model, lowest) for model in others}
    if not all(differences.values()):
        return None
    leaders = [lowest]
    leaders += [m for m, d in differences.items() if d and not d.is_higher]
    if not evidence.has_baseline(key):
        return leaders
    baselines = {model: evidence.compare_with_baseline(key, model) for model in leaders}
    return [model for model, d in baselines.items() if d is not None and d.is_lower]
