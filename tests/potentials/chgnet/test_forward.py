"""The batched network against chgnet's own forward pass and against physics."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

import chgnet.model.model
import numpy as np
import pytest
import torch
from chgnet.graph import CrystalGraphConverter
from chgnet.model.functions import GatedMLP
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import network_of

from nextrung.potentials.chgnet.forward import (
    GPA,
    predict_differentiably,
    predict_graphs,
)
from nextrung.potentials.chgnet.gated_mlp import split_gate
from nextrung.potentials.denormals import flush_denormals
from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.graphs.graphs import build_graphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from chgnet.model import CHGNet
    from torch import Tensor

    from nextrung.potentials.graphs.graphs import GraphBatch
    from nextrung.potentials.interface import Outputs
    from nextrung.potentials.potential import Potential


CONVERT = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)
NO_ANGLES = Structure(Lattice.cubic(4.5), ["Cs"], [[0, 0, 0]])


def run_chgnet(model: CHGNet, structures: list[Structure]) -> dict[str, Tensor]:
    """Run chgnet's forward pass in float64, its composition model left out."""
    graphs = [CONVERT(structure) for structure in structures]
    for graph, structure in zip(graphs, structures, strict=True):
        graph.lattice = torch.tensor(structure.lattice.matrix)
        graph.atom_frac_coord = torch.tensor(structure.frac_coords)
        graph.atom_frac_coord.requires_grad_()
        graph.neighbor_image = graph.neighbor_image.double()
    references = model.composition_model.fc.weight[0]
    model.composition_model = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chgnet makes numbers of tensors
        prediction = model.forward(graphs, task="efsm")
    sizes = torch.tensor([len(structure) for structure in structures])
    added = [references[graph.atomic_number - 1].sum() for graph in graphs]
    return {
        "e": prediction["e"] * sizes + torch.stack(added),
        "f": torch.cat(prediction["f"]),
        "s": torch.stack(prediction["s"]),
        "m": torch.cat(prediction["m"]),
    }


@pytest.fixture
def double_model(chgnet_model: CHGNet, monkeypatch: pytest.MonkeyPatch) -> CHGNet:
    """The r²SCAN model in float64, and chgnet's volumes with it."""
    monkeypatch.setattr(chgnet.model.model, "TORCH_DTYPE", torch.float64)
    return chgnet_model.double()


def as_dict(outputs: Outputs) -> dict[str, Tensor]:
    assert outputs.forces is not None
    assert outputs.stresses is not None
    assert outputs.magmoms is not None
    return {
        "e": outputs.energies,
        "f": outputs.forces,
        "s": outputs.stresses,
        "m": outputs.magmoms,
    }


def predict(potential: Potential, structure: Structure) -> dict[str, Tensor]:
    graphs = build_graphs(Crystals.of([structure]), dtype=torch.float64)
    return as_dict(predict_graphs(network_of(potential), graphs, "efsm"))


@pytest.mark.parametrize("run", [predict_graphs, predict_differentiably])
def test_all_properties_are_those_of_chgnet_in_float64(
    double_model: CHGNet,
    target_double: Potential,
    structures: list[Structure],
    run: Callable[[CHGNet, GraphBatch, str], Outputs],
) -> None:
    graphs = build_graphs(Crystals.of(structures), dtype=torch.float64)
    own = as_dict(run(network_of(target_double), graphs, "efsm"))
    expected = run_chgnet(double_model, structures)
    for name, value in expected.items():
        torch.testing.assert_close(own[name], value, rtol=1e-9, atol=1e-9)


def test_float32_is_within_its_noise_of_float64(
    target: Potential, target_double: Potential, structures: list[Structure]
) -> None:
    crystals = Crystals.of(structures)
    single = as_dict(predict_graphs(network_of(target), build_graphs(crystals), "efsm"))
    graphs = build_graphs(crystals, dtype=torch.float64)
    double = as_dict(predict_graphs(network_of(target_double), graphs, "efsm"))
    per_atom = (single["e"] - double["e"]) / graphs.n_atoms
    assert per_atom.abs().max() < 1e-5
    for name in "fsm":
        scale = double[name].abs().max()
        assert (single[name] - double[name]).abs().max() < 2e-5 * scale


