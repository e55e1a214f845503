"""CHGNet as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pymatgen.core import Element

from nextrung.potentials.chgnet.checkpoints import (
    FUNCTIONALS,
    N_ELEMENTS,
    Checkpoint,
    build_model,
    find_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from nextrung.potentials.chgnet.double_backward import use_fast_double_backward
from nextrung.potentials.chgnet.forward import predict_differentiably, predict_graphs
from nextrung.potentials.graphs.graphs import build_graphs
from nextrung.potentials.graphs.neighbors import (
    ATOM_CUTOFF,
    BOND_CUTOFF,
    NeighborLists,
)
from nextrung.potentials.interface import (
    UNKNOWN_FUNCTIONAL,
    BatchLimits,
    LoadedModel,
    TrainableBackend,
)
from nextrung.potentials.neighbor_model import NeighborModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from chgnet.model import CHGNet

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.interface import Outputs

#: Cost above which the largest tensor, 256 features per angle, exceeds 2³¹ elements.
_GPU_COST = 8_000_000
#: Parts of the network by the names of its modules; the readout has the output layers
#: of energies and of magnetic moments.
_PARTS: Mapping[str, str] = {
    "composition_model": "references",
    "mlp": "readout",
    "readout_norm": "readout",
    "site_wise": "readout",
}
_ELEMENTS = frozenset(Element.from_Z(z).symbol for z in range(1, N_ELEMENTS + 1))


class ChgnetBackend(NeighborModel, TrainableBackend):
    """A CHGNet.

    Parameters
    ----------
    module : CHGNet
        The model, frozen and in evaluation mode.

    Notes
    -----
    ``W0`` and ``W3`` of the tracked layers, those of Fig. 3a of the paper, are the
    first and the second linear layer, 0 and 3 in their sequence, of the core of a gated
    MLP.
    """

    family: ClassVar[str] = "chgnet"
    suffix: ClassVar[str] = ".pth.tar"
    properties = "efsm"
    cutoff, angle_cutoff = ATOM_CUTOFF, BOND_CUTOFF
    limits = BatchLimits(
        prediction={"cpu": 12_000, "cuda": _GPU_COST},
        relaxation={"cpu": 16_000, "cuda": _GPU_COST},
        training={"cpu": 10_000, "cuda": 500_000},
        bytes_per_cost=20_000,
    )
    tracked_layers: Mapping[str, str] = {
        "AtomEmb": "atom_embedding.embedding.weight",
        "BondEmb": "bond_embedding.weight",
        "AngleEmb": "angle_embedding.weight",
        "AtomConv0_W0": "atom_conv_layers.0.twoBody_atom.mlp_core.layers.0.weight",
        "AtomConv3_W3": "atom_conv_layers.3.twoBody_atom.mlp_core.layers.3.weight",
        "BondConv0_W0": "bond_conv_layers.0.twoBody_bond.mlp_core.layers.0.weight",
        "BondConv2_W3": "bond_conv_layers.2.twoBody_bond.mlp_core.layers.3.weight",
        "MLP_Layer0": "mlp.layers.0.weight",
    }
    checked_layer = "MLP_Layer0"

    module: CHGNet

    @property
    def known_elements(self) -> frozenset[str]:
        """Elements of the embedding: hydrogen to plutonium."""
        return _ELEMENTS

    @property
    def atom_refs(self) -> dict[str, float]:
        """Atomic reference energy of each known element in eV/atom."""
        energies = self.module.composition_model.fc.weight[0].tolist()
        return {
            Element.from_Z(z).symbol: energy for z, energy in enumerate(energies, 1)
        }

    def with_atom_refs(self, energies: Mapping[str, float]) -> ChgnetBackend:
        """Copy the model with other atomic reference energies.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of known elements in eV/atom; all others become 0.
        """
        copied = self.copy()
        weight = copied.module.composition_model.fc.weight
        with torch.no_grad():
            weight.zero_()
            for symbol, energy in energies.items():
                weight[0, Element(symbol).Z - 1] = energy
        return copied

    def with_random_weights(self, seed: int) -> ChgnetBackend:
        """Copy the architecture and the atomic references, with random weights.

        Parameters
        ----------
        seed : int
            Seed of the weights.
        """
        model = build_model({**self.module.model_args, "version": None}, seed)
        atom_refs = self.module.composition_model.state_dict()
        model.composition_model.load_state_dict(atom_refs)
        return ChgnetBackend(model.to(self.device, self.dtype))

    def save(
        self, path: Path, elements: frozenset[str], metadata: Mapping[str, Any]
    ) -> None:
        """Write a checkpoint that plain chgnet loads; it is replaced atomically.

        Parameters
        ----------
        path : Path
            File to write or replace.
        elements : frozenset of str
            Elements that have an atomic reference energy.
        metadata : mapping of str to object
            Numbers, strings, lists and dictionaries to store beside.
        """
        write_checkpoint(Checkpoint(self.module, elements, dict(metadata)), path)

    def build(  # type: ignore[override]
        self, inputs: NeighborLists, device: torch.device, dtype: torch.dtype
    ) -> GraphBatch:
        """Build the graphs of a batch.

        Parameters
        ----------
        inputs : NeighborLists
            Crystals and their pairs.
        device : torch.device
            Device of the graphs.
        dtype : torch.dtype
            Floating-point type of the vectors.
        """
        return build_graphs(inputs.crystals, device, dtype, pairs=inputs.pairs)

    def evaluate(self, batch: GraphBatch, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties without gradients by the parameters.

        Parameters
        ----------
        batch : GraphBatch
            Graphs on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """
        return predict_graphs(self.module, batch, properties)

    def differentiate(self, batch: GraphBatch, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties that depend on the parameters that require gradients.

        Parameters
        ----------
        batch : GraphBatch
            Graphs on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """
        return predict_differentiably(self.module, batch, properties)

    def parameter_groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """List all parameters by their part, see :class:`.TrainableBackend`."""
        last = f"atom_conv_layers.{self.module.n_conv - 1}."
        groups: dict[str, list[torch.nn.Parameter]] = {
            "references": [],
            "readout": [],
            "last_block": [],
            "body": [],
        }
        for name, parameter in self.module.named_parameters():
            part = "last_block" if name.startswith(last) else "body"
            groups[_PARTS.get(name.split(".")[0], part)].append(parameter)
        return groups

    def for_training(self) -> ChgnetBackend:
        """Copy the model in training mode, with gradients for all its parameters."""
        copied = self.copy()
        use_fast_double_backward(copied.module).train().requires_grad_(
            requires_grad=True
        )
        return copied


def load_chgnet(name: str, device: str) -> LoadedModel:
    """Load a CHGNet.

    Parameters
    ----------
    name : str
        Name of a shipped model, or path of a checkpoint.
    device : str
        Device of torch.

    Returns
    -------
    LoadedModel
        The model and the metadata of its file.

    Raises
    ------
    InputError
        If there is no such model, or the file holds none that is supported.
    """
    checkpoint = read_checkpoint(find_checkpoint(name))
    functional = checkpoint.metadata.get("functional") or FUNCTIONALS.get(
        name, UNKNOWN_FUNCTIONAL
    )
    return LoadedModel(
        ChgnetBackend(checkpoint.model.to(device)),
        checkpoint.elements,
        {**checkpoint.metadata, "functional": functional},
    )
