"""Frames as JSON documents tell them, laid out flat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Element

from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Atomic number of every element by its symbol.
ATOMIC_NUMBERS = {element.symbol: element.Z for element in Element}

#: Volume in Å³ below which lattice vectors span no cell.
MIN_VOLUME = 1e-3

#: Components of a stress in Voigt's order xx, yy, zz, yz, xz, xy as a 3 × 3 matrix.
VOIGT_ORDER = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
N_VOIGT = 6


@dataclass(frozen=True, eq=False)
class FrameDocument:
    """One labelled structure of a document.

    Parameters
    ----------
    frame_id : str
        Name of the frame, for readers of errors too.
    atomic_numbers : ndarray of int, shape (n_atoms,)
        Atomic number of each site.
    lattice : ndarray of float, shape (3, 3)
        Lattice vectors as rows in Å.
    frac_coords : ndarray of float, shape (n_atoms, 3)
        Fractional coordinates.
    energy : float
        Total energy in eV; NaN where there is none.
    forces : ndarray of float, shape (n_atoms, 3)
        Forces in eV/Å; NaN where there are none.
    stress : ndarray of float, shape (3, 3)
        Stress in the unit of the source; NaN where there is none.
    magmoms : ndarray of float, shape (n_atoms,)
        Moments in μ_B; NaN where there are none.
    """

    frame_id: str
    atomic_numbers: NDArray[np.int16]
    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]
    magmoms: NDArray[np.float64]


def parse_frame(
    frame_id: str,
    structure: object,
    labels: Mapping[str, Any],
) -> FrameDocument:
    """Take the arrays out of a pymatgen structure's document and its labels.

    Parameters
    ----------
    frame_id : str
        Name of the frame.
    structure : object
        ``Structure.as_dict()``.
    labels : mapping
        Values of ``energy`` (total, eV), ``forces``, ``stress`` (3 × 3, or six in
        Voigt's order) and ``magmoms``; each may be missing or None.

    Returns
    -------
    FrameDocument
        The frame, its stress in the unit of the document.

    Raises
    ------
    InputError
        If the structure has no sites, a partly occupied one or an unknown element, or
        a value has not the type and shape of its property.
    """
    try:
        sites = structure["sites"]  # type: ignore[index]
        lattice = np.array(structure["lattice"]["matrix"], np.float64)  # type: ignore[index]
        numbers = _read_numbers(sites)
        coords = np.array([site["abc"] for site in sites], np.float64)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"frame {frame_id}: expected a structure of ordered sites, met {reason}"
        ) from error
    n_atoms = len(sites)
    if lattice.shape != (3, 3) or coords.shape != (n_atoms, 3):
        raise InputError(
            f"frame {frame_id}: expected three lattice vectors and three coordinates "
            f"per site, met shapes {lattice.shape} and {coords.shape}"
        )
    known = _Labels(frame_id, labels)
    return FrameDocument(
        frame_id=frame_id,
        atomic_numbers=numbers,
        lattice=lattice,
        frac_coords=coords,
        energy=known.take("energy", ()).item(),
        forces=known.take("forces", (n_atoms, 3)),
        stress=known.take_stress(),
        magmoms=known.take("magmoms", (n_atoms,)),
    )


def lay_out(
    material_id: str,
    documents: Sequence[FrameDocument],
    *,
    functional: str,
    gpa_per_unit: float,
) -> Frames:
    """Lay the frames of one material out flat.

    Parameters
    ----------
    material_id : str
        Name of the material.
    documents : sequence of FrameDocument
        Its frames, at least one.
    functional : str
        Functional of the labels.
    gpa_per_unit : float
        GPa, compression negative, per unit of the documents' stresses.

    Returns
    -------
    Frames
        The frames, in order.

    Raises
    ------
    InputError
        If the lattice vectors of a frame lie in one plane.
    """
    n_frames = len(documents)
    lattices = np.array([document.lattice for document in documents])
    if (flat := np.abs(np.linalg.det(lattices)) < MIN_VOLUME).any():
        raise InputError(
            f"frame {documents[int(flat.argmax())].frame_id}: expected a crystal, met "
            "a cell without a volume"
        )
    n_atoms = [len(document.atomic_numbers) for document in documents]
    stresses = np.array([document.stress for document in documents])
    return Frames(
        material_ids=np.full(n_frames, material_id),
        frame_ids=np.array([document.frame_id for document in documents]),
        splits=np.full(n_frames, "", dtype="U5"),
        offsets=np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64),
        atomic_numbers=np.concatenate([d.atomic_numbers for d in documents]),
        lattices=lattices,
        frac_coords=np.concatenate([d.frac_coords for d in documents]),
        energies=np.array([document.energy for document in documents]),
        forces=np.concatenate([d.forces for d in documents]).astype(np.float32),
        stresses=(gpa_per_unit * stresses).astype(np.float32),
        magmoms=np.concatenate([d.magmoms for d in documents]).astype(np.float32),
        functional=functional,
    )


def _read_numbers(sites: Sequence[Mapping[str, Any]]) -> NDArray[np.int16]:
    """Look up the one element that occupies each site."""
    occupants = [occupant for site in sites for occupant in site["species"]]
    for occupant in occupants:
        if occupant["occu"] != 1:
            raise ValueError(f"{occupant['occu']} {occupant['element']}")
    if len(occupants) != len(sites):
        raise ValueError(f"{len(occupants)} elements on {len(sites)} sites")
    return np.array([ATOMIC_NUMBERS[o["element"]] for o in occupants], np.int16)


@dataclass(frozen=True)
class _Labels:
    """The labels of one frame as a document has them."""

    frame_id: str
    values: Mapping[str, Any]

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Make an array of a label, NaN where there is none."""
        value = self.values.get(name)
        if value is None:
            return np.full(shape, math.nan)
        try:
            label = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"frame {self.frame_id}: expected numbers as {name}, met "
                f"{str(value)[:40]!r}"
            ) from error
        if label.shape != shape:
            raise InputError(
                f"frame {self.frame_id}: expected {name} of shape {shape}, met "
                f"{label.shape}"
            )
        return label

    def take_stress(self) -> NDArray[np.float64]:
        """Make a matrix of the stress in either layout, NaN where there is none."""
        value = self.values.get("stress")
        if isinstance(value, list) and len(value) == N_VOIGT:
            matrix: NDArray[np.float64] = self.take("stress", (6,))[VOIGT_ORDER]
            return matrix
        return self.take("stress", (3, 3))
