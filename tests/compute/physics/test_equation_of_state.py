from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.eos import birchmurnaghan
from pymatgen.core import Lattice, Structure

from nextrung.compute.physics.equation_of_state import (
    fit_equation_of_state,
    strain_volumes,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.physics import EquationOfStateSettings


def test_volume_and_bulk_modulus_of_a_made_up_crystal_are_recovered() -> None:
    volumes = np.linspace(18, 22, 7)
    energies = birchmurnaghan(volumes, -10.0, 80 * units.GPa, 4.5, 20.1)

    fit = fit_equation_of_state(volumes.tolist(), energies.tolist())

    assert fit.volume == pytest.approx(20.1)
    assert fit.bulk_modulus == pytest.approx(80)


def test_energies_that_fall_throughout_have_no_minimum() -> None:
    with pytest.raises(InputError, match="expected the lowest energy inside the range"):
        fit_equation_of_state([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])


def test_strains_are_symmetric_about_the_relaxed_crystal() -> None:
    crystal = Structure(Lattice.cubic(4.0), ["Po"], [[0, 0, 0]])
    settings = EquationOfStateSettings(largest_strain=0.03, n_volumes=5)

    edges = [each.lattice.a / 4 - 1 for each in strain_volumes(crystal, settings)]

    assert edges == pytest.approx([-0.03, -0.015, 0, 0.015, 0.03])
    assert crystal.lattice.a == 4.0
