"""SevenNet as a backend of a potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sevenn._keys as key
import torch
from pymatgen.core import Element

from nextrung.potentials.interface import TrainableBackend
from nextrung.potentials.neighbor_model import NeighborModel
from nextrung.potentials.sevennet.checkpoints import (
    Checkpoint,
    build_model,
    write_checkpoint,
)
from nextrung.potentials.sevennet.forward import Network
from nextrung.potentials.sevennet.graphs import PairBatch, build_pairs
from nextrung.potentials.sevennet.limits import find_limits
from nextrung.potentials.sevennet.parameters import (
    find_references,
    group_parameters,
    is_statistic,
    list_tracked,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sevenn.nn.sequential import AtomGraphSequential
    from torch import nn

    from nextrung.potentials.graphs.neighbors import NeighborLists
    from nextrung.potentials.interface import Outputs


class SevenNetBackend(NeighborModel, TrainableBackend):
    """A SevenNet, with one of its fidelities if it has several.

    Parameters
    ----------
    module : AtomGraphSequential
        The model, frozen and in evaluation mode.
    config : mapping of str to object
        Configuration from which sevenn builds it.
    fidelity : str or None
        Fidelity whose energies are predicted.
    """

    family = "sevennet"
    properties = "efs"
    suffix = ".pth"
    checked_layer = "Readout0"

    def __init__(
        self,
        module: AtomGraphSequential,
        config: Mapping[str, Any],
        fidelity: str | None,
    ) -> None:
        super().__init__(module)
        self.fidelity = fidelity
        self.limits = find_limits(module)
        self.cutoff = float(module.cutoff)
        self._config = dict(config)
        self._row = None if fidelity is None else module.modal_map[fidelity]
        self._network = Network(module, self._row)
        self._rows = {
            Element.from_Z(number).symbol: row
            for number, row in sorted(module.type_map.items())
            if number > 0  # a universal model has an input for the vacuum
        }
        self.tracked_layers = list_tracked(dict(module.named_parameters()))

    @property
    def known_elements(self) -> frozenset[str]:
        """Elements that the model has an input for."""
        return frozenset(self._rows)

    @property
    def atom_refs(self) -> dict[str, float]:
        """Atomic reference energy of each known element in eV/atom."""
        energies = find_references(self.module, self._row).tolist()
        return {symbol: energies[row] for symbol, row in self._rows.items()}

    def with_atom_refs(self, energies: Mapping[str, float]) -> SevenNetBackend:
        """Copy the model with other atomic reference energies of its fidelity.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of known elements in eV/atom; all others become 0.

        Raises
        ------
        InputError
            If the model has no input for an element, or an energy is not finite.
        """
        for symbol, energy in energies.items():
            if symbol not in self._rows or not np.isfinite(energy):
                raise InputError(
                    f"atom refs: expected a finite energy of one of the "
                    f"{len(self._rows)} elements of the model, got {symbol}: {energy}"
                )
        copied = self.copy()
        references = find_references(copied.module, self._row)
        references.zero_()
        for symbol, energy in energies.items():
            references[self._rows[symbol]] = energy
        return copied

    def with_random_weights(self, seed: int) -> SevenNetBackend:
        """Copy the architecture and the atomic references, with random weights.

        The statistics of the data stay too: scales and denominators.

        Parameters
        ----------
        seed : int
            Seed of the weights.
        """
        model = build_model(self._config, seed).to(self.device, self.dtype)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if is_statistic(name):
                    weight.copy_(self.module.get_parameter(name))
        return SevenNetBackend(model, self._config, self.fidelity)

    def save(
        self, path: Path, elements: frozenset[str], metadata: Mapping[str, Any]
    ) -> None:
        """Write a checkpoint that plain sevenn loads; it is replaced atomically.

        Parameters
        ----------
        path : Path
            File to write or replace.
        elements : frozenset of str
            Elements that have an atomic reference energy.
        metadata : mapping of str to object
            Numbers, strings, lists and dictionaries to store beside.
        """
        known = {"elements": sorted(elements), "fidelity": self.fidelity}
        content = {**metadata, **known}
        write_checkpoint(Checkpoint(self.module, self._config, content), path)

    def build(  # type: ignore[override]
        self, inputs: NeighborLists, device: torch.device, dtype: torch.dtype
    ) -> PairBatch:
        """Build the pairs of a batch.

        Parameters
        ----------
        inputs : NeighborLists
            Crystals and their pairs.
        device : torch.device
            Device of the batch.
        dtype : torch.dtype
            Floating-point type of the vectors.
        """
        return build_pairs(inputs, device, dtype)

    def evaluate(self, batch: PairBatch, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties without gradients by the parameters.

        Parameters
        ----------
        batch : PairBatch
            Pairs on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """
        return self._network.predict(batch, properties)

    def differentiate(self, batch: PairBatch, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties that depend on the parameters that require gradients.

        Parameters
        ----------
        batch : PairBatch
            Pairs on the device of the network and of its type.
        properties : str
            Letters of the wanted properties.
        """
        return self._network.differentiate(batch, properties)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """List all parameters by their part, see :class:`.TrainableBackend`."""
        return group_parameters(self.module)

    def for_training(self) -> SevenNetBackend:
        """Copy the model in training mode, with gradients for its parameters.

        The scale of the energies and the denominators of the convolutions, statistics
        of the data, are trained only if sevenn is configured so.
        """
        copied = self.copy()
        copied.module.train()
        trained = {
            "scale": self._config[key.TRAIN_SHIFT_SCALE],
            "denominator": self._config[key.TRAIN_DENOMINTAOR],
        }
        for name, weight in copied.module.named_parameters():
            weight.requires_grad_(trained.get(name.rpartition(".")[2], True))
        return copied
