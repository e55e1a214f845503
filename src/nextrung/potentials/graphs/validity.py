"""What makes a crystal unfit for prediction: a reason instead of a wrong number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from pymatgen.core import Element

from nextrung.potentials.graphs.neighbors import ATOM_CUTOFF, find_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.graphs.neighbors import Pairs

#: Atomic numbers that chgnet's embedding covers.
N_ELEMENTS = 94
#: The reason of a crystal with an isolated atom begins with these words.
ISOLATED_ATOM = "isolated atom"
#: Atoms closer than this in Å overlap; chgnet has no repulsive wall.
MIN_DISTANCE = 0.3
#: Less volume per atom than this in Å³ is no crystal (hydrogen at 500 GPa: 1.3).
MIN_VOLUME_PER_ATOM = 0.5
#: Volume over the product of the edges below which a cell is flat.
_MIN_FLATNESS = 1e-6
#: Fractional coordinates beyond this have lost their decimals.
_MAX_FRAC_COORD = 1e6
#: Image atoms, and boxes of the cutoff's size, that a neighbour search may visit.
_MAX_SEARCH = 1e6
#: Angles of one crystal that fit into memory.
_MAX_ANGLES = 3e6


def find_faults(crystals: Crystals) -> dict[int, str]:
    """Find the crystals that cannot be predicted, and why.

    Parameters
    ----------
    crystals : Crystals
        Any crystals.

    Returns
    -------
    dict of int to str
        Reason by the index of each faulty crystal.
    """
    faults = find_cell_faults(crystals)
    sound = np.setdiff1d(np.arange(len(crystals)), list(faults))
    rest = crystals[sound]
    paired = find_pair_faults(rest, find_pairs(rest))
    return faults | {int(sound[index]): reason for index, reason in paired.items()}


def find_cell_faults(crystals: Crystals) -> dict[int, str]:
    """Find faults that show before any neighbour is searched.

    Parameters
    ----------
    crystals : Crystals
        Any crystals.

    Returns
    -------
    dict of int to str
        Reason by the index of each faulty crystal, the first one that applies.
    """
    faults: dict[int, str] = {}
    for find in (_find_non_numbers, _find_bad_cells, _find_far_coords, _find_searches):
        sound = np.setdiff1d(np.arange(len(crystals)), list(faults))
        found = find(crystals[sound])
        faults |= {int(sound[index]): reason for index, reason in found.items()}
    return faults


def find_pair_faults(crystals: Crystals, pairs: Pairs) -> dict[int, str]:
    """Find isolated and overlapping atoms.

    Parameters
    ----------
    crystals : Crystals
        Crystals without faults of the cell.
    pairs : Pairs
        Their pairs.

    Returns
    -------
    dict of int to str
        Reason by the index of each faulty crystal.
    """
    starts = torch.from_numpy(np.repeat(crystals.offsets[:-1], pairs.n_pairs))
    ends = pairs.ends + starts.to(pairs.ends.device)
    near = ends[:, pairs.lengths <= ATOM_CUTOFF].reshape(-1)
    n_neighbours = torch.bincount(near, minlength=len(crystals.atomic_numbers))
    close = torch.nonzero(pairs.lengths < MIN_DISTANCE)[:, 0]
    return (
        _name_crowded(pairs.n_angles)
        | _name_isolated(crystals, torch.nonzero(n_neighbours == 0)[:, 0].tolist())
        | _name_overlaps(
            crystals, ends[:, close].T.tolist(), pairs.lengths[close].tolist()
        )
    )


def _name_crowded(n_angles: NDArray[np.int64]) -> dict[int, str]:
    """Name the crystals of more angles than memory can hold."""
    crowded = np.flatnonzero(n_angles > _MAX_ANGLES)
    return {int(index): f"{n_angles[index]:.3g} angles: too many" for index in crowded}


def _name_isolated(crystals: Crystals, sites: list[int]) -> dict[int, str]:
    """Name the first isolated atom of each crystal."""
    return {
        int(crystals.crystal_of_site[site]): f"{ISOLATED_ATOM}: "
        f"{_name_site(crystals, site)} has no neighbour within {ATOM_CUTOFF:g} Å"
        for site in reversed(sites)
    }


def _name_overlaps(
    crystals: Crystals, ends: list[list[int]], lengths: list[float]
) -> dict[int, str]:
    """Name the first overlapping pair of each crystal."""
    return {
        int(crystals.crystal_of_site[first]): f"overlapping atoms: "
        f"{_name_site(crystals, first)} and {_name_site(crystals, second)} are "
        f"{length:.3f} Å apart, less than {MIN_DISTANCE} Å"
        for (first, second), length in zip(
            reversed(ends), reversed(lengths), strict=True
        )
    }


def _name_site(crystals: Crystals, site: int) -> str:
    """Name a site by its number within its crystal and its element."""
    number = site - crystals.offsets[crystals.crystal_of_site[site]]
    return (
        f"site {number} ({Element.from_Z(int(crystals.atomic_numbers[site])).symbol})"
    )


def _owners(crystals: Crystals, sites: ArrayLike) -> NDArray[np.int64]:
    """List the crystals that hold any of the sites."""
    return np.unique(crystals.crystal_of_site[np.flatnonzero(sites)])


def _find_non_numbers(crystals: Crystals) -> dict[int, str]:
    """Find crystals without atoms, with NaN or infinity, or of unknown elements."""
    finite_cell = np.isfinite(crystals.lattices).all(axis=(1, 2))
    infinite_site = ~np.isfinite(crystals.frac_coords).all(axis=1)
    numbers = crystals.atomic_numbers
    unknown = (numbers < 1) | (numbers > N_ELEMENTS)
    faults = {
        int(
            crystals.crystal_of_site[site]
        ): f"atomic number {numbers[site]} is outside 1..{N_ELEMENTS}"
        for site in np.flatnonzero(unknown)
    }
    faults |= dict.fromkeys(
        _owners(crystals, infinite_site).tolist(), "a coordinate is not finite"
    )
    faults |= dict.fromkeys(
        np.flatnonzero(~finite_cell).tolist(), "the cell is not finite"
    )
    return faults | dict.fromkeys(
        np.flatnonzero(crystals.n_atoms == 0).tolist(), "no atoms"
    )


def _measure_cells(
    crystals: Crystals,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Measure volumes, areas of the faces and lengths of the edges, however large."""
    with np.errstate(all="ignore"):
        first, second, third = np.moveaxis(crystals.lattices, 1, 0)
        normals = np.stack(
            [np.cross(second, third), np.cross(third, first), np.cross(first, second)],
            axis=1,
        )
        volumes = np.abs((first * normals[:, 0]).sum(axis=1))
        areas = np.linalg.norm(normals, axis=2)
        return volumes, areas, np.linalg.norm(crystals.lattices, axis=2)


