"""Formation energies from the elemental phases of a data set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Composition


def find_references(
    compositions: Sequence[Composition], energies: NDArray[np.float64]
) -> dict[str, float]:
    """Find the lowest energy of every element that has a pure phase.

    Parameters
    ----------
    compositions : sequence of Composition
        Composition of each material.
    energies : ndarray of float, shape (n_materials,)
        Energies in eV/atom with one functional; NaN where missing.

    Returns
    -------
    dict of str to float
        Energy in eV/atom, by symbol; elements without a pure phase are absent.
    """
    references: dict[str, float] = {}
    for composition, energy in zip(compositions, energies.tolist(), strict=True):
        if composition.is_element and math.isfinite(energy):
            symbol = composition.elements[0].symbol
            references[symbol] = min(energy, references.get(symbol, math.inf))
    return dict(sorted(references.items()))


def formation_energies(
    compositions: Sequence[Composition],
    energies: NDArray[np.float64],
    references: Mapping[str, float],
) -> NDArray[np.float64]:
    """Compute formation energies from elemental references.

    Parameters
    ----------
    compositions : sequence of Composition
        Composition of each material.
    energies : ndarray of float, shape (n_materials,)
        Energies in eV/atom with one functional; NaN where missing.
    references : mapping of str to float
        Energies of the elements in eV/atom with the same functional, by symbol.

    Returns
    -------
    ndarray of float, shape (n_materials,)
        Formation energies in eV/atom; NaN where an element has no reference.
    """
    formed = []
    for composition, energy in zip(compositions, energies.tolist(), strict=True):
        fractions = composition.fractional_composition.as_dict()
        elements = [
            fraction * references.get(symbol, math.nan)
            for symbol, fraction in fractions.items()
        ]
        formed.append(energy - sum(elements))
    return np.array(formed, dtype=np.float64)
