"""Choice of a batch of structures to label next, by the expected gain of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError
from nextrung.schemas.improvement import Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Ratio of the variances of labels around the references and of the references.
RIDGE = 0.01
#: Prior standard deviation of a shift of a reference energy in eV/atom.
PRIOR = 1.0


@dataclass(frozen=True, eq=False)
class Pool:
    """Properties of the candidates.

    Parameters
    ----------
    counts : ndarray of float, shape (n, 94)
        Atoms of each element; column ``z - 1`` holds atomic number ``z``.
    disagreement : ndarray of float, shape (n,)
        Standard deviation of the energies of a committee in eV/atom; 0 without one.
    force_disagreement : ndarray of float, shape (n,)
        Largest standard deviation of the force on an atom in eV/Å; NaN where unknown.
    features : ndarray of float, shape (n, d)
        Coordinates in which similar structures are near each other.
    """

    counts: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    force_disagreement: NDArray[np.float64]
    features: NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """A chosen candidate, and its numbers when it was chosen.

    Parameters
    ----------
    index : int
        Index in the pool.
    leverage : float
        Leverage of its composition given those labelled and chosen before it.
    disagreement : float
        Standard deviation of the energies of a committee in eV/atom.
    distance : float
        Distance to the nearest structure labelled or chosen before it, in the
        coordinates of the features; infinite for the first of all.
    expected_gain : float
        Expected standard deviation of its label in eV/atom, NaN for a random choice.
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
        How to choose.
    rng : numpy.random.Generator
        Random numbers of the strategy ``random``.

    Returns
    -------
    list of Choice
        Candidates in order of choice.

    Raises
    ------
    InputError
        If the shapes of the arrays do not agree, or no candidate is requested.
    """
    if n < 1:
        raise InputError(f"expected 1 or more candidates to choose, got {n}")
    n_atoms = pool.counts.sum(axis=1, keepdims=True)
    fractions = pool.counts / n_atoms
    known = labelled_counts / labelled_counts.sum(axis=1, keepdims=True)
    precision = known.T @ known + RIDGE * np.eye(fractions.shape[1])
    distance = _distances(pool.features, labelled_features).min(axis=1, initial=np.inf)
    order = rng.permutation(len(fractions))
    chosen: list[Choice] = []
    left = np.ones(len(fractions), dtype=bool)
    for rank in range(min(n, len(fractions))):
        covariance = np.linalg.inv(precision)
        leverage = np.einsum("ij,jk,ik->i", fractions, covariance, fractions)
        variance = RIDGE * PRIOR**2 * leverage + pool.disagreement**2
        gain = np.sqrt(np.where(left, variance, -np.inf), where=left, out=-1.0 * left)
        index = int(order[rank] if strategy is Strategy.RANDOM else gain.argmax())
        chosen.append(
            Choice(
                index,
                float(leverage[index]),
                float(pool.disagreement[index]),
                float(distance[index]),
                float("nan") if strategy is Strategy.RANDOM else float(gain[index]),
            )
        )
        left[index] = False
        precision += np.outer(fractions[index], fractions[index])
        near = _distances(pool.features, pool.features[[index]])[:, 0]
        distance = np.minimum(distance, near)
    return chosen


def _distances(
    left: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute Euclidean distances between all rows of two arrays."""
    squares = ((left[:, None] - right[None]) ** 2).sum(axis=2)
    return np.asarray(np.sqrt(squares), dtype=np.float64)
