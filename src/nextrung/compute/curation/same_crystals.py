"""Materials that are the same crystal under several names."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pymatgen.analysis.structure_matcher import StructureMatcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from nextrung.schemas.labels.curation import CrystalTolerance


def group_same_crystals(
    structures: Mapping[str, Structure], tolerance: CrystalTolerance
) -> dict[str, str]:
    """Group materials whose relaxed structures are the same crystal.

    Parameters
    ----------
    structures : mapping of str to Structure
        Relaxed structure by the name of the material.
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
    by_composition: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(structures):
        by_composition[structures[name].composition.reduced_formula].append(name)
    groups: dict[str, str] = {}
    for names in by_composition.values():
        leaders: list[str] = []
        for name in names:
            leader = next(
                (
                    other
                    for other in leaders
                    if matcher.fit(structures[other], structures[name])
                ),
                name,
            )
            if leader == name:
                leaders.append(name)
            groups[name] = leader
    return {name: groups[name] for name in structures}
