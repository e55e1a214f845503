from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from tests.potentials.sevennet.models import write_model
from tests.potentials.sevennet.predictions import predict, prepare

from nextrung.potentials.potential import Potential
from nextrung.potentials.sevennet.loading import load_sevennet
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from nextrung.potentials.interface import LoadedModel, Outputs
    from nextrung.potentials.sevennet.backend import SevenNetBackend

CPU = torch.device("cpu")


def assert_same_bits(first: Outputs, second: Outputs) -> None:
    """Assert that forces and stresses are equal to the bit."""
    assert first.forces is not None
    assert second.forces is not None
    assert first.stresses is not None
    assert second.stresses is not None
    assert torch.equal(first.forces, second.forces)
    assert torch.equal(first.stresses, second.stresses)


@pytest.mark.parametrize("double", [False, True])
def test_moved_references_change_energies_by_their_sum_and_forces_by_no_bit(
    backend: SevenNetBackend, crystals: Sequence[Atoms], *, double: bool
) -> None:
    start = backend.double() if double else backend
    shifts = {symbol: 0.37 * z - 3 for z, symbol in enumerate(start.atom_refs)}
    moved = start.with_atom_refs(
        {symbol: energy + shifts[symbol] for symbol, energy in start.atom_refs.items()}
    )

    before, after = predict(start, crystals), predict(moved, crystals)

    assert_same_bits(before, after)
    sums = [sum(shifts[s] for s in a.get_chemical_symbols()) for a in crystals]
    differences = (after.energies - before.energies).numpy()
    tolerance = 1e-10 if double else 2e-4  # of float32 references up to 100 eV
    np.testing.assert_allclose(differences, sums, rtol=0, atol=tolerance)


def test_references_of_one_fidelity_leave_those_of_the_other(
    backend: SevenNetBackend,
) -> None:
    before = backend.module.rescale_atomic_energy.shift.clone()

    moved = backend.with_atom_refs({"Mg": -1.5, "O": 2.0})

    after = moved.module.rescale_atomic_energy.shift
    assert torch.equal(after[1], before[1])
    assert torch.equal(backend.module.rescale_atomic_energy.shift, before)
    assert {s: e for s, e in moved.atom_refs.items() if e} == {"Mg": -1.5, "O": 2.0}


@pytest.mark.parametrize(("symbol", "energy"), [("Og", -1.0), ("O", np.nan)])
def test_references_of_unknown_elements_are_rejected(
    backend: SevenNetBackend, symbol: str, energy: float
) -> None:
    with pytest.raises(InputError, match=f"89 elements of the model, got {symbol}"):
        backend.with_atom_refs({symbol: energy})


def test_an_element_without_data_has_forces_but_no_energy(
    load: Callable[[str], LoadedModel], crystals: Sequence[Atoms]
) -> None:
    """MP-r2SCAN of sevennet-mf-0 has no Yb: its reference is exactly 0."""
    loaded = load("sevennet-mf-0/R2SCAN")
    potential = Potential(loaded.backend, "mf", loaded.elements)
    ytterbium, radium = crystals[2].copy(), crystals[2].copy()
    ytterbium.symbols[:] = "Yb"
    radium.symbols[:] = "Ra"

    uncovered, unknown = potential.predict([ytterbium, radium])

    assert "Yb" not in loaded.elements
    assert uncovered.forces is not None
    assert "no atomic reference energy for Yb" in str(uncovered.error)
    assert unknown.forces is None
    assert "Ra" in str(unknown.error)


def test_isolated_and_overlapping_atoms_are_errors(
    backend: SevenNetBackend, crystals: Sequence[Atoms]
) -> None:
    isolated, overlapping = crystals[2].copy(), crystals[0].copy()
    isolated.set_cell(isolated.cell * 3)
    overlapping.positions[1] = overlapping.positions[0] + 0.1

    reasons = backend.check(prepare(backend, [crystals[0], isolated, overlapping]))  # type: ignore[arg-type]

    assert set(reasons) == {1, 2}
    assert reasons[1].endswith("within 5 Å")
    assert "overlapping" in reasons[2]


