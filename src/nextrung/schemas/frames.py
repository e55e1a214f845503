"""Labelled structures of many materials as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from pymatgen.core import Composition, Element, Lattice, Structure

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Names of the splits; a frame is in one of them or in none (``""``).
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Frames:
    """Labelled structures of many materials in flat arrays; missing labels are NaN.

    Parameters
    ----------
    material_ids : ndarray of str, shape (n_frames,)
        Material of each frame; frames of one material are in the same split.
    frame_ids : ndarray of str, shape (n_frames,)
        Unique id of each frame.
    splits : ndarray of str, shape (n_frames,)
        ``train``, ``val``, ``test`` or ``""``.
    offsets : ndarray of int, shape (n_frames + 1,)
        Sites of frame ``i`` are ``offsets[i]:offsets[i + 1]`` of the site arrays.
    atomic_numbers : ndarray of int, shape (n_sites,)
        Atomic number of each site.
    lattices : ndarray of float, shape (n_frames, 3, 3)
        Lattice vectors as rows in Å.
    frac_coords : ndarray of float, shape (n_sites, 3)
        Fractional coordinates.
    energies : ndarray of float, shape (n_frames,)
        Total energies in eV.
    forces : ndarray of float, shape (n_sites, 3)
        Forces in eV/Å.
    stresses : ndarray of float, shape (n_frames, 3, 3)
        Stresses in GPa, compression negative.
    magmoms : ndarray of float, shape (n_sites,)
        Magnetic moments in μ_B.
    functional : str
        Functional of the labels, the same for all frames.
    """

    material_ids: NDArray[np.str_]
    frame_ids: NDArray[np.str_]
    splits: NDArray[np.str_]
    offsets: NDArray[np.int64]
    atomic_numbers: NDArray[np.int16]
    lattices: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    energies: NDArray[np.float64]
    forces: NDArray[np.float32]
    stresses: NDArray[np.float32]
    magmoms: NDArray[np.float32]
    functional: str

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.frame_ids)

    def __getitem__(self, index: slice | Sequence[int] | NDArray[np.generic]) -> Frames:
        """Select frames by slice, by indices or by mask, in the order given."""
        chosen = np.arange(len(self))[index]
        if chosen.ndim != 1:
            raise TypeError("select frames with a slice, a list or an array")
        sites = self._sites_of(chosen)
        return Frames(
            material_ids=self.material_ids[chosen],
            frame_ids=self.frame_ids[chosen],
            splits=self.splits[chosen],
            offsets=np.concatenate([[0], np.cumsum(self.n_atoms[chosen])]),
            atomic_numbers=self.atomic_numbers[sites],
            lattices=self.lattices[chosen],
            frac_coords=self.frac_coords[sites],
            energies=self.energies[chosen],
            forces=self.forces[sites],
            stresses=self.stresses[chosen],
            magmoms=self.magmoms[sites],
            functional=self.functional,
        )

    def _sites_of(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """List the site indices of the chosen frames, frame after frame."""
        n_atoms = self.n_atoms[chosen]
        shift = self.offsets[chosen] - np.concatenate([[0], np.cumsum(n_atoms)[:-1]])
        sites: NDArray[np.int64] = np.arange(n_atoms.sum()) + np.repeat(shift, n_atoms)
        return sites

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Sites of each frame, shape (n_frames,)."""
        return np.diff(self.offsets)

    @property
    def frame_of_site(self) -> NDArray[np.int64]:
        """Index of the frame each site belongs to, shape (n_sites,)."""
        return np.repeat(np.arange(len(self)), self.n_atoms)

    def split(self, name: str) -> Frames:
        """Select the frames of one split.

        Parameters
        ----------
        name : str
            ``train``, ``val`` or ``test``.

        Returns
        -------
        Frames
            Frames of the split, in order.
        """
        return self[self.splits == name]

    def with_splits(self, splits: NDArray[np.str_]) -> Frames:
        """Assign every frame to a split.

        Parameters
        ----------
        splits : ndarray of str, shape (n_frames,)
            Split of each frame.

        Returns
        -------
        Frames
            The same frames in these splits.
        """
        return replace(self, splits=splits)

    def to_structures(self) -> list[Structure]:
        """Build the pymatgen structure of every frame, without its labels."""
        return [
            Structure(
                Lattice(self.lattices[frame]),
                self.atomic_numbers[start:stop].tolist(),
                self.frac_coords[start:stop],
            )
            for frame, (start, stop) in enumerate(
                zip(self.offsets[:-1], self.offsets[1:], strict=True)
            )
        ]

    def compositions(self) -> list[Composition]:
        """List the composition of every frame; equal compositions are one object."""
        known: dict[bytes, Composition] = {}
        compositions = []
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            numbers = np.sort(self.atomic_numbers[start:stop])
            key = numbers.tobytes()
            if key not in known:
                elements, counts = np.unique(numbers, return_counts=True)
                known[key] = Composition(
                    {
                        Element.from_Z(int(z)): int(count)
                        for z, count in zip(elements, counts, strict=True)
                    }
                )
            compositions.append(known[key])
        return compositions

    @classmethod
    def from_structures(
        cls,
        structures: Sequence[Structure],
        frame_ids: Sequence[str] | None = None,
        *,
        functional: str = "",
    ) -> Self:
        """Build frames without labels from structures.

        Parameters
        ----------
        structures : sequence of Structure
            Ordered structures.
        frame_ids : sequence of str, optional
            Id of each frame and of its material; ``"0"``, ``"1"``, … by default.
        functional : str
            Functional of the labels.

        Returns
        -------
        Frames
            Frames whose labels are all NaN.

        Raises
        ------
        InputError
            If a structure has a partially occupied site.
        """
        numbered = [str(index) for index in range(len(structures))]
        names = np.array(numbered if frame_ids is None else frame_ids, dtype=np.str_)
        for name, structure in zip(names, structures, strict=True):
            if not structure.is_ordered:
                raise InputError(
                    f"frame {name}: expected an ordered structure, got partial "
                    f"occupancy in {structure.formula}"
                )
        n_atoms = np.array([len(structure) for structure in structures], dtype=np.int64)
        n_sites = int(n_atoms.sum())
        numbers = [number for s in structures for number in s.atomic_numbers]
        return cls(
            material_ids=names,
            frame_ids=names,
            splits=np.full(len(names), "", dtype="U5"),
            offsets=np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64),
            atomic_numbers=np.array(numbers, dtype=np.int16),
            lattices=np.array([s.lattice.matrix for s in structures]).reshape(-1, 3, 3),
            frac_coords=np.concatenate(
                [np.zeros((0, 3)), *(s.frac_coords for s in structures)]
            ),
            energies=np.full(len(names), np.nan),
            forces=np.full((n_sites, 3), np.nan, dtype=np.float32),
            stresses=np.full((len(names), 3, 3), np.nan, dtype=np.float32),
            magmoms=np.full(n_sites, np.nan, dtype=np.float32),
            functional=functional,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Frames]) -> Self:
        """Concatenate several sets of frames.

        Parameters
        ----------
        parts : sequence of Frames
            Frames with labels of the same functional.

        Returns
        -------
        Frames
            All frames, in the order given.

        Raises
        ------
        InputError
            If the parts have labels of different functionals.
        """
        if not parts:
            return cls.from_structures([])
        functionals = sorted({part.functional for part in parts})
        if len(functionals) > 1:
            raise InputError(f"expected one functional, got {', '.join(functionals)}")
        n_atoms = np.concatenate([part.n_atoms for part in parts])
        arrays = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in {"offsets", "functional"}
        }
        return cls(
            **arrays,
            offsets=np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64),
            functional=functionals[0],
        )
