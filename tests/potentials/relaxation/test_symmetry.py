from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from pymatgen.core import Lattice, Structure
from spglib.error import SpglibError

from nextrung.potentials.relaxation.symmetry import refine_symmetry
from nextrung.schemas.base import InputError

QUARTZ = Structure.from_spacegroup(
    "P3_221",
    Lattice.hexagonal(4.91, 5.40),
    ["Si", "O"],
    [[0.47, 0, 2 / 3], [0.41, 0.27, 0.78]],
)


def test_averages_are_those_of_ase() -> None:
    """In a cell that is strained within its symmetry."""
    refined, symmetry = refine_symmetry(QUARTZ)
    atoms = Atoms(
        refined.atomic_numbers,
        scaled_positions=refined.frac_coords,
        cell=refined.lattice.matrix,
        pbc=True,
    )
    constraint = FixSymmetry(atoms)
    atoms.set_cell(atoms.cell.array @ np.diag([1.1, 1.1, 0.8]), scale_atoms=True)
    rng = np.random.default_rng(0)
    forces, stress = rng.normal(size=(len(atoms), 3)), rng.normal(size=6)
    lattice = atoms.cell.array

    averaged_forces = symmetry.average_forces(forces, lattice)
    averaged_stress = symmetry.average_stress(
        voigt_6_to_full_3x3_stress(stress), lattice
    )
    constraint.adjust_forces(atoms, forces)
    constraint.adjust_stress(atoms, stress)

    np.testing.assert_allclose(averaged_forces, forces, atol=1e-14)
    np.testing.assert_allclose(
        full_3x3_to_voigt_6_stress(averaged_stress), stress, atol=1e-14
    )


def test_an_average_is_its_own_average() -> None:
    refined, symmetry = refine_symmetry(QUARTZ)
    forces = np.random.default_rng(1).normal(size=(len(refined), 3))
    lattice = refined.lattice.matrix

    once = symmetry.average_forces(forces, lattice)

    np.testing.assert_allclose(symmetry.average_forces(once, lattice), once, atol=1e-14)
    assert np.abs(once - forces).max() > 0.1


def test_a_distorted_structure_is_symmetrised_with_its_sites_in_order() -> None:
    distorted = QUARTZ.copy()
    distorted.perturb(0.002)

    refined, symmetry = refine_symmetry(distorted)

    assert refined.get_space_group_info(symprec=1e-6) == ("P3_221", 154)
    assert len(symmetry.rotations) == 6
    assert refined.species == distorted.species
    shifts = refined.frac_coords - distorted.frac_coords
    assert np.abs(shifts @ refined.lattice.matrix).max() < 0.01


def test_no_space_group_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_atoms: Atoms) -> None:
        raise SpglibError("too close")

    monkeypatch.setattr("nextrung.potentials.relaxation.symmetry.FixSymmetry", fail)

    with pytest.raises(InputError, match="no space group found: too close"):
        refine_symmetry(QUARTZ)
