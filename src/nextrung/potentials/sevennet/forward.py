"""SevenNet on batches of pairs, through the modules of an unmodified sevenn model.

The numbers are sevenn's within rounding. For speed, the convolutions run on pairs
(:mod:`.convolution`), and one gradient with respect to the pair vectors gives forces
and stresses together. Energies are summed in float64, and atomic reference energies are
added after the network, so that forces and stresses do not depend on them at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sevenn._keys as key
import torch
from ase import units
from sevenn.nn.convolution import IrrepsConvolution
from sevenn.nn.edge_embedding import EdgeEmbedding
from sevenn.nn.force_output import ForceStressOutputFromEdge
from sevenn.nn.linear import AtomReduce
from sevenn.nn.node_embedding import OnehotEmbedding
from sevenn.nn.scale import ModalWiseRescale, SpeciesWiseRescale
from torch import Tensor, nn

from nextrung.potentials.interface import Outputs
from nextrung.potentials.sevennet.convolution import Convolution, Edges

if TYPE_CHECKING:
    from sevenn.nn.sequential import AtomGraphSequential

    from nextrung.potentials.sevennet.graphs import PairBatch

#: GPa per eV/Å³.
GPA: float = 1 / units.GPa
#: Layers that :class:`Network` computes itself, after all others.
_FINAL = (
    AtomReduce,
    ForceStressOutputFromEdge,
    ModalWiseRescale,
    SpeciesWiseRescale,
)


class Network:
    """A model of sevenn and the plan of its convolutions.

    Parameters
    ----------
    model : AtomGraphSequential
        Model of sevenn; its weights are read at each call.
    fidelity : int or None
        Index of the fidelity of a multi-fidelity model.
    """

    def __init__(self, model: AtomGraphSequential, fidelity: int | None) -> None:
        self.model = model
        self.fidelity = fidelity
        self._convolutions = {
            name: Convolution(layer)
            for name, layer in model.named_children()
            if isinstance(layer, IrrepsConvolution)
        }

    def predict(self, batch: PairBatch, properties: str) -> Outputs:
        """Predict the properties of a batch, without gradients.

        Parameters
        ----------
        batch : PairBatch
            Pairs of the batch, on the device of the model and of its type.
        properties : str
            Letters: ``e`` energies (always computed), ``f`` forces, ``s`` stresses.
        """
        with torch.set_grad_enabled(_wants_gradient(properties)):
            outputs = self._predict(batch, properties, create_graph=False)
        return Outputs(
            outputs.energies.detach(), outputs.forces, outputs.stresses, None
        )

    def differentiate(self, batch: PairBatch, properties: str) -> Outputs:
        """Predict the properties of a batch, differentiable by the parameters.

        Parameters
        ----------
        batch : PairBatch
            Pairs of the batch, on the device of the model and of its type.
        properties : str
            Letters, see :meth:`predict`.
        """
        return self._predict(batch, properties, create_graph=True)

    def _predict(
        self, batch: PairBatch, properties: str, *, create_graph: bool
    ) -> Outputs:
        """Predict properties; forces and stresses depend on the weights if asked."""
        vectors = batch.vectors.detach().requires_grad_(_wants_gradient(properties))
        types = self._find_types(batch)
        atoms = self._run(batch, vectors, types, create_graph=create_graph)
        scaled = atoms * self._scales(types)
        energies = batch.owners.segment_sum(scaled.double())[:, 0]
        forces, stresses = None, None
        if _wants_gradient(properties):
            (gradient,) = torch.autograd.grad(
                energies.sum(), vectors, create_graph=create_graph
            )
            if "f" in properties:
                forces = _sum_forces(batch, gradient)
            if "s" in properties:
                stresses = _sum_stresses(batch, gradient)
        shifts = batch.owners.segment_sum(self._shifts(types).double())[:, 0]
        return Outputs(energies + shifts, forces, stresses, None)

    def _find_types(self, batch: PairBatch) -> Tensor:
        """Find the row of the element of each atom in the model's tables."""
        rows = self.model.z_to_onehot_tensor.to(batch.atomic_numbers.device)
        types: Tensor = rows[batch.atomic_numbers]
        return types

    def _run(
        self, batch: PairBatch, vectors: Tensor, types: Tensor, *, create_graph: bool
    ) -> Tensor:
        """Run the network: unscaled energy of each atom, shape (n_atoms, 1)."""
        owners = batch.owners.index
        values: dict[str, Any] = {key.NODE_FEATURE: types, key.BATCH: owners}
        if self.fidelity is not None:
            fidelities = torch.full_like(batch.n_atoms, self.fidelity)
            values[key.MODAL_TYPE] = fidelities
        for name, layer in self.model.named_children():
            if isinstance(layer, EdgeEmbedding):
                edges = _embed(layer, batch, vectors)
            elif isinstance(layer, IrrepsConvolution):
                features = values[key.NODE_FEATURE]
                convolution = self._convolutions[name]
                values[key.NODE_FEATURE] = convolution.apply(
                    features, edges, create_graph=create_graph
                )
            elif not isinstance(layer, _FINAL):
                values = layer(values)
            if isinstance(layer, OnehotEmbedding):
                values[layer.key_output] = values[layer.key_output].to(vectors.dtype)
                values[key.NODE_ATTR] = values[key.NODE_FEATURE]
        energies: Tensor = values[key.SCALED_ATOMIC_ENERGY]
        return energies

    def _scales(self, types: Tensor) -> Tensor:
        """Look up the scale of the energy of each atom, shape (n_atoms, 1)."""
        return self._look_up(self.model.rescale_atomic_energy.scale, types)

    def _shifts(self, types: Tensor) -> Tensor:
        """Look up the reference energy of each atom in eV, shape (n_atoms, 1)."""
        return self._look_up(self.model.rescale_atomic_energy.shift, types)

    def _look_up(self, table: nn.Parameter, types: Tensor) -> Tensor:
        """Look up the value of each atom, of the model's fidelity."""
        values: Tensor = table[self.fidelity] if table.dim() == 2 else table  # noqa: PLR2004
        return values.index_select(0, types)[:, None]


