"""Structures and ASE atoms as users hand them over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.graphs.crystals import describe_unusable
from nextrung.schemas.base import InputError

#: One structure, or any number of them.
Structures: TypeAlias = Structure | Atoms | Iterable[Structure | Atoms]


def list_structures(given: object) -> list[Structure | str]:
    """List structures, or the reason why one cannot be used.

    Parameters
    ----------
    given : object
        A structure, ASE atoms, or an iterable of them, which is read to its end.

    Returns
    -------
    list of (Structure or str)
        One per structure, in the order given: a structure of ordered sites, periodic in
        all directions, or a reason.

    Raises
    ------
    InputError
        If it is not a structure and cannot be iterated over.
    """
    if isinstance(given, Structure | Atoms):
        given = [given]
    if isinstance(given, str | dict) or not isinstance(given, Iterable):
        raise InputError(
            "expected pymatgen structures or ASE atoms, or one of them, got "
            f"{_describe(given)}"
        )
    return [_read(structure) for structure in given]


def _read(given: object) -> Structure | str:
    """Read one structure, or say why it cannot be used."""
    if isinstance(given, Structure):
        return describe_unusable(given) or given
    if not isinstance(given, Atoms):
        return f"expected a pymatgen Structure or ASE Atoms, got {_describe(given)}"
    if not all(given.pbc):
        return "not periodic in all three directions"
    if (
        not np.isfinite(given.positions).all()
        or not np.isfinite(given.cell.array).all()
    ):
        return "a coordinate is not finite"
    if given.cell.rank != len(given.cell.array):
        return "expected three independent lattice vectors"
    structure: Structure = AseAtomsAdaptor.get_structure(given)
    return describe_unusable(structure) or structure


def _describe(given: object) -> str:
    """Name the type of what is no structure."""
    return "None" if given is None else f"a {type(given).__name__}"
