from __future__ import annotations

import pytest
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.relaxation.ase import relax_with_ase
from nextrung.schemas.relaxation import RelaxationSettings


@pytest.mark.parametrize("max_steps", [5, 100])
def test_it_does_what_a_user_of_ase_would_do(max_steps: int) -> None:
    structure = Structure(
        Lattice.hexagonal(2.1, 3.9), ["Mg"] * 2, [[0.3, 0.6, 0.2], [0.7, 0.3, 0.8]]
    )
    atoms = AseAtomsAdaptor.get_atoms(structure)
    atoms.calc = LennardJonesPotential().calculator()
    optimizer = FIRE(FrechetCellFilter(atoms), logfile=None)
    converged = optimizer.run(fmax=0.1, steps=max_steps)

    settings = RelaxationSettings(fmax=0.1, max_steps=max_steps)
    ((index, record),) = relax_with_ase(
        LennardJonesPotential(), [(7, structure)], settings
    )

    assert index == 7
    assert record.status == ("converged" if converged else "max_steps")
    assert record.n_steps == optimizer.nsteps
    assert record.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
