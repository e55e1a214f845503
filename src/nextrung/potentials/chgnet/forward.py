"""CHGNet on flat batches, through the modules of an unmodified ``CHGNet``.

The numbers are chgnet's within rounding. For speed, one gradient with respect to the
bond vectors gives forces and stress together, the first linear map of each gated layer
is applied before the gather, an angle's basis is computed once for its two rows, and
the last angle update, whose output chgnet never reads, is left out.

References
----------
B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from nextrung.potentials.chgnet.gated_mlp import split_gate
from nextrung.potentials.denormals import flush_denormals
from nextrung.potentials.interface import Outputs

if TYPE_CHECKING:
    from chgnet.model import CHGNet

    from nextrung.potentials.graphs.graphs import GraphBatch

#: GPa per eV/Å³, the value of chgnet.
GPA = 160.21766208
#: Factor of chgnet that keeps the arc cosine of collinear bonds differentiable.
_COSINE_SCALE = 1 - 1e-6
#: First term of the Fourier series; chgnet rounds 1/√2 to float32 at any precision.
_CONSTANT = float(1 / torch.tensor(2.0).sqrt())


@flush_denormals()
def predict_graphs(model: CHGNet, graphs: GraphBatch, properties: str) -> Outputs:
    """Predict the properties of a batch, without gradients.

    Parameters
    ----------
    model : CHGNet
        A model of chgnet, on the device of the graphs and of their type.
    graphs : GraphBatch
        Graphs of the batch.
    properties : str
        Letters: ``e`` energies (always computed), ``f`` forces, ``s`` stresses, ``m``
        magnetic moments.
    """
    with torch.set_grad_enabled(_wants_gradient(properties)):
        outputs = _predict(model, graphs, properties, create_graph=False)
    magmoms = None if outputs.magmoms is None else outputs.magmoms.detach()
    return replace(outputs, energies=outputs.energies.detach(), magmoms=magmoms)


@flush_denormals()
def predict_differentiably(
    model: CHGNet, graphs: GraphBatch, properties: str
) -> Outputs:
    """Predict the properties of a batch, differentiable by the parameters.

    Parameters
    ----------
    model : CHGNet
        A model of chgnet, on the device of the graphs and of their type.
    graphs : GraphBatch
        Graphs of the batch.
    properties : str
        Letters, see :func:`predict_graphs`.

    Returns
    -------
    Outputs
        Tensors that depend on the parameters that require gradients.
    """
    return _predict(model, graphs, properties, create_graph=True)


def _predict(
    model: CHGNet, graphs: GraphBatch, properties: str, *, create_graph: bool
) -> Outputs:
    """Predict properties; forces and stresses depend on the parameters if asked."""
    vectors, energies, magmoms = _run(model, graphs, properties)
    forces, stresses = None, None
    if _wants_gradient(properties):
        (gradient,) = torch.autograd.grad(
            energies.sum(), vectors, create_graph=create_graph
        )
        forces, stresses = _forces_and_stresses(graphs, gradient, properties)
    total = energies + _reference_energies(model, graphs)
    return Outputs(total, forces, stresses, magmoms)


def _wants_gradient(properties: str) -> bool:
    """Return whether forces or stresses are wanted."""
    return "f" in properties or "s" in properties


def _forces_and_stresses(
    graphs: GraphBatch, gradient: Tensor, properties: str
) -> tuple[Tensor | None, Tensor | None]:
    """Compute forces and stresses from the gradient of the energy by the bond vectors.

    The two atoms of a bond have opposite forces, and each half of its virial.
    """
    virials = graphs.vectors[:, :, None] * gradient[:, None, :] / 2
    pair_forces = torch.stack([-gradient, gradient]).view(-1, 3)
    rows = torch.cat([pair_forces, virials.view(-1, 9).repeat(2, 1)], dim=1)
    per_atom = graphs.messages.first.segment_sum(rows)
    forces, stresses = None, None
    if "f" in properties:
        forces = per_atom[:, :3]
    if "s" in properties:
        totals = graphs.owners.segment_sum(per_atom[:, 3:]).view(-1, 3, 3)
        stresses = totals * (GPA / graphs.volumes)[:, None, None]
    return forces, stresses


def _reference_energies(model: CHGNet, graphs: GraphBatch) -> Tensor:
    """Sum the atomic reference energies of each crystal."""
    per_element = model.composition_model.fc.weight[0].double()
    per_atom = per_element[graphs.atomic_numbers - 1]
    return graphs.owners.segment_sum(per_atom[:, None])[:, 0]


def _run(
    model: CHGNet, graphs: GraphBatch, properties: str
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the network: bond vectors, energies without references, magnetic moments."""
    vectors = graphs.vectors.detach().requires_grad_(_wants_gradient(properties))
    features = _embed(model, graphs, vectors)
    magmoms = None
    for layer in range(model.n_conv):
        _convolve_atoms(model.atom_conv_layers[layer], graphs, features)
        if layer == model.n_conv - 2 and "m" in properties:
            magmoms = model.site_wise(features.atoms).abs().view(-1)
        if layer < model.n_conv - 1 and graphs.n_angles:
            _convolve_bonds(model.bond_conv_layers[layer], graphs, features)
        if layer < model.n_conv - 2 and graphs.n_angles:
            _update_angles(model.angle_layers[layer], graphs, features)
    atoms = features.atoms
    if model.readout_norm is not None:
        atoms = model.readout_norm(atoms)
    energies = graphs.owners.segment_sum(model.mlp(atoms).double())[:, 0]
    return vectors, energies, magmoms


