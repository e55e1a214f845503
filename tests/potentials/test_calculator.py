from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import CalculationFailed
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.io.ase import AseAtomsAdaptor

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential


def test_the_calculator_gives_the_potential_in_units_of_ase(
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


def test_a_failure_says_why(target: Potential) -> None:
    atoms = Atoms("Cs", cell=np.eye(3) * 20, pbc=True, calculator=target.calculator())
    with pytest.raises(CalculationFailed, match="isolated atom"):
        atoms.get_potential_energy()


def test_ase_relaxes_with_the_calculator(target: Potential) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.3)
    atoms.calc = target.calculator()
    optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
    assert optimizer.run(fmax=0.05, steps=60)
    assert 5.4 < (4 * atoms.get_volume()) ** (1 / 3) < 5.8
