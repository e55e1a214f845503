from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from ase import units
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.mace.backend import MaceBackend
from nextrung.potentials.mace.loading import load_mace
from nextrung.potentials.mace.package import import_mace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ase import Atoms

    from nextrung.potentials.interface import Outputs

CPU = torch.device("cpu")


def flatten(crystals: Sequence[Atoms]) -> Crystals:
    """Flatten crystals of ASE."""
    return Crystals.of([AseAtomsAdaptor.get_structure(atoms) for atoms in crystals])


def predict(
    backend: MaceBackend, crystals: Sequence[Atoms], properties: str = "efs"
) -> Outputs:
    """Predict properties of crystals in one batch."""
    return backend.compute(backend.prepare(flatten(crystals), CPU), properties)


@pytest.mark.usefixtures("unsafe_load")
@pytest.mark.parametrize("head", ["pbe", "r2scan"])
@pytest.mark.parametrize(
    ("double", "energy_tolerance", "tolerance"),
    [(False, 1e-6, 1e-5), (True, 1e-12, 1e-10)],
)
def test_a_batch_has_the_numbers_of_the_calculator_of_mace(
    model_file: Path,
    crystals: list[Atoms],
    head: str,
    *,
    double: bool,
    energy_tolerance: float,
    tolerance: float,
) -> None:
    backend = load_mace(f"mace:{model_file}#{head}", "cpu").backend
    backend = backend.double() if double else backend
    calculator = import_mace("mace.calculators").MACECalculator(
        str(model_file),
        device="cpu",
        default_dtype="float64" if double else "float32",
        head=head,
    )
    assert isinstance(backend, MaceBackend)

    outputs = predict(backend, crystals)

    assert outputs.magmoms is None
    assert outputs.energies.dtype == torch.float64
    assert outputs.forces is not None
    assert outputs.stresses is not None
    assert outputs.forces.dtype == (torch.float64 if double else torch.float32)
    forces = np.split(outputs.forces, np.cumsum([len(a) for a in crystals])[:-1])
    for index, atoms in enumerate(crystals):
        atoms.calc = calculator
        energy = float(outputs.energies[index]) - atoms.get_potential_energy()
        stress = atoms.get_stress(voigt=False) / units.GPa
        assert abs(energy) / len(atoms) < energy_tolerance
        np.testing.assert_allclose(forces[index], atoms.get_forces(), atol=tolerance)
        np.testing.assert_allclose(outputs.stresses[index], stress, atol=tolerance)


