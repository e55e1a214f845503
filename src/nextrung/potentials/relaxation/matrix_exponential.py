"""Exponentials of batches of small matrices, and their derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Terms of the Taylor series, and the norm below which they are exact in float64.
SERIES_TERMS: Final = 12
SERIES_NORM: Final = 0.25


def exponentiate(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the exponentials of matrices.

    Parameters
    ----------
    matrices : ndarray of float, shape (n, size, size)
        Finite matrices.

    Returns
    -------
    ndarray of float, shape (n, size, size)
        Their exponentials, by scaling and squaring of a Taylor series; the bits of one
        do not depend on the other matrices.
    """
    norms = np.abs(matrices).sum(axis=2).max(axis=1, initial=SERIES_NORM)
    n_squarings = np.ceil(np.log2(norms / SERIES_NORM)).astype(np.int64)
    scaled = matrices / np.exp2(n_squarings)[:, None, None]
    identity = np.eye(matrices.shape[-1])
    powers: NDArray[np.float64] = identity + scaled / SERIES_TERMS
    for term in range(SERIES_TERMS - 1, 0, -1):
        powers = identity + scaled @ powers / term
    for squaring in range(int(n_squarings.max(initial=0))):
        unfinished = n_squarings > squaring
        powers[unfinished] = powers[unfinished] @ powers[unfinished]
    return powers


def differentiate_exponential(
    matrices: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute directional derivatives of the matrix exponential.

    Parameters
    ----------
    matrices : ndarray of float, shape (n, size, size)
        Matrices at which to differentiate.
    directions : ndarray of float, shape (n, size, size)
        Directions.

    Returns
    -------
    ndarray of float, shape (n, size, size)
        The Fréchet derivatives. At the transposed matrix the derivative is the adjoint
        operator, which maps a gradient by the exponential to one by the matrix.

    Notes
    -----
    The upper right block of the exponential of ``[[A, E], [0, A]]``.
    """
    size = matrices.shape[-1]
    blocks = np.zeros((len(matrices), 2 * size, 2 * size))
    blocks[:, :size, :size] = matrices
    blocks[:, size:, size:] = matrices
    norms = np.abs(directions).sum(axis=2).max(axis=1, initial=1.0)[:, None, None]
    blocks[:, :size, size:] = directions / norms
    derivatives: NDArray[np.float64] = norms * exponentiate(blocks)[:, :size, size:]
    return derivatives
