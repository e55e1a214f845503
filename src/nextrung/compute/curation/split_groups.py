"""Groups of materials that are in one split as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nextrung.compute.curation.same_crystals import group_same_crystals
from nextrung.schemas.dataset import SplitUnit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from nextrung.schemas.dataset import SplitSettings

#: Tolerance in Å within which atoms are symmetric, as of the Materials Project.
SYMMETRY_TOLERANCE = 0.1


def group_materials(
    structures: Mapping[str, Structure], settings: SplitSettings
) -> dict[str, str]:
    """Group materials by the unit of the split.

    Parameters
    ----------
    structures : mapping of str to Structure
        Last frame of each material.
    settings : SplitSettings
        Unit of the split, and when two structures are the same crystal.

    Returns
    -------
    dict of str to str
        Group of each material.
    """
    match settings.unit:
        case SplitUnit.MATERIAL:
            return {name: name for name in structures}
        case SplitUnit.CRYSTAL:
            return group_same_crystals(structures, settings.same_crystal)
        case SplitUnit.FORMULA:
            return {n: s.composition.reduced_formula for n, s in structures.items()}
        case SplitUnit.CHEMICAL_SYSTEM:
            return {n: s.composition.chemical_system for n, s in structures.items()}
        case SplitUnit.PROTOTYPE:
            return {n: _name_prototype(s) for n, s in structures.items()}


def _name_prototype(structure: Structure) -> str:
    """Name the anonymous formula and the space group of a structure."""
    group = SpacegroupAnalyzer(structure, SYMMETRY_TOLERANCE).get_space_group_number()
    return f"{structure.composition.anonymized_formula} {group}"
