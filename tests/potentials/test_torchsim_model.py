from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from ase import units
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationSettings

if TYPE_CHECKING:
    from types import ModuleType

    from nextrung.potentials.potential import Potential

CPU = torch.device("cpu")


@pytest.fixture
def ts() -> ModuleType:
    """The package torch-sim; tests skip without it."""
    module: ModuleType = pytest.importorskip(
        "torch_sim", reason="no torch-sim: install the extra `torchsim`"
    )
    return module


@pytest.fixture
def torchsim(ts: ModuleType) -> ModuleType:  # noqa: ARG001
    """The module under test, which needs torch-sim to be imported."""
    return importlib.import_module("nextrung.potentials.torchsim_model")


def test_torch_sim_validates_the_model(
    ts: ModuleType, torchsim: ModuleType, target: Potential
) -> None:
    model = torchsim.TorchSimModel(target)

    ts.models.interface.validate_model_outputs(model, CPU, torch.float64)

    assert model.compute_forces
    assert model.compute_stress


def test_a_state_is_read_as_torch_sim_wrote_it(
    ts: ModuleType, torchsim: ModuleType, structures: list[Structure]
) -> None:
    """Also triclinic cells, whose vectors torch-sim stores as columns."""
    state = ts.io.structures_to_state(structures, CPU, torch.float64)

    crystals = torchsim._read_state(state)

    expected = Crystals.of(structures)
    np.testing.assert_array_equal(crystals.offsets, expected.offsets)
    np.testing.assert_array_equal(crystals.atomic_numbers, expected.atomic_numbers)
    np.testing.assert_allclose(crystals.lattices, expected.lattices, atol=1e-12)
    np.testing.assert_allclose(crystals.frac_coords, expected.frac_coords, atol=1e-12)


def test_its_predictions_are_those_of_the_potential(
    ts: ModuleType,
    torchsim: ModuleType,
    target_double: Potential,
    structures: list[Structure],
) -> None:
    """In torch-sim's units: GPa become eV/Å³."""
    state = ts.io.structures_to_state(structures, CPU, torch.float64)

    properties = torchsim.TorchSimModel(target_double)(state)

    expected: Any = target_double.predict(structures, "efs")
    np.testing.assert_allclose(
        properties["energy"], [one.energy for one in expected], atol=1e-9
    )
    np.testing.assert_allclose(
        properties["forces"],
        np.concatenate([one.forces for one in expected]),
        atol=1e-9,
    )
    np.testing.assert_allclose(
        properties["stress"], [one.stress * units.GPa for one in expected], atol=1e-9
    )
    assert {values.dtype for values in properties.values()} == {torch.float64}


def test_a_system_that_cannot_be_predicted_is_nan_with_a_reason(
    ts: ModuleType, torchsim: ModuleType, target: Potential
) -> None:
    """The others are predicted; helium has no reference, so only its energy is NaN."""
    salt = Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.52]])
    far = Structure(Lattice.cubic(20), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    non_finite = Structure(Lattice.cubic(3.5), ["Na"], [[np.nan, 0, 0]])
    flat = Structure(np.ones((3, 3)), ["Na"], [[0, 0, 0]])
    helium = Structure(Lattice.cubic(3), ["He"], [[0, 0, 0]])
    assert "He" in target.elements
    uncovered = target.with_atom_refs({"Na": -1.0, "Cl": -2.0})
    systems = [far, salt, non_finite, flat, helium]
    state = ts.io.structures_to_state(systems, CPU, torch.float64)
    model = torchsim.TorchSimModel(uncovered)

    properties = model(state)

    reasons = ["isolated atom", "coordinate is not finite", "singular", "He"]
    assert list(model.errors) == [0, 2, 3, 4]
    for reason, error in zip(reasons, model.errors.values(), strict=True):
        assert reason in error
    of_salt = [False, True, False, False, False]
    assert torch.isfinite(properties["energy"]).tolist() == of_salt
    moved = [False, True, False, False, True]
    assert torch.isfinite(properties["stress"]).all(dim=(1, 2)).tolist() == moved
    sites = torch.isfinite(properties["forces"]).all(dim=1)
    assert sites.tolist() == [moved[index] for index in state.system_idx]
    (alone,) = uncovered.predict([salt], "e")
    assert properties["energy"][1].item() == pytest.approx(alone.energy, abs=1e-5)


def test_a_molecule_is_an_error(
    ts: ModuleType, torchsim: ModuleType, target: Potential
) -> None:
    salt = Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.52]])
    state = ts.io.structures_to_state([salt], CPU, torch.float64)
    state.pbc = False
    model = torchsim.TorchSimModel(target)

    properties = model(state)

    assert all(values.isnan().all() for values in properties.values())
    assert model.errors == {0: "not periodic in all three directions"}


def test_without_torch_sim_the_module_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("torch_sim", "torch_sim.models", "torch_sim.models.interface"):
        monkeypatch.setitem(sys.modules, name, None)
    name = "nextrung.potentials.torchsim_model"
    monkeypatch.delitem(sys.modules, name, raising=False)

    with pytest.raises(InputError, match=r"expected torch-sim.*'nextrung\[torchsim\]'"):
        importlib.import_module(name)


def test_torch_sims_own_optimiser_relaxes_to_the_same_minimum(
    ts: ModuleType, torchsim: ModuleType, target: Potential
) -> None:
    """Its FIRE with the Frechet cell filter, against the batched engine."""
    salt = (
        Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(5.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        .get_primitive_structure()
        .perturb(0.03, seed=0)
    )
    model = torchsim.TorchSimModel(target)
    optimizer: Any = ts.frechet_cell_fire
    state = ts.io.structures_to_state([salt], CPU, torch.float64)

    relaxed = ts.optimize(
        state,
        model,
        optimizer=optimizer,
        convergence_fn=ts.generate_force_convergence_fn(0.01),
        max_steps=300,
    )

    (record,) = target.relax(salt, RelaxationSettings(fmax=0.01))
    assert record.energy is not None
    assert relaxed.energy.item() / 2 == pytest.approx(record.energy / 2, abs=1e-3)