def _find_bad_cells(crystals: Crystals) -> dict[int, str]:
    """Find cells that are flat or smaller than their atoms."""
    volumes, _, edges = _measure_cells(crystals)
    with np.errstate(all="ignore"):
        flat = ~(volumes > _MIN_FLATNESS * edges.prod(axis=1))
    faults = {
        int(index): f"{volumes[index] / crystals.n_atoms[index]:.3g} Å³ per atom, less "
        f"than {MIN_VOLUME_PER_ATOM} Å³"
        for index in np.flatnonzero(volumes < MIN_VOLUME_PER_ATOM * crystals.n_atoms)
    }
    return faults | dict.fromkeys(
        np.flatnonzero(flat).tolist(),
        "the cell is singular: its vectors lie in a plane",
    )


def _find_far_coords(crystals: Crystals) -> dict[int, str]:
    """Find coordinates so large that their decimals are lost."""
    far = (np.abs(crystals.frac_coords) > _MAX_FRAC_COORD).any(axis=1)
    return dict.fromkeys(
        _owners(crystals, far).tolist(),
        f"a fractional coordinate is beyond {_MAX_FRAC_COORD:g}",
    )


def _find_searches(crystals: Crystals) -> dict[int, str]:
    """Find cells so skewed or so large that a neighbour search would not end."""
    volumes, areas, _ = _measure_cells(crystals)
    with np.errstate(all="ignore"):
        reach = np.ceil(ATOM_CUTOFF * areas / volumes[:, None])
        n_images = (2 * reach + 1).prod(axis=1) * crystals.n_atoms
        extents = np.abs(crystals.lattices).sum(axis=1)
        n_boxes = (extents / ATOM_CUTOFF + 1).prod(axis=1)
    faults = dict.fromkeys(
        np.flatnonzero(~(n_boxes <= _MAX_SEARCH)).tolist(), "the cell is too large"
    )
    return faults | dict.fromkeys(
        np.flatnonzero(~(n_images <= _MAX_SEARCH)).tolist(), "the cell is too skewed"
    )
