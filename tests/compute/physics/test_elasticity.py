from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.elasticity import ElasticTensor, Strain
from pymatgen.core import Lattice, Structure

from nextrung.compute.physics.elasticity import fit_elastic_constants, strain_cells
from nextrung.schemas.physics import ElasticitySettings

CRYSTAL = Structure(Lattice.cubic(4.0), ["Po"], [[0, 0, 0]])


def make_stiffness(c11: float, c12: float, c44: float) -> ElasticTensor:
    normal = np.full((3, 3), c12) + (c11 - c12) * np.eye(3)
    shear = c44 * np.eye(3)
    zero = np.zeros((3, 3))
    return ElasticTensor.from_voigt(np.block([[normal, zero], [zero, shear]]))


@pytest.mark.parametrize(
    ("constants", "lowest"),
    [((300.0, 90.0, 150.0), 150.0), ((100.0, 110.0, 50.0), -10.0)],
    ids=["stable", "sheared"],
)
def test_elastic_constants_of_a_made_up_crystal_are_recovered(
    constants: tuple[float, float, float], lowest: float
) -> None:
    """Born's criterion is the lowest of C44, C11 - C12 and C11 + 2 C12."""
    strained = strain_cells(CRYSTAL, ElasticitySettings())
    pressure = 0.2 * np.eye(3)  # what a relaxation leaves
    tensor = make_stiffness(*constants)
    stresses = [
        np.asarray(tensor.calculate_stress(Strain(each.strain))) + pressure
        for each in strained
    ]

    found = fit_elastic_constants([s.strain for s in strained], stresses, pressure)

    assert found[:3] == pytest.approx(constants)
    assert found.lowest_stiffness == pytest.approx(lowest)


def test_every_component_is_strained_by_every_strain() -> None:
    settings = ElasticitySettings(strains=(-0.01, 0.01))

    strained = strain_cells(CRYSTAL, settings)

    assert len(strained) == 6 * 2
    assert max(abs(each.strain).max() for each in strained) == pytest.approx(0.01)