def _wants_gradient(properties: str) -> bool:
    """Return whether forces or stresses are wanted."""
    return "f" in properties or "s" in properties


def _embed(layer: EdgeEmbedding, batch: PairBatch, vectors: Tensor) -> Edges:
    """Compute the radial basis of pairs and the spherical harmonics of edges."""
    lengths = torch.linalg.vector_norm(vectors, dim=1)
    basis = layer.basis_function(lengths) * layer.cutoff_function(lengths)[:, None]
    harmonics = layer.spherical(vectors)
    signs = [
        (-1.0) ** block.ir.l
        for block in layer.spherical.irreps_out
        for _ in range(block.dim)
    ]
    both = [harmonics, harmonics * harmonics.new_tensor(signs)]
    return Edges(
        senders=batch.reversed_ends,
        receivers=batch.ends,
        basis=basis,
        harmonics=torch.stack(both, dim=1).flatten(0, 1),
    )


def _sum_forces(batch: PairBatch, gradient: Tensor) -> Tensor:
    """Sum the forces of pairs; the two atoms of a pair have opposite ones."""
    return batch.ends.segment_sum(
        torch.stack([gradient, -gradient], dim=1).flatten(0, 1)
    )


def _sum_stresses(batch: PairBatch, gradient: Tensor) -> Tensor:
    """Sum the virials of pairs and divide them by the volumes, in GPa."""
    virials = (batch.vectors[:, :, None] * gradient[:, None, :]).flatten(1) / 2
    per_atom = batch.ends.segment_sum(virials.repeat_interleave(2, dim=0))
    totals = batch.owners.segment_sum(per_atom).view(-1, 3, 3)
    stresses: Tensor = totals * (GPA / batch.volumes)[:, None, None]
    return stresses
