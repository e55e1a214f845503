"""Registry of potentials by name: shipped models, checkpoint files, factories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nextrung.potentials.catalogue import (
    CHGNET,
    MACE,
    MATGL,
    SEVENNET,
    describe_choices,
    find_model,
)
from nextrung.potentials.devices import share_memory, use_full_precision
from nextrung.potentials.generic.ase import AseBackend
from nextrung.potentials.generic.factories import (
    allow_factory,
    parse_factory,
    validate_allowed,
)
from nextrung.potentials.generic.files import read_shifted
from nextrung.potentials.generic.torchsim import TorchSimBackend
from nextrung.potentials.interface import UNKNOWN_FUNCTIONAL, LoadedModel
from nextrung.potentials.mace.checkpoints import is_mace_file
from nextrung.potentials.mace.loading import find_model_file, load_mace
from nextrung.potentials.matgl.recognition import holds_matgl
from nextrung.potentials.potential import Potential
from nextrung.potentials.prediction import keep_freed_memory
from nextrung.potentials.sevennet.files import is_sevennet_file, split_name
from nextrung.potentials.sevennet.loading import load_sevennet
from nextrung.schemas.base import InputError, quote
from nextrung.settings import choose_device

if TYPE_CHECKING:
    import torch

    from nextrung.potentials.catalogue import Family
    from nextrung.potentials.generic.external import ExternalBackend
    from nextrung.potentials.generic.factories import Factory
    from nextrung.potentials.interface import Backend


def load_potential(name: str | Path, device: str = "auto") -> Potential:
    """Load a potential by its name.

    Parameters
    ----------
    name : str or Path
        Name of a shipped model, such as ``chgnet-r2scan`` or ``sevennet-0``;
        ``mace:FILE``, ``matgl:FOLDER``; ``ase:module:factory`` or
        ``torchsim:module:factory``, a callable without arguments, whose code is run;
        or the path of a checkpoint of any family.
    device : str
        ``auto`` for CUDA if available, or a torch device.

    Returns
    -------
    Potential
        The potential.

    Raises
    ------
    InputError
        If there is no such potential, or the extra of its family is missing.
    """
    keep_freed_memory()
    use_full_precision()
    name = str(name)
    loaded = _load(name, choose_device(device))
    return Potential(
        loaded.backend,
        name,
        loaded.elements,
        functional=loaded.metadata.get("functional") or UNKNOWN_FUNCTIONAL,
        prior_errors=loaded.metadata.get("prior_errors"),
    )


def find_files(name: str) -> list[Path]:
    """Find the files that hold a potential.

    Parameters
    ----------
    name : str
        Name of a potential, see :func:`load_potential`.

    Returns
    -------
    list of Path
        Its checkpoint, the files of its folder, or the module of its factory.

    Raises
    ------
    InputError
        If there is no such potential.
    """
    if (factory := parse_factory(name)) is not None:
        return [factory.find_source()]
    family, rest = _find_family(name)
    if family is MATGL:
        path = Path(rest)
        return sorted(path.iterdir()) if path.is_dir() else [path]
    if family is SEVENNET:
        return [split_name(rest)[0]]
    if family is MACE:
        return [find_model_file(rest)]
    if family is CHGNET:
        from nextrung.potentials.chgnet.checkpoints import (  # noqa: PLC0415 - slow
            find_checkpoint,
        )

        return [find_checkpoint(rest)]
    return [Path(rest)]


def load_shared(name: str | Path, device: str, n_processes: int) -> Potential:
    """Load a potential in one of several processes that share a device.

    Parameters
    ----------
    name : str or Path
        Name, see :func:`load_potential`.
    device : str
        Device.
    n_processes : int
        Processes that use the device; each may use an equal share of its memory.

    Returns
    -------
    Potential
        The potential.
    """
    share_memory(choose_device(device), n_processes)
    return load_potential(name, device)


def _load(name: str, device: torch.device) -> LoadedModel:
    """Load a model by the name of a potential."""
    if (factory := parse_factory(name)) is not None:
        allow_factory(factory)  # the user has named it
        backend = _make_external(factory)
        return LoadedModel(backend, backend.known_elements, {})
    family, rest = _find_family(name)
    if family is None:
        return _load_shifted(Path(rest))
    if not family.is_installed:
        raise InputError(
            f"{name}: expected {family.packages[0]}, which is not installed; "
            f"pip install 'nextrung[{family.extra}]'"
        )
    return _load_family(family, rest, str(device))


def _find_family(name: str) -> tuple[Family | None, str]:
    """Find the family of a potential, and its name without a prefix.

    The family of a file is that of its content; None for one of this package that
    names a factory.
    """
    model = find_model(name)
    if model is not None:
        return model.family, name
    prefix, _, rest = name.partition(":")
    for family in (MACE, MATGL, SEVENNET):
        if prefix == family.name and rest:
            return family, rest
    path = Path(name)
    if name and path.exists():
        return _recognise(path), name
    if name.startswith(f"{SEVENNET.name}-"):
        return SEVENNET, name
    raise InputError(
        f"potential: expected {describe_choices()}, got {quote(name)}, which is none"
    )


def _recognise(path: Path) -> Family | None:
    """Recognise the family of a folder or a file by its content."""
    if holds_matgl(path):
        return MATGL
    if path.is_dir():
        raise InputError(
            f"potential: expected a checkpoint file or a folder of matgl, got {path}"
        )
    if read_shifted(path) is not None:
        return None
    if is_mace_file(path):
        return MACE
    return SEVENNET if is_sevennet_file(path) else CHGNET


def _load_family(family: Family, name: str, device: str) -> LoadedModel:
    """Load a model of a family, whose package is imported here."""
    if family is MATGL:
        from nextrung.potentials.matgl.backend import load_matgl  # noqa: PLC0415

        return load_matgl(Path(name), device)
    if family is SEVENNET:
        return load_sevennet(name, device)
    if family is MACE:
        return load_mace(name, device)
    from nextrung.potentials.chgnet.backend import load_chgnet  # noqa: PLC0415

    return load_chgnet(name, device)


def _make_external(factory: Factory) -> ExternalBackend:
    """Make the model of a factory."""
    if factory.kind == "torchsim":
        return TorchSimBackend(factory)
    return AseBackend(factory)


def _load_shifted(path: Path) -> LoadedModel:
    """Load a file that names a factory, if the user has named it too."""
    content = read_shifted(path)
    factory = None if content is None else parse_factory(content.base)
    if content is None or factory is None:
        raise InputError(f"{path}: expected a file that names a factory")
    validate_allowed(factory, path)
    backend: Backend = _make_external(factory)
    if content.shift:
        backend = backend.with_atom_refs(content.shift)
    return LoadedModel(backend, content.elements, content.metadata)
