"""Checkpoints of SevenNet: models from their content, and files that sevenn loads.

Files written here load with ``SevenNetCalculator``. Their additional key ``nextrung``
holds the elements with an atomic reference energy, the fidelity, and metadata.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import e3nn
import numpy as np
import sevenn._keys as key
import torch
from sevenn.checkpoint import _config_cp_routine
from sevenn.model_build import build_E3_equivariant_model
from sevenn.nn.convolution import IrrepsConvolution
from sevenn.nn.edge_embedding import EdgeEmbedding
from sevenn.nn.scale import Rescale, SpeciesWiseRescale, get_resolved_shift_scale
from sevenn.scripts.backward_compatibility import patch_state_dict_if_old
from torch import nn

from nextrung.atomic_write import atomic_write
from nextrung.potentials.sevennet.files import METADATA_KEY, read_content, read_error
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from e3nn.o3 import TensorProduct
    from sevenn.nn.sequential import AtomGraphSequential

#: Accelerated layers, which replace those that are computed here.
_ACCELERATORS = (key.USE_FLASH_TP, key.USE_OEQ)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model, its configuration and the metadata of its file.

    Parameters
    ----------
    model : AtomGraphSequential
        Model on the CPU in float32, in evaluation mode, without gradients.
    config : dict of str to object
        Configuration from which sevenn builds it.
    metadata : dict of str to object
        Metadata of the file.
    """

    model: AtomGraphSequential
    config: dict[str, Any]
    metadata: dict[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file without running pickled code.

    Parameters
    ----------
    path : Path
        File that sevenn or this package wrote.

    Raises
    ------
    InputError
        If the file has no SevenNet, or one that is not supported.
    """
    content = read_content(path)
    try:
        config = _config_cp_routine(content["config"])
        config[key.CUEQUIVARIANCE_CONFIG] = {}
        config |= dict.fromkeys(_ACCELERATORS, False)
        model = build_model(config)
        weights = patch_state_dict_if_old(content["model_state_dict"], config, model)
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise read_error(path, error) from error
    _check_supported(model, path)
    _expand_statistics(model, config)
    return Checkpoint(model, config, dict(content.get(METADATA_KEY, {})))


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint that plain sevenn loads; the file is replaced atomically.

    Parameters
    ----------
    checkpoint : Checkpoint
        The model; its metadata must be numbers, strings, lists and dictionaries.
    path : Path
        File to write or replace.
    """
    model, config = checkpoint.model, checkpoint.config
    weights = {name: value.cpu().float() for name, value in model.state_dict().items()}
    shift, scale = get_resolved_shift_scale(
        model.rescale_atomic_energy, config[key.TYPE_MAP], config.get(key.MODAL_MAP)
    )
    changed = {key.SHIFT: shift, key.SCALE: scale, "version": version("sevenn")}
    content = {
        "model_state_dict": weights,
        "config": {
            name: _simplify(value) for name, value in (config | changed).items()
        },
        METADATA_KEY: {**checkpoint.metadata, "version": version("nextrung")},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        torch.save(content, file)


def build_model(config: Mapping[str, Any], seed: int = 0) -> AtomGraphSequential:
    """Build a frozen SevenNet with random weights, in evaluation mode.

    The generated code of e3nn stays Python: TorchScript gains nothing on layers of
    atoms, and compiles them again for each copy. The seed of torch is kept.

    Parameters
    ----------
    config : mapping of str to object
        Configuration of sevenn.
    seed : int
        Seed of the weights.
    """
    with torch.random.fork_rng(devices=[]), _generate_python():
        torch.manual_seed(seed)
        model: AtomGraphSequential = build_E3_equivariant_model(deepcopy(dict(config)))
    for layer in model.children():
        if isinstance(layer, IrrepsConvolution):
            _remove_code(layer.convolution)
    return model.eval().requires_grad_(requires_grad=False)


def _expand_statistics(model: AtomGraphSequential, config: dict[str, Any]) -> None:
    """Give each element its own shift and scale, where all elements have one."""
    common = model.rescale_atomic_energy
    if not isinstance(common, Rescale):
        return
    n_elements = len(model.type_map)
    config[key.SHIFT] = [common.get_shift()] * n_elements
    config[key.SCALE] = [common.get_scale()] * n_elements
    by_element = SpeciesWiseRescale(config[key.SHIFT], config[key.SCALE])
    by_element.eval().requires_grad_(requires_grad=False)
    model.replace_module("rescale_atomic_energy", by_element)


def _remove_code(product: TensorProduct) -> None:
    """Remove the generated code of a tensor product, and keep its buffers.

    Convolutions are computed here. A copy of the code would trace it again, and add
    constants to the names of the weights, which sevenn then refuses.
    """
    for name in product.__codegen__:
        buffers = nn.Module()
        for buffer, value in getattr(product, name).named_buffers():
            buffers.register_buffer(buffer, value)
        setattr(product, name, buffers)
    product.__codegen__ = []


@contextmanager
def _generate_python() -> Iterator[None]:
    """Let e3nn generate Python instead of TorchScript."""
    before = e3nn.get_optimization_defaults()["jit_mode"]
    e3nn.set_optimization_defaults(jit_mode="eager")
    try:
        yield
    finally:
        e3nn.set_optimization_defaults(jit_mode=before)


def _simplify(value: Any) -> Any:  # noqa: ANN401
    """Convert arrays and tensors of a configuration to lists."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    return value


def _check_supported(model: AtomGraphSequential, path: Path) -> None:
    """Reject architectures that :mod:`.forward` would compute wrongly."""
    layers = list(model.children())
    n_embeddings = sum(isinstance(layer, EdgeEmbedding) for layer in layers)
    convolutions = [layer for layer in layers if isinstance(layer, IrrepsConvolution)]
    paths = [path for layer in convolutions for path in layer.convolution.instructions]
    supported = n_embeddings == 1 and all(
        path.connection_mode == "uvu" and path.has_weight for path in paths
    )
    if not supported or model.cutoff <= 0:
        raise InputError(f"{path}: a SevenNet of this architecture is not supported")
