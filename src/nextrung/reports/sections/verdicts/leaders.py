"""Models whose values are bold: the lowest, and those not shown to be higher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals import BASELINE

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
    models = evidence.models(key)
    if not models:
        return None
    lowest = min(models, key=evidence.comparison(key).average)
    others = [model for model in models if model != lowest]
    differences = {model: evidence.compare(key, model, lowest) for model in others}
    if not all(differences.values()):
        return None
    leaders = [lowest]
    leaders += [m for m, d in differences.items() if d and not d.is_higher]
    if not evidence.has_baseline(key):
        return leaders
    baselines = {model: evidence.compare(key, model, BASELINE) for model in leaders}
    return [model for model, d in baselines.items() if d is not None and d.is_lower]
