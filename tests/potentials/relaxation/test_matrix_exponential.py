from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm, expm_frechet

from nextrung.potentials.relaxation.matrix_exponential import (
    differentiate_exponential,
    exponentiate,
)


@pytest.mark.parametrize("scale", [0.0, 1e-8, 0.1, 1.0, 20.0])
def test_exponentials_are_those_of_scipy(scale: float) -> None:
    matrices = scale * np.random.default_rng(0).normal(size=(7, 3, 3))

    expected = expm(matrices)

    tolerance = 1e-12 * np.abs(expected).max()
    np.testing.assert_allclose(exponentiate(matrices), expected, atol=tolerance)


@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0])
def test_derivatives_of_the_exponential_are_those_of_scipy(scale: float) -> None:
    rng = np.random.default_rng(1)
    matrices, directions = (
        scale * rng.normal(size=(4, 3, 3)),
        rng.normal(size=(4, 3, 3)),
    )

    derivatives = differentiate_exponential(matrices, 1e4 * directions)

    for derivative, matrix, direction in zip(
        derivatives, matrices, directions, strict=True
    ):
        expected = expm_frechet(matrix, 1e4 * direction, compute_expm=False)
        np.testing.assert_allclose(derivative, expected, rtol=1e-10, atol=1e-8)


def test_exponentials_do_not_depend_on_each_other() -> None:
    """Bit for bit: small and large, alone or together."""
    matrices = np.random.default_rng(3).normal(size=(5, 3, 3))
    matrices *= np.array([1e-4, 0.1, 1.0, 5.0, 30.0])[:, None, None]

    together = exponentiate(matrices)

    for matrix, exponential in zip(matrices, together, strict=True):
        np.testing.assert_array_equal(exponentiate(matrix[None])[0], exponential)
