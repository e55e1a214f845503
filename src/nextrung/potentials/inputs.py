"""Structures and ASE atoms as users pass them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from ase import Atoms
from pymatgen.core import IStructure, Lattice, SiteCollection, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.graphs.crystals import describe_unusable
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: One structure, or any number of them.
Structures: TypeAlias = IStructure | Atoms | Iterable[IStructure | Atoms]


def list_structures(given: object) -> list[IStructure | str]:
    """List structures, or the reason why one cannot be used.

    Parameters
    ----------
    given : object
        A structure, ASE atoms, or an iterable of them, which is read to its end.

    Returns
    -------
    list of (IStructure or str)
        One per item, in the order given: an ordered structure, periodic in all
        directions, or the reason why the item is none.

    Raises
    ------
    InputError
        If it is neither a structure nor an iterable of items.
    """
    if isinstance(given, SiteCollection | Atoms):
        return [_convert(given)]
    if isinstance(given, str | bytes | dict) or not isinstance(given, Iterable):
        raise InputError(
            "structures: expected a pymatgen Structure, ASE Atoms or an iterable of "
            f"them, got {_describe_type(given)}"
        )
    return [_convert(item) for item in given]


def copy_structure(
    structure: IStructure,
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
) -> Structure:
    """Copy a structure to another lattice and other coordinates.

    Parameters
    ----------
    structure : IStructure
        Structure whose species, site properties and labels are kept.
    lattice : ndarray of float, shape (3, 3)
        Lattice vectors as rows in Å.
    frac_coords : ndarray of float, shape (n_sites, 3)
        Fractional coordinates, in the order of the sites.
    """
    return Structure(
        Lattice(lattice),
        structure.species,
        frac_coords,
        site_properties=structure.site_properties,
        labels=structure.labels,
    )


def _convert(item: object) -> IStructure | str:
    """Convert an item to a structure, or describe why it cannot be used."""
    if isinstance(item, IStructure):
        return describe_unusable(item) or item
    if isinstance(item, Atoms):
        return _convert_atoms(item)
    return f"expected a pymatgen Structure or ASE Atoms, got {_describe_type(item)}"


def _convert_atoms(atoms: Atoms) -> IStructure | str:
    """Convert ASE atoms to a structure, or describe why they cannot be used."""
    if not all(atoms.pbc):
        return "not periodic in all three directions"
    if not np.isfinite(atoms.cell.array).all():
        return "the cell is not finite"
    if not np.isfinite(atoms.positions).all():
        return "a coordinate is not finite"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on constraints that pymatgen lacks
            structure: Structure = AseAtomsAdaptor.get_structure(atoms)
    except np.linalg.LinAlgError:
        return "the cell is singular: its vectors lie in a plane"
    return describe_unusable(structure) or structure


def _describe_type(given: object) -> str:
    """Name the type of an object that is no structure."""
    return "None" if given is None else f"a {type(given).__name__}"
