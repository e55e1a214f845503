"""Chains of springs, whose frequencies are known."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import units
from pymatgen.core import Lattice, Structure

from nextrung.potentials.physics.runner import require_physics
from nextrung.schemas.base import InputError
from nextrung.schemas.physics import PhononSettings, PhysicsSettings, PhysicsTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE = 4.0
CUBIC = Structure(Lattice.cubic(EDGE), ["Fe"], [[0, 0, 0]])
MODULE = "nextrung.compute.physics.phonons"


def pull_back(supercell: Structure, stiffness: float) -> NDArray[np.float64]:
    """Forces of springs to the six nearest neighbors, alike in all directions."""
    n = round(supercell.lattice.a / EDGE)
    ideal = np.round(supercell.cart_coords / EDGE)
    index = {tuple(site % n): k for k, site in enumerate(ideal.astype(int))}
    moved = supercell.cart_coords - EDGE * ideal
    forces = np.zeros((len(supercell), 3))
    for site, k in index.items():
        for step in np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)]):
            neighbor = index[tuple((np.array(site) + step) % n)]
            forces[k] += stiffness * (moved[neighbor] - moved[k])
    return forces


@pytest.mark.parametrize("stiffness", [1.5, -1.5])
def test_springs_that_push_have_imaginary_frequencies(stiffness: float) -> None:
    """All six neighbors out of phase: ω² = 12 k / m at the corner of the zone."""
    pytest.importorskip("phonopy")
    phonons = import_module(MODULE)
    calculation = phonons.PhononCalculation(CUBIC, PhononSettings(min_length=7.9))
    forces = [pull_back(supercell, stiffness) for supercell in calculation.supercells]

    lowest = calculation.find_lowest_frequency(forces)

    mass = CUBIC[0].specie.atomic_mass * units._amu  # kg
    stiffness_si = stiffness * units._e / 1e-20  # N/m
    corner = np.sqrt(12 * abs(stiffness_si) / mass) / (2 * np.pi) / 1e12
    assert lowest == pytest.approx(0 if stiffness > 0 else -corner, abs=1e-4)


def test_without_phonopy_phonons_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "phonopy", None)

    with pytest.raises(InputError, match=r"pip install 'nextrung\[physics\]'"):
        require_physics(PhysicsSettings())
    require_physics(PhysicsSettings(tests=(PhysicsTest.ELASTICITY,)))
