from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import CalculationFailed
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from ase.stress import full_3x3_to_voigt_6_stress
from chgnet.model import CHGNet
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from tests.potentials.networks import network_of

from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.potentials.potential import Potential


DISORDERED = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
ISOLATED = Structure(Lattice.cubic(20), ["Cs"], [[0, 0, 0]])
YTTERBIUM = Structure(Lattice.cubic(4), ["Yb"], [[0, 0, 0]])


def test_a_potential_is_described_by_name_device_and_precision(
    target: Potential,
) -> None:
    assert repr(target) == "Potential('chgnet-r2scan', device=cpu, float32)"
    assert repr(target.double()).endswith("float64)")


def assert_close(
    own: NDArray[np.floating] | None,
    expected: NDArray[np.floating] | None,
    noise: float,
) -> None:
    """Compare arrays whose noise grows with their largest value."""
    assert own is not None
    assert expected is not None
    tolerance = noise * (1 + np.abs(expected).max())
    np.testing.assert_allclose(own, expected, rtol=0, atol=tolerance)


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # chgnet's volumes
def test_predictions_are_those_of_chgnet(
    target: Potential, chgnet_model: CHGNet, structures: list[Structure]
) -> None:
    expected = chgnet_model.predict_structure(structures)
    for structure, own, other in zip(
        structures, target.predict(structures), expected, strict=True
    ):
        assert own.error is None
        assert own.energy is not None
        assert own.energy / len(structure) == pytest.approx(float(other["e"]), abs=1e-5)
        assert_close(own.forces, other["f"], noise=5e-4)
        assert_close(own.stress, other["s"], noise=5e-4)
        assert_close(own.magmoms, other["m"], noise=5e-4)


def test_failures_are_rows_with_their_reasons_among_the_others(
    target: Potential, structures: list[Structure]
) -> None:
    empty = Structure(Lattice.cubic(4), [], [])
    asked = [DISORDERED, structures[0], ISOLATED, YTTERBIUM, structures[1], empty]
    predictions = target.predict(asked)
    alone = target.predict(structures[:2])
    reasons = [prediction.error for prediction in predictions]
    assert "disordered" in str(reasons[0])
    assert "isolated atom" in str(reasons[2])
    assert reasons[3] == "no atomic reference energy for Yb"
    assert reasons[5] == "no atoms"
    for index, prediction in ((1, alone[0]), (4, alone[1])):
        assert prediction.energy is not None
        assert predictions[index].energy == pytest.approx(prediction.energy, abs=1e-4)
    assert predictions[0].energy is None
    assert predictions[2].forces is None


def test_no_structures_have_no_predictions(target: Potential) -> None:
    assert target.predict([]) == []


@pytest.mark.parametrize("properties", ["", "f", "ex", "E"])
def test_unknown_properties_are_rejected(target: Potential, properties: str) -> None:
    with pytest.raises(InputError, match=f"properties: expected .* got '{properties}'"):
        target.predict([], properties)


def test_unwanted_properties_are_none(
    target: Potential, structures: list[Structure]
) -> None:
    [prediction] = target.predict(structures[:1], "e")
    assert prediction.forces is None
    assert prediction.stress is None
    assert prediction.magmoms is None
    assert prediction.energy is not None


def test_frames_are_labelled_in_place_of_their_labels(
    target: Potential, structures: list[Structure]
) -> None:
    frames = Frames.from_structures([structures[3], ISOLATED, structures[4]])
    labelled, errors = target.predict_frames(frames)
    expected = target.predict([structures[3], structures[4]])
    assert list(errors) == [1]
    assert np.isnan(labelled.energies[1])
    assert labelled.energies[0] == pytest.approx(expected[0].energy, abs=1e-4)
    assert labelled.forces.dtype == np.float32
    rows = slice(frames.offsets[2], frames.offsets[3])
    assert_close(labelled.forces[rows], expected[1].forces, noise=1.5e-4)
    assert_close(labelled.magmoms[rows], expected[1].magmoms, noise=1.5e-4)
    assert_close(labelled.stresses[2], expected[1].stress, noise=1.5e-4)
    assert np.isnan(target.predict_frames(frames, "e")[0].magmoms).all()


