"""Verdict of a preflight on each transferred model of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.preflight import CheckOutcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nextrung.schemas.preflight import Check


def reach_verdict(
    checks: Sequence[Check], models: Sequence[str]
) -> tuple[Verdict, str, dict[str, Verdict]]:
    """Derive the verdict on a study and on each of its transferred models.

    Parameters
    ----------
    checks : sequence of Check
        Checks of the data, and of each model.
    models : sequence of str
        Transferred models of the study.

    Returns
    -------
    verdict : Verdict
        Go where no check of the data failed, and a model is a go.
    reason : str
        Models that the verdict is for, failed checks, and warnings.
    verdicts : dict of str to Verdict
        No-go for the models of which a check failed, or one of the data.
    """
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    of_data = [check for check in failed if check.model is None]
    stopped = {check.model for check in failed}
    verdicts = {
        model: Verdict.NO_GO if of_data or model in stopped else Verdict.GO
        for model in models
    }
    good = [model for model, verdict in verdicts.items() if verdict is Verdict.GO]
    warned = [
        check
        for check in checks
        if check.outcome is CheckOutcome.WARNING and check.model in {None, *good}
    ]
    if of_data:
        return Verdict.NO_GO, f"{_list_findings(of_data)}.", verdicts
    if not models:
        reason = "expected a transferred model in the study, got none"
        return Verdict.NO_GO, f"{reason}.", verdicts
    parts = [f"for {', '.join(good)}"] if good else []
    for model in models:
        names = ", ".join(check.name for check in failed if check.model == model)
        if names:
            parts.append(f"not for {model} (failed: {names})")
    if warned:
        parts.append(f"mind {_list_findings(warned)}")
    return Verdict.GO if good else Verdict.NO_GO, f"{'; '.join(parts)}.", verdicts


def _list_findings(checks: Iterable[Check]) -> str:
    """List names, models and findings of checks."""
    return "; ".join(
        f"{check.name}{f' of {check.model}' if check.model else ''}: {check.finding}"
        for check in checks
    )
