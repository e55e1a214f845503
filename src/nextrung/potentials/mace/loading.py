"""Loading of models of mace by the name of their file and of their head."""

from __future__ import annotations

from pathlib import Path

from nextrung.potentials.interface import UNKNOWN_FUNCTIONAL, LoadedModel
from nextrung.potentials.mace.backend import MaceBackend
from nextrung.potentials.mace.checkpoints import read_mace_file
from nextrung.schemas.base import InputError

#: Prefix of the name of a model file, and what separates the file from the head.
PREFIX, HEAD_SEPARATOR = "mace:", "#"


def load_mace(name: str, device: str) -> LoadedModel:
    """Load a model file of mace.

    Parameters
    ----------
    name : str
        Path of the file, with ``#`` and the name of a head if it has several; the
        prefix ``mace:`` may stand before it.
    device : str
        Device of the model.

    Returns
    -------
    LoadedModel
        The model.

    Raises
    ------
    InputError
        If there is no such file or head, or the file has another object.
    """
    path, wanted = _split_name(name)
    file = read_mace_file(path)
    metadata = dict(file.metadata)
    saved_head, elements = metadata.pop("head", None), metadata.pop("elements", None)
    heads = [str(head) for head in file.arguments["heads"]]
    head = _choose_head(path, heads, wanted or saved_head)
    backend = MaceBackend(file.module.to(device), file.arguments, head)
    covered = backend.known_elements if elements is None else frozenset(elements)
    metadata.setdefault("functional", UNKNOWN_FUNCTIONAL)
    return LoadedModel(backend, covered, metadata)


def find_model_file(name: str) -> Path:
    """Find the file that the name of a model names, see :func:`load_mace`.

    Parameters
    ----------
    name : str
        Path of the file, with or without prefix and head.
    """
    return _split_name(name)[0]


def _split_name(name: str) -> tuple[Path, str | None]:
    """Split a name into the path of the file and the head."""
    name = name.removeprefix(PREFIX)
    if Path(name).is_file() or HEAD_SEPARATOR not in name:
        return Path(name), None
    path, _, head = name.rpartition(HEAD_SEPARATOR)
    return Path(path), head


def _choose_head(path: Path, heads: list[str], wanted: str | None) -> str:
    """Choose the head that is asked for, the only one, or mace's default."""
    defaults = [head for head in heads if head.lower() == "default"]
    chosen = heads[0] if len(heads) == 1 else next(iter(defaults), None)
    chosen = chosen if wanted is None else wanted
    if chosen not in heads:
        raise InputError(
            f"{path}: expected one of the heads {', '.join(heads)} after "
            f"{HEAD_SEPARATOR!r}, got {wanted or 'none'}"
        )
    return chosen
