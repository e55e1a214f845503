"""Choice of the structures to label next, by how much their labels are worth.

The energy that a model lacks is taken as a sum of two independent parts: a shift of the
atomic references, linear in the composition, and a deviation of the network, whose size
is the disagreement of a committee of trainings [1]_ and which is alike for structures
that are near each other. Both are normal, so that the variance that remains after a
label is known before its value is. Candidates are chosen one by one by the largest drop
in the mean variance over the pool, rather than by their own variance, which prefers
compositions that are like no other [2]_ [3]_; each choice counts as labelled for the
next, so that a batch does not ask twice for the same thing [4]_.

References
----------
.. [1] H. S. Seung, M. Opper, H. Sompolinsky, Proc. COLT 287 (1992),
   doi 10.1145/130385.130417; for potentials: E. V. Podryabinkin, A. V. Shapeev,
   Comput. Mater. Sci. 140, 171 (2017), doi 10.1016/j.commatsci.2017.08.031.
.. [2] V. V. Fedorov, Theory of Optimal Experiments, Academic Press (1972): designs of
   least mean variance of the predictions, and of least determinant.
.. [3] D. A. Cohn, Z. Ghahramani, M. I. Jordan, J. Artif. Intell. Res. 4, 129 (1996),
   doi 10.1613/jair.295.
.. [4] A. Kirsch, J. van Amersfoort, Y. Gal, BatchBALD, NeurIPS 32 (2019),
   arXiv:1906.08158.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from nextrung.schemas.base import InputError
from nextrung.schemas.improvement import Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Prior standard deviation of a shift of a reference in eV/atom. References of two
#: functionals, or of two codes, differ by several eV.
PRIOR = 5.0
#: Standard deviation in eV/atom of energies about fitted references.
SCATTER = 0.05
#: Distance of features over which deviations of the network are alike: compositions
#: that share most of their atoms.
LENGTH = 0.25
#: Distance of features up to which structures count as the same.
SAME = 1e-6
#: Structures at most over which the variance of the network is averaged.
MOST_SAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Pool:
    """Properties of the candidates.

    Parameters
    ----------
    counts : ndarray of float, shape (n, 94)
        Atoms of each element; column ``z - 1`` holds atomic number ``z``.
    disagreement : ndarray of float, shape (n,)
        Standard deviation of the energies of a committee in eV/atom; 0 without one.
    features : ndarray of float, shape (n, d)
        Coordinates in which similar structures are near each other and compositions
        differ, such as atomic fractions and the volume in nm³/atom.
    """

    counts: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    features: NDArray[np.float64]

    def __len__(self) -> int:
        """Count the candidates."""
        return len(self.counts)


@dataclass(frozen=True)
class Choice:
    """A chosen candidate, with its numbers at the time of the choice.

    Parameters
    ----------
    index : int
        Index in the pool.
    leverage : float
        Leverage of its composition in a fit of the references to what was labelled or
        chosen before: about 1 or less for known elements, large for a new one.
    disagreement : float
        Standard deviation of the energies of the committee in eV/atom.
    distance : float
        Distance of its features from the nearest structure labelled or chosen before;
        infinite without any.
    expected_gain : float
        Expected drop of the root-mean-square error of the pool in eV/atom by its label.
    """

    index: int
    leverage: float
    disagreement: float
    distance: float
    expected_gain: float


def select_candidates(
    pool: Pool,
    labelled_counts: NDArray[np.float64],
    labelled_features: NDArray[np.float64],
    *,
    n: int,
    strategy: Strategy,
    rng: np.random.Generator,
) -> list[Choice]:
    """Choose candidates one by one, each given those labelled and chosen before it.

    Parameters
    ----------
    pool : Pool
        Candidates.
    labelled_counts : ndarray of float, shape (n_labelled, 94)
        Atoms of each element of the structures labelled so far.
    labelled_features : ndarray of float, shape (n_labelled, d)
        Their features.
    n : int
        Number of candidates to choose; all of a smaller pool.
    strategy : Strategy
        ``expected_gain`` chooses the largest gain, of equal structures the first;
        ``random`` chooses uniformly.
    rng : numpy.random.Generator
        Random numbers of the strategy ``random``.

    Returns
    -------
    list of Choice
        Candidates in order of choice.

    Raises
    ------
    InputError
        If the shapes of the arrays do not agree, a number is not finite, or no
        candidate is requested.

    Notes
    -----
    With atomic fractions x, labelled ones X, and λ = (scatter / prior)², the leverage
    is h = xᵀ(XᵀX + λ)⁻¹x and the variance of the reference energy scatter² h. A label
    with the features of a labelled structure says nothing new of the references: it
    repeats its deviation from them.
    """
    if n < 1:
        raise InputError(f"expected 1 or more candidates to choose, got {n}")
    _validate(pool, labelled_counts, labelled_features)
    if not len(pool):
        return []
    # In an order of the structures themselves, results do not depend on that of the
    # pool, rounding included; equal structures stay in the order of the pool.
    rows = np.column_stack([pool.counts, pool.features, pool.disagreement])
    order = np.lexsort(rows.T)
    sorted_pool = Pool(
        pool.counts[order], pool.disagreement[order], pool.features[order]
    )
    state = _State(sorted_pool, labelled_counts, labelled_features)
    place = np.argsort(order)
    drawn = place[rng.permutation(len(pool))]
    choices: list[Choice] = []
    for rank in range(min(n, len(pool))):
        gains = state.estimate_gains()
        random = strategy is Strategy.RANDOM
        chosen = int(drawn[rank] if random else gains.argmax())
        choices.append(
            Choice(
                index=int(order[chosen]),
                leverage=float(state.leverages[chosen]),
                disagreement=float(sorted_pool.disagreement[chosen]),
                distance=float(state.distances[chosen]),
                expected_gain=float(gains[chosen]),
            )
        )
        state.add(chosen)
    return choices


class _State:
    """What is known of a pool after some labels.

    ``inverse`` (n_elements, n_elements) is the covariance of the references in units of
    the squared scatter, ``covariance`` (n, n_samples) that of the network in (eV/atom)²
    between candidates and a sample of them.
    """

    def __init__(
        self,
        pool: Pool,
        labelled_counts: NDArray[np.float64],
        labelled_features: NDArray[np.float64],
    ) -> None:
        elements = (pool.counts > 0).any(axis=0) | (labelled_counts > 0).any(axis=0)
        self.features = pool.features
        self.fractions = _fractions(pool.counts[:, elements])
        known = _fractions(labelled_counts[:, elements])
        precision = known.T @ known + (SCATTER / PRIOR) ** 2 * np.eye(known.shape[1])
        self.inverse = np.linalg.inv(precision)
        self.moments = self.fractions.T @ self.fractions / len(pool)
        self.left = np.ones(len(pool), dtype=bool)
        self.distances = _nearest(pool.features, labelled_features)
        n_samples = min(len(pool), MOST_SAMPLES)
        self.sample = np.linspace(0, len(pool) - 1, n_samples).round().astype(int)
        self.variances = pool.disagreement**2
        self.covariance = self._compare(self.sample) * np.outer(
            pool.disagreement, pool.disagreement[self.sample]
        )
        self.chosen: list[NDArray[np.float64]] = []
        self.disagreement = pool.disagreement

    @property
    def leverages(self) -> NDArray[np.float64]:
        """Leverage of each candidate, shape (n,)."""
        return _row_products(self.fractions @ self.inverse, self.fractions)

    def estimate_gains(self) -> NDArray[np.float64]:
        """Estimate the gain of each candidate in eV/atom; -inf of chosen ones."""
        leverages = self.leverages
        products = self.fractions @ self.inverse
        shared = _row_products(products @ self.moments, products)
        shared[self.distances <= SAME] = 0
        total = SCATTER**2 * (1 + leverages) + self.variances
        drop = SCATTER**4 * shared / total
        drop += (self.covariance**2).mean(axis=1) / total
        now = SCATTER**2 * leverages.mean() + self.variances.mean()
        gains = np.sqrt(now) - np.sqrt(np.maximum(now - drop, 0))
        return np.where(self.left, gains, -np.inf)

    def add(self, index: int) -> None:
        """Count a candidate as labelled."""
        fractions = self.fractions[index]
        leverage = self.leverages[index]
        variance = self.variances[index]
        product = self.inverse @ fractions
        if self.distances[index] > SAME:
            noise = 1 + variance / SCATTER**2
            self.inverse -= np.outer(product, product) / (noise + leverage)
        self._condition(index, SCATTER**2 * (1 + leverage) + variance)
        near = _nearest(self.features, self.features[[index]])
        self.distances = np.minimum(self.distances, near)
        self.left[index] = False

    def _condition(self, index: int, total: float) -> None:
        """Condition the network on the label of a candidate of a total variance."""
        column = self._compare(np.array([index]))[:, 0]
        column *= self.disagreement * self.disagreement[index]
        for previous in self.chosen:
            column -= previous * previous[index]
        column /= np.sqrt(total)
        self.chosen.append(column)
        self.variances = np.maximum(self.variances - column**2, 0)
        self.covariance -= np.outer(column, column[self.sample])

    def _compare(self, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute correlations of deviations with other candidates, shape (n, m)."""
        others_features = self.features[others]
        squares = (self.features**2).sum(axis=1)[:, None] + (others_features**2).sum(1)
        squares = np.maximum(squares - 2 * self.features @ others_features.T, 0)
        return np.asarray(np.exp(-squares / (2 * LENGTH**2)), dtype=np.float64)


