"""Validity checks of crystals: the reason why a crystal cannot be predicted."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Element

from nextrung.potentials.graphs.neighbors import MIN_DISTANCE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import ArrayLike, NDArray

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.graphs.neighbors import Pairs

#: Largest atomic number of an element.
_N_ELEMENTS = 118
#: Beginning of the reason of a crystal with an isolated atom.
ISOLATED_ATOM = "isolated atom"
#: Smallest volume per atom in Å³ (hydrogen at 500 GPa: 1.3).
MIN_VOLUME_PER_ATOM = 0.5
#: Volume over the product of the edges below which a cell is singular.
_MIN_FLATNESS = 1e-6
#: Largest fractional coordinate; beyond it float64 loses the decimals.
_MAX_FRAC_COORD = 1e6
#: Cutoff in Å by which the size of a neighbor search is measured.
_CUTOFF = 6.0
#: Most image atoms, and boxes of the cutoff's size, that a neighbor search may visit.
_MAX_SEARCH = 1e6
#: Most angles of one crystal that fit into memory.
_MAX_ANGLES = 3e6


def check_cells(crystals: Crystals) -> dict[int, str]:
    """Check all that needs no neighbor search.

    Parameters
    ----------
    crystals : Crystals
        Crystals.

    Returns
    -------
    dict of int to str
        Reason by the index of each invalid crystal, the first one that applies.
    """
    cells = _measure_cells(crystals)
    return (
        _check_search_sizes(crystals, cells)
        | _check_coords(crystals)
        | _check_shapes(crystals, cells)
        | _check_numbers(crystals)
    )


def check_elements(crystals: Crystals, known: Collection[str]) -> dict[int, str]:
    """Check that a model has an input for all elements.

    Parameters
    ----------
    crystals : Crystals
        Crystals; atomic numbers of no element are left to :func:`check_cells`.
    known : collection of str
        Symbols of the known elements.

    Returns
    -------
    dict of int to str
        Reason by the index of each crystal with another element.
    """
    found = _list_others(crystals, known)
    return {
        crystal: f"unknown to this potential: {', '.join(sorted(symbols))}"
        for crystal, symbols in found.items()
    }


def check_pairs(crystals: Crystals, pairs: Pairs, cutoff: float) -> dict[int, str]:
    """Check for isolated and overlapping atoms and for too many angles.

    Parameters
    ----------
    crystals : Crystals
        Crystals that pass :func:`check_cells`.
    pairs : Pairs
        Their pairs.
    cutoff : float
        Distance in Å within which an atom must have a neighbor.

    Returns
    -------
    dict of int to str
        Reason by the index of each invalid crystal.
    """
    return (
        _describe_angles(pairs.n_angles)
        | _describe_isolated(crystals, pairs.isolated, cutoff)
        | _describe_overlaps(crystals, pairs)
    )


def check_references(crystals: Crystals, elements: Collection[str]) -> dict[int, str]:
    """Check that all elements have an atomic reference energy.

    Parameters
    ----------
    crystals : Crystals
        Crystals; atomic numbers of no element are left to :func:`check_cells`.
    elements : collection of str
        Symbols of the elements that have a reference energy.

    Returns
    -------
    dict of int to str
        Reason by the index of each crystal with another element.
    """
    found = _list_others(crystals, elements)
    return {
        crystal: f"no atomic reference energy for {', '.join(sorted(symbols))}"
        for crystal, symbols in found.items()
    }


def describe_priors(
    crystals: Crystals, prior_errors: Mapping[str, float]
) -> dict[int, str]:
    """Describe the energies that hold a reference of a prior.

    Parameters
    ----------
    crystals : Crystals
        Crystals.
    prior_errors : mapping of str to float
        Standard error in eV/atom of the reference of each element of a prior.

    Returns
    -------
    dict of int to str
        Elements and the standard error of the energy by the index of each crystal
        with one of them; errors of several elements are added.
    """
    if not prior_errors:
        return {}
    others = [each.symbol for each in Element if each.symbol not in prior_errors]
    notes = {}
    for index, symbols in _list_others(crystals, others).items():
        numbers = crystals.atomic_numbers[slice(*crystals.offsets[index : index + 2])]
        error = sum(
            prior_errors[symbol] * float(np.mean(numbers == Element(symbol).Z))
            for symbol in symbols
        )
        notes[index] = (
            f"reference energy of {', '.join(sorted(symbols))} from the prior, not "
            f"from labels: standard error {error:.2g} eV/atom"
        )
    return notes


def _list_others(crystals: Crystals, elements: Collection[str]) -> dict[int, list[str]]:
    """List the elements of each crystal that are not among some elements."""
    numbers = crystals.atomic_numbers
    others = ~np.isin(numbers, _list_numbers(frozenset(elements)))
    others &= ~_is_unknown(numbers)
    symbols: dict[int, list[str]] = {}
    if others.any():
        sites = np.stack([crystals.crystal_of_site, numbers])[:, others]
        for crystal, number in np.unique(sites, axis=1).T.tolist():
            symbols.setdefault(crystal, []).append(Element.from_Z(number).symbol)
    return symbols


@lru_cache
def _list_numbers(symbols: frozenset[str]) -> NDArray[np.int64]:
    """List the atomic numbers of elements."""
    return np.array([Element(symbol).Z for symbol in symbols], dtype=np.int64)


def _describe_angles(n_angles: NDArray[np.int64]) -> dict[int, str]:
    """Describe the crystals of more angles than memory can hold."""
    crowded = np.flatnonzero(n_angles > _MAX_ANGLES)
    return {int(index): f"{n_angles[index]:.3g} angles: too many" for index in crowded}


def _describe_isolated(
    crystals: Crystals, isolated: NDArray[np.int64], cutoff: float
) -> dict[int, str]:
    """Describe the first isolated atom of each crystal."""
    return {
        crystal: f"{ISOLATED_ATOM}: {_name_site(crystals, crystal, isolated[crystal])} "
        f"has no neighbour within {cutoff:g} Å"
        for crystal in np.flatnonzero(isolated >= 0).tolist()
    }


def _describe_overlaps(crystals: Crystals, pairs: Pairs) -> dict[int, str]:
    """Describe the first overlapping pair of each crystal."""
    reasons = {}
    for crystal in np.flatnonzero(pairs.overlapping).tolist():
        own = pairs[[crystal]]
        lengths = own.lengths.cpu()
        pair = int((lengths < MIN_DISTANCE).nonzero()[0])
        first, second = own.ends[:, pair].tolist()
        reasons[crystal] = (
            f"overlapping atoms: {_name_site(crystals, crystal, first)} and "
            f"{_name_site(crystals, crystal, second)} are {lengths[pair]:.3f} Å apart, "
            f"less than {MIN_DISTANCE} Å"
        )
    return reasons


def _name_site(crystals: Crystals, crystal: int, number: int) -> str:
    """Name a site by its number within its crystal and its element."""
    site = crystals.offsets[crystal] + number
    symbol = Element.from_Z(int(crystals.atomic_numbers[site])).symbol
    return f"site {number} ({symbol})"


def _is_unknown(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which atomic numbers are those of no element."""
    unknown: NDArray[np.bool_] = (numbers < 1) | (numbers > _N_ELEMENTS)
    return unknown


