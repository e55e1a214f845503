"""Prior covariances of a shift per element, from positions in the periodic table.

The shift between two functionals is alike for similar elements in one of two ways.
Total energies of functionals that treat core electrons differently, such as PBE and
r²SCAN with the same PAW potentials, differ by a smooth function of the atomic number,
by 50 eV/atom at bismuth. Corrections and Hubbard terms differ by group and period.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Standard deviation of the mean per atom, and of its slope and curvature over the
#: atomic number, in units of the deviation of one element from that trend.
TREND_SCALE = 10.0

#: Atomic number in units of which the trend is written, so that its terms are of order
#: one for 3d metals.
TREND_NUMBER = 30.0

#: Fractions of the variance about the trend that elements do not share.
OWN_FRACTIONS = (0.02, 0.3)

#: Distances over which deviations from the trend are alike: atomic numbers.
NUMBER_LENGTH = 8.0

#: The same for groups and periods: (groups, periods).
TABLE_LENGTHS = ((2.0, 1.0), (5.0, 2.0))


def list_covariances(symbols: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """List the candidate prior covariances of energies per element.

    Parameters
    ----------
    symbols : sequence of str
        Elements.

    Returns
    -------
    dict of str to ndarray of float, shape (n_elements, n_elements)
        Covariance by name of the prior, in units of the variance of an element about
        the trend.

    Notes
    -----
    Each is the sum of a trend over the atomic number and of deviations from it, which
    similar elements share in part. Deviations have the same size for all elements, or
    grow with the atomic number, as the energies of core electrons do.
    """
    elements = [Element(symbol) for symbol in symbols]
    numbers = np.array([element.Z for element in elements], dtype=float)
    constant, quadratic = (_covary_trend(numbers, degree=degree) for degree in (0, 2))
    growth = np.outer(numbers, numbers) / TREND_NUMBER**2
    covariances = {}
    for name, correlation in _list_correlations(elements).items():
        covariances[f"constant; {name}"] = constant + correlation
        covariances[f"quadratic; {name}"] = quadratic + correlation
        covariances[f"quadratic, growing; {name}"] = quadratic + growth * correlation
    return covariances


def _list_correlations(elements: Sequence[Element]) -> dict[str, NDArray[np.float64]]:
    """List the candidate correlations of deviations from the trend."""
    numbers, groups, periods = np.array(
        [[element.Z, element.group, element.row] for element in elements], dtype=float
    ).T
    shared = {
        f"atomic number within {NUMBER_LENGTH:g}": _correlate(numbers, NUMBER_LENGTH)
    }
    for columns, rows in TABLE_LENGTHS:
        alike = _correlate(groups, columns) * _correlate(periods, rows)
        shared[f"group within {columns:g}, period within {rows:g}"] = alike
    own = np.eye(len(numbers))
    return {
        f"{name}, {fraction:.0%} of each element alone": (1 - fraction) * correlation
        + fraction * own
        for (name, correlation), fraction in product(shared.items(), OWN_FRACTIONS)
    } | {"elements independent": own}


def _covary_trend(numbers: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    """Return the covariance of a polynomial of the atomic number."""
    terms = np.vander(numbers / TREND_NUMBER, degree + 1)
    covariance: NDArray[np.float64] = TREND_SCALE**2 * terms @ terms.T
    return covariance


def _correlate(positions: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Return correlations that fall off as a Gaussian of the distance."""
    distances = (positions[:, None] - positions[None, :]) / length
    correlations: NDArray[np.float64] = np.exp(-(distances**2) / 2)
    return correlations
