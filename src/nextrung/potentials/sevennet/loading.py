"""Loading of SevenNet by the name of a model or the path of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.potentials.interface import UNKNOWN_FUNCTIONAL, LoadedModel
from nextrung.potentials.sevennet.files import FUNCTIONALS, check_package, split_name

if TYPE_CHECKING:
    import torch


def load_sevennet(name: str, device: torch.device | str) -> LoadedModel:
    """Load a SevenNet.

    Parameters
    ----------
    name : str
        Name of a shipped model, or path of a checkpoint, with a fidelity; see
        :func:`.split_name`.
    device : torch.device or str
        Device of the model.

    Returns
    -------
    LoadedModel
        The model and the metadata of its file.

    Raises
    ------
    InputError
        If there is no such model or fidelity, or sevenn is not installed.
    """
    path, fidelity = split_name(name)
    check_package()
    from nextrung.potentials.sevennet.reading import read_sevennet  # noqa: PLC0415

    loaded = read_sevennet(path, fidelity, device)
    functional = loaded.metadata.get("functional") or FUNCTIONALS.get(
        name, UNKNOWN_FUNCTIONAL
    )
    metadata = {**loaded.metadata, "functional": functional}
    return LoadedModel(loaded.backend, loaded.elements, metadata)
