"""Registry of potentials by name: shipped models and checkpoint files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.potentials.chgnet.backend import load_chgnet
from nextrung.potentials.chgnet.checkpoints import SHIPPED, find_checkpoint
from nextrung.potentials.potential import Potential
from nextrung.potentials.prediction import keep_freed_memory
from nextrung.settings import choose_device

if TYPE_CHECKING:
    from pathlib import Path


def load_potential(name: str | Path, device: str = "auto") -> Potential:
    """Load a potential by its name.

    Parameters
    ----------
    name : str or Path
        ``chgnet-r2scan``, ``chgnet-0.3.0``, or the path of a checkpoint.
    device : str
        ``auto`` for CUDA if available, or a torch device.

    Returns
    -------
    Potential
        The potential.
    """
    keep_freed_memory()
    loaded = load_chgnet(str(name), str(choose_device(device)))
    return Potential(
        loaded.backend,
        str(name),
        loaded.elements,
        functional=loaded.metadata["functional"],
    )


def find_files(name: str) -> list[Path]:
    """Find the files that hold a potential.

    Parameters
    ----------
    name : str
        Name of a potential, see :func:`load_potential`.

    Raises
    ------
    InputError
        If there is no such potential.
    """
    return [find_checkpoint(name)]


def list_names() -> list[str]:
    """List the names of potentials that need no file of the user."""
    return list(SHIPPED)
