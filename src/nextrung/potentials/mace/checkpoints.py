"""Model files of mace: read without running their code, written as mace does."""

from __future__ import annotations

import copy
import pickle
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from nextrung.atomic_write import atomic_write
from nextrung.potentials.mace.package import import_mace
from nextrung.potentials.mace.unpickling import (
    ModuleRecord,
    find_root_class,
    list_tensors,
    read_records,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

#: Name of the atomic reference energies among the weights of a model.
REFERENCES = "atomic_energies_fn.atomic_energies"
#: Weight that every model has, in the precision of the model.
_WEIGHT = "node_embedding.linear.weight"
#: Errors of a pickle that does not hold what its first class promises.
_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
#: Characters of a message that an error quotes.
_MAX_REASON = 200


@dataclass(frozen=True, eq=False)
class MaceFile:
    """A model and the metadata of its file.

    Parameters
    ----------
    module : ScaleShiftMACE
        The model on the CPU in the precision of the file, in evaluation mode, without
        gradients; its references are a parameter in float64, shape (n_heads,
        n_elements).
    arguments : dict of str to object
        Arguments of its constructor.
    metadata : dict of str to object
        Metadata of a file that this package wrote.
    """

    module: nn.Module
    arguments: dict[str, Any]
    metadata: dict[str, Any]


def is_mace_file(path: Path) -> bool:
    """Return whether a file is a pickled model of mace; nothing is unpickled.

    Parameters
    ----------
    path : Path
        Any file.
    """
    return find_root_class(path).startswith("mace.")


def read_mace_file(path: Path) -> MaceFile:
    """Read a model file of mace without running the code in it.

    The model is built anew from the numbers in the file, as mace's own
    ``extract_model`` does, and has the weights of the file.

    Parameters
    ----------
    path : Path
        File that mace or this package wrote.

    Raises
    ------
    InputError
        If the file has another object, or mace is not installed.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a model file of mace, got no file")
    found = find_root_class(path)
    if found != "mace.modules.models.ScaleShiftMACE":
        raise InputError(
            f"{path}: expected a ScaleShiftMACE that mace has saved whole, got "
            f"{found.rpartition('.')[2] or 'a file of another kind'}"
        )
    scripts = import_mace("mace.tools.scripts_utils")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about pickles and scripts
            record = _check_record(read_records(path))
            arguments = _extract_arguments(record, scripts)
            tensors = dict(list_tensors(record))
            module = build_mace(arguments, tensors[_WEIGHT].dtype)
            _load_tensors(module, tensors)
    except _UNREADABLE as error:
        raise _read_error(path, error) from error
    _use_parameter(module, tensors[REFERENCES])
    module.requires_grad_(requires_grad=False)
    return MaceFile(module, arguments, dict(record.__dict__.get("nextrung", {})))


def write_mace_file(module: nn.Module, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a model file that plain mace loads; the file is replaced atomically.

    Parameters
    ----------
    module : ScaleShiftMACE
        The model; it is not changed.
    path : Path
        File to write or replace.
    metadata : mapping of str to object
        Numbers, strings, lists and dictionaries to store in the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, e3nn needs it
        copied: Any = copy.deepcopy(module).cpu().eval()
        references = copied.get_parameter(REFERENCES).detach()
        del copied.atomic_energies_fn.atomic_energies
        copied.atomic_energies_fn.register_buffer("atomic_energies", references)
        copied.nextrung = dict(metadata)
        torch.save(copied, file)


def build_mace(
    arguments: Mapping[str, Any], dtype: torch.dtype, seed: int = 0
) -> nn.Module:
    """Build a model with random weights, in evaluation mode.

    The seeds and the default type of torch are kept.

    Parameters
    ----------
    arguments : mapping of str to object
        Arguments of ``ScaleShiftMACE``.
    dtype : torch.dtype
        Floating-point type of the weights.
    seed : int
        Seed of the weights.
    """
    modules = import_mace("mace.modules")
    default = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, e3nn needs it
        torch.manual_seed(seed)
        torch.set_default_dtype(dtype)
        try:
            module: nn.Module = modules.ScaleShiftMACE(**arguments)
        finally:
            torch.set_default_dtype(default)
    return module.eval()


def _check_record(record: object) -> ModuleRecord:
    """Check that a file has a module of a kind that is computed here."""
    if not isinstance(record, ModuleRecord):
        raise TypeError(f"got {type(record).__name__}")
    if hasattr(record, "joint_embedding"):
        raise ValueError("embeddings of charges or spins are not supported")
    return record


def _extract_arguments(
    record: ModuleRecord,
    scripts: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Extract the arguments of the constructor from the record of a model."""
    modules = import_mace("mace.modules")
    arguments: dict[str, Any] = scripts.extract_config_mace_model(record)
    for name, known in (
        ("interaction_cls", modules.interaction_classes),
        ("interaction_cls_first", modules.interaction_classes),
        ("readout_cls", modules.readout_classes),
    ):
        arguments[name] = known[arguments[name].__name__]
    arguments["atomic_numbers"] = record.atomic_numbers.tolist()
    return arguments


def _load_tensors(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load weights and buffers; buffers of constants may be missing in old files."""
    missing, unexpected = module.load_state_dict(tensors, strict=False)
    parameters = dict(module.named_parameters())
    wrong = sorted({*unexpected, *(name for name in missing if name in parameters)})
    if wrong:
        raise KeyError(f"other weights than its architecture has: {', '.join(wrong)}")


def _use_parameter(module: nn.Module, references: torch.Tensor) -> None:
    """Make the references a parameter in float64, which mace has as a buffer."""
    block: Any = module.get_submodule(REFERENCES.rpartition(".")[0])
    del block.atomic_energies
    block.atomic_energies = torch.nn.Parameter(
        references.double().reshape(-1, references.shape[-1])
    )


def _read_error(path: Path, error: Exception) -> InputError:
    """Build the error of a file that cannot be read, in one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path}: expected a model of mace: {reason[:_MAX_REASON]}")
