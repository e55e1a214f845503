"""Paired differences of the errors of two models, and their p-values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nextrung.compute.intervals.errors import match_repeats
from nextrung.compute.intervals.resampling import PRECISION, Sample, resample_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.compute.intervals.errors import Errors, Repeat

#: Number of resamples: p-values down to 0.001 before they are adjusted.
N_RESAMPLES = 4000

#: Decimals of logarithms of ratios; smaller differences are rounding.
DECIMALS = 12

#: Largest logarithm of a ratio: its exponential is finite.
_LARGEST = 700.0

#: A mean error below this share of the other counts as this share: its logarithm is
#: finite.
SMALLEST_RATIO = 1e-9


class PairedDifference(NamedTuple):
    """Mean errors of two models over the same materials and repeats.

    Parameters
    ----------
    difference : float
        Mean error of the first minus that of the second, over all repeats.
    reference : float
        Mean error of the second over all repeats.
    ratio : float
        First over second mean error: geometric mean over repeats.
    low, high : float
        Ends of the 95 % interval of the ratio.
    p_value : float
        Two-sided p-value of no difference, a ratio of 1.
    n_materials, n_repeats : int
        Materials and repeats compared.
    """

    difference: float
    reference: float
    ratio: float
    low: float
    high: float
    p_value: float
    n_materials: int
    n_repeats: int

    def reverse(self) -> PairedDifference:
        """Return the same difference with the models swapped."""
        return self._replace(
            difference=-self.difference,
            reference=self.reference + self.difference,
            ratio=1 / self.ratio,
            low=1 / self.high,
            high=1 / self.low,
        )


@dataclass(frozen=True, eq=False)
class PairedErrors:
    """Errors of two models on the rows and in the repeats that both have.

    Parameters
    ----------
    pairs : sequence of tuple of Errors
        Errors of both models on the same rows, of each repeat; not empty.
    labels : sequence of str
        What counts as one repeat: the split where splits are repeated, since the
        trainings on one split share their data, and the seed of the training elsewhere.
    """

    pairs: Sequence[tuple[Errors, Errors]]
    labels: Sequence[str]

    @classmethod
    def of(
        cls, model: Mapping[Repeat, Errors], reference: Mapping[Repeat, Errors]
    ) -> Self:
        """Pair the errors of two models.

        Parameters
        ----------
        model, reference : mapping of Repeat to Errors
            Errors of the first and of the second model in each repeat.
        """
        repeats = match_repeats(model, reference)
        n_splits = len({split for (_, split), _ in repeats})
        found = {
            (a, b): pair
            for a, b in repeats
            if len((pair := _pair(model[a], reference[b]))[0])
        }
        labels = [f"{a[1]}" if n_splits > 1 else f"{a[0]} {b[0]}" for a, b in found]
        return cls(list(found.values()), labels)

    @cached_property
    def log_ratios(self) -> NDArray[np.float64]:
        """Logarithm of first over second mean error in each pair, shape (n_pairs,)."""
        means = np.array([(a.mean, b.mean) for a, b in self.pairs]).reshape(-1, 2)
        floors = np.maximum(means, SMALLEST_RATIO * means.max(axis=1, keepdims=True))
        floors[floors.max(axis=1) == 0] = 1.0
        ratios: NDArray[np.float64] = np.log(floors[:, 0]) - np.log(floors[:, 1])
        return ratios

    @property
    def variance(self) -> float | None:
        """Variance of the log ratios between repeats; None with fewer than two."""
        labels = np.array(self.labels, dtype=str)
        means = [self.log_ratios[labels == each].mean() for each in np.unique(labels)]
        return float(np.var(means, ddof=1)) if len(means) > 1 else None

    def compare(self, pooled: float | None = None) -> PairedDifference | None:
        """Compare the errors of both models.

        Parameters
        ----------
        pooled : float, optional
            Variance between repeats of the log ratios of all pairs of models, which
            counts as one degree of freedom; None to estimate that of this pair alone.

        Returns
        -------
        PairedDifference or None
            Difference, ratio, interval and p-value; None below five materials. The
            interval holds 1 exactly where the p-value is 0.05 or more.

        Notes
        -----
        To first order, the influence of a material on the logarithm of the ratio is its
        error over the mean error of its model, minus the same of the other model. Where
        a few materials make up much of both means, an interval from it covers 88
        instead of 95 %: influences are scaled to the variance of the jackknife [1]_,
        which leaves out one material at a time, and resampled. Each repeat counts
        alike. With one repeat, the interval says nothing of other seeds and splits.

        References
        ----------
        .. [1] B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap,
           Chapman & Hall (1993), section 11.5.
        """
        if not self.pairs:
            return None
        values, materials = [], []
        for pair, log_ratio in zip(self.pairs, self.log_ratios, strict=True):
            names, influences = _leave_one_out(*pair)
            materials.append(names)
            values.append(log_ratio + influences)
        n_materials = np.array([len(names) for names in materials])
        sample = Sample.of(
            np.concatenate(values).round(DECIMALS),
            np.concatenate(materials),
            repeat_ids=np.repeat(self.labels, n_materials),
            weights=np.repeat(1 / n_materials, n_materials),
        )
        found = resample_mean(sample, n_resamples=N_RESAMPLES, seed=0, pooled=pooled)
        if found is None:
            return None
        low, high = np.exp(np.clip(found.interval, -_LARGEST, _LARGEST)).tolist()
        return PairedDifference(
            difference=float(np.mean([a.mean - b.mean for a, b in self.pairs])),
            reference=float(np.mean([b.mean for _, b in self.pairs])),
            ratio=float(np.exp(found.mean)),
            low=low,
            high=high,
            p_value=found.p_value,
            n_materials=sample.n_materials,
            n_repeats=len(self.pairs),
        )


def _leave_one_out(
    model: Errors, reference: Errors
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Compute the influence of each material on the log ratio of two mean errors."""
    names, numbers = np.unique(model.material_ids, return_inverse=True)
    shares = []
    for errors in (model, reference):
        sums = np.bincount(numbers, errors.values * errors.weights)
        shares.append(sums / (sums.sum() or 1.0))
    influences = len(names) * (shares[0] - shares[1])
    left = [np.log(np.maximum(1 - share, SMALLEST_RATIO)) for share in shares]
    changes = (len(names) - 1) * (left[0] - left[1])
    spread = float(influences.std())
    if spread > PRECISION:
        influences *= float(changes.std()) / spread
    return names, influences


def _pair(model: Errors, reference: Errors) -> tuple[Errors, Errors]:
    """Select the rows for which both models have an error."""
    if np.array_equal(model.names, reference.names):
        return model, reference
    _, of_model, of_reference = np.intersect1d(
        model.names, reference.names, assume_unique=True, return_indices=True
    )
    return model.take(of_model), reference.take(of_reference)


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons, after Holm.

    Parameters
    ----------
    p_values : sequence of float
        Probabilities of one family of comparisons.

    Returns
    -------
    list of float
        Adjusted p-values in the order given; those below 0.05 are significant with a
        probability of at most 5 % that any of them is by chance.
    """
    n_tests = len(p_values)
    order = sorted(range(n_tests), key=lambda test: p_values[test])
    adjusted = [1.0] * n_tests
    largest = 0.0
    for rank, test in enumerate(order):
        largest = max(largest, min(1.0, (n_tests - rank) * p_values[test]))
        adjusted[test] = largest
    return adjusted
