"""Decomposition energy of every entry of a table.

The decomposition energy is the energy of an entry less that of the cheapest mixture of
its competitors [1]_. By default entries of the same composition do not compete, so that
it is negative for every polymorph below the mixture of other phases.

References
----------
.. [1] C. J. Bartel et al., npj Comput. Mater. 6, 97 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.stability.hulls import build_hulls
from nextrung.schemas.stability import Competitors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.stability.entries import EntryTable
    from nextrung.compute.stability.hulls import Hulls

#: Shares of the atoms below this are not listed among the products.
SMALLEST_SHARE = 1e-9
#: Digits of shares that tell a larger one from a smaller one.
SHARE_DIGITS = 9


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Where every entry stands among its competitors, NaN where that is unknown.

    Parameters
    ----------
    energies : ndarray of float, shape (n_entries,)
        Decomposition energy in eV/atom.
    energies_above_hull : ndarray of float, shape (n_entries,)
        Energy above the hull of all entries in eV/atom.
    formation_energies : ndarray of float, shape (n_entries,)
        Energy above the lowest elemental entries in eV/atom.
    references : ndarray of float, shape (n_symbols,)
        Lowest energy of each element in eV/atom.
    products : ndarray of int, shape (n_entries, n_products)
        Entries each entry decomposes into, largest share first, of equal
        ones the first entry; -1 for fewer.
    shares : ndarray of float, shape (n_entries, n_products)
        Share of the atoms in each of them.
    errors : dict of int to str
        Why entries have no energy.
    """

    energies: NDArray[np.float64]
    energies_above_hull: NDArray[np.float64]
    formation_energies: NDArray[np.float64]
    references: NDArray[np.float64]
    products: NDArray[np.int64]
    shares: NDArray[np.float64]
    errors: dict[int, str]


def decompose(
    table: EntryTable, competitors: Competitors = Competitors.OTHER_COMPOSITIONS
) -> Decomposition:
    """Find what every entry of a table decomposes into, as arrays.

    Parameters
    ----------
    table : EntryTable
        Entries of any chemical systems.
    competitors : Competitors
        Which entries an entry competes with.

    Returns
    -------
    Decomposition
        Energies and products in the order of the entries.
    """
    return compare_with_hulls(build_hulls(table), competitors)


def compare_with_hulls(hulls: Hulls, competitors: Competitors) -> Decomposition:
    """Find what every entry decomposes into, from hulls that are known.

    Parameters
    ----------
    hulls : Hulls
        Entries and the mixtures of other compositions below them.
    competitors : Competitors
        Which entries an entry competes with.

    Returns
    -------
    Decomposition
        Energies and products in the order of the entries.
    """
    known = hulls.grouping.compositions >= 0
    compositions = hulls.grouping.compositions[known]
    mixture = np.full(len(known), np.nan)
    mixture[known] = hulls.mixtures.formation[compositions]
    lowest = np.full(len(known), np.nan)
    lowest[known] = hulls.formation[hulls.lowest[compositions]]
    products, shares = _list_products(hulls, known)
    energies = hulls.formation - mixture
    if competitors is Competitors.SELF:
        rivals = _find_rivals(hulls, known)
        beaten = (rivals >= 0) & (hulls.formation[rivals] < mixture)
        energies[beaten] = (hulls.formation - hulls.formation[rivals])[beaten]
        products[beaten], shares[beaten] = -1, 0.0
        products[beaten, 0], shares[beaten, 0] = rivals[beaten], 1.0
    return Decomposition(
        energies=energies,
        energies_above_hull=hulls.formation - np.minimum(mixture, lowest),
        formation_energies=hulls.formation,
        references=hulls.references,
        products=products,
        shares=shares,
        errors=_explain_missing(hulls, np.flatnonzero(np.isnan(energies))),
    )


def _list_products(
    hulls: Hulls, known: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """List the entries each entry's mixture consists of, largest share first."""
    shares = hulls.mixtures.shares.copy()
    shares[shares < SMALLEST_SHARE] = 0.0
    products = hulls.lowest[hulls.mixtures.products]
    order = np.lexsort((products, -np.round(shares, SHARE_DIGITS)), axis=1)
    shares = np.take_along_axis(shares, order, axis=1)
    products = np.take_along_axis(products, order, axis=1)
    products[shares == 0] = -1
    compositions = hulls.grouping.compositions[known]
    listed = np.full((len(known), products.shape[1]), -1, dtype=np.int64)
    listed_shares = np.zeros(listed.shape)
    listed[known], listed_shares[known] = products[compositions], shares[compositions]
    itself = listed == np.arange(len(known))[:, None]
    listed[itself], listed_shares[itself] = -1, 0.0
    return listed, listed_shares


def _find_rivals(hulls: Hulls, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the lowest other polymorph of every compound; -1 where there is none."""
    compositions = hulls.grouping.compositions[known]
    entries = np.flatnonzero(known)
    rivals = np.full(len(known), -1, dtype=np.int64)
    rivals[known] = np.where(
        hulls.lowest[compositions] == entries,
        hulls.second[compositions],
        hulls.lowest[compositions],
    )
    rivals[np.diff(hulls.table.offsets) == 1] = -1
    return rivals


def _explain_missing(hulls: Hulls, entries: NDArray[np.int64]) -> dict[int, str]:
    """Say why entries have no decomposition energy."""
    return {entry: _explain(hulls, entry) for entry in entries.tolist()}


def _explain(hulls: Hulls, entry: int) -> str:
    """Say why one entry has no decomposition energy."""
    table = hulls.table
    part = slice(table.offsets[entry], table.offsets[entry + 1])
    elements = table.elements[part]
    if len(elements) == 0:
        return "the entry holds no atoms"
    if not np.isfinite(table.energies[entry]):
        return f"the energy is not finite: {table.energies[entry]}"
    missing = elements[hulls.phases.ground_states[elements] < 0]
    if len(missing):
        symbols = ", ".join(table.symbols[element] for element in missing)
        return f"no elemental entry to refer to for {symbols}"
    return "the linear programme did not converge"
