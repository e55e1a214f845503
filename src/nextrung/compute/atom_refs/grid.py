"""Posteriors of a Bayesian regression for each prior covariance and amplitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Standard deviation of an element about the trend, over that of a material.
AMPLITUDES = 10 ** np.arange(-1.5, 6.01, 0.25)

#: Amplitude of the largest prior density, which falls off as x and 1/x: without a
#: prior the likelihood of as many elements as materials does not bound it.
COMMON_AMPLITUDE = 10.0

#: Smallest quadratic form over that of the data, above the rounding errors.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class MaterialMeans:
    """Mean energies of materials, and the scatter of frames about them.

    Parameters
    ----------
    fractions : ndarray of float, shape (n_materials, n_elements)
        Atomic fractions.
    energies : ndarray of float, shape (n_materials,)
        Mean energy in eV/atom.
    n_frames : ndarray of float, shape (n_materials,)
        Frames of each.
    scatter : float
        Sum of squared deviations of frames from the means in (eV/atom)².
    """

    fractions: NDArray[np.float64]
    energies: NDArray[np.float64]
    n_frames: NDArray[np.float64]
    scatter: float

    @property
    def frame_noise(self) -> float:
        """Standard deviation of frames about their means in eV/atom, 0 if unknown."""
        n_within = self.n_frames.sum() - len(self.energies)
        return float(np.sqrt(self.scatter / n_within)) if n_within else 0.0


@dataclass(frozen=True, eq=False)
class Solution:
    """Posterior for one prior covariance at each amplitude, noise scaled to one.

    Parameters
    ----------
    basis : ndarray of float, shape (n_elements, n_elements)
        Columns in which the posterior is uncorrelated.
    projections : ndarray of float, shape (n_elements,)
        Energies in this basis times their precisions.
    precisions : ndarray of float, shape (n_amplitudes, n_elements)
        One over the posterior variances in this basis.
    squares : ndarray of float, shape (n_amplitudes,)
        Quadratic form of the data in (eV/atom)².
    log_determinants : ndarray of float, shape (n_amplitudes,)
        Logarithm of the determinant of the covariance of the data.
    """

    basis: NDArray[np.float64]
    projections: NDArray[np.float64]
    precisions: NDArray[np.float64]
    squares: NDArray[np.float64]
    log_determinants: NDArray[np.float64]


def average_frames(
    fractions: NDArray[np.float64],
    energies: NDArray[np.float64],
    materials: NDArray[np.str_],
) -> MaterialMeans:
    """Average the energies of the frames of each material and composition.

    Parameters
    ----------
    fractions : ndarray of float, shape (n_frames, n_elements)
        Atomic fractions.
    energies : ndarray of float, shape (n_frames,)
        Energies in eV/atom.
    materials : ndarray of str, shape (n_frames,)
        Material of each frame.

    Returns
    -------
    MaterialMeans
        Materials in the order of their names.
    """
    _, labels = np.unique(materials, return_inverse=True)
    keys = np.column_stack([labels, fractions.round(9)])
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    index = index.ravel()
    n_frames = np.bincount(index).astype(float)
    means = np.bincount(index, energies) / n_frames
    scatter = float(np.sum((energies - means[index]) ** 2))
    return MaterialMeans(fractions[first], means, n_frames, scatter)


def weigh_means(means: MaterialMeans, ratio: float) -> NDArray[np.float64]:
    """Return the weight of each mean, one over its variance.

    Parameters
    ----------
    means : MaterialMeans
        Mean energies of materials.
    ratio : float
        Variance of a frame over that of a material.

    Returns
    -------
    ndarray of float, shape (n_materials,)
        Weights, one for the mean of many frames.
    """
    weights: NDArray[np.float64] = means.n_frames / (means.n_frames + ratio)
    return weights


def solve(
    means: MaterialMeans, factors: Sequence[NDArray[np.float64]], ratio: float
) -> list[Solution]:
    """Solve for every prior covariance and amplitude.

    Parameters
    ----------
    means : MaterialMeans
        Mean energies of materials.
    factors : sequence of ndarray of float, shape (n_elements, n_elements)
        Lower Cholesky factor of each prior covariance.
    ratio : float
        Variance of a frame over that of a material.

    Returns
    -------
    list of Solution
        One per prior covariance.

    Notes
    -----
    The quadratic form is the residual of least squares and what shrinkage adds, both
    positive: as a difference from the total it would be lost to rounding where there
    are fewer materials than elements.
    """
    weights = weigh_means(means, ratio)
    weighted = means.fractions * weights[:, None]
    moments, products = weighted.T @ means.fractions, weighted.T @ means.energies
    total = max(float(weights @ means.energies**2), np.finfo(float).tiny)
    root = np.sqrt(weights)
    offset = -np.log(weights).sum()
    solutions = []
    for factor in factors:
        values, vectors = eigh(factor.T @ moments @ factor)
        values = np.maximum(values, 0)
        basis = factor @ vectors
        projections = products @ basis
        precisions = values + 1 / AMPLITUDES[:, None] ** 2
        found = values > values.max() * len(values) * np.finfo(float).eps
        fitted = basis[:, found] @ (projections[found] / values[found])
        unexplained = np.sum((root * (means.energies - means.fractions @ fitted)) ** 2)
        shrunk = projections[found] ** 2 / values[found]
        shrunk = shrunk / (1 + values[found] * AMPLITUDES[:, None] ** 2)
        log_determinants = np.log1p(values * AMPLITUDES[:, None] ** 2).sum(axis=1)
        solutions.append(
            Solution(
                basis=basis,
                projections=projections,
                precisions=precisions,
                squares=np.maximum(unexplained + shrunk.sum(axis=1), ROUNDING * total),
                log_determinants=log_determinants + offset,
            )
        )
    return solutions


def log_evidence(
    solutions: Sequence[Solution], freedom: float, scatter: float = 0.0
) -> NDArray[np.float64]:
    """Return log marginal likelihoods with the prior of the amplitude.

    Parameters
    ----------
    solutions : sequence of Solution
        Posteriors.
    freedom : float
        Number of data.
    scatter : float
        Quadratic form in (eV/atom)² of data that no energy of an element changes.

    Returns
    -------
    ndarray of float, shape (n_covariances, n_amplitudes)
        Logarithms, up to a constant.
    """
    relative = AMPLITUDES / COMMON_AMPLITUDE
    prior = -np.log(relative + 1 / relative)
    return np.array(
        [
            prior
            - each.log_determinants / 2
            - freedom / 2 * np.log(each.squares + scatter)
            for each in solutions
        ]
    )
