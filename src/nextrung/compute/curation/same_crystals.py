"""Materials that are the same crystal under several names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymatgen.analysis.structure_matcher import StructureMatcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from nextrung.schemas.labels.curation import CrystalTolerance


def group_same_crystals(
    structures: Mapping[str, Structure], tolerance: CrystalTolerance
) -> dict[str, str]:
    """Group materials whose structures are the same crystal.

    Parameters
    ----------
    structures : mapping of str to Structure
        Last structure by the name of the material.
    tolerance : CrystalTolerance
        When two structures are the same.

    Returns
    -------
    dict of str to str
        By material, the first material of its group in alphabetical order; itself where
        it has no twin.
    """
    matcher = StructureMatcher(
        ltol=tolerance.length, stol=tolerance.site, angle_tol=tolerance.angle
    )
    names = sorted(structures)
    copies = [structures[name].copy() for name in names]
    name_of = {id(copy): name for name, copy in zip(names, copies, strict=True)}
    groups: dict[str, str] = {}
    for same in matcher.group_structures(copies):
        members = [name_of[id(copy)] for copy in same]
        groups |= dict.fromkeys(members, members[0])
    return {name: groups[name] for name in structures}
