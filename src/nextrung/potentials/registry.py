"""Registry of potentials by name: shipped models and checkpoint files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.potentials.chgnet.checkpoints import (
    FUNCTIONALS,
    UNKNOWN_FUNCTIONAL,
    find_checkpoint,
    read_checkpoint,
)
from nextrung.potentials.chgnet.prediction import keep_freed_memory
from nextrung.potentials.potential import Potential
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
    checkpoint = read_checkpoint(find_checkpoint(str(name)))
    model = checkpoint.model.to(choose_device(device))
    functional = checkpoint.metadata.get("functional") or FUNCTIONALS.get(
        str(name), UNKNOWN_FUNCTIONAL
    )
    return Potential(model, str(name), checkpoint.elements, functional=functional)
