"""Reference implementation of the authors' search for duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymatgen.analysis.structure_matcher import StructureMatcher

from nextrung.schemas.labels.curation import MPTRJ_TOLERANCES

if TYPE_CHECKING:
    from nextrung.schemas.frames import Frames


def find_naively(frames: Frames) -> list[int]:
    """Find the distinct frames of one material as the authors' loop does."""
    structures = frames.to_structures()
    energies = frames.energies / frames.n_atoms
    accepted = [len(frames) - 1]
    for index in range(len(frames) - 1):
        level = next(
            t for t in reversed(MPTRJ_TOLERANCES) if len(accepted) > t.more_than
        )
        matcher = StructureMatcher(
            ltol=level.length, stol=level.site, angle_tol=level.angle, scale=False
        )
        gaps = [abs(energies[index] - energies[other]) for other in accepted]
        if min(gaps) > level.energy or not any(
            matcher.fit(structures[index], structures[other]) for other in accepted
        ):
            accepted.append(index)
    return sorted(accepted)
