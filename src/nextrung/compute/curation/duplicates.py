"""Duplicate frames of a material."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.curation import DuplicateTolerance

#: Tolerance for rounding errors of reduced cells.
ROUNDING = 1e-3


def find_candidates(
    frames: Frames, tolerances: Sequence[DuplicateTolerance]
) -> list[NDArray[np.int64]]:
    """Find the materials that may have duplicate frames.

    Parameters
    ----------
    frames : Frames
        Frames of any materials with energies.
    tolerances : sequence of DuplicateTolerance
        When two frames of a material are duplicates; see :func:`find_unique`.

    Returns
    -------
    list of ndarray of int
        Indices of the frames of each such material, in order. The energies of all
        other frames differ by more than the tolerance.
    """
    energies = (frames.energies / frames.n_atoms).tolist()
    by_material: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(frames.material_ids.tolist()):
        by_material[name].append(index)
    loosest = max((tolerance.energy for tolerance in tolerances), default=-1.0)
    return [
        np.array(indices)
        for indices in by_material.values()
        if _have_neighbours([energies[index] for index in indices], loosest)
    ]


def _have_neighbours(energies: list[float], distance: float) -> bool:
    """Check whether two energies differ by no more than a distance."""
    return any(
        not above - below > distance for below, above in pairwise(sorted(energies))
    )


def find_unique(
    frames: Frames, tolerances: Sequence[DuplicateTolerance]
) -> NDArray[np.int64]:
    """Find the distinct frames of one material.

    Parameters
    ----------
    frames : Frames
        Frames of one material with energies, in order; the last one, the reference, is
        always kept.
    tolerances : sequence of DuplicateTolerance
        When two frames are duplicates, by the number of frames accepted before; the
        last tolerance that applies is used. Without any, every frame is kept.

    Returns
    -------
    ndarray of int, shape (n_unique,)
        Indices of the frames to keep, ascending.

    Notes
    -----
    As in MPtrj: the reference is accepted first; then, in order, a frame is accepted if
    its energy differs from those of all accepted frames by more than the tolerance, or
    its structure matches none of theirs. Tolerances grow with the number of accepted
    frames.

    References
    ----------
    ``examples/QueryMPtrj.md`` of CederGroupHub/chgnet; Deng et al., Nat. Mach.
    Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3.
    """
    if not tolerances:
        return np.arange(len(frames))
    comparison = _Comparison(frames, tolerances)
    accepted = [len(frames) - 1]
    for index in range(len(frames) - 1):
        if not comparison.finds_duplicate(index, accepted):
            accepted.append(index)
    return np.sort(accepted)


class _Comparison:
    """Compares frames of one material; each is reduced at most once."""

    def __init__(
        self, frames: Frames, tolerances: Sequence[DuplicateTolerance]
    ) -> None:
        self.frames = frames
        self.tolerances = tolerances
        self.energies = frames.energies / frames.n_atoms
        self.volumes = np.abs(np.linalg.det(frames.lattices)) / frames.n_atoms
        self.contents = [
            (frames.lattices[index].tobytes(), *self._sites(start, stop))
            for index, (start, stop) in enumerate(pairwise(frames.offsets.tolist()))
        ]
        self.reduced: dict[int, Structure] = {}

    def _sites(self, start: int, stop: int) -> tuple[bytes, bytes]:
        """List elements and coordinates of a frame as bytes."""
        numbers = self.frames.atomic_numbers[start:stop]
        return numbers.tobytes(), self.frames.frac_coords[start:stop].tobytes()

    def finds_duplicate(self, index: int, accepted: Sequence[int]) -> bool:
        """Check whether a frame is a duplicate of an accepted one."""
        tolerance = [t for t in self.tolerances if len(accepted) > t.more_than][-1]
        distances = np.abs(self.energies[accepted] - self.energies[index])
        if distances.min() > tolerance.energy:
            return False
        if any(self.contents[index] == self.contents[other] for other in accepted):
            return True  # as the matcher would find
        ratios = self.volumes[accepted] / self.volumes[index]
        largest = _largest_volume_ratio(tolerance)
        possible = (ratios <= largest) & (ratios >= 1 / largest)
        nearest = [p for p in np.argsort(distances, kind="stable") if possible[p]]
        matcher = StructureMatcher(
            ltol=tolerance.length,
            stol=tolerance.site,
            angle_tol=tolerance.angle,
            scale=False,
        )
        return any(
            matcher.fit(
                self._reduce(index),
                self._reduce(accepted[other]),
                skip_structure_reduction=True,
            )
            for other in nearest
        )

    def _reduce(self, index: int) -> Structure:
        """Find the primitive Niggli cell of a frame, as the matcher does."""
        if index not in self.reduced:
            (structure,) = self.frames[[index]].to_structures()
            self.reduced[index] = StructureMatcher._get_reduced_structure(structure)  # noqa: SLF001
        return self.reduced[index]


def _largest_volume_ratio(tolerance: DuplicateTolerance) -> float:
    """Bound the ratio of the volumes per atom of two structures that match.

    Both have the same number of sites in their primitive cells, and their lattice
    vectors agree within the tolerances. The volume of a cell is abc√D with
    D = 1 + 2 cosα cosβ cosγ - cos²α - cos²β - cos²γ, whose derivative by an angle is
    4 or less; D of a reduced cell is 1/2 or more.
    """
    change = 2 * 3 * 4 * np.deg2rad(tolerance.angle)
    ratio: float = (1 + tolerance.length) ** 3 * np.sqrt(1 + change)
    shrunk: float = (1 + tolerance.length) ** 3 / np.sqrt(max(1 - change, 1e-12))
    return max(ratio, shrunk) * (1 + ROUNDING)