def test_structures_relax_in_the_order_given(target: Potential) -> None:
    iron = Structure(Lattice.cubic(2.9), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    seen: list[int] = []
    records = target.relax(
        [ISOLATED, iron],
        RelaxationSettings(max_steps=30),
        on_record=lambda index, _: seen.append(index),
    )
    assert records[0].status is RelaxationStatus.ISOLATED_ATOM
    assert records[1].energy is not None
    assert sorted(seen) == [0, 1]
    assert target.relax([]) == []


def test_new_atomic_references_shift_the_energy_of_their_atoms(
    target: Potential, structures: list[Structure]
) -> None:
    structure = structures[-1]
    shifted = {s: energy + 0.5 for s, energy in target.atom_refs.items()}
    moved = target.with_atom_refs(shifted)
    [before], [after] = target.predict([structure]), moved.predict([structure])
    assert before.energy is not None
    assert after.energy == pytest.approx(before.energy + 0.5 * len(structure), abs=1e-4)
    np.testing.assert_array_equal(before.forces, after.forces)
    assert target.predict([structure])[0].energy == before.energy


def test_elements_without_a_new_reference_have_none(
    target: Potential,
) -> None:
    only_iron = target.with_atom_refs({"Fe": 0.0})
    salt = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    assert only_iron.elements == {"Fe"}
    assert only_iron.atom_refs == {"Fe": 0.0}
    [prediction] = only_iron.predict([salt])
    assert prediction.error == "no atomic reference energy for Cl, Na"
    assert prediction.energy is None
    assert not network_of(only_iron).composition_model.fc.weight.requires_grad


def test_only_energies_need_references(
    target: Potential, structures: list[Structure]
) -> None:
    """Two crystals, with and without references, in one batch."""
    structure = structures[-1]
    iron = Structure(Lattice.cubic(2.8), ["Fe", "Fe"], [[0, 0, 0], [0.5] * 3])
    only_iron = target.with_atom_refs({"Fe": target.atom_refs["Fe"]})

    [[bare, known], [whole, same]] = (
        potential.predict([structure, iron]) for potential in (only_iron, target)
    )

    assert bare.energy is None
    assert "no atomic reference energy for" in str(bare.error)
    assert (known.error, known.energy) == (None, same.energy)
    for name in ("forces", "stress", "magmoms"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(whole, name))


def test_frames_without_references_have_no_energies_but_forces(
    target: Potential,
) -> None:
    salt = Structure(Lattice.cubic(5.7), ["Na", "Cl"], [[0, 0, 0], [0.45, 0.5, 0.5]])
    frames = Frames.from_structures([salt])

    predicted, errors = target.with_atom_refs({"Na": 0.0}).predict_frames(frames)
    expected, _ = target.predict_frames(frames)

    assert errors == {0: "no atomic reference energy for Cl"}
    assert np.isnan(predicted.energies).all()
    np.testing.assert_array_equal(predicted.forces, expected.forces)


def test_a_calculator_without_references_has_forces_and_no_energy(
    target: Potential,
) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.7)
    atoms.rattle(0.1, seed=0)
    atoms.calc = target.calculator()
    expected = atoms.get_forces()
    atoms.calc = target.with_atom_refs({"Na": 0.0}).calculator()

    np.testing.assert_array_equal(atoms.get_forces(), expected)
    with pytest.raises(CalculationFailed, match="reference energy for Cl"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("energies", [{"Xx": 1.0}, {"Am": 1.0}, {"Fe": np.nan}])
def test_invalid_references_are_rejected(
    target: Potential, energies: dict[str, float]
) -> None:
    with pytest.raises(
        InputError, match=f"potential knows, got {next(iter(energies))}"
    ):
        target.with_atom_refs(energies)


def test_a_random_network_keeps_the_references_and_depends_on_its_seed(
    target: Potential, structures: list[Structure]
) -> None:
    first, same, other = (target.with_random_network(seed) for seed in (1, 1, 2))
    energies = [p.predict(structures[:1], "e")[0].energy for p in (first, same, other)]
    assert energies[0] == energies[1] != energies[2]
    assert first.atom_refs == target.atom_refs
    assert first.elements == target.elements


def test_copies_share_no_weights(target: Potential) -> None:
    copied = target.copy()
    pairs = zip(
        network_of(copied).parameters(), network_of(target).parameters(), strict=True
    )
    assert all(own.data_ptr() != other.data_ptr() for own, other in pairs)


@pytest.mark.filterwarnings("ignore:Converting a tensor")  # chgnet's volumes
def test_saved_potentials_load_here_and_in_plain_chgnet(
    target: Potential, structures: list[Structure], tmp_path: Path
) -> None:
    path = tmp_path / "potential.pth"
    shifted = {s: energy - 1.25 for s, energy in target.atom_refs.items()}
    saved = target.with_atom_refs(shifted | {"Yb": 0.0})
    saved.save(path, method="refitted")
    [expected] = saved.predict(structures[-1:])
    loaded = load_potential(path, device="cpu")
    assert expected.energy is not None
    assert loaded.predict(structures[-1:])[0].energy == expected.energy
    assert loaded.atom_refs == pytest.approx(saved.atom_refs)
    assert "Yb" in loaded.elements
    plain = CHGNet.from_file(str(path)).predict_structure(structures[-1])
    per_atom = expected.energy / len(structures[-1])
    assert float(plain["e"]) == pytest.approx(per_atom, abs=1e-5)
    assert_close(plain["f"], expected.forces, noise=1.5e-4)


def test_metadata_are_stored_in_the_file(target: Potential, tmp_path: Path) -> None:
    target.save(tmp_path / "potential.pth", seed=3)
    saved = torch.load(tmp_path / "potential.pth", weights_only=True)["nextrung"]
    assert saved["seed"] == 3
    assert saved["name"] == "chgnet-r2scan"
    assert saved["version"]


def test_the_same_file_gives_the_same_numbers(structures: list[Structure]) -> None:
    runs = [
        load_potential("chgnet-0.3.0", device="cpu").predict(structures)
        for _ in range(2)
    ]
    for first, second in zip(*runs, strict=True):
        assert first.energy == second.energy
        np.testing.assert_array_equal(first.forces, second.forces)


def test_the_calculator_predicts_in_units_of_ase(
    target: Potential, structures: list[Structure]
) -> None:
    structure = structures[-1]
    atoms = AseAtomsAdaptor.get_atoms(structure)
    atoms.calc = target.calculator()
    [prediction] = target.predict([structure])
    assert prediction.stress is not None
    assert atoms.get_potential_energy() == prediction.energy
    assert atoms.get_potential_energy(force_consistent=True) == prediction.energy
    np.testing.assert_array_equal(atoms.get_forces(), prediction.forces)
    np.testing.assert_array_equal(atoms.get_magnetic_moments(), prediction.magmoms)
    voigt = full_3x3_to_voigt_6_stress(prediction.stress) * units.GPa
    np.testing.assert_allclose(atoms.get_stress(), voigt, rtol=1e-12)


def test_the_calculator_raises_the_reason_of_a_failure(target: Potential) -> None:
    atoms = Atoms("Cs", cell=np.eye(3) * 20, pbc=True, calculator=target.calculator())
    with pytest.raises(CalculationFailed, match="isolated atom"):
        atoms.get_potential_energy()


def test_ase_relaxes_with_the_calculator(target: Potential) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.3)
    atoms.calc = target.calculator()
    optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
    assert optimizer.run(fmax=0.05, steps=60)
    assert 5.4 < (4 * atoms.get_volume()) ** (1 / 3) < 5.8
