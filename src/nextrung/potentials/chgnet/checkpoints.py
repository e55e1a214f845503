"""Checkpoint files of CHGNet.

Files written here load with ``CHGNet.from_file``. Their additional key ``nextrung``
holds the elements with an atomic reference energy, and metadata.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
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
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PRETRAINED = Path(chgnet.__file__).parent / "pretrained"
#: Files of the models that chgnet ships, by the names used here.
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
#: Largest atomic number of the embedding.
N_ELEMENTS = 94
#: Reference energy in eV/atom that least squares leave for an element without data.
_NO_REFERENCE = 1e-6
#: Embedding norm, relative to the median of all elements, below which an element was
#: in no training frame. Rows keep their random start of norm 8 then; of chgnet-0.3.0,
#: Po, At, Rn, Fr and Ra have 0.35 to 0.41, the 89 elements of MPtrj 0.56 and more.
_UNTRAINED_NORM = 0.5
#: Characters of torch's message that an error quotes.
_MAX_REASON = 200
#: Names of the sets of atomic references that chgnet has.
_NAMED_ATOM_REFS = ("MPtrj", "MP-r2SCAN")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model and the metadata of its file.

    Parameters
    ----------
    model : CHGNet
        The model on the CPU in float32, in evaluation mode, without gradients.
    elements : frozenset of str
        Elements that have an atomic reference energy.
    metadata : dict of str to object
        Metadata of the file.
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

    Raises
    ------
    InputError
        If it is neither.
    """
    path = SHIPPED.get(name, Path(name))
    if not path.is_file():
        raise InputError(
            f"potential: expected {', '.join(SHIPPED)} or a checkpoint file, "
            f"got {name!r}, which is neither"
        )
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file without executing pickled code.

    Parameters
    ----------
    path : Path
        File that chgnet or this package wrote.

    Raises
    ------
    InputError
        If the file has no CHGNet, or one that is not supported.
    """
    content = _read_dict(path)
    try:
        model = build_model(content["model"]["model_args"])
        model.load_state_dict(content["model"]["state_dict"])
    except (KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _read_error(path, error) from error
    _check_supported(model, path)
    model.model_args |= _find_version(path)
    metadata = dict(content.get("nextrung", {}))
    elements = metadata.pop("elements", None)
    covered = _find_covered_elements(model) if elements is None else elements
    return Checkpoint(model, frozenset(covered), metadata)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint that plain chgnet loads; the file is replaced atomically.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model; its metadata must be numbers, strings, lists and dictionaries.
    path : Path
        File to write or replace.
    """
    model = checkpoint.model
    weights = {name: value.cpu().float() for name, value in model.state_dict().items()}
    content = {
        "model": {"state_dict": weights, "model_args": _build_arguments(model)},
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
    """Build a frozen CHGNet with random weights, in evaluation mode.

    Nothing is printed, and the seed of torch is kept.

    Parameters
    ----------
    arguments : mapping of str to object
        Arguments of ``CHGNet``.
    seed : int
        Seed of the weights.
    """
    with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: CHGNet = CHGNet(**arguments)
    return model.eval().requires_grad_(requires_grad=False)


def _find_version(path: Path) -> dict[str, str]:
    """Find the version of a shipped file, which ``CHGNet.load`` adds to its content."""
    names = [name for name, file in SHIPPED.items() if file == path]
    return {"version": names[0].removeprefix("chgnet-")} if names else {}


def _find_covered_elements(model: CHGNet) -> frozenset[str]:
    """Find the elements with an atomic reference energy and a trained embedding."""
    energies = model.composition_model.fc.weight[0]
    norms = model.atom_embedding.embedding.weight.norm(dim=1)
    covered = energies.abs() > _NO_REFERENCE
    covered &= norms > _UNTRAINED_NORM * norms.median()
    return frozenset(
        Element.from_Z(row + 1).symbol for row in covered.nonzero()[:, 0].tolist()
    )


def _read_dict(path: Path) -> dict[str, Any]:
    """Read a dictionary of tensors and plain values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that are then rejected
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise _read_error(path, error) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a checkpoint of CHGNet, got {type(content).__name__}"
        )
    return content


def _read_error(path: Path, error: Exception) -> InputError:
    """Build the error of a file that cannot be read, in one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        reason = "got other objects than tensors and plain values"
    return InputError(
        f"{path}: expected a checkpoint of CHGNet: {reason[:_MAX_REASON]}"
    )


def _check_supported(model: CHGNet, path: Path) -> None:
    """Reject architectures that :mod:`.forward` would compute wrongly."""
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
    for feature, is_present in unsupported.items():
        if is_present:
            raise InputError(f"{path}: a CHGNet with {feature} is not supported")


def _build_arguments(model: CHGNet) -> dict[str, Any]:
    """Build the arguments of ``CHGNet`` for a model, and name its atomic references.

    ``composition_model`` must be a name that chgnet has. With other references,
    ``atom_refs`` is ``fitted``: the weights of the checkpoint replace the named ones.
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
    """Return whether atomic references are the set of this name in chgnet."""
    reference = AtomRef(max_num_elements=N_ELEMENTS)
    reference.initialize_from(name)
    return torch.allclose(weight, reference.fc.weight.detach(), rtol=0, atol=1e-6)
