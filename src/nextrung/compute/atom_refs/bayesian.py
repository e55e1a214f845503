"""Bayesian linear regression of energies per atom on composition.

The label minus the source's prediction, in eV/atom, of frame j of material i is
``x_i · β + u_i + ε_ij``: a shift β per element, a deviation u of the material, which
its frames share, and noise ε of each frame. β has a prior covariance over the periodic
table; its kind, its amplitude and the scale of the noise are integrated over, weighted
by the marginal likelihood [1]_.

References
----------
.. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning,
   MIT Press (2006), sections 2.7 and 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cholesky
from scipy.special import logsumexp
from scipy.stats import t as student

from nextrung.compute.atom_refs.grid import (
    AMPLITUDES,
    ROUNDING,
    log_evidence,
    solve,
    weigh_means,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.compute.atom_refs.grid import MaterialMeans, Solution

#: Probability that an interval holds the value.
LEVEL = 0.9

#: Variances of a frame over that of a material, of which the likeliest is taken.
FRAME_RATIOS = (0.001, 0.01, 0.1, 0.5, 2.0, 10.0, 100.0)

#: Weight below which a point of the grid is left out of leave-one-out errors.
_NEGLIGIBLE = 1e-6

#: Degrees of freedom below which Student's t has no variance.
_LEAST_FREEDOM = 3


@dataclass(frozen=True, eq=False)
class Posterior:
    """Distribution of the energy of each element.

    Parameters
    ----------
    energies : ndarray of float, shape (n_elements,)
        Mean in eV/atom.
    covariance : ndarray of float, shape (n_elements, n_elements)
        Covariance in (eV/atom)².
    material_noise, frame_noise : float
        Standard deviation of the deviation of a material, and of a frame about its
        material, in eV/atom.
    interval_factor : float
        Half the width of a 90 % interval, in standard deviations of a prediction.
    amplitude : float
        Posterior mean of the standard deviation of an element about the trend over
        that of a material, on a logarithmic scale.
    priors : mapping of str to float
        Posterior probability of each kind of prior covariance.
    left_out : ndarray of float, shape (n_materials,)
        Mean energy of each material minus its prediction from all others in eV/atom.
    left_out_coverage : float
        Fraction of the materials within the 90 % interval of that prediction.
    """

    energies: NDArray[np.float64]
    covariance: NDArray[np.float64]
    material_noise: float
    frame_noise: float
    interval_factor: float
    amplitude: float
    priors: Mapping[str, float]
    left_out: NDArray[np.float64]
    left_out_coverage: float


def infer_energies(
    means: MaterialMeans, covariances: Mapping[str, NDArray[np.float64]]
) -> Posterior:
    """Infer the energy of each element.

    Parameters
    ----------
    means : MaterialMeans
        Mean energies of materials.
    covariances : mapping of str to ndarray of float, shape (n_elements, n_elements)
        Candidate prior covariances, up to a factor.

    Returns
    -------
    Posterior
        Mixture over the candidates, with intervals.

    Notes
    -----
    Given a prior covariance and its amplitude, the posterior is Student's t with as
    many degrees of freedom as there are materials: the scale of all variances is
    integrated with the prior 1/σ². One eigendecomposition per candidate gives the
    posterior at all amplitudes.
    """
    factors = [cholesky(covariance, lower=True) for covariance in covariances.values()]
    ratio = _choose_ratio(means, factors)
    solutions = solve(means, factors, ratio)
    weights = np.exp(_normalize(log_evidence(solutions, len(means.energies))))
    freedom = max(len(means.energies), _LEAST_FREEDOM)
    scale = freedom / (freedom - 2) / len(means.energies)
    variances = weights * scale * np.array([each.squares for each in solutions])
    energies, covariance = _mix(solutions, weights, variances)
    left_out, coverage = _leave_out(means, solutions, weights, ratio=ratio)
    noise = float(variances.sum())
    return Posterior(
        energies=energies,
        covariance=covariance,
        material_noise=float(np.sqrt(noise)),
        frame_noise=means.frame_noise,
        interval_factor=_find_factor(freedom),
        amplitude=float(10 ** (weights.sum(axis=0) @ np.log10(AMPLITUDES))),
        priors=dict(zip(covariances, weights.sum(axis=1).tolist(), strict=True)),
        left_out=left_out,
        left_out_coverage=coverage,
    )


def _choose_ratio(means: MaterialMeans, factors: list[NDArray[np.float64]]) -> float:
    """Choose the likeliest ratio of the variances of a frame and of a material.

    The prior covariance that is likeliest at equal variances is taken for all ratios.
    """
    if not means.scatter:
        return 0.0
    n_frames = means.n_frames.sum()
    n_within = n_frames - len(means.energies)

    def find_evidence(
        factors: list[NDArray[np.float64]], ratio: float
    ) -> NDArray[np.float64]:
        solutions = solve(means, factors, ratio)
        evidence = log_evidence(solutions, n_frames, means.scatter / ratio)
        offset = n_within * np.log(ratio) / 2
        marginal: NDArray[np.float64] = logsumexp(evidence, axis=1) - offset
        return marginal

    likeliest = factors[int(np.argmax(find_evidence(factors, 1.0)))]
    return max(
        FRAME_RATIOS, key=lambda ratio: float(find_evidence([likeliest], ratio)[0])
    )


def _normalize(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the logarithm of the sum of exponentials."""
    normalized: NDArray[np.float64] = logs - logsumexp(logs)
    return normalized


