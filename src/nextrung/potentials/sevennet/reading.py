"""Backends from checkpoints of SevenNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.potentials.interface import LoadedModel
from nextrung.potentials.sevennet.backend import SevenNetBackend
from nextrung.potentials.sevennet.checkpoints import read_checkpoint
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from sevenn.nn.sequential import AtomGraphSequential


def read_sevennet(
    path: Path, fidelity: str | None, device: torch.device | str
) -> LoadedModel:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        File that sevenn or this package wrote.
    fidelity : str or None
        Fidelity; None for that of the metadata, or a model without fidelities.
    device : torch.device or str
        Device of the model.

    Returns
    -------
    LoadedModel
        The model and the metadata of its file.

    Raises
    ------
    InputError
        If the file is no checkpoint of SevenNet, or has not this fidelity.
    """
    checkpoint = read_checkpoint(path)
    metadata = dict(checkpoint.metadata)
    elements, saved = metadata.pop("elements", None), metadata.pop("fidelity", None)
    chosen = _choose_fidelity(path, checkpoint.model, fidelity or saved)
    model = checkpoint.model.to(device)
    backend = SevenNetBackend(model, checkpoint.config, chosen)
    if chosen != saved:  # the metadata describe the other fidelity
        metadata.pop("functional", None)
        elements = None
    if elements is None:
        elements = _find_covered(backend)
    return LoadedModel(backend, frozenset(elements), metadata)


def _choose_fidelity(
    path: Path, model: AtomGraphSequential, wanted: str | None
) -> str | None:
    """Choose the fidelity that is asked for, if the model has several."""
    fidelities = sorted(model.modal_map or {})
    if not fidelities and wanted is None:
        return None
    if wanted not in fidelities:
        expected = f"one of the fidelities {', '.join(fidelities)}"
        raise InputError(
            f"{path}: expected {expected if fidelities else 'no fidelity'}, got "
            f"{wanted or 'none'}"
        )
    return wanted


def _find_covered(backend: SevenNetBackend) -> frozenset[str]:
    """Find the elements with a reference energy.

    Least squares of sevenn leave exactly 0 for an element without data, as for Yb in
    the fidelity R2SCAN of sevennet-mf-0.
    """
    return frozenset(s for s, energy in backend.atom_refs.items() if energy != 0)
