"""Comparison of the test errors of all models on one benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nextrung.compute.intervals.differences import (
    PairedDifference,
    PairedErrors,
    adjust_holm,
)
from nextrung.compute.intervals.means import find_interval
from nextrung.compute.intervals.resampling import PRECISION, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.compute.intervals.errors import Errors, Repeat

#: Adjusted p-value below which two models are told apart.
SIGNIFICANCE = 0.05

#: Name of the baseline among the models of a comparison: zero, or the atomic
#: references alone.
BASELINE = "baseline"

#: Smallest number of repeated models whose variances are pooled.
MIN_POOLED = 3


class Comparison(NamedTuple):
    """Difference of a model from a reference, among all compared with it.

    Parameters
    ----------
    found : PairedDifference
        Difference, interval and p-value.
    p_adjusted : float
        Its p-value after Holm for all models compared with this reference.
    """

    found: PairedDifference
    p_adjusted: float

    @property
    def is_significant(self) -> bool:
        """Whether the models are told apart."""
        return self.p_adjusted < SIGNIFICANCE

    def reverse(self) -> Comparison:
        """Return the difference of the reference from the model."""
        return self._replace(found=self.found.reverse())


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Errors of all models on one benchmark, paired over materials and repeats.

    Parameters
    ----------
    models : mapping of str to mapping of Repeat to Errors
        Errors of each model in each repeat.

    Notes
    -----
    Two or three repeats leave one or two degrees of freedom for the variance between
    them. As in the moderated t-statistic [1]_, it is averaged with the variance pooled
    over all pairs of models, which enters with one degree of freedom: models are too
    few to estimate how much their variances differ, and more weight would tell a model
    that varies three times as much as the others apart by chance.

    References
    ----------
    .. [1] G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3, 3 (2004),
       doi 10.2202/1544-6115.1027.
    """

    models: Mapping[str, Mapping[Repeat, Errors]]
    _compared: dict[tuple[str, str], PairedDifference | None] = field(
        default_factory=dict, init=False, repr=False
    )

    @classmethod
    def of(cls, models: Mapping[str, Mapping[Repeat, Errors]]) -> Self:
        """Compare models without elemental phases of hulls.

        Parameters
        ----------
        models : mapping of str to mapping of Repeat to Errors
            Errors of each model in each repeat; those of elemental phases, which are
            zero by definition, are left out.
        """
        compounds = {
            model: {
                repeat: found
                for repeat, errors in repeats.items()
                if len(found := errors.drop_elements())
            }
            for model, repeats in models.items()
        }
        return cls({model: repeats for model, repeats in compounds.items() if repeats})

    @cached_property
    def everything(self) -> dict[str, Mapping[Repeat, Errors]]:
        """The models, and the baseline where there is one."""
        baselines: dict[Repeat, Errors] = {}
        for repeats in self.models.values():
            for (_, split), errors in repeats.items():
                found = errors.of_baseline()
                known = baselines.get((None, split))
                if len(found) > (len(known) if known is not None else 0):
                    baselines[None, split] = found
        return {**self.models, **({BASELINE: baselines} if baselines else {})}

    @cached_property
    def pooled(self) -> float | None:
        """Variance of log ratios between repeats, mean over all pairs of models."""
        repeated = [m for m, repeats in self.models.items() if len(repeats) > 1]
        if len(repeated) < MIN_POOLED:
            return None
        variances = [
            variance
            for a, b in combinations(self.everything, 2)
            if (variance := self._pair(a, b).variance) is not None
            and variance > PRECISION
        ]
        return float(np.mean(variances)) if variances else None

    @cached_property
    def _pooled_of_means(self) -> float | None:
        """Relative variance of mean errors between repeats, mean over models."""
        variances = [
            float(np.var(means, ddof=1) / np.mean(means) ** 2)
            for repeats in self.models.values()
            if len(means := _average_repeats(repeats)) > 1 and any(means)
        ]
        return float(np.mean(variances)) if len(variances) >= MIN_POOLED else None

    def compare_alone(self, model: str, reference: str) -> PairedDifference | None:
        """Compare two models, without adjustment for the others.

        Parameters
        ----------
        model, reference : str
            The models, or :data:`BASELINE`.

        Returns
        -------
        PairedDifference or None
            The difference, computed once in whichever order it is asked for first; None
            where a model is missing or they share fewer than five materials.
        """
        if model not in self.everything or reference not in self.everything:
            return None
        if (reference, model) in self._compared:
            found = self._compared[reference, model]
            return found and found.reverse()
        if (model, reference) not in self._compared:
            pairs = self._pair(model, reference)
            self._compared[model, reference] = pairs.compare(self.pooled)
        return self._compared[model, reference]

    def compare(self, model: str, reference: str) -> Comparison | None:
        """Compare a model with a reference, adjusted for all compared with it.

        Parameters
        ----------
        model, reference : str
            The models, or :data:`BASELINE`.

        Returns
        -------
        Comparison or None
            Error of the model relative to that of the reference; None where they share
            fewer than five materials.
        """
        return self.compare_all(reference).get(model)

    def compare_all(self, reference: str) -> dict[str, Comparison]:
        """Compare all other models with a reference.

        Parameters
        ----------
        reference : str
            A model, or :data:`BASELINE`.

        Returns
        -------
        dict of str to Comparison
            Comparisons by model, without those that share fewer than five materials
            with the reference.
        """
        found = {
            model: compared
            for model in self.models
            if model != reference and (compared := self.compare_alone(model, reference))
        }
        tests = list(dict.fromkeys(found.values()))  # equal predictions are one test
        adjusted = dict(
            zip(tests, adjust_holm([each.p_value for each in tests]), strict=True)
        )
        return {
            model: Comparison(each, adjusted[each]) for model, each in found.items()
        }

    def average(self, model: str) -> float:
        """Average the mean errors of all repeats of a model.

        Parameters
        ----------
        model : str
            The model.
        """
        return float(np.mean([errors.mean for errors in self.models[model].values()]))

    def estimate_interval(self, model: str) -> tuple[float, float] | None:
        """Estimate the 95 % interval of the mean error of a model.

        Parameters
        ----------
        model : str
            The model.

        Returns
        -------
        tuple of float or None
            Its ends over materials and, where there are several, over repeats; None
            below five materials.
        """
        repeats = self.models[model]
        errors = list(repeats.values())
        sample = Sample.of(
            np.concatenate([each.values for each in errors]),
            np.concatenate([each.material_ids for each in errors]),
            repeat_ids=np.repeat(_label(list(repeats)), [len(e) for e in errors]),
            weights=np.concatenate([e.weights / e.weights.sum() for e in errors]),
        )
        pooled = self._pooled_of_means
        expected = None if pooled is None else pooled * self.average(model) ** 2
        return find_interval(sample, pooled=expected)

    def _pair(self, model: str, reference: str) -> PairedErrors:
        """Pair the errors of two models."""
        return PairedErrors.of(self.everything[model], self.everything[reference])


def _label(repeats: Sequence[Repeat]) -> list[str]:
    """Label what counts as one repeat: the split where there are several."""
    n_splits = len({split for _, split in repeats})
    return [f"{split}" if n_splits > 1 else f"{seed}" for seed, split in repeats]


def _average_repeats(repeats: Mapping[Repeat, Errors]) -> list[float]:
    """Average the mean errors of what counts as one repeat."""
    labels = np.array(_label(list(repeats)))
    means = np.array([errors.mean for errors in repeats.values()])
    return [float(means[labels == each].mean()) for each in np.unique(labels)]
