"""Predictions of crystals of ASE, by a backend and by sevenn itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import units
from pymatgen.io.ase import AseAtomsAdaptor

from nextrung.potentials.graphs.crystals import Crystals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from nextrung.potentials.interface import Inputs, Outputs
    from nextrung.potentials.sevennet.backend import SevenNetBackend

CPU = torch.device("cpu")


def prepare(backend: SevenNetBackend, crystals: Sequence[Atoms]) -> Inputs:
    """Search the neighbors of crystals."""
    structures = [AseAtomsAdaptor.get_structure(atoms) for atoms in crystals]
    return backend.prepare(Crystals.of(structures), CPU)


def predict(
    backend: SevenNetBackend, crystals: Sequence[Atoms], properties: str = "efs"
) -> Outputs:
    """Predict properties of crystals in one batch."""
    return backend.compute(prepare(backend, crystals), properties)


def check_equal(
    outputs: Outputs,
    crystals: Sequence[Atoms],
    calculator: Calculator,
    *,
    energy: float = 1e-5,
    forces: float = 1e-4,
) -> None:
    """Check a batch against a calculator: tolerances in eV/atom, and eV/Å or GPa."""
    first = 0
    for index, atoms in enumerate(crystals):
        copied = atoms.copy()
        copied.calc = calculator
        expected = copied.get_potential_energy() / len(atoms)
        assert abs(float(outputs.energies[index]) / len(atoms) - expected) < energy
        assert outputs.forces is not None
        assert outputs.stresses is not None
        rows = slice(first, first := first + len(atoms))
        np.testing.assert_allclose(
            outputs.forces[rows], copied.get_forces(), rtol=0, atol=forces
        )
        stress = copied.get_stress(voigt=False) / units.GPa
        np.testing.assert_allclose(
            outputs.stresses[index], stress, rtol=1e-4, atol=forces
        )