def test_crystals_without_angles_are_predicted_alone_and_in_a_batch(
    double_model: CHGNet, target_double: Potential, structures: list[Structure]
) -> None:
    alone = predict(target_double, NO_ANGLES)
    expected = run_chgnet(double_model, [NO_ANGLES])
    for name, value in expected.items():
        torch.testing.assert_close(alone[name], value, rtol=1e-9, atol=1e-9)
    crystals = Crystals.of([structures[-1], NO_ANGLES])
    graphs = build_graphs(crystals, dtype=torch.float64)
    together = predict_graphs(network_of(target_double), graphs, "e")
    torch.testing.assert_close(together.energies[1:], alone["e"])


@pytest.mark.parametrize("properties", ["e", "em", "ef", "es"])
def test_unwanted_properties_are_none(
    target: Potential, structures: list[Structure], properties: str
) -> None:
    graphs = build_graphs(Crystals.of(structures[:2]))
    outputs = predict_graphs(network_of(target), graphs, properties)
    assert (outputs.forces is not None) == ("f" in properties)
    assert (outputs.stresses is not None) == ("s" in properties)
    assert (outputs.magmoms is not None) == ("m" in properties)
    everything = predict_graphs(network_of(target), graphs, "efsm")
    torch.testing.assert_close(outputs.energies, everything.energies)


def test_forces_and_stresses_are_derivatives_of_the_energy(
    target_double: Potential, structures: list[Structure]
) -> None:
    structure = next(s for s in structures if len(s) >= 4)
    own = predict(target_double, structure)
    step = 1e-5
    ends = []
    for sign in (1, -1):
        moved = structure.copy()
        moved.translate_sites([1], [0, sign * step, 0], frac_coords=False)
        ends.append(predict(target_double, moved)["e"].item())
    slope = (ends[0] - ends[1]) / (2 * step)
    assert own["f"][1, 1].item() == pytest.approx(-slope, abs=1e-6)
    for row, column in ((0, 0), (1, 2)):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[row, column] += sign * step
            lattice = Lattice(structure.lattice.matrix @ strain)
            strained = Structure(lattice, structure.species, structure.frac_coords)
            ends.append(predict(target_double, strained)["e"].item())
        stress = (ends[0] - ends[1]) / (2 * step) / structure.volume * GPA
        assert own["s"][0, row, column].item() == pytest.approx(stress, abs=1e-5)


def test_left_handed_cells_have_the_same_stress(
    target_double: Potential, structures: list[Structure]
) -> None:
    """The volume is positive whatever the order of the cell's vectors."""
    structure = structures[-1]
    swapped = Structure(
        Lattice(structure.lattice.matrix[[1, 0, 2]]),
        structure.species,
        structure.frac_coords[:, [1, 0, 2]],
    )
    right, left = predict(target_double, structure), predict(target_double, swapped)
    for name in "efsm":
        torch.testing.assert_close(right[name], left[name], rtol=1e-9, atol=1e-9)


