"""Import of the package mace, which is optional."""

from __future__ import annotations

import io
import os
import warnings
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

from nextrung.schemas.base import InputError

#: Environment variable that mace sets when it is imported, for e3nn to read its tables:
#: ``torch.load`` then runs the code of any pickle by default, in this process and in
#: those it starts.
_UNSAFE_LOAD = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def import_mace(name: str) -> Any:  # noqa: ANN401
    """Import a module of mace or e3nn without side effects.

    Parameters
    ----------
    name : str
        Full name of the module.

    Returns
    -------
    module
        The module.

    Raises
    ------
    InputError
        If mace is not installed.
    """
    before = read_load_mode()
    os.environ[_UNSAFE_LOAD] = "1"
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # and no advice about faster packages
            return import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"mace: expected the package mace-torch, got no module {error.name!r}; "
            f"install the extra: pip install 'nextrung[mace]'"
        ) from error
    finally:
        restore_load_mode(before)


def read_load_mode() -> str | None:
    """Read the environment variable that mace sets."""
    return os.environ.get(_UNSAFE_LOAD)


def restore_load_mode(value: str | None) -> None:
    """Set the environment variable that mace sets to what it was before.

    Parameters
    ----------
    value : str or None
        Value; None if it was not set.
    """
    os.environ.pop(_UNSAFE_LOAD, None)
    if value is not None:
        os.environ[_UNSAFE_LOAD] = value
