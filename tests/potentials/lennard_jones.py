"""Lennard-Jones potential of ASE behind the interface of potentials."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.lj import LennardJones

from nextrung.potentials.chgnet.backend import ChgnetBackend
from nextrung.potentials.interface import BatchPrediction
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Crystals

#: Elements that fail: with a reason, with NaN, by exiting the process, by TypeError.
ISOLATED, NOT_A_NUMBER, UNKNOWN, EXITING, UNEXPECTED = 2, 10, 18, 36, 54
REASONS = {ISOLATED: "isolated atom: He", UNKNOWN: "no reference energy of Ar"}


class _Calculator(LennardJones):  # type: ignore[misc]
    """ASE's calculator that fails on noble gases as the potential does."""

    def calculate(self, atoms: Atoms, *changes: list[str]) -> None:
        """Compute, or raise the reason."""
        for number, reason in REASONS.items():
            if number in atoms.numbers:
                raise InputError(reason)
        super().calculate(atoms, *changes)
        if NOT_A_NUMBER in atoms.numbers:
            self.results["energy"] = np.nan


class LennardJonesPotential:
    """Energy, forces and stress, the same for all elements but noble gases."""

    device = torch.device("cpu")
    properties = "efs"
    limits = ChgnetBackend.limits

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []
        self.prior_errors: Mapping[str, float] = {}

    def estimate_costs(
        self, lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Count the atoms."""
        assert len(lattices) == len(n_atoms)
        return n_atoms.astype(np.float64)

    def calculator(self) -> LennardJones:
        """Make the calculator."""
        return _Calculator(sigma=2.0, epsilon=0.3, rc=6.0, smooth=True)

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict energies, forces and stresses."""
        assert properties == "efs"
        self.batch_sizes.append(len(crystals))
        predictions = [self._predict_one(crystals[[k]]) for k in range(len(crystals))]
        return BatchPrediction(
            energies=np.array([energy for energy, _, _ in predictions]),
            forces=np.concatenate([forces for _, forces, _ in predictions]),
            stresses=np.array([stress for _, _, stress in predictions]),
            magmoms=None,
            errors=_find_errors(crystals),
        )

    def _predict_one(
        self, crystal: Crystals
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Predict one crystal; NaN with noble gases."""
        n_atoms = len(crystal.atomic_numbers)
        if EXITING in crystal.atomic_numbers:
            os._exit(9)
        if UNEXPECTED in crystal.atomic_numbers:
            raise TypeError("unknown element Xe")
        if {ISOLATED, NOT_A_NUMBER, UNKNOWN} & set(crystal.atomic_numbers.tolist()):
            return np.nan, np.full((n_atoms, 3), np.nan), np.full((3, 3), np.nan)
        atoms = Atoms(
            crystal.atomic_numbers,
            scaled_positions=crystal.frac_coords,
            cell=crystal.lattices[0],
            pbc=True,
            calculator=self.calculator(),
        )
        stress = atoms.get_stress(voigt=False) / units.GPa
        return atoms.get_potential_energy(), atoms.get_forces(), stress


def _find_errors(crystals: Crystals) -> dict[int, str]:
    """Find the errors of noble gases."""
    return {
        index: reason
        for number, reason in REASONS.items()
        for index in crystals.crystal_of_site[crystals.atomic_numbers == number]
    }