def _fractions(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute atomic fractions from counts."""
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float64)


def _row_products(
    left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the scalar product of each row with that of another array."""
    return np.asarray((left * right).sum(axis=1), dtype=np.float64)


def _nearest(
    features: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the distance of each row from the nearest of others, if there is any."""
    if not len(others):
        return np.full(len(features), np.inf)
    distances, _ = cKDTree(others).query(features)
    return np.asarray(distances, dtype=np.float64)


def _validate(
    pool: Pool,
    labelled_counts: NDArray[np.float64],
    labelled_features: NDArray[np.float64],
) -> None:
    """Validate the shapes and values of candidates and labelled structures."""
    tables = (pool.counts, pool.features, labelled_counts, labelled_features)
    if (
        len(pool.features) != len(pool)
        or pool.disagreement.shape != (len(pool),)
        or len(labelled_features) != len(labelled_counts)
        or pool.counts.shape[1:] != labelled_counts.shape[1:]
        or pool.features.shape[1:] != labelled_features.shape[1:]
    ):
        shapes = ", ".join(str(table.shape) for table in tables)
        raise InputError(
            "candidates and labelled structures: expected counts and features of equal "
            f"lengths and widths, and one disagreement each, got {shapes} and "
            f"{pool.disagreement.shape}"
        )
    if not all(np.isfinite(table).all() for table in (*tables, pool.disagreement)):
        raise InputError("candidates and labelled structures: expected finite numbers")
