"""Frames of a material that say the same twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.dataset import DuplicateTolerance
    from nextrung.schemas.frames import Frames


def find_unique_frames(
    frames: Frames, tolerances: Sequence[DuplicateTolerance]
) -> NDArray[np.bool_]:
    """Find the frames that differ from the others of their material.

    Parameters
    ----------
    frames : Frames
        Frames of any materials with energies; the last of each is kept in any case.
    tolerances : sequence of DuplicateTolerance
        When two frames of a material are the same; see :func:`find_unique`.

    Returns
    -------
    ndarray of bool, shape (n_frames,)
        True where a frame is to be kept.
    """
    kept = np.zeros(len(frames), dtype=bool)
    _, material_of_frame = np.unique(frames.material_ids, return_inverse=True)
    by_material = np.argsort(material_of_frame, kind="stable")
    bounds = np.flatnonzero(np.diff(material_of_frame[by_material])) + 1
    for indices in np.split(by_material, bounds) if len(frames) else ():
        unique = find_unique(frames[indices], len(indices) - 1, tolerances)
        kept[indices[unique]] = True
    return kept


def find_unique(
    frames: Frames, reference: int, tolerances: Sequence[DuplicateTolerance]
) -> NDArray[np.int64]:
    """Find the frames of one material that differ from each other.

    Parameters
    ----------
    frames : Frames
        Frames of one material with energies, in the order in which they came.
    reference : int
        Index of the frame that is kept whatever it resembles.
    tolerances : sequence of DuplicateTolerance
        When two frames are the same, by the number of frames accepted before; the
        last that holds counts. None keeps every frame.

    Returns
    -------
    ndarray of int, shape (n_unique,)
        Indices of the frames to keep, ascending.

    Notes
    -----
    As in MPtrj: the reference is accepted first; then, in order, a frame is new if
    its energy is further from those of all accepted frames than the tolerance, or
    its structure matches none of them. The more frames are accepted, the more two
    must differ.

    References
    ----------
    ``examples/QueryMPtrj.md`` of CederGroupHub/chgnet; Deng et al., Nat. Mach.
    Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
    """
    if not tolerances:
        return np.arange(len(frames))
    structures = frames.to_structures()
    energies = frames.energies / frames.n_atoms
    accepted = [reference]
    for index in range(len(frames)):
        if index == reference:
            continue
        tolerance = [t for t in tolerances if len(accepted) > t.more_than][-1]
        nearest = np.abs(energies[accepted] - energies[index])
        if nearest.min() > tolerance.energy or not _matches_any(
            structures[index], [structures[other] for other in accepted], tolerance
        ):
            accepted.append(index)
    return np.sort(accepted)


def _matches_any(
    structure: Structure, others: Sequence[Structure], tolerance: DuplicateTolerance
) -> bool:
    """Say whether a structure is one of those accepted."""
    matcher = StructureMatcher(
        ltol=tolerance.length,
        stol=tolerance.site,
        angle_tol=tolerance.angle,
        scale=False,
    )
    return any(matcher.fit(structure, other) for other in others)