@dataclass(eq=False)
class _Features:
    """Features between layers.

    Until their first update, angles have one row for both of their directed bonds.
    """

    atoms: Tensor
    short_bonds: Tensor
    long_bonds: Tensor
    angles: Tensor
    message_weights: Tensor
    directed_weights: Tensor
    angle_weights: Tensor


def _embed(model: CHGNet, graphs: GraphBatch, vectors: Tensor) -> _Features:
    """Embed species, bond lengths and angles."""
    n_short = graphs.n_short
    lengths = torch.linalg.vector_norm(vectors, dim=1)
    basis = model.bond_basis_expansion.rbf_expansion_ag(lengths)
    short_basis = model.bond_basis_expansion.rbf_expansion_bg(lengths[:n_short])
    directed_weights = graphs.directed.bonds.gather(model.bond_weights_bg(short_basis))
    units = vectors[:n_short] / lengths[:n_short, None]
    return _Features(
        atoms=model.atom_embedding(graphs.atomic_numbers - 1),
        short_bonds=model.bond_embedding(basis[:n_short]),
        long_bonds=model.bond_embedding(basis[n_short:]),
        angles=model.angle_embedding(_angle_basis(model, graphs, units)),
        message_weights=model.bond_weights_ag(basis),
        directed_weights=directed_weights,
        angle_weights=graphs.angles.second.gather(directed_weights),
    )


def _angle_basis(model: CHGNet, graphs: GraphBatch, units: Tensor) -> Tensor:
    """Expand each angle in a Fourier series, shape (n_angles, n_angular)."""
    directed = graphs.directed.bonds.gather(units) * graphs.directed.signs
    first, second = graphs.angles.first.gather(directed).chunk(2)
    angles = torch.acos((first * second).sum(dim=1) * _COSINE_SCALE)
    frequencies: Tensor = model.angle_basis_expansion.fourier_expansion.frequencies
    phases = torch.outer(angles, frequencies)
    constant = torch.full_like(angles[:, None], _CONSTANT)
    basis = torch.cat([constant, phases.sin(), phases.cos()], dim=1)
    return basis / math.sqrt(math.pi)


def _convolve_atoms(layer: Any, graphs: GraphBatch, features: _Features) -> None:  # noqa: ANN401
    """Update the atoms by the messages from their neighbors."""
    atoms = features.atoms
    bonds = torch.cat([features.short_bonds, features.long_bonds])
    widths = [atoms.shape[1], bonds.shape[1], atoms.shape[1]]
    gate = split_gate(layer.twoBody_atom, widths)
    receiver, bond, sender = gate.weights
    sources = (linear(atoms, receiver, gate.bias), linear(atoms, sender))
    messages = gate.finish(graphs.messages.combine(sources, bonds, bond))
    weighted = messages.view(2, graphs.n_bonds, -1) * features.message_weights
    per_atom = graphs.messages.first.segment_sum(weighted.view(messages.shape))
    features.atoms = layer.mlp_out(per_atom) + atoms


def _mix_directed_bonds(layer: Any, graphs: GraphBatch, features: _Features) -> Tensor:  # noqa: ANN401
    """Apply a gated layer to both directed bonds, angle and atom of each row."""
    bonds, atoms, angles = features.short_bonds, features.atoms, features.angles
    widths = [bonds.shape[1], bonds.shape[1], angles.shape[1], atoms.shape[1]]
    gate = split_gate(layer.twoBody_bond, widths)
    first, second, angle, atom = gate.weights
    directed = graphs.directed
    from_first = directed.bonds.gather(linear(bonds, first, gate.bias))
    from_first = from_first + directed.atoms.gather(linear(atoms, atom))
    from_second = directed.bonds.gather(linear(bonds, second))
    sources = (from_first, from_second)
    return gate.finish(graphs.angles.combine(sources, angles, angle))


def _convolve_bonds(layer: Any, graphs: GraphBatch, features: _Features) -> None:  # noqa: ANN401
    """Update the short bonds by the messages from bonds at an angle to them."""
    messages = _mix_directed_bonds(layer, graphs, features) * features.angle_weights
    summed = graphs.angles.first.segment_sum(messages) * features.directed_weights
    per_bond = graphs.directed.bonds.segment_sum(summed)
    features.short_bonds = layer.mlp_out(per_bond) + features.short_bonds


def _update_angles(layer: Any, graphs: GraphBatch, features: _Features) -> None:  # noqa: ANN401
    """Update the angles by their two directed bonds and their atom."""
    mixed = _mix_directed_bonds(layer, graphs, features)
    updated = mixed.view(-1, *features.angles.shape) + features.angles
    features.angles = updated.view(mixed.shape)