def test_permuted_sites_permute_the_properties(
    target_double: Potential, structures: list[Structure]
) -> None:
    structure = structures[-1]
    order = np.random.default_rng(0).permutation(len(structure))
    shuffled = Structure.from_sites([structure[index] for index in order])
    own, other = predict(target_double, structure), predict(target_double, shuffled)
    torch.testing.assert_close(own["e"], other["e"])
    torch.testing.assert_close(own["f"][order], other["f"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(own["m"][order], other["m"], rtol=1e-9, atol=1e-9)


def test_supercells_repeat_the_properties(
    target_double: Potential, structures: list[Structure]
) -> None:
    structure = structures[4]
    own = predict(target_double, structure)
    double = predict(target_double, structure * (2, 1, 1))
    torch.testing.assert_close(double["e"], 2 * own["e"], rtol=1e-10, atol=1e-9)
    torch.testing.assert_close(double["s"], own["s"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        double["m"], own["m"].repeat_interleave(2), rtol=1e-9, atol=1e-9
    )


def test_rotated_crystals_rotate_forces_and_stress(
    target_double: Potential, structures: list[Structure]
) -> None:
    structure = structures[-1]
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    lattice = Lattice(structure.lattice.matrix @ rotation)
    rotated = Structure(lattice, structure.species, structure.frac_coords)
    own, other = predict(target_double, structure), predict(target_double, rotated)
    rotate = torch.from_numpy(rotation)
    torch.testing.assert_close(other["e"], own["e"])
    torch.testing.assert_close(other["f"], own["f"] @ rotate, rtol=1e-9, atol=1e-9)
    stress = rotate.T @ own["s"] @ rotate
    torch.testing.assert_close(other["s"], stress, rtol=1e-9, atol=1e-9)


def test_gradients_by_the_parameters_are_those_of_chgnet(
    double_model: CHGNet, target_double: Potential, structures: list[Structure]
) -> None:
    """A loss on energies, forces, stresses and moments, differentiated twice."""
    own_model = network_of(target_double.copy()).train().requires_grad_()
    graphs = build_graphs(Crystals.of(structures[:6]), dtype=torch.float64)
    own = as_dict(predict_differentiably(own_model, graphs, "efsm"))
    parameters = dict(own_model.named_parameters())
    references = parameters.pop("composition_model.fc.weight")
    double_model.train().requires_grad_()
    reference = run_chgnet(double_model, structures[:6])
    own_gradients = differentiate(own, parameters)
    expected = differentiate(reference, dict(double_model.named_parameters()))
    for name, gradient in expected.items():
        torch.testing.assert_close(
            own_gradients[name], gradient, rtol=1e-7, atol=1e-9, msg=name
        )
    assert references.requires_grad


def differentiate(
    properties: dict[str, Tensor], parameters: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Differentiate the sum of squares of all properties."""
    loss = torch.stack([(value**2).mean() for value in properties.values()]).sum()
    gradients = torch.autograd.grad(
        loss, list(parameters.values()), materialize_grads=True
    )
    return dict(zip(parameters, gradients, strict=True))


def test_the_last_angle_update_is_never_used(
    target_double: Potential, structures: list[Structure]
) -> None:
    model = network_of(target_double.copy())
    model.angle_layers[-1] = None
    graphs = build_graphs(Crystals.of(structures[-1:]), dtype=torch.float64)
    bare = predict_graphs(model, graphs, "e").energies
    assert bare.equal(predict_graphs(network_of(target_double), graphs, "e").energies)


WIDTHS = (3, 4, 5)


@pytest.mark.parametrize("norm", [None, "layer"])
@pytest.mark.parametrize("hidden", [0, 6, [6, 7]])
def test_a_split_layer_equals_the_whole_layer(
    hidden: int | list[int], norm: str | None
) -> None:
    layer = GatedMLP(sum(WIDTHS), 2, hidden_dim=hidden, norm=norm, activation="silu")
    inputs = [torch.randn(8, width) for width in WIDTHS]
    gate = split_gate(layer, WIDTHS)
    first = sum(rows @ w.T for rows, w in zip(inputs, gate.weights, strict=True))
    torch.testing.assert_close(
        gate.finish(first + gate.bias), layer(torch.cat(inputs, 1))
    )


def test_gradients_reach_the_parameters_of_the_layer() -> None:
    layer = GatedMLP(sum(WIDTHS), 2, hidden_dim=6, norm="layer", activation="silu")
    gate = split_gate(layer, WIDTHS)
    output = gate.finish(torch.randn(8, 3) @ gate.weights[0].T + gate.bias)
    gradients = torch.autograd.grad(output.sum(), list(layer.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def halve_smallest_normal() -> float:
    return sys.float_info.min / 2


def test_denormal_numbers_are_zero_only_inside_the_context() -> None:
    assert halve_smallest_normal() > 0
    with flush_denormals():
        assert halve_smallest_normal() == 0
        assert (torch.tensor(1e-30) * torch.tensor(1e-12)).item() == 0
    assert halve_smallest_normal() > 0


def test_an_exception_restores_the_mode() -> None:
    with pytest.raises(KeyError), flush_denormals():
        raise KeyError
    assert halve_smallest_normal() > 0


def test_nested_contexts_restore_the_mode_of_the_outer_one() -> None:
    with flush_denormals():
        with flush_denormals():
            pass
        assert halve_smallest_normal() == 0


def test_predictions_restore_the_mode_of_the_thread(
    target: Potential, structures: list[Structure]
) -> None:
    crystals = Crystals.of(structures[:3])
    own = target.predict_batch(crystals)
    assert halve_smallest_normal() > 0
    with flush_denormals():
        flushed = target.predict_batch(crystals)
    np.testing.assert_array_equal(own.energies, flushed.energies)
