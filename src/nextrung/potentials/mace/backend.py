"""MACE as a backend of a potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pymatgen.core import Element

from nextrung.potentials.interface import BatchLimits, TrainableBackend
from nextrung.potentials.mace.batches import MaceBatch, build_batch
from nextrung.potentials.mace.checkpoints import (
    REFERENCES,
    build_mace,
    write_mace_file,
)
from nextrung.potentials.mace.forward import predict_batch, predict_differentiably
from nextrung.potentials.mace.package import (
    import_mace,
    read_load_mode,
    restore_load_mode,
)
from nextrung.potentials.neighbor_model import NeighborModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from nextrung.potentials.graphs.neighbors import NeighborLists
    from nextrung.potentials.interface import Outputs

#: Layers whose gradients are recorded, by the names of their weights; a model has those
#: that its kind of interaction has.
_TRACKED_LAYERS: Mapping[str, str] = {
    "NodeEmb": "node_embedding.linear.weight",
    "Interaction0_Radial0": "interactions.0.conv_tp_weights.layer0.weight",
    "Interaction0_Linear": "interactions.0.linear.weight",
    "Product0_Linear": "products.0.linear.weight",
    "Interaction1_Radial0": "interactions.1.conv_tp_weights.layer0.weight",
    "Interaction1_Linear": "interactions.1.linear.weight",
    "Product1_Linear": "products.1.linear.weight",
    "Readout0": "readouts.0.linear.weight",
}
#: Numbers of a message, over all layers, that fit the caches of a CPU core: 4,000 edges
#: of a small model, 500 of mace-mp-0 (measured, one core of a Xeon).
_CPU_NUMBERS = 2e6
#: Numbers of the messages of a batch that fill a GPU; in training, half its memory.
_GPU_NUMBERS, _GPU_TRAINING_NUMBERS = 1e9, 2.5e8
#: Bytes of memory per number of a message: seven to nine in float32 are saved for the
#: forces (counted with ``saved_tensors_hooks``), about as many are temporary.
_BYTES_PER_NUMBER = 20


class MaceBackend(NeighborModel, TrainableBackend):
    """A ScaleShiftMACE with one of its heads.

    Parameters
    ----------
    module : ScaleShiftMACE
        The model, whose references are a parameter in float64.
    arguments : mapping of str to object
        Arguments of its constructor.
    head : str
        Name of the head whose energies are predicted.
    """

    family: ClassVar[str] = "mace"
    suffix: ClassVar[str] = ".model"
    properties = "efs"
    checked_layer = "Readout0"

    def __init__(
        self, module: nn.Module, arguments: Mapping[str, Any], head: str
    ) -> None:
        super().__init__(module)
        self.head = head
        self._arguments = dict(arguments)
        self._head_index = list(arguments["heads"]).index(head)
        self.cutoff = float(arguments["r_max"])
        self.limits = _find_limits(module)
        names = dict(module.named_parameters())
        self.tracked_layers = {
            layer: name for layer, name in _TRACKED_LAYERS.items() if name in names
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle such that a process that receives the model imports mace safely."""
        return _create, (read_load_mode(),), self.__dict__

    @property
    def known_elements(self) -> frozenset[str]:
        """Elements that the model has an input for."""
        return frozenset(self._symbols)

    @property
    def atom_refs(self) -> dict[str, float]:
        """Atomic reference energy of each known element in eV/atom."""
        references = self.module.get_parameter(REFERENCES)
        energies = references[self._head_index].tolist()
        return dict(zip(self._symbols, energies, strict=True))

    @property
    def _symbols(self) -> list[str]:
        """Elements of the model, in the order of its inputs."""
        return [Element.from_Z(z).symbol for z in self.module.atomic_numbers.tolist()]

    def with_atom_refs(self, energies: Mapping[str, float]) -> MaceBackend:
        """Copy the model with other atomic reference energies of its head.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of known elements in eV/atom; all others become 0.
        """
        copied = self.copy()
        row = [energies.get(symbol, 0.0) for symbol in self._symbols]
        references = copied.module.get_parameter(REFERENCES)
        with torch.no_grad():
            references[self._head_index] = references.new_tensor(row)
        return copied

    def with_random_weights(self, seed: int) -> MaceBackend:
        """Copy the architecture and the atomic references, with random weights.

        Parameters
        ----------
        seed : int
            Seed of the weights.
        """
        copied = self.copy()
        fresh = build_mace(self._arguments, self.dtype, seed)
        weights = dict(fresh.named_parameters())
        with torch.no_grad():
            for name, weight in copied.module.named_parameters():
                if name != REFERENCES:
                    weight.copy_(weights[name])
        return copied

    def save(
        self, path: Path, elements: frozenset[str], metadata: Mapping[str, Any]
    ) -> None:
        """Write a model file that plain mace loads; it is replaced atomically.

        Parameters
        ----------
        path : Path
            File to write or replace.
        elements : frozenset of str
            Elements that have an atomic reference energy.
        metadata : mapping of str to object
            Numbers, strings, lists and dictionaries to store beside.
        """
        content = {**metadata, "elements": sorted(elements), "head": self.head}
        write_mace_file(self.module, path, content)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """List all parameters by their part, see :class:`.TrainableBackend`."""
        last = len(self.module.interactions) - 1
        parts = {
            REFERENCES: "references",
            "readouts.": "readout",
            f"interactions.{last}.": "last_block",
            f"products.{last}.": "last_block",
            "": "body",
        }
        groups: dict[str, list[nn.Parameter]] = {part: [] for part in parts.values()}
        for name, weight in self.module.named_parameters():
            part = next(part for start, part in parts.items() if name.startswith(start))
            groups[part].append(weight)
        return groups

    def for_training(self) -> MaceBackend:
        """Copy the model in training mode, with gradients for all its parameters."""
        copied = self.copy()
        copied.module.train().requires_grad_(requires_grad=True)
        return copied

    def build(
        self,
        inputs: NeighborLists,  # type: ignore[override]
        device: torch.device,
        dtype: torch.dtype,
    ) -> MaceBatch:
        """Build the input tensors of a batch.

        Parameters
        ----------
        inputs : NeighborLists
            Crystals that pass :meth:`check`.
        device : torch.device
            Device of the tensors.
        dtype : torch.dtype
            Their floating-point type.
        """
        return build_batch(
            inputs,
            self.module.atomic_numbers,
            head=self._head_index,
            device=device,
            dtype=dtype,
        )

    def evaluate(self, batch: MaceBatch, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties without gradients by the parameters.

        Parameters
        ----------
        batch : MaceBatch
            Input tensors on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """
        return predict_batch(self.module, batch, properties)

    def differentiate(self, batch: MaceBatch, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties that depend on the parameters that require gradients.

        Parameters
        ----------
        batch : MaceBatch
            Input tensors on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """
        return predict_differentiably(self.module, batch, properties)


def _create(load_mode: str | None) -> MaceBackend:
    """Create a model without attributes, to which pickle adds these."""
    import_mace("mace.modules")
    restore_load_mode(load_mode)  # pickle may have imported mace before
    return MaceBackend.__new__(MaceBackend)


def _find_limits(module: Any) -> BatchLimits:  # noqa: ANN401
    """Find the costs of batches from the size of the messages of a model."""
    numbers = sum(layer.conv_tp.irreps_out.dim for layer in module.interactions)
    inference = {"cpu": _CPU_NUMBERS / numbers, "cuda": _GPU_NUMBERS / numbers}
    training = {"cpu": _CPU_NUMBERS / numbers, "cuda": _GPU_TRAINING_NUMBERS / numbers}
    return BatchLimits(
        prediction=inference,
        relaxation=inference,
        training=training,
        bytes_per_cost=_BYTES_PER_NUMBER * numbers,
    )
