"""Verdict on transfer against training from scratch, property by property."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nextrung.reports.html.model_style import appearance, in_order, transfers
from nextrung.reports.sections.verdicts.choices import BASELINES, NAMES
from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nextrung.reports.sections.verdicts.differences import Difference
    from nextrung.reports.sections.verdicts.evidence import Evidence


class TransferVerdict(NamedTuple):
    """Comparison of a transferred model with training from scratch on one property.

    Parameters
    ----------
    key : str
        Column of Table 1.
    model : str
        Transferred model of the lowest validation error.
    difference : Difference or None
        Its test error minus that of scratch; None with too few materials.
    transferred_learned, scratch_learned : bool
        Whether each is shown to have a lower error than the baseline; true where the
        property has no baseline.
    """

    key: str
    model: str
    difference: Difference | None
    transferred_learned: bool
    scratch_learned: bool

    @property
    def helped(self) -> bool:
        """Whether transfer is shown to lower the error."""
        return (
            self.transferred_learned
            and self.difference is not None
            and self.difference.is_lower
        )

    def describe(self) -> str:
        """Describe the verdict with its size and interval."""
        name = NAMES[self.key]
        if self.difference is None:
            return f"{name}: too few test materials to compare"
        size = f"{appearance(self.model).title}, {self.difference.format()}"
        if not self.transferred_learned and not self.scratch_learned:
            return f"{name}: neither has learned them ({BASELINES[self.key]})"
        if not self.transferred_learned:
            return f"{name}: only scratch is better than {BASELINES[self.key]}"
        if self.helped:
            only = "" if self.scratch_learned else "; scratch has not learned them"
            return f"{name}: helped ({size}{only})"
        if self.difference.is_higher:
            return f"{name}: worse than scratch ({size})"
        return f"{name}: no difference shown ({size})"


def compare_transfer(evidence: Evidence) -> list[TransferVerdict]:
    """Compare transfer with training from scratch on every property.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.

    Returns
    -------
    list of TransferVerdict
        One per property that scratch and a transferred model were scored on.
    """
    verdicts = []
    for key in NAMES:
        models = evidence.models(key)
        model = evidence.choose(key, list_transferred(evidence, models))
        if model is not None and Model.SCRATCH in models:
            verdicts.append(compare_with_scratch(evidence, key, model))
    return verdicts


def list_transferred(evidence: Evidence, models: Iterable[str]) -> list[str]:
    """List the models that are trained from the weights of the source.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models, and their recipes.
    models : iterable of str
        Models to choose from.
    """
    return [each for each in in_order(models) if transfers(each, evidence.recipes)]


def compare_with_scratch(evidence: Evidence, key: str, model: str) -> TransferVerdict:
    """Compare one transferred model with training from scratch on one property.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    key : str
        Column of Table 1.
    model : str
        The transferred model.

    Returns
    -------
    TransferVerdict
        The comparison on the materials that both were scored on.
    """
    learned = [
        not evidence.has_baseline(key)
        or (
            ((found := evidence.compare_with_baseline(key, name)) is not None)
            and found.is_lower
        )
        for name in (model, Model.SCRATCH)
    ]
    difference = evidence.compare(key, model, Model.SCRATCH)
    return TransferVerdict(key, model, difference, *learned)