def test_only_the_wanted_properties_are_computed(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    everything = predict(backend, crystals)
    energies, forces, stresses = (
        predict(backend, crystals, p) for p in ("e", "ef", "es")
    )

    assert (energies.forces, energies.stresses, forces.stresses) == (None, None, None)
    assert stresses.forces is None
    assert everything.forces is not None
    assert everything.stresses is not None
    for outputs in (energies, forces, stresses):
        torch.testing.assert_close(outputs.energies, everything.energies)
        assert not outputs.energies.requires_grad
    torch.testing.assert_close(forces.forces, everything.forces)
    torch.testing.assert_close(stresses.stresses, everything.stresses)


def test_the_first_prediction_has_the_bits_of_later_ones(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    """The compiler of TorchScript would change the code after the first calls."""
    first, *later = (predict(backend, crystals) for _ in range(4))

    for outputs in later:
        assert torch.equal(outputs.energies, first.energies)
        assert torch.equal(outputs.forces, first.forces)  # type: ignore[arg-type]


def test_a_crystal_has_the_same_numbers_in_any_batch(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    together = predict(backend.double(), crystals)

    for index, atoms in enumerate(crystals):
        alone = predict(backend.double(), [atoms])
        torch.testing.assert_close(
            alone.energies[0], together.energies[index], atol=1e-12, rtol=0
        )


def test_forces_and_stresses_are_the_derivatives_of_the_energy(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    """By central differences, also of the differentiable outputs."""
    double, step = backend.double(), 1e-4
    atoms = crystals[5]
    inputs = double.prepare(flatten([atoms]), CPU)
    batch = double.build(inputs, CPU, torch.float64)
    outputs = double.differentiate(batch, "efs")
    assert outputs.forces is not None
    assert outputs.stresses is not None
    forces, stresses = outputs.forces.detach(), outputs.stresses.detach()

    def move(sign: int) -> Atoms:
        moved = atoms.copy()
        moved.positions[1, 2] += sign * step
        return moved

    def strain(sign: int) -> Atoms:
        strained = atoms.copy()
        deformation = np.eye(3)
        deformation[0, 1] = deformation[1, 0] = sign * step / 2
        strained.set_cell(atoms.cell[:] @ deformation, scale_atoms=True)
        return strained

    for change, expected in (
        (move, -float(forces[1, 2])),
        (strain, float(stresses[0, 0, 1]) * units.GPa * atoms.get_volume()),
    ):
        up, down = predict(double, [change(1), change(-1)], "e").energies
        assert float(up - down) / 2 / step == pytest.approx(expected, abs=1e-6)


def test_differentiable_outputs_are_those_of_a_prediction(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    trained = backend.for_training()
    batch = trained.build(trained.prepare(flatten(crystals), CPU), CPU, torch.float32)
    differentiable = trained.differentiate(batch, "efs")
    evaluated = trained.evaluate(batch, "efs")

    for name in ("energies", "forces", "stresses"):
        value, expected = getattr(differentiable, name), getattr(evaluated, name)
        assert value.requires_grad
        assert not expected.requires_grad
        torch.testing.assert_close(value.detach(), expected)


@pytest.mark.usefixtures("unsafe_load")
def test_gradients_of_a_loss_are_those_of_mace(
    backend: MaceBackend, model_file: Path, crystals: list[Atoms]
) -> None:
    """Of energies, forces and stresses, by mace's own data, batch and forward."""
    data = import_mace("mace.data")
    geometric = import_mace("mace.tools.torch_geometric")
    model = torch.load(model_file)
    table = import_mace("mace.tools.utils").AtomicNumberTable(
        model.atomic_numbers.tolist()
    )
    graphs = [
        data.AtomicData.from_config(
            data.config_from_atoms(atoms, head_name="r2scan"),
            z_table=table,
            cutoff=5.0,
            heads=["pbe", "r2scan"],
        )
        for atoms in crystals
    ]
    batch = geometric.Batch.from_data_list(graphs).to_dict()
    found = model.requires_grad_(requires_grad=True)(
        batch, training=True, compute_stress=True
    )
    loss = found["energy"].sum() + found["forces"].square().sum()
    loss = loss + (found["stress"] / units.GPa).square().sum()
    expected = _differentiate(loss, model)

    trained = backend.for_training()
    inputs = trained.prepare(flatten(crystals), CPU)
    outputs = trained.differentiate(trained.build(inputs, CPU, torch.float32), "efs")
    assert outputs.forces is not None
    assert outputs.stresses is not None
    loss = outputs.energies.sum() + outputs.forces.square().sum()
    gradients = _differentiate(loss + outputs.stresses.square().sum(), trained.module)

    references = gradients.pop("atomic_energies_fn.atomic_energies")
    counts = [
        sum(a.get_atomic_numbers().tolist().count(z) for a in crystals)
        for z in model.atomic_numbers.tolist()
    ]
    assert references.tolist() == [[0] * 12, counts]
    assert set(gradients) == set(expected)
    for name, gradient in gradients.items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(
            gradient, expected[name], atol=1e-4 * scale + 1e-6, rtol=1e-3
        )


def _differentiate(
    loss: torch.Tensor, model: torch.nn.Module
) -> dict[str, torch.Tensor]:
    """Differentiate a loss by all weights."""
    names, weights = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(
        loss, weights, allow_unused=True, materialize_grads=True
    )
    return dict(zip(names, gradients, strict=True))