def _label(mask: ArrayLike, reason: str) -> dict[int, str]:
    """Map each index where a mask is true to a reason."""
    return dict.fromkeys(np.flatnonzero(mask).tolist(), reason)


def _label_sites(
    crystals: Crystals, mask: NDArray[np.bool_] | np.bool_, reason: str
) -> dict[int, str]:
    """Map each crystal with a site where a mask is true to a reason."""
    if not mask.any():
        return {}
    return dict.fromkeys(np.unique(crystals.crystal_of_site[mask]).tolist(), reason)


def _check_numbers(crystals: Crystals) -> dict[int, str]:
    """Check for crystals without atoms, NaN, infinity and unknown elements."""
    numbers = crystals.atomic_numbers
    finite_cell = np.isfinite(crystals.lattices).all(axis=(1, 2))
    finite_site = np.isfinite(crystals.frac_coords).all(axis=1)
    reasons = {
        int(crystals.crystal_of_site[site]): f"atomic number {numbers[site]} is "
        f"outside 1..{_N_ELEMENTS}"
        for site in np.flatnonzero(_is_unknown(numbers))
    }
    return (
        reasons
        | _label_sites(crystals, ~finite_site, "a coordinate is not finite")
        | _label(~finite_cell, "the cell is not finite")
        | _label(crystals.n_atoms == 0, "no atoms")
    )


class _Cells(NamedTuple):
    """Volumes, areas of the faces and lengths of the edges of cells."""

    volumes: NDArray[np.float64]
    areas: NDArray[np.float64]
    edges: NDArray[np.float64]


def _measure_cells(crystals: Crystals) -> _Cells:
    """Compute volumes, areas of the faces and lengths of the edges."""
    lattices = crystals.lattices
    with np.errstate(all="ignore"):
        normals = np.cross(lattices[:, [1, 2, 0]], lattices[:, [2, 0, 1]])
        volumes = np.abs((lattices[:, 0] * normals[:, 0]).sum(axis=1))
        areas = np.linalg.norm(normals, axis=2)
        return _Cells(volumes, areas, np.linalg.norm(lattices, axis=2))


def _check_shapes(crystals: Crystals, cells: _Cells) -> dict[int, str]:
    """Check for cells that are flat or smaller than their atoms."""
    volumes = cells.volumes
    with np.errstate(all="ignore"):
        flat = ~(volumes > _MIN_FLATNESS * cells.edges.prod(axis=1))
    reasons = {
        int(index): f"{volumes[index] / crystals.n_atoms[index]:.3g} Å³ per atom, less "
        f"than {MIN_VOLUME_PER_ATOM} Å³"
        for index in np.flatnonzero(volumes < MIN_VOLUME_PER_ATOM * crystals.n_atoms)
    }
    return reasons | _label(flat, "the cell is singular: its vectors lie in a plane")


def _check_coords(crystals: Crystals) -> dict[int, str]:
    """Check for coordinates so large that their decimals are lost."""
    far = (np.abs(crystals.frac_coords) > _MAX_FRAC_COORD).any(axis=1)
    reason = f"a fractional coordinate is beyond {_MAX_FRAC_COORD:g}"
    return _label_sites(crystals, far, reason)


def _check_search_sizes(crystals: Crystals, cells: _Cells) -> dict[int, str]:
    """Check for cells so skewed or so large that a neighbor search takes too long."""
    with np.errstate(all="ignore"):
        reach = np.ceil(_CUTOFF * cells.areas / cells.volumes[:, None])
        n_images = (2 * reach + 1).prod(axis=1) * crystals.n_atoms
        extents = np.abs(crystals.lattices).sum(axis=1)
        n_boxes = (extents / _CUTOFF + 1).prod(axis=1)
    return _label(~(n_boxes <= _MAX_SEARCH), "the cell is too large") | _label(
        ~(n_images <= _MAX_SEARCH), "the cell is too skewed"
    )
