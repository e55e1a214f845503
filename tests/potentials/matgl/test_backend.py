from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from nextrung.potentials.potential import Potential

pytest.importorskip("matgl", reason="no matgl: install the extra `matgl`")
models: ModuleType = pytest.importorskip("tests.potentials.matgl.models")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a TensorNet."""
    path = tmp_path / "tensornet"
    models.save_potential(path)
    return path


@pytest.fixture
def potential(folder: Path) -> Potential:
    """The TensorNet in float64, loaded."""
    return load_potential(f"matgl:{folder}", "cpu").double()


@pytest.mark.parametrize("name", sorted(models.ARCHITECTURES))
def test_a_batch_is_predicted_as_matgl_predicts_each_crystal(
    name: str, tmp_path: Path
) -> None:
    from matgl.ext.ase import PESCalculator  # noqa: PLC0415 - of an extra

    upstream = models.save_potential(tmp_path / name, name)
    calculator = PESCalculator(upstream, stress_unit="GPa")
    structures = models.make_structures()

    predictions: Any = load_potential(tmp_path / name, "cpu").predict(structures)

    for structure, prediction in zip(structures, predictions, strict=True):
        atoms = structure.to_ase_atoms(calculator=calculator, msonable=False)
        energy = atoms.get_potential_energy()
        assert prediction.energy == pytest.approx(energy, abs=1e-5 * len(atoms))
        np.testing.assert_allclose(prediction.forces, atoms.get_forces(), atol=1e-5)
        np.testing.assert_allclose(
            prediction.stress, calculator.results["stress"], atol=1e-5
        )
        assert prediction.magmoms is None


def test_forces_and_stresses_are_derivatives_of_the_energy(
    potential: Potential,
) -> None:
    """In float64, by central differences of a coordinate and of a strain."""
    structure, step = models.make_structures()[1], 1e-4
    [prediction] = potential.predict(structure)
    moved, strained = [], []
    for sign in (1, -1):
        shifted = structure.copy()
        shifted.translate_sites([0], [sign * step, 0, 0], frac_coords=False)
        moved.append(shifted)
        strain = np.eye(3)
        strain[1, 1] += sign * step
        lattice = Lattice(structure.lattice.matrix @ strain)
        strained.append(Structure(lattice, structure.species, structure.frac_coords))

    predictions: Any = potential.predict([*moved, *strained], "e")
    energies = [one.energy for one in predictions]

    assert prediction.forces is not None
    assert prediction.stress is not None
    slope = (energies[0] - energies[1]) / (2 * step)
    assert prediction.forces[0, 0] == pytest.approx(-slope, abs=1e-8)
    slope = (energies[2] - energies[3]) / (2 * step) / structure.volume
    assert prediction.stress[1, 1] == pytest.approx(slope * 160.21766, abs=1e-5)


def test_references_are_replaced_and_forces_stay_to_the_bit(
    potential: Potential,
) -> None:
    structures = models.make_structures()
    references = {"Cu": 7.0, "Na": -1.0, "Cl": 0.25}
    before = potential.predict(structures)

    after = potential.with_atom_refs(references).predict(structures)

    old = dict(zip(models.ELEMENTS, models.REFERENCES, strict=True))
    assert potential.atom_refs == pytest.approx(old)
    for structure, one, other in zip(structures, before, after, strict=True):
        shift = sum(references[s] - old[s] for s in map(str, structure.species))
        assert one.energy is not None
        assert other.energy == pytest.approx(one.energy + shift, abs=1e-12)
        np.testing.assert_array_equal(one.forces, other.forces)
        np.testing.assert_array_equal(one.stress, other.stress)


def test_an_element_without_new_reference_has_no_energy(potential: Potential) -> None:
    moved = potential.with_atom_refs({"Cu": 1.0})

    _, salt, _ = moved.predict(models.make_structures())

    assert (salt.energy, salt.error) == (
        None,
        "no atomic reference energy for Cl, Na",
    )
    with pytest.raises(InputError, match="elements that the potential knows, got Fe"):
        potential.with_atom_refs({"Fe": 1.0})


def test_an_element_without_input_is_an_error_of_its_crystal(
    potential: Potential,
) -> None:
    iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]])

    [prediction] = potential.predict(iron)

    assert prediction.error == "unknown to this potential: Fe"


@pytest.mark.parametrize("name", ["new.tar", "new-folder"])
def test_a_saved_potential_is_loaded_by_its_content_and_by_matgl(
    folder: Path, tmp_path: Path, name: str
) -> None:
    """Of an archive, matgl loads the folder that is in it."""
    import tarfile  # noqa: PLC0415 - shadowed by nothing

    from matgl import load_model  # noqa: PLC0415 - of an extra
    from matgl.ext.ase import PESCalculator  # noqa: PLC0415 - of an extra

    structure = models.make_structures()[0]
    moved = load_potential(folder, "cpu").with_atom_refs({"Cu": -3.125})
    path = tmp_path / name

    moved.save(path, functional="r2SCAN")

    loaded = load_potential(path, "cpu")
    [expected], [found] = moved.predict(structure), loaded.predict(structure)
    assert (loaded.elements, loaded.functional) == (frozenset({"Cu"}), "r2SCAN")
    assert found.energy == expected.energy
    if path.is_file():
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path / "extracted", filter="data")
        path = tmp_path / "extracted"
    calculator = PESCalculator(load_model(path), stress_unit="GPa")
    atoms = structure.to_ase_atoms(calculator=calculator, msonable=False)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=4e-5)


def test_a_potential_without_references_takes_added_energies_only(
    tmp_path: Path,
) -> None:
    """Also after it was saved with them, as if they were references."""
    models.save_potential(tmp_path / "bare", references=None)
    bare = load_potential(tmp_path / "bare", "cpu")
    structure = models.make_structures()[0]
    [before] = bare.predict(structure)

    once = bare.with_atom_refs({"Cu": 1.5})
    once.save(tmp_path / "once.tar")
    twice = load_potential(tmp_path / "once.tar", "cpu").with_atom_refs({"Cu": 0.25})

    assert once.backend.atom_refs is None
    assert twice.backend.atom_refs is None
    assert before.energy is not None
    [after] = twice.predict(structure)
    assert after.energy == pytest.approx(before.energy + 1.75 * len(structure))


def test_random_weights_keep_the_references(potential: Potential) -> None:
    structure = models.make_structures()[0]

    first, again, other = (potential.with_random_network(seed) for seed in (1, 1, 2))

    energies = [p.predict(structure)[0].energy for p in (first, again, other)]
    assert energies[0] == energies[1]
    assert energies[0] != energies[2]
    assert first.atom_refs == potential.atom_refs


def test_a_copy_is_independent(potential: Potential) -> None:
    copied: Any = potential.copy()

    for weight in copied.backend.module.parameters():
        weight.data.zero_()

    structure = models.make_structures()[0]
    assert copied.predict(structure)[0].energy != potential.predict(structure)[0].energy


@pytest.mark.parametrize("name", ["TensorNet", "M3GNet"])
def test_costs_are_estimated_as_they_are_counted(name: str, tmp_path: Path) -> None:
    """Within a factor of two: shells are not uniform."""
    from nextrung.potentials.graphs.crystals import Crystals  # noqa: PLC0415

    models.save_potential(tmp_path / name, name)
    backend = load_potential(tmp_path / name, "cpu").backend
    crystals = Crystals.of(models.make_structures()[:1])

    costs = backend.prepare(crystals, torch.device("cpu")).costs

    estimated = backend.estimate_costs(crystals.lattices, crystals.n_atoms)
    np.testing.assert_allclose(costs, estimated, rtol=0.5)


def test_isolated_and_overlapping_atoms_are_errors_of_their_crystals(
    potential: Potential,
) -> None:
    alone = Structure(Lattice.cubic(9), ["Cu"], [[0, 0, 0]])
    close = Structure(Lattice.cubic(4), ["Cu", "O"], [[0, 0, 0], [0.05, 0, 0]])

    first, second = potential.predict([alone, close])

    assert str(first.error).startswith("isolated atom: site 0 (Cu) has no neighbour")
    assert str(second.error).startswith("overlapping atoms")


def test_structures_are_relaxed_in_one_batch(potential: Potential) -> None:
    settings = RelaxationSettings(fmax=0.05, max_steps=3)

    records = potential.relax(models.make_structures(), settings)

    assert {record.status for record in records} <= {
        RelaxationStatus.CONVERGED,
        RelaxationStatus.MAX_STEPS,
    }
    assert all(record.energy is not None for record in records)
