"""Files of SevenNet: names of shipped models, and reading without running code.

Nothing here needs the package sevenn, which is optional.
"""

from __future__ import annotations

import pickle
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.serialization import safe_globals

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Files of the models whose weights the package sevenn carries.
SHIPPED: Mapping[str, str] = {
    "sevennet-0": "SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
    "sevennet-l3i5": "SevenNet_l3i5/checkpoint_l3i5.pth",
    "sevennet-mf-0": "SevenNet_MF_0/checkpoint_sevennet_mf_0.pth",
}
#: Functional of the energies of the shipped models; those of MPtrj are without the
#: corrections of the Materials Project here.
FUNCTIONALS: Mapping[str, str] = {
    "sevennet-0": "GGA/GGA+U",
    "sevennet-l3i5": "GGA/GGA+U",
    "sevennet-mf-0/PBE": "GGA/GGA+U",
    "sevennet-mf-0/R2SCAN": "r2SCAN",
}
#: Prefix of the path of a checkpoint, and what separates the path from the fidelity.
PREFIX, FIDELITY_SEPARATOR = "sevennet:", "#"
#: Key of the metadata of this package in a checkpoint.
METADATA_KEY = "nextrung"
#: Characters of torch's message that an error quotes.
_MAX_REASON = 200
#: Function that builds an empty array when one is unpickled.
_MAKE_ARRAY = np.zeros(0).__reduce__()[0]
#: Arrays in the configuration of a checkpoint, as written with numpy 1 and numpy 2.
_ARRAY_GLOBALS: list[Any] = [
    (_MAKE_ARRAY, "numpy.core.multiarray._reconstruct"),
    (_MAKE_ARRAY, "numpy._core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")),
]


def split_name(name: str) -> tuple[Path, str | None]:
    """Split a name into a file and a fidelity.

    Parameters
    ----------
    name : str
        Name of a shipped model with ``/`` and a fidelity, or path of a checkpoint with
        ``#`` and a fidelity; the fidelity may be missing. A path may have the prefix
        ``sevennet:``.

    Returns
    -------
    path : Path
        The checkpoint.
    fidelity : str or None
        The fidelity of a multi-fidelity model.

    Raises
    ------
    InputError
        If there is no such file, or sevenn is not installed.
    """
    model, _, fidelity = name.partition("/")
    if model in SHIPPED:
        return _find_package() / SHIPPED[model], fidelity or None
    name = name.removeprefix(PREFIX)
    if not Path(name).is_file() and FIDELITY_SEPARATOR in name:
        name, _, fidelity = name.rpartition(FIDELITY_SEPARATOR)
    else:
        fidelity = ""
    if not Path(name).is_file():
        raise InputError(
            f"potential: expected {', '.join(FUNCTIONALS)} or a checkpoint of "
            f"SevenNet, got {name!r}, which is neither"
        )
    return Path(name), fidelity or None


def read_content(path: Path) -> dict[str, Any]:
    """Read the content of a checkpoint without running pickled code.

    Parameters
    ----------
    path : Path
        File that sevenn or this package wrote.

    Returns
    -------
    dict of str to object
        Tensors, arrays and plain values.

    Raises
    ------
    InputError
        If the file is no checkpoint of SevenNet.
    """
    try:
        with warnings.catch_warnings(), safe_globals(_ARRAY_GLOBALS):
            warnings.simplefilter("ignore")  # of formats that are then rejected
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise read_error(path, error) from error
    if not is_sevennet(content):
        raise InputError(
            f"{path}: expected a checkpoint of SevenNet, got a file without its "
            f"configuration and weights"
        )
    return dict(content)


def is_sevennet(content: object) -> bool:
    """Return whether the content of a file is that of a checkpoint of SevenNet.

    Parameters
    ----------
    content : object
        What ``torch.load`` read.
    """
    return (
        isinstance(content, dict)
        and isinstance(content.get("model_state_dict"), dict)
        and isinstance(content.get("config"), dict)
        and content["config"].get("_model_type") == "E3_equivariant_model"
    )


def is_sevennet_file(path: Path) -> bool:
    """Return whether a file is a checkpoint of SevenNet.

    Parameters
    ----------
    path : Path
        Any file.
    """
    try:
        read_content(path)
    except InputError:
        return False
    return True


def read_error(path: Path, error: Exception) -> InputError:
    """Build the error of a file that cannot be read, in one line.

    Parameters
    ----------
    path : Path
        The file.
    error : Exception
        Error of torch or of sevenn.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        reason = "got other objects than tensors, arrays and plain values"
    return InputError(
        f"{path}: expected a checkpoint of SevenNet: {reason[:_MAX_REASON]}"
    )


def check_package() -> None:
    """Check that sevenn is installed.

    Raises
    ------
    InputError
        If it is not.
    """
    _find_package()


def _find_package() -> Path:
    """Find the folder of the models in the package sevenn, without importing it."""
    found = find_spec("sevenn")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "sevennet: expected the package sevenn, got none; install the extra: "
            "pip install 'nextrung[sevennet]'"
        )
    return Path(found.submodule_search_locations[0]) / "pretrained_potentials"
