"""Conversion of frames in JSON documents to flat arrays."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pymatgen.core import Element

from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

#: Atomic number of every element by its symbol.
ATOMIC_NUMBERS = {element.symbol: element.Z for element in Element}

#: Volume in Å³ below which a cell is rejected as degenerate.
MIN_VOLUME = 1e-3

#: Index of each element of a 3 × 3 stress in Voigt's order xx, yy, zz, yz, xz, xy.
VOIGT_ORDER = ((0, 5, 4), (5, 1, 3), (4, 3, 2))
N_VOIGT = 6

#: numpy dtype kinds of numbers, and of numbers that may be null.
NUMBERS, NUMBERS_OR_NULL = "fiu", "fiuO"

#: Exceptions of documents of another layout.
WRONG = (KeyError, TypeError, ValueError, IndexError)


class FrameDocument(NamedTuple):
    """One labelled structure of a document.

    Attributes
    ----------
    frame_id : str
        Name of the frame, also in error messages.
    structure : object
        ``Structure.as_dict()``.
    labels : mapping
        Values of ``energy`` (total, eV), ``forces`` (eV/Å), ``stress`` (3 × 3, or six
        in Voigt's order, in the unit of the source) and ``magmoms`` (μ_B); each may be
        missing or None.
    """

    frame_id: str
    structure: Any
    labels: Mapping[str, Any]


class _Sites(NamedTuple):
    """The structures of several documents."""

    n_atoms: Sequence[int]
    atomic_numbers: NDArray[np.int16]
    frac_coords: NDArray[np.float64]
    lattices: NDArray[np.float64]


def flatten_documents(
    material_id: str,
    documents: Sequence[FrameDocument],
    *,
    functional: str,
    gpa_per_unit: float,
) -> Frames:
    """Convert the frames of one material to flat arrays.

    Parameters
    ----------
    material_id : str
        Name of the material.
    documents : sequence of FrameDocument
        Its frames, at least one.
    functional : str
        Functional of the labels.
    gpa_per_unit : float
        Factor that converts stresses to GPa, compression negative.

    Raises
    ------
    InputError
        If a structure has no sites, partial occupancy, an unknown element or no
        volume, or a value has another type or shape than its property.
    """
    sites = _read_sites(documents)
    n_frames, n_atoms = len(documents), sites.n_atoms
    energies = _read_label(documents, "energy", [()] * n_frames)
    forces = _read_label(documents, "forces", [(n, 3) for n in n_atoms])
    stresses = _read_label(documents, "stress", [(3, 3)] * n_frames)
    magmoms = _read_label(documents, "magmoms", [(n,) for n in n_atoms])
    return Frames(
        material_ids=np.full(n_frames, material_id),
        frame_ids=np.array([document.frame_id for document in documents]),
        splits=np.full(n_frames, "", dtype="U5"),
        offsets=np.concatenate([[0], np.cumsum(n_atoms)]).astype(np.int64),
        atomic_numbers=sites.atomic_numbers,
        lattices=sites.lattices,
        frac_coords=sites.frac_coords,
        energies=energies,
        forces=forces.astype(np.float32),
        stresses=(gpa_per_unit * stresses).astype(np.float32).reshape(-1, 3, 3),
        magmoms=magmoms.astype(np.float32),
        functional=functional,
    )


def _read_sites(documents: Sequence[FrameDocument]) -> _Sites:
    """Read all structures at once; name the first invalid one in the error."""
    try:
        sites = [document.structure["sites"] for document in documents]
        if not all(sites):
            raise ValueError("no sites")
        all_sites = list(chain.from_iterable(sites))
        vectors = [d.structure["lattice"]["matrix"] for d in documents]
        lattices = _to_array(vectors, (len(documents), 3, 3), NUMBERS)
        if not (np.abs(np.linalg.det(lattices)) >= MIN_VOLUME).all():
            raise ValueError("a cell without a volume")
        return _Sites(
            n_atoms=[len(listed) for listed in sites],
            atomic_numbers=_read_numbers([site["species"] for site in all_sites]),
            frac_coords=_to_array(
                [site["abc"] for site in all_sites], (len(all_sites), 3), NUMBERS
            ),
            lattices=lattices,
        )
    except WRONG as error:
        for document in documents if len(documents) > 1 else ():
            _read_sites([document])
        raise InputError(
            f"frame {documents[0].frame_id}: expected a structure of ordered sites, "
            f"got {str(error) or type(error).__name__}"
        ) from error


def _read_numbers(species: Sequence[Sequence[Mapping[str, Any]]]) -> NDArray[np.int16]:
    """Look up the atomic number of each fully occupied site."""
    occupants = [occupant for (occupant,) in species]
    if (occupancies := {occupant["occu"] for occupant in occupants}) != {1}:
        raise ValueError(f"an occupancy of {min(occupancies)}")
    return np.array([ATOMIC_NUMBERS[o["element"]] for o in occupants], np.int16)


def _read_label(
    documents: Sequence[FrameDocument], name: str, shapes: Sequence[tuple[int, ...]]
) -> NDArray[np.float64]:
    """Read a label of all documents, row by row; NaN where it is missing."""
    rows: list[Any] = []
    try:
        for document, shape in zip(documents, shapes, strict=True):
            value = document.labels.get(name)
            rows += _list_rows(
                _expand_voigt(value) if name == "stress" else value, shape
            )
        return _to_array(rows, (len(rows), *shapes[0][1:]), NUMBERS_OR_NULL)
    except WRONG as error:
        for document, shape in zip(documents, shapes, strict=True):
            if len(documents) > 1:
                _read_label([document], name, [shape])
        raise InputError(
            f"frame {documents[0].frame_id}: expected {name} as numbers of shape "
            f"{shapes[0]}, got {str(documents[0].labels[name])[:40]!r}"
        ) from error


def _expand_voigt(stress: Any) -> Any:  # noqa: ANN401
    """Expand six components in Voigt's order to a matrix."""
    if isinstance(stress, list) and len(stress) == N_VOIGT:
        return [[stress[index] for index in row] for row in VOIGT_ORDER]
    return stress


def _list_rows(value: Any, shape: tuple[int, ...]) -> Iterable[Any]:  # noqa: ANN401
    """List the rows of a label; rows of NaN where it is missing."""
    if not shape:
        return (math.nan if value is None else value,)
    if value is None:
        return list(np.full(shape, math.nan))
    if len(value) != shape[0]:
        raise ValueError(f"{len(value)} rows")
    return list(value)


def _to_array(
    values: Sequence[Any], shape: tuple[int, ...], kinds: str
) -> NDArray[np.float64]:
    """Convert to an array of numbers; reject types that numpy would convert."""
    array = np.array(values)
    if array.dtype.kind not in kinds or array.shape != shape:
        raise ValueError(f"{array.dtype} of shape {array.shape}")
    return array.astype(np.float64, copy=False)
