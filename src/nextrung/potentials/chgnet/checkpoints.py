"""Checkpoint files of chgnet: shipped ones, foreign ones and our own.

A file of ours is one of chgnet, loadable by ``CHGNet.from_file``, with one key more:
``nextrung`` says which elements have an atomic reference energy and where the model
came from.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chgnet
import torch
from chgnet.model import CHGNet
from chgnet.model.composition_model import AtomRef
from pymatgen.core import Element
from torch import nn

from nextrung.atomic_write import atomic_write
from nextrung.potentials.graphs.neighbors import ATOM_CUTOFF, BOND_CUTOFF
from nextrung.potentials.graphs.validity import N_ELEMENTS
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PRETRAINED = Path(chgnet.__file__).parent / "pretrained"
#: Models that chgnet ships, by the names they have here.
SHIPPED: Mapping[str, Path] = {
    "chgnet-0.3.0": _PRETRAINED / "0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
    "chgnet-r2scan": _PRETRAINED
    / "r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar",
}
#: Functional of the energies of the shipped models.
FUNCTIONALS: Mapping[str, str] = {
    "chgnet-0.3.0": "GGA/GGA+U (MP2020-corrected)",
    "chgnet-r2scan": "r2SCAN",
}
#: Functional of a checkpoint that does not say.
UNKNOWN_FUNCTIONAL = "unknown functional"
#: Least squares leave this much in eV/atom for an element they never saw.
_NO_REFERENCE = 1e-6
#: Characters of torch's own words that an error repeats.
_MAX_REASON = 200
#: Sets of atomic references that chgnet can start from, by its names for them.
_NAMED_ATOM_REFS = ("MPtrj", "MP-r2SCAN")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model and what its file says of it.

    Parameters
    ----------
    model : CHGNet
        The model on the CPU in float32, in evaluation mode, without gradients.
    elements : frozenset of str
        Elements that have an atomic reference energy.
    metadata : dict of str to object
        What else was saved with it.
    """

    model: CHGNet
    elements: frozenset[str]
    metadata: dict[str, Any]


def find_checkpoint(name: str) -> Path:
    """Find the file of a model.

    Parameters
    ----------
    name : str
        Name of a shipped model, or path of a checkpoint.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    InputError
        If the name is none of both.
    """
    path = SHIPPED.get(name, Path(name))
    if not path.is_file():
        raise InputError(
            f"potential: expected {', '.join(SHIPPED)} or a checkpoint file, "
            f"got {name!r}, which is neither"
        )
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file without running any code it may hold.

    Parameters
    ----------
    path : Path
        File that chgnet or this package wrote.

    Returns
    -------
    Checkpoint
        The model.

    Raises
    ------
    InputError
        If the file holds no CHGNet, or one that is not supported.
    """
    content = _read_dict(path)
    try:
        model = build_model(content["model"]["model_args"])
        model.load_state_dict(content["model"]["state_dict"])
    except (KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _no_checkpoint(path, error) from error
    _check_supported(model, path)
    metadata = dict(content.get("nextrung", {}))
    elements = metadata.pop("elements", None)
    covered = elements_with_reference(model) if elements is None else elements
    return Checkpoint(freeze(model), frozenset(covered), metadata)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint that plain chgnet loads; the file is whole or not there.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model; metadata must hold plain numbers, texts, lists and dictionaries.
    path : Path
        File to write or replace.
    """
    model = checkpoint.model
    weights = {name: value.cpu().float() for name, value in model.state_dict().items()}
    content = {
        "model": {"state_dict": weights, "model_args": _truthful_arguments(model)},
        "nextrung": {
            **checkpoint.metadata,
            "elements": sorted(checkpoint.elements),
            "version": version("nextrung"),
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        torch.save(content, file)


def build_model(arguments: Mapping[str, Any], seed: int = 0) -> CHGNet:
    """Build a CHGNet with fresh weights, in silence; torch's own seed stays.

    Parameters
    ----------
    arguments : mapping of str to object
        Arguments of ``CHGNet``.
    seed : int
        Seed of the weights.

    Returns
    -------
    CHGNet
        The model.
    """
    with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CHGNet(**arguments)


def freeze(model: CHGNet) -> CHGNet:
    """Put a model into evaluation mode, without gradients by its parameters.

    Parameters
    ----------
    model : CHGNet
        Model to change.

    Returns
    -------
    CHGNet
        The same model.
    """
    return model.eval().requires_grad_(requires_grad=False)


def elements_with_reference(model: CHGNet) -> frozenset[str]:
    """List the elements whose atomic reference energy is not zero.

    Parameters
    ----------
    model : CHGNet
        Model with an AtomRef.

    Returns
    -------
    frozenset of str
        Symbols of the elements.
    """
    energies = model.composition_model.fc.weight[0].tolist()
    return frozenset(
        Element.from_Z(number).symbol
        for number, energy in enumerate(energies, start=1)
        if abs(energy) > _NO_REFERENCE
    )


def _read_dict(path: Path) -> dict[str, Any]:
    """Read a file of tensors and plain values."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise _no_checkpoint(path, error) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a checkpoint of CHGNet, got {type(content).__name__}"
        )
    return content


def _no_checkpoint(path: Path, error: Exception) -> InputError:
    """Say in one line why a file cannot be read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        reason = "it is not made of tensors and plain values alone"
    return InputError(
        f"{path}: expected a checkpoint of CHGNet: {reason[:_MAX_REASON]}"
    )


def _check_supported(model: CHGNet, path: Path) -> None:
    """Refuse architectures whose numbers would not be chgnet's."""
    arguments, converter = model.model_args, model.graph_converter
    cutoffs = (converter.atom_graph_cutoff, converter.bond_graph_cutoff)
    dropouts = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
    unsupported = {
        f"cutoffs of {cutoffs} Å": cutoffs != (ATOM_CUTOFF, BOND_CUTOFF),
        "mlp_first=False": not model.mlp_first,
        "update_bond=False": not arguments.get("update_bond", True),
        "update_angle=False": not arguments.get("update_angle", True),
        "dropout": any(dropouts),
        "conv_norm": arguments.get("conv_norm") is not None,
        "mlp_out_bias": bool(arguments.get("mlp_out_bias")),
        "no AtomRef": not isinstance(model.composition_model, AtomRef),
        "AtomRef of another kind": model.composition_model is not None
        and model.composition_model.is_intensive != model.is_intensive,
    }
    for feature, is_there in unsupported.items():
        if is_there:
            raise InputError(f"{path}: a CHGNet with {feature} is not supported")


def _truthful_arguments(model: CHGNet) -> dict[str, Any]:
    """List the arguments that rebuild a model, and say whose atomic references it has.

    chgnet can only start from references it knows by name; where they are others, the
    name stays and ``atom_refs`` says that the weights replace them.
    """
    weight = model.composition_model.fc.weight.detach().cpu().float()
    names = [name for name in _NAMED_ATOM_REFS if _is_named(weight, name)]
    known = model.model_args.get("composition_model", "MPtrj")
    return {
        **model.model_args,
        "is_intensive": model.is_intensive,
        "composition_model": names[0] if names else known,
        "atom_refs": names[0] if names else "fitted",
    }


def _is_named(weight: torch.Tensor, name: str) -> bool:
    """Tell whether atomic references are those chgnet has by a name."""
    reference = AtomRef(max_num_elements=N_ELEMENTS)
    reference.initialize_from(name)
    return torch.allclose(weight, reference.fc.weight.detach(), rtol=0, atol=1e-6)
