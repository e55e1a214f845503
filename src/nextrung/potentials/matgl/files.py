"""Folders of matgl's models, and the same three files in one tar archive.

``matgl.load_model`` imports the module that a file names, so a file could run code.
Here weights are read by torch's restricted unpickler, and only models of matgl are
built.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from typing import TYPE_CHECKING, Any

import matgl.models
import torch
from matgl.apps.pes import Potential
from torch import nn

from nextrung.atomic_write import atomic_write
from nextrung.potentials.matgl.recognition import NAMES, holds_matgl, open_archive
from nextrung.schemas.base import InputError, quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Key of this package in the metadata of ``model.json``.
KEY = "nextrung"
#: Architectures of matgl that predict energies of crystals.
ARCHITECTURES = ("CHGNet", "M3GNet", "QET", "SO3Net", "TensorNet")
#: Characters of an error that a message quotes.
_MAX_REASON = 200


def read_matgl(path: Path) -> tuple[Potential, dict[str, Any]]:
    """Read a potential without running pickled code.

    Parameters
    ----------
    path : Path
        Folder that matgl wrote, or archive of one.

    Returns
    -------
    potential : matgl.apps.pes.Potential
        The potential on the CPU, frozen and in evaluation mode.
    metadata : dict of str to object
        Metadata that this package stored; empty for a file of matgl's own.

    Raises
    ------
    InputError
        If the files are no potential of matgl.
    """
    if not path.exists() or not holds_matgl(path):
        raise InputError(
            f"{path}: expected a folder of matgl with {', '.join(NAMES)}, or an "
            "archive of one"
        )
    content = _read_files(path)
    try:
        arguments = _load(content["model.pt"])
        state = _load(content["state.pt"])
        described = json.loads(content["model.json"])
        potential = _build(arguments, state)
        metadata = (described.get("metadata") or {}).get(KEY) or {}
        return potential, dict(metadata)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: expected a potential of matgl, got other objects than tensors "
            "and plain values"
        ) from error
    except Exception as error:  # constructors of matgl raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{path}: expected a potential of matgl: {reason[:_MAX_REASON]}"
        ) from error


def write_matgl(potential: Potential, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a potential: an archive if the path ends with ``.tar``, else a folder.

    Parameters
    ----------
    potential : matgl.apps.pes.Potential
        The potential.
    path : Path
        File to write or replace, or folder to write into.
    metadata : mapping of str to object
        Metadata, numbers, strings, lists and dictionaries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".tar":
        potential.save(path, metadata={KEY: dict(metadata)})
        return
    with atomic_write(path) as temporary:
        folder = temporary.parent / "model"
        potential.save(folder, metadata={KEY: dict(metadata)})
        with tarfile.open(temporary, "w") as archive:
            for name in NAMES:
                archive.add(folder / name, name)
        for name in NAMES:
            (folder / name).unlink()
        folder.rmdir()


def build_network(described: Any) -> nn.Module:  # noqa: ANN401
    """Build a network of matgl from its class and arguments.

    Parameters
    ----------
    described : object
        Dictionary that matgl has written.

    Returns
    -------
    torch.nn.Module
        Network with random weights.

    Raises
    ------
    InputError
        If it is no network of matgl.
    """
    name, module = described.get("@class"), str(described.get("@module"))
    if name not in ARCHITECTURES or not module.startswith("matgl.models"):
        raise InputError(
            f"expected {', '.join(ARCHITECTURES)} of matgl.models, got "
            f"{quote(name)} of {quote(module)}"
        )
    network: nn.Module = getattr(matgl.models, name)(**described["init_args"])
    return network


def _read_files(path: Path) -> dict[str, bytes]:
    """Read the files of a folder or an archive; nothing is extracted."""
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in NAMES}
    content = {}
    with open_archive(path) as archive:
        for name in NAMES:
            entry = archive.getmember(name)
            member = archive.extractfile(entry) if entry.isreg() else None
            if member is None or entry.issparse():
                raise InputError(f"{path}: {name}: expected a file")
            content[name] = member.read()
    return content


def _load(content: bytes) -> Any:  # noqa: ANN401
    """Load tensors and plain values."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _build(arguments: Any, state: Any) -> Potential:  # noqa: ANN401
    """Build a potential from its arguments and weights."""
    if not isinstance(arguments, dict) or "model" not in arguments:
        raise InputError(
            "expected a potential of matgl, got a model of other properties"
        )
    nested = [key for key, value in arguments.items() if _is_class(value)]
    if nested != ["model"]:
        raise InputError(f"expected one model, got {', '.join(nested) or 'none'}")
    network = build_network(arguments["model"])
    potential = Potential(**{**arguments, "model": network})
    # Like matgl, which lets older files have other buffers.
    found = potential.load_state_dict(state, strict=False)
    weights = {name for name, _ in potential.named_parameters()}
    if missing := sorted(weights.intersection(found.missing_keys)):
        raise InputError(
            f"expected all weights of {type(network).__name__} of matgl "
            f"{matgl.__version__}, got none of {missing[0]}"
        )
    return potential.eval().requires_grad_(requires_grad=False)


def _is_class(value: object) -> bool:
    """Return whether a value describes an object of a class."""
    return isinstance(value, dict) and "@class" in value
