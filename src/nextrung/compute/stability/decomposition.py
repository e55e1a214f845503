"""Decomposition energy of every entry of a table.

The decomposition energy is the energy of an entry minus that of the lowest-energy
mixture of competing entries [1]_. By default entries of the same composition do not
compete, so that it is negative for every polymorph below the mixture of other phases.

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

#: Smallest fraction of the atoms of a product that is listed.
SMALLEST_SHARE = 1e-9
#: Digits to which fractions are rounded when products are sorted.
SHARE_DIGITS = 9


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Decomposition of every entry of a table; NaN where unknown.

    Parameters
    ----------
    table : EntryTable
        The entries.
    energies : ndarray of float, shape (n_entries,)
        Decomposition energy in eV/atom.
    energies_above_hull : ndarray of float, shape (n_entries,)
        Energy above the hull of all entries in eV/atom.
    formation_energies : ndarray of float, shape (n_entries,)
        Energy above the lowest elemental entries in eV/atom.
    references : ndarray of float, shape (n_symbols,)
        Lowest energy of each element in eV/atom.
    products : ndarray of int, shape (n_entries, n_products)
        Entries each entry decomposes into, largest share first, equal shares in order
        of entries; padded with -1.
    shares : ndarray of float, shape (n_entries, n_products)
        Fraction of the atoms in each product.
    errors : dict of int to str
        Why entries have no decomposition energy, by index.
    """

    table: EntryTable
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
    """Decompose every entry of a table.

    Parameters
    ----------
    table : EntryTable
        Entries of any chemical systems.
    competitors : Competitors
        Which entries compete with an entry.

    Returns
    -------
    Decomposition
        Energies and products in the order of the entries.
    """
    hulls = build_hulls(table)
    known = hulls.grouping.compositions >= 0
    compositions = hulls.grouping.compositions[known]
    mixture = np.full(len(known), np.nan)
    mixture[known] = hulls.decompositions.formation[compositions]
    lowest = np.full(len(known), np.nan)
    lowest[known] = hulls.formation[hulls.lowest[compositions]]
    products, shares = _list_products(hulls, known)
    energies = hulls.formation - mixture
    if competitors is Competitors.SELF:
        polymorphs = _find_polymorphs(hulls, known)
        lower = (polymorphs >= 0) & (hulls.formation[polymorphs] < mixture)
        energies[lower] = (hulls.formation - hulls.formation[polymorphs])[lower]
        products[lower], shares[lower] = -1, 0.0
        products[lower, 0], shares[lower, 0] = polymorphs[lower], 1.0
    return Decomposition(
        table=table,
        energies=energies,
        energies_above_hull=hulls.formation - np.minimum(mixture, lowest),
        formation_energies=hulls.formation,
        references=hulls.references,
        products=products,
        shares=shares,
        errors={
            entry: _explain_missing(hulls, entry)
            for entry in np.flatnonzero(np.isnan(energies)).tolist()
        },
    )


def _list_products(
    hulls: Hulls, known: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """List the decomposition products of every entry, largest share first."""
    shares = hulls.decompositions.shares.copy()
    shares[shares < SMALLEST_SHARE] = 0.0
    products = hulls.lowest[hulls.decompositions.products]
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


def _find_polymorphs(hulls: Hulls, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the lowest other polymorph of every compound; -1 where there is none."""
    compositions = hulls.grouping.compositions[known]
    entries = np.flatnonzero(known)
    polymorphs = np.full(len(known), -1, dtype=np.int64)
    polymorphs[known] = np.where(
        hulls.lowest[compositions] == entries,
        hulls.second[compositions],
        hulls.lowest[compositions],
    )
    polymorphs[np.diff(hulls.table.offsets) == 1] = -1
    return polymorphs


def _explain_missing(hulls: Hulls, entry: int) -> str:
    """Explain why an entry has no decomposition energy."""
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