def _mix(
    solutions: list[Solution],
    weights: NDArray[np.float64],
    variances: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the covariance of the mixture over the grid."""
    points = np.concatenate(
        [(each.projections / each.precisions) @ each.basis.T for each in solutions]
    )
    energies = weights.ravel() @ points
    deviations = points - energies
    covariance = deviations.T @ (weights.ravel()[:, None] * deviations)
    for each, variance in zip(solutions, variances, strict=True):
        spread = (variance[:, None] / each.precisions).sum(axis=0)
        covariance += each.basis * spread @ each.basis.T
    return energies, covariance


def _leave_out(
    means: MaterialMeans,
    solutions: list[Solution],
    weights: NDArray[np.float64],
    *,
    ratio: float,
) -> tuple[NDArray[np.float64], float]:
    """Leave out each material: its error, and the coverage of the intervals.

    Removing a row of a linear model changes its residual r to r / (1 − h), with h its
    leverage; the weights of the grid change by the likelihood of the row.
    """
    n_left = len(means.energies) - 1
    root = np.sqrt(weigh_means(means, ratio))
    targets = means.energies * root
    residuals, leverages, squares, logs = [], [], [], []
    evidence = log_evidence(solutions, 0.0)
    for each, weight, log in zip(solutions, weights, evidence, strict=True):
        kept = weight > _NEGLIGIBLE * weights.max()
        rows = (means.fractions * root[:, None]) @ each.basis
        precisions = each.precisions[kept]
        residuals.append(targets - (each.projections / precisions) @ rows.T)
        leverages.append((1 / precisions) @ (rows**2).T)
        squares.append(each.squares[kept])
        logs.append(log[kept])
    residual = np.concatenate(residuals)
    free = np.maximum(1 - np.concatenate(leverages), ROUNDING)
    square = np.concatenate(squares)[:, None]
    left = np.maximum(square - residual**2 / free, ROUNDING * square)
    log = np.concatenate(logs)[:, None] - np.log(free) / 2 - n_left / 2 * np.log(left)
    share = np.exp(log - logsumexp(log, axis=0))
    errors = residual / free
    mean = (share * errors).sum(axis=0)
    freedom = max(n_left, _LEAST_FREEDOM)
    variance = left / max(n_left, 1) / free * freedom / (freedom - 2)
    spread = (share * (variance + (errors - mean) ** 2)).sum(axis=0)
    within = np.abs(mean) <= _find_factor(freedom) * np.sqrt(spread)
    return mean / root, float(within.mean())


def _find_factor(freedom: int) -> float:
    """Find how many standard deviations a 90 % interval of Student's t reaches."""
    scale = np.sqrt((freedom - 2) / freedom)
    return float(student.ppf((1 + LEVEL) / 2, freedom) * scale)
