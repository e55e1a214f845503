"""Calculators of ASE and models of torch-sim behind the interface of potentials."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import units
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure
from tests.families import require_family
from tests.potentials.generic.factories import torchsim_lennard_jones

from nextrung.potentials.atom_refs import move_atom_refs, validate_recipe
from nextrung.potentials.generic.factories import VARIABLE
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Rereference
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.potentials.potential import Potential

HERE = "tests.potentials.generic.factories"
NAMES = ["ase:ase.calculators.emt:EMT", f"torchsim:{HERE}:torchsim_lennard_jones"]


def make_alloys() -> list[Structure]:
    """Make perturbed alloys of elements that EMT has."""
    copper = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(3.7), ["Cu"], [[0, 0, 0]]
    ).perturb(0.05)
    lattice = Lattice.from_parameters(2.9, 3.1, 4.2, 80, 95, 100)
    alloy = Structure(lattice, ["Al", "Cu"], [[0, 0, 0], [0.5, 1.5, -0.45]])
    return [copper, alloy, Structure(Lattice.cubic(2.6), ["Ni"], [[0, 0, 0]])]


@pytest.fixture(autouse=True)
def _named_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget factories that other tests have named."""
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture(params=NAMES)
def potential(request: pytest.FixtureRequest) -> Potential:
    """A potential of ASE, and one of torch-sim."""
    if request.param.startswith("torchsim"):
        require_family("torchsim", "torch_sim")
    return load_potential(request.param, "cpu")


def test_predictions_are_those_of_the_calculator() -> None:
    potential = load_potential("ase:ase.calculators.emt:EMT", "cpu")
    structures = make_alloys()

    predictions: Any = potential.predict(structures)

    for structure, prediction in zip(structures, predictions, strict=True):
        atoms = structure.to_ase_atoms(calculator=EMT(), msonable=False)
        assert prediction.energy == pytest.approx(atoms.get_potential_energy())
        np.testing.assert_allclose(prediction.forces, atoms.get_forces(), atol=1e-10)
        np.testing.assert_allclose(
            prediction.stress, atoms.get_stress(voigt=False) / units.GPa, atol=1e-8
        )


