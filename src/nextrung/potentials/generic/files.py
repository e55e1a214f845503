"""Files of potentials that are a base potential and energies added to it, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import InputError, quote

if TYPE_CHECKING:
    from pathlib import Path

#: Value of the key ``format``, by which a file is recognised.
FORMAT = "nextrung potential with added energies"
#: Bytes of the largest file that is read: 118 energies are 4 kB.
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class ShiftedFile:
    """A base potential, and the energies added to it.

    Parameters
    ----------
    base : str
        Name of the base potential, or path of its file.
    elements : frozenset of str
        Elements to which the potential is applied.
    shift : dict of str to float
        Energy of each element in eV/atom that is added; none for the base itself.
    metadata : dict of str to object
        Metadata of the file.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    base: str
    elements: frozenset[str]
    shift: dict[str, float] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


_CONTENT = TypeAdapter(ShiftedFile)


def write_shifted(content: ShiftedFile, path: Path) -> None:
    """Write a file that names a base potential; it is replaced atomically.

    Parameters
    ----------
    content : ShiftedFile
        The base and the added energies.
    path : Path
        File to write or replace.
    """
    written = {
        "format": FORMAT,
        "version": version("nextrung"),
        "base": content.base,
        "elements": sorted(content.elements),
        "shift": content.shift,
        "metadata": content.metadata,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def read_shifted(path: Path) -> ShiftedFile | None:
    """Read a file that names a base potential; nothing is imported.

    Parameters
    ----------
    path : Path
        File of a potential.

    Returns
    -------
    ShiftedFile or None
        Its content; None for a file of another format.

    Raises
    ------
    InputError
        If the file is of this format, but not as it is written.
    """
    with path.open("rb") as file:
        if file.read(1) != b"{" or path.stat().st_size > _MAX_BYTES:
            return None
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        return None
    content.pop("version", None)
    try:
        return _CONTENT.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(
            f"{path}: {where}: {message}, got {quote(first['input'])}"
        ) from error
