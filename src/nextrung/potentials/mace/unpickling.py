"""Restricted unpickling of model files of mace: no code of the file is run.

``torch.save`` of a whole model pickles its classes and compiled functions, and reading
them back runs code of the file. Here tensors, numbers and e3nn's irreps are read, and
every other object of mace, e3nn and torch becomes a record of its attributes, from
which :mod:`.checkpoints` builds the model anew.
"""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Packages whose objects are read as records.
_RECORDED = ("mace.", "e3nn.", "torch.fx.", "torch.nn.modules.", "torch.torch_version")
#: What is imported: containers, numbers, tensors, irreps and activation functions.
_ALLOWED = frozenset(
    {
        "__builtin__.set",
        "builtins.set",
        "builtins.slice",
        "_codecs.encode",
        "collections.OrderedDict",
        "e3nn.o3._irreps.Irrep",
        "e3nn.o3._irreps.Irreps",
        "e3nn.o3._irreps._MulIr",
        "numpy.dtype",
        "numpy.ndarray",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "torch.Size",
        "torch.abs",
        "torch.device",
        "torch.float32",
        "torch.float64",
        "torch.nn.functional.silu",
        "torch.tanh",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor_v2",
    }
)
#: Attributes in which a module of torch keeps its tensors and its parts.
_STATE = ("_parameters", "_buffers", "_modules")


class ModuleRecord:
    """Attributes of a pickled object, found as those of a module of torch are.

    Parameters
    ----------
    *_arguments : object
        Arguments of the pickled object; not used.
    """

    def __new__(cls, *_arguments: object) -> Self:
        """Create a record, whatever the arguments of the object are."""
        return super().__new__(cls)

    def __init__(self, *_arguments: object) -> None:
        """Ignore the arguments."""

    def __setstate__(self, state: object) -> None:
        """Keep the attributes of the object."""
        if isinstance(state, dict):
            self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Find a parameter, buffer or part by its name."""
        for group in _STATE:
            if name in (found := self.__dict__.get(group) or {}):
                return found[name]
        raise AttributeError(name)

    def __len__(self) -> int:
        """Count the parts of a list of modules or parameters."""
        return len(self._list_parts())

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401
        """Return a part of a list of modules or parameters."""
        return self._list_parts()[index]

    def _list_parts(self) -> list[Any]:
        """List parts and parameters."""
        return [*self._modules.values(), *self._parameters.values()]


def list_tensors(
    record: ModuleRecord, prefix: str = ""
) -> Iterator[tuple[str, torch.Tensor]]:
    """List the parameters and buffers of a record, named as in a ``state_dict``.

    Parameters
    ----------
    record : ModuleRecord
        Record of a module.
    prefix : str
        Name of the module, with a dot at its end.

    Yields
    ------
    tuple of (str, Tensor)
        Name and value.
    """
    attributes = record.__dict__
    for group in ("_parameters", "_buffers"):
        for name, value in (attributes.get(group) or {}).items():
            if isinstance(value, torch.Tensor):
                yield prefix + name, value
    for name, part in (attributes.get("_modules") or {}).items():
        if isinstance(part, ModuleRecord):
            yield from list_tensors(part, f"{prefix}{name}.")


def read_records(path: Path) -> object:
    """Read a file of ``torch.save``.

    Parameters
    ----------
    path : Path
        File; modules in it become records.

    Returns
    -------
    object
        A :class:`ModuleRecord` if the file has a module.

    Raises
    ------
    pickle.UnpicklingError
        If the file names an object of another kind.
    """
    return torch.load(path, "cpu", pickle_module=_Restricted, weights_only=False)


def find_root_class(path: Path) -> str:
    """Find the class of the object that a file of ``torch.save`` has pickled.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    str
        Module and name of the first class that is named in the pickle; an empty string
        if there is none. Nothing is unpickled.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in names):
                return "torch.jit.ScriptModule"
            pickled = next(name for name in names if name.endswith("/data.pkl"))
            with archive.open(pickled) as file:
                operations = pickletools.genops(file)
                found = (str(arg) for op, arg, _ in operations if op.name == "GLOBAL")
                return next(found, "").replace(" ", ".")
    except (zipfile.BadZipFile, OSError, StopIteration, ValueError):
        return ""


class _Restricted:
    """Replacement of the module ``pickle`` for ``torch.load``."""

    class Unpickler(pickle.Unpickler):
        """Unpickler that imports what is allowed and records the rest."""

        def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
            """Find an allowed object, or make the class of a record."""
            full_name = f"{module}.{name}"
            if full_name in _ALLOWED:
                return super().find_class(module, name)
            if full_name.startswith(_RECORDED):
                return _make_record_class(module, name)
            raise pickle.UnpicklingError(f"{full_name} is not allowed")


@cache
def _make_record_class(module: str, name: str) -> type[ModuleRecord]:
    """Make the class of the records of a class."""
    return type(name, (ModuleRecord,), {"__module__": module})