def test_a_batch_of_torch_sim_is_what_the_model_computes_for_each_crystal() -> None:
    """Also in triclinic cells, whose vectors torch-sim has as columns.

    The stress is compared with that of the model, which in torch-sim 0.3.0 is twice the
    derivative of the Lennard-Jones energy.
    """
    require_family("torchsim", "torch_sim")
    ts = importlib.import_module("torch_sim")
    potential = load_potential(NAMES[1], "cpu")
    model = torchsim_lennard_jones()
    structures = make_alloys()

    predictions: Any = potential.predict(structures)

    for structure, prediction in zip(structures, predictions, strict=True):
        state = ts.io.structures_to_state([structure], model.device, model.dtype)
        expected = {name: value.numpy() for name, value in model(state).items()}
        assert prediction.energy == pytest.approx(expected["energy"].item())
        np.testing.assert_allclose(prediction.forces, expected["forces"], atol=1e-12)
        np.testing.assert_allclose(
            prediction.stress, expected["stress"][0] / units.GPa, atol=1e-9
        )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (NAMES[0], "NotImplementedError: No EMT-potential for Na"),
        (f"torchsim:{HERE}:torchsim_without_sodium", "KeyError: 'Na'"),
    ],
)
def test_what_is_raised_for_one_crystal_is_the_error_of_that_crystal(
    name: str, reason: str
) -> None:
    if name.startswith("torchsim"):
        require_family("torchsim", "torch_sim")
    salt = Structure(Lattice.cubic(3.5), ["Na", "Cu"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    first, second, third = make_alloys()

    errors = [
        p.error for p in load_potential(name).predict([first, salt, second, third])
    ]

    assert errors == [None, reason, None, None]


def test_forces_of_another_shape_are_an_error() -> None:
    [prediction] = load_potential(f"ase:{HERE}:Misshapen").predict(make_alloys()[2])

    assert prediction.error == "InputError: forces: expected shape (1, 3), got (2, 3)"


def test_added_energies_leave_forces_and_stresses_the_same_to_the_bit(
    potential: Potential,
) -> None:
    shift = {"Cu": 1 / 3, "Al": -100.0, "Ni": 1e-9}
    structures = make_alloys()
    before = potential.predict(structures)

    after = potential.with_atom_refs(shift).predict(structures)

    for structure, one, other in zip(structures, before, after, strict=True):
        added = sum(shift[symbol] for symbol in map(str, structure.species))
        assert one.energy is not None
        assert other.energy == pytest.approx(one.energy + added, rel=1e-15)
        np.testing.assert_array_equal(one.forces, other.forces)
        np.testing.assert_array_equal(one.stress, other.stress)


def test_energies_are_added_to_energies_that_were_added_before(
    potential: Potential,
) -> None:
    """And an element without a new one has no energy any more."""
    copper, alloy, _ = make_alloys()
    once = potential.with_atom_refs({"Cu": 1.0, "Al": 1.0})

    twice = once.with_atom_refs({"Cu": 0.5})

    [before] = potential.predict(copper)
    after, missing = twice.predict([copper, alloy])
    assert before.energy is not None
    assert after.energy == pytest.approx(before.energy + 1.5 * len(copper))
    assert missing.error == "no atomic reference energy for Al"
    with pytest.raises(InputError, match="expected a finite energy"):
        potential.with_atom_refs({"Cu": float("inf")})


def test_a_saved_potential_is_loaded_by_its_path(
    potential: Potential, tmp_path: Path
) -> None:
    path = tmp_path / f"checkpoint{potential.backend.suffix}"
    moved = potential.with_atom_refs({"Cu": 1 / 3, "Al": -0.5})

    moved.save(path, functional="r2SCAN")
    loaded = load_potential(path, "cpu")

    structures = make_alloys()[:2]
    energies = [p.energy for p in moved.predict(structures)]
    assert [p.energy for p in loaded.predict(structures)] == energies
    assert (loaded.name, loaded.functional) == (str(path), "r2SCAN")
    assert loaded.elements == {"Al", "Cu"}
    potential.save(path)
    assert load_potential(path, "cpu").elements == potential.elements


def test_a_file_does_not_run_a_factory_that_the_user_has_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the file names another factory than one that he has named."""
    path = tmp_path / "model.json"
    load_potential("ase:ase.calculators.emt:EMT", "cpu").save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "base": f"ase:{HERE}:raise_two_lines"}))

    with pytest.raises(
        InputError, match=f"whose code would run.*export {VARIABLE}=ase"
    ):
        load_potential(path, "cpu")

    monkeypatch.setenv(VARIABLE, f"ase:{HERE}:raise_two_lines")
    with pytest.raises(InputError, match="RuntimeError: no licence ask the vendor"):
        load_potential(path, "cpu")


@pytest.mark.parametrize("base", ["chgnet-r2scan", "model.json", "matgl:model"])
def test_the_base_of_a_file_is_a_factory(tmp_path: Path, base: str) -> None:
    """So that no file names itself, or a file that is read with less care."""
    path = tmp_path / "model.json"
    load_potential("ase:ase.calculators.emt:EMT", "cpu").save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "base": base}))

    with pytest.raises(InputError, match="expected a file that names a factory"):
        load_potential(path, "cpu")


def test_structures_are_relaxed_by_both_engines_alike(potential: Potential) -> None:
    structures = make_alloys()
    records = {
        engine: potential.relax(
            structures, RelaxationSettings(engine=engine, fmax=0.02, max_steps=300)
        )
        for engine in RelaxationEngine
    }

    for batched, one_by_one in zip(*records.values(), strict=True):
        assert batched.status == one_by_one.status == RelaxationStatus.CONVERGED
        assert batched.energy == pytest.approx(one_by_one.energy, abs=1e-3)


def test_without_stress_only_positions_relax() -> None:
    potential = load_potential(f"ase:{HERE}:WithoutStress", "cpu")
    copper = make_alloys()[0]

    [record] = potential.relax(copper, RelaxationSettings(cell=CellDegrees.FIXED))

    assert record.status is RelaxationStatus.CONVERGED
    assert potential.predict(copper)[0].stress is None
    with pytest.raises(InputError, match="expected a potential with stresses"):
        potential.relax(copper)


def test_without_forces_there_are_energies_alone() -> None:
    potential = load_potential(f"ase:{HERE}:EnergyOnly", "cpu")
    copper = make_alloys()[0]

    [prediction] = potential.predict(copper)

    assert prediction.energy is not None
    assert prediction.forces is None
    with pytest.raises(InputError, match="expected a potential with forces"):
        potential.relax(copper)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ase:os:getcwd", "expected a calculator of ASE, got a str"),
        (f"ase:{HERE}:WithoutEnergy", "a calculator with energy, got one with forces"),
        (f"torchsim:{HERE}:lennard_jones", "expected a ModelInterface of torch-sim"),
    ],
)
def test_a_factory_of_something_else_is_rejected(name: str, message: str) -> None:
    if name.startswith("torchsim"):
        require_family("torchsim", "torch_sim")
    with pytest.raises(InputError, match=message):
        load_potential(name, "cpu")


def test_double_precision_is_that_of_the_factory(potential: Potential) -> None:
    structure = make_alloys()[0]

    doubled = potential.with_atom_refs({"Cu": 0.1}).double()

    [before], [after] = potential.predict(structure), doubled.predict(structure)
    assert before.energy is not None
    assert after.energy == pytest.approx(before.energy + 0.4, rel=1e-15)
    require_family("torchsim", "torch_sim")
    single = load_potential(f"torchsim:{HERE}:torchsim_single", "cpu")
    with pytest.raises(InputError, match="a model in float64, got float32"):
        single.double()


def test_what_needs_known_references_or_weights_is_one_line(
    potential: Potential,
) -> None:
    """For a source of a study: refitted references, and training."""
    errors = {}
    for model, recipe in RECIPES.items():
        try:
            validate_recipe(potential, recipe)
        except InputError as error:
            errors[model] = str(error)

    refit = f"{potential.name}: expected a potential with explicit atomic references"
    assert errors.keys() == RECIPES.keys() - {Model.SOURCE, Model.SOURCE_RESIDUAL}
    assert errors[Model.SOURCE_REFIT].startswith(refit)
    assert errors[Model.RESIDUAL_ATOM_REFS] == (
        f"fine-tuning: expected a potential that can be trained, got {potential.name}: "
        f"the family {potential.family} is for predictions"
    )


def test_a_residual_shift_aligns_energies_without_references(
    potential: Potential,
) -> None:
    """A shift that was taken from the labels is found again."""
    pairs = [("Al", "Cu"), ("Cu", "Ni"), ("Ni", "Al")]
    structures = make_alloys() + [
        Structure(Lattice.cubic(a), pair, [[0, 0, 0], [0.5, 0.5, 0.5]])
        for pair in pairs
        for a in (2.9, 3.0)
    ]
    shift = {"Al": -3.0, "Cu": 0.5, "Ni": 1.25}
    labels = [p.energy for p in potential.with_atom_refs(shift).predict(structures)]
    frames = replace(Frames.from_structures(structures), energies=np.array(labels))

    _, found = move_atom_refs(potential, frames, Rereference.RESIDUAL)

    assert found == pytest.approx(shift, abs=0.01)


def test_there_are_no_random_weights(potential: Potential) -> None:
    for each in (potential, potential.with_atom_refs({"Cu": 1.0})):
        with pytest.raises(
            InputError, match="to start from random weights, got a model"
        ):
            each.with_random_network(0)
