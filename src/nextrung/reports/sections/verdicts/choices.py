"""Model of each benchmark: chosen on validation, compared on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.reports.html.model_style import appearance, in_order
from nextrung.reports.sections.benchmarks import COLUMNS
from nextrung.reports.sections.verdicts.differences import Difference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nextrung.reports.html.quantities import Quantity
    from nextrung.reports.sections.benchmarks import Column
    from nextrung.reports.sections.verdicts.evidence import Evidence

#: Columns of Table 1 by key.
COLUMN: dict[str, Column] = {column.key: column for column in COLUMNS}

#: What readers call the error of each column.
NAMES = {
    "energy": "energies",
    "forces": "forces",
    "stress": "stresses",
    "magmoms": "magnetic moments",
    "decomposition_energy": "decomposition energies",
    "formation_energy": "formation energies",
    "density": "densities",
}

#: What readers call the baseline of each column.
BASELINES = {
    "energy": "atomic references alone",
    "forces": "zero forces",
    "stress": "zero stresses",
    "magmoms": "zero moments",
    "decomposition_energy": "zero decomposition energies",
    "formation_energy": "zero formation energies",
}


#: With more models without a shown difference, their number is given.
MOST_LISTED = 3


@dataclass(frozen=True)
class Choice:
    """The model of one benchmark, and how its test error compares.

    Parameters
    ----------
    key : str
        Column of Table 1.
    model : str
        Model of the lowest validation error.
    error : float
        Its mean absolute test error over all repeats in stored units.
    interval : tuple of float or None
        Ends of the 95 % interval of the error; None with too few materials.
    baseline : Difference or None
        Its test error relative to that of the baseline; None without a baseline or with
        too few materials.
    others : dict of str to Difference or None
        Its test error relative to that of every other model; None with too few
        materials.
    n_repeats : int
        Repeats that have the error.
    is_first_alone : bool
        Whether the other repeats of the study lack the error.
    """

    key: str
    model: str
    error: float
    interval: tuple[float, float] | None
    baseline: Difference | None
    others: dict[str, Difference | None]
    n_repeats: int = 1
    is_first_alone: bool = False

    @property
    def quantity(self) -> Quantity:
        """Unit and decimals of the error."""
        return COLUMN[self.key].quantity

    @property
    def title(self) -> str:
        """Title of the model."""
        return appearance(self.model).title

    def format_error(self) -> str:
        """Format the test error with its interval, unit and number of repeats."""
        text = self.quantity.format(self.error)
        if self.interval is not None:
            low, high = map(self.quantity.format, self.interval)
            text += f" ({low} to {high})"
        text += f" {self.quantity.unit}"
        if self.n_repeats > 1:
            return f"{text} over {self.n_repeats} repeats"
        return f"{text} in the first repeat alone" if self.is_first_alone else text

    @property
    def beats_baseline(self) -> bool:
        """Whether its error is shown to be lower than that of the baseline."""
        return self.baseline is not None and self.baseline.is_lower

    @property
    def not_worse(self) -> list[str]:
        """Other models that are not shown to have a larger test error."""
        return [m for m, d in self.others.items() if d is None or not d.is_lower]

    def describe_certainty(self) -> str:
        """Describe how its test error compares with those of the other models."""
        if not self.others:
            return "no other model was scored"
        if not any(self.others.values()):
            return "too few test materials to compare models"
        better = {m: d for m, d in self.others.items() if d is not None and d.is_higher}
        if better:
            best, found = max(better.items(), key=lambda item: item[1].relative)
            size = found.format()
            return f"on the test split {appearance(best).title} is better: {size}"
        if self.not_worse:
            return f"no difference shown from {self._list_not_worse()}"
        known = [found for found in self.others.values() if found is not None]
        nearest = max(known, key=lambda found: found.relative)
        return f"lower than every other model; than the next {nearest.format()}"

    def describe_rank(self) -> str:
        """Describe in few words how it compares with the other models."""
        if not self.others:
            return "No other model was scored."
        if not any(self.others.values()):
            return "Too few test materials to compare models."
        if any(d is not None and d.is_higher for d in self.others.values()):
            return "Another model is better on the test split, see below."
        if self.not_worse:
            count = f"{len(self.not_worse)} of {len(self.others)}"
            return f"No difference shown from {count} other models."
        return "Lower than every other model."

    def _list_not_worse(self) -> str:
        """List the models that no difference is shown from, and the lowest of them."""
        listed = self.not_worse
        text = ", ".join(appearance(model).title for model in listed)
        if len(listed) > MOST_LISTED:
            text = f"{len(listed)} of {len(self.others)} other models"
        higher = {m: d for m in listed if (d := self.others[m]) and d.relative > 0}
        if higher:
            lowest = max(higher, key=lambda model: higher[model].relative)
            text += (
                f"; relative to {appearance(lowest).title}, which is lowest on the "
                f"test split: {higher[lowest].format()}"
            )
        return text


def choose_model(
    evidence: Evidence, key: str, candidates: Iterable[str] | None = None
) -> Choice | None:
    """Choose the model of one benchmark.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    key : str
        Column of Table 1.
    candidates : iterable of str, optional
        Models to choose from; all by default, the untouched source included.

    Returns
    -------
    Choice or None
        The model of the lowest validation error; None where none has errors of both
        splits.
    """
    listed = in_order(evidence.models(key) if candidates is None else candidates)
    model = evidence.choose(key, listed)
    if model is None:
        return None
    others = [m for m in listed if m != model and m in evidence.models(key)]
    return compare_model(evidence, key, model, others=others)


def compare_model(
    evidence: Evidence, key: str, model: str, *, others: Iterable[str] = ()
) -> Choice:
    """Compare the test error of a model with those of the baseline and of others.

    Parameters
    ----------
    evidence : Evidence
        Errors of all models.
    key : str
        Column of Table 1.
    model : str
        A model with test errors of this column.
    others : iterable of str
        Models with test errors to compare it with.

    Returns
    -------
    Choice
        Error, interval and differences.
    """
    comparison = evidence.comparison(key)
    compared = comparison.compare_all(model)
    n_repeats = len(comparison.models[model])
    return Choice(
        key,
        model,
        comparison.average(model),
        comparison.estimate_interval(model),
        evidence.compare_with_baseline(key, model),
        {
            other: Difference.of(compared[other].reverse())
            if other in compared
            else None
            for other in others
        },
        n_repeats,
        is_first_alone=n_repeats == 1 < evidence.n_repeats,
    )
