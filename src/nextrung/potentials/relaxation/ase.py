"""Relaxation engine ``ase``: structures one by one, with ASE's optimiser.

It is the reference of the batched engine in tests and benchmarks.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from ase.calculators.calculator import CalculationFailed
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from nextrung.potentials.inputs import copy_structure
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    describe_unrelaxable,
    record_failure,
)
from nextrung.potentials.relaxation.symmetry import build_atoms
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationRecord,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ase.calculators.calculator import Calculator
    from pymatgen.core import Structure

    from nextrung.potentials.interface import Relaxable
    from nextrung.schemas.relaxation import RelaxationSettings


def relax_with_ase(
    potential: Relaxable,
    structures: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
) -> Iterator[tuple[int, RelaxationRecord]]:
    """Relax structures one by one.

    Parameters
    ----------
    potential : Relaxable
        Potential that makes the ASE calculator.
    structures : iterable of (int, Structure)
        Indexed structures.
    settings : RelaxationSettings
        Settings of the relaxation.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Index and record of each structure, in the order given.
    """
    calculator = potential.calculator()
    for index, structure in structures:
        reason = describe_unrelaxable(structure)
        if reason is None:
            yield index, _Relaxation(structure, settings).run(calculator)
        else:
            yield index, record_failure(reason)


class _Relaxation:
    """Relaxation of one structure."""

    def __init__(self, structure: Structure, settings: RelaxationSettings) -> None:
        self._initial = structure
        self._settings = settings
        self._n_steps = 0
        self._initial_energy: float | None = None
        self._last_valid: Structure | None = None
        self._atoms = build_atoms(structure)

    def run(self, calculator: Calculator) -> RelaxationRecord:
        """Relax; an exception of ASE or the calculator is a failure."""
        self._atoms.calc = calculator
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "FixSymmetry adjust_cell")
                return self._step_until_done(self._make_optimizer())
        except (ArithmeticError, AssertionError, RuntimeError, ValueError) as error:
            return self._record_failure(str(error))

    def _make_optimizer(self) -> FIRE:
        """Make the optimiser of the degrees of freedom that relax."""
        if self._settings.fix_symmetry:
            self._atoms.set_constraint(FixSymmetry(self._atoms))
        self._reference = self._atoms.cell.array.copy()
        if self._settings.cell is CellDegrees.FIXED:
            return FIRE(self._atoms, logfile=None)
        fixed_volume = self._settings.cell is CellDegrees.FIXED_VOLUME
        degrees = FrechetCellFilter(self._atoms, constant_volume=fixed_volume)
        return FIRE(degrees, logfile=None)

    def _step_until_done(self, optimizer: FIRE) -> RelaxationRecord:
        """Step until converged, out of steps or failed."""
        while True:
            if reason := self._describe_cell():
                return self._record_failure(reason)
            gradient = optimizer.optimizable.get_gradient()
            energy, reason = self._predict_energy()
            values = gradient if energy is None else [energy, *gradient]
            if not np.isfinite(values).all():
                return self._record_failure(BAD_NUMBERS)
            if self._n_steps == 0:
                self._initial_energy = energy
            self._last_valid = copy_structure(
                self._initial,
                self._atoms.cell.array,
                self._atoms.get_scaled_positions(wrap=False),
            )
            fmax = float(optimizer.optimizable.gradient_norm(gradient))
            converged = fmax < self._settings.fmax
            if converged or self._n_steps == self._settings.max_steps:
                return RelaxationRecord(
                    status=RelaxationStatus("converged" if converged else "max_steps"),
                    energy=energy,
                    initial_energy=self._initial_energy,
                    structure=self._last_valid,
                    n_steps=self._n_steps,
                    fmax=fmax,
                    error=reason,
                )
            optimizer.step()
            self._n_steps += 1

    def _predict_energy(self) -> tuple[float | None, str | None]:
        """Predict the energy of atoms whose forces are known, or say why there is none.

        Only the energy needs atomic references.
        """
        try:
            return float(self._atoms.get_potential_energy()), None
        except CalculationFailed as error:
            return None, str(error)

    def _describe_cell(self) -> str | None:
        """Describe which limit the present cell exceeds."""
        lattice = self._atoms.cell.array
        deformation = np.linalg.solve(self._reference, lattice).T
        (reason,) = describe_cells(
            lattice[None], np.array([len(self._atoms)]), deformation[None]
        )
        return reason

    def _record_failure(self, reason: str) -> RelaxationRecord:
        """Build the record of a failure, with the last valid structure."""
        return record_failure(
            reason,
            self._last_valid,
            n_steps=self._n_steps,
            initial_energy=self._initial_energy,
        )