@pytest.mark.usefixtures("sevenn")
def test_random_weights_keep_references_and_statistics(
    crystals: Sequence[Atoms], tmp_path: Path
) -> None:
    write_model(tmp_path / "model.pth")
    backend: Any = load_sevennet(str(tmp_path / "model.pth"), CPU).backend
    first, again, other = (backend.with_random_weights(seed) for seed in (1, 1, 2))

    energies = [predict(model, crystals).energies for model in (first, again, other)]
    assert torch.equal(energies[0], energies[1])
    assert not torch.equal(energies[0], energies[2])
    for name, weight in backend.module.named_parameters():
        kept = torch.equal(weight, first.module.get_parameter(name))
        is_constant = name.startswith("rescale") or name.endswith("denominator")
        is_constant |= name.endswith("coeffs")  # start at multiples of π
        assert kept == is_constant, name


def test_parts_hold_every_parameter_once(backend: SevenNetBackend) -> None:
    parts = backend.parameter_groups()

    listed = [id(weight) for weights in parts.values() for weight in weights]
    assert sorted(listed) == sorted(map(id, backend.module.parameters()))
    assert [weight.shape for weight in parts["references"]] == [(2, 89)]
    assert len(parts["readout"]) == 3
    assert all(parts.values())
    assert (
        set(backend.tracked_layers.values())
        <= dict(backend.module.named_parameters()).keys()
    )
    assert backend.checked_layer in backend.tracked_layers


def test_statistics_of_the_data_are_not_trained(backend: SevenNetBackend) -> None:
    trained = backend.for_training()

    frozen = [n for n, w in trained.module.named_parameters() if not w.requires_grad]
    denominators = [f"{layer}_convolution.denominator" for layer in range(5)]
    assert sorted(frozen) == sorted([*denominators, "rescale_atomic_energy.scale"])
    assert trained.module.training
    assert not any(weight.requires_grad for weight in backend.module.parameters())


def test_copies_and_pickles_have_the_same_bits_and_names_of_weights(
    backend: SevenNetBackend, crystals: Sequence[Atoms]
) -> None:
    expected = predict(backend, crystals)

    for same in (backend.copy(), pickle.loads(pickle.dumps(backend.copy()))):  # noqa: S301
        found = predict(same, crystals)
        assert torch.equal(found.energies, expected.energies)
        assert_same_bits(found, expected)
        assert same.module.state_dict().keys() == backend.module.state_dict().keys()


def test_costs_are_the_directed_edges_and_estimated_within_a_fifth(
    backend: SevenNetBackend, crystals: Sequence[Atoms]
) -> None:
    inputs = prepare(backend, crystals)
    lattices = np.array([atoms.cell[:] for atoms in crystals])
    n_atoms = np.array([len(atoms) for atoms in crystals])

    estimates = backend.estimate_costs(lattices, n_atoms)

    batch = backend.build(inputs, CPU, torch.float64)  # type: ignore[arg-type]
    assert inputs.costs.sum() == 2 * len(batch.vectors)
    np.testing.assert_allclose(estimates, inputs.costs, rtol=0.2)


def test_a_relaxation_ends_in_the_minimum_of_sevenn(
    load: Callable[[str], LoadedModel],
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
) -> None:
    loaded = load("sevennet-0")
    potential = Potential(loaded.backend, "sevennet-0", loaded.elements)
    chosen = [crystals[0], crystals[2]]

    records = potential.relax(chosen, RelaxationSettings(fmax=0.03))

    calculator = calculate("sevennet-0")
    for atoms, record in zip(chosen, records, strict=True):
        alone = atoms.copy()
        alone.calc = calculator
        FIRE(FrechetCellFilter(alone), logfile=None).run(fmax=0.03, steps=500)
        assert record.status is RelaxationStatus.CONVERGED
        assert record.energy is not None
        difference = record.energy - alone.get_potential_energy()
        assert abs(difference) / len(atoms) < 1e-3


def test_batches_of_a_larger_model_are_smaller(
    load: Callable[[str], LoadedModel],
) -> None:
    small, large = (
        load(name).backend.limits for name in ("sevennet-0", "sevennet-l3i5")
    )

    assert large.bytes_per_cost > 2 * small.bytes_per_cost
    for limits in (small, large):
        for costs in (limits.prediction, limits.relaxation, limits.training):
            assert 1_000 < costs["cpu"] < 10_000 < costs["cuda"]
