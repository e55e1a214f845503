"""Primitive cells of simple crystals from structure type and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

#: Atoms of a structure type: index of the element, and fractional coordinates.
Atoms = list[tuple[int, tuple[float, float, float]]]


class Parameters(NamedTuple):
    """Parameters of a crystal of a structure type.

    Attributes
    ----------
    a : float
        Lattice parameter of the conventional cell in Å.
    c : float or None
        Second lattice parameter in Å, for hexagonal and tetragonal prototypes.
    internal : float or None
        Free coordinate, for wurtzite and rutile.
    """

    a: float
    c: float | None = None
    internal: float | None = None


class Prototype(NamedTuple):
    """A structure type.

    Attributes
    ----------
    lattice : callable
        Computes the primitive lattice vectors (3, 3) in Å from ``a`` and ``c``.
    n_symbols : int
        Number of elements.
    atoms : callable
        Lists the atoms from the internal coordinate.
    parameters : frozenset of str
        Names of the parameters other than ``a``.
    """

    lattice: Callable[[float, float], NDArray[np.float64]]
    n_symbols: int
    atoms: Callable[[float], Atoms]
    parameters: frozenset[str] = frozenset()


def build_crystal(
    prototype: str, symbols: Sequence[str], parameters: Parameters
) -> Structure:
    """Build the primitive cell of a simple crystal.

    Parameters
    ----------
    prototype : str
        Name of the structure type, a key of :data:`PROTOTYPES`.
    symbols : sequence of str
        Elements in the order of the structure type; cation first, except for
        antifluorite.
    parameters : Parameters
        Lattice parameters in Å and the internal coordinate.

    Raises
    ------
    InputError
        If the prototype is unknown, or elements or parameters do not fit it.
    """
    if prototype not in PROTOTYPES:
        raise InputError(
            f"expected a prototype among {', '.join(PROTOTYPES)}, got {prototype}"
        )
    kind = PROTOTYPES[prototype]
    if len(symbols) != kind.n_symbols:
        raise InputError(
            f"expected {kind.n_symbols} elements in {prototype}, got {len(symbols)}"
        )
    given = {name for name in ("c", "internal") if getattr(parameters, name)}
    if given != kind.parameters:
        raise InputError(
            f"expected {', '.join(['a', *sorted(kind.parameters)])} for {prototype}, "
            f"got {', '.join(['a', *sorted(given)])}"
        )
    atoms = kind.atoms(parameters.internal or 0)
    return Structure(
        Lattice(kind.lattice(parameters.a, parameters.c or 0)),
        [symbols[number] for number, _ in atoms],
        [coordinates for _, coordinates in atoms],
    )


def _cubic(a: float, _c: float) -> NDArray[np.float64]:
    """Compute the vectors of a primitive cubic lattice."""
    return a * np.eye(3)


def _face_centred(a: float, _c: float) -> NDArray[np.float64]:
    """Compute the primitive vectors of a face-centred cubic lattice."""
    return a / 2 * (np.ones((3, 3)) - np.eye(3))


def _body_centred(a: float, _c: float) -> NDArray[np.float64]:
    """Compute the primitive vectors of a body-centred cubic lattice."""
    return a / 2 * (np.ones((3, 3)) - 2 * np.eye(3))


def _hexagonal(a: float, c: float) -> NDArray[np.float64]:
    """Compute the vectors of a hexagonal lattice."""
    return np.array([[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]])


def _tetragonal(a: float, c: float) -> NDArray[np.float64]:
    """Compute the vectors of a primitive tetragonal lattice."""
    return np.diag([a, a, c])


def _fixed(*atoms: tuple[int, float, float, float]) -> Callable[[float], Atoms]:
    """List atoms without a free coordinate."""
    listed: Atoms = [(number, (x, y, z)) for number, x, y, z in atoms]
    return lambda _internal: listed


def _wurtzite(u: float) -> Atoms:
    """List two cations, and two anions shifted by u along the axis."""
    return [
        (element, (1 / 3 + third, 2 / 3 - third, shift + half))
        for element, shift in ((0, 0.0), (1, u))
        for third, half in ((0.0, 0.0), (1 / 3, 0.5))
    ]


def _rutile(u: float) -> Atoms:
    """List two cations, and four anions at u along the diagonals of the base."""
    return [
        (0, (0.0, 0.0, 0.0)),
        (0, (0.5, 0.5, 0.5)),
        (1, (u, u, 0.0)),
        (1, (-u, -u, 0.0)),
        (1, (0.5 + u, 0.5 - u, 0.5)),
        (1, (0.5 - u, 0.5 + u, 0.5)),
    ]


_ORIGIN = (0, 0.0, 0.0, 0.0)
_CENTRE = (1, 0.5, 0.5, 0.5)
_QUARTER = (1, 0.25, 0.25, 0.25)

#: Structure types, by name.
PROTOTYPES: Mapping[str, Prototype] = {
    "fcc": Prototype(_face_centred, 1, _fixed(_ORIGIN)),
    "bcc": Prototype(_body_centred, 1, _fixed(_ORIGIN)),
    "hcp": Prototype(
        _hexagonal,
        1,
        _fixed((0, 1 / 3, 2 / 3, 0.25), (0, 2 / 3, 1 / 3, 0.75)),
        frozenset({"c"}),
    ),
    "diamond": Prototype(_face_centred, 1, _fixed(_ORIGIN, (0, 0.25, 0.25, 0.25))),
    "rocksalt": Prototype(_face_centred, 2, _fixed(_ORIGIN, _CENTRE)),
    "zincblende": Prototype(_face_centred, 2, _fixed(_ORIGIN, _QUARTER)),
    "fluorite": Prototype(
        _face_centred, 2, _fixed(_ORIGIN, _QUARTER, (1, 0.75, 0.75, 0.75))
    ),
    "cscl": Prototype(_cubic, 2, _fixed(_ORIGIN, _CENTRE)),
    "perovskite": Prototype(
        _cubic,
        3,
        _fixed(_ORIGIN, _CENTRE, (2, 0, 0.5, 0.5), (2, 0.5, 0, 0.5), (2, 0.5, 0.5, 0)),
    ),
    "wurtzite": Prototype(_hexagonal, 2, _wurtzite, frozenset({"c", "internal"})),
    "rutile": Prototype(_tetragonal, 2, _rutile, frozenset({"c", "internal"})),
}
