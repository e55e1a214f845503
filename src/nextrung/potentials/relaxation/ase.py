"""Relaxation engine ``ase``: one structure after another, by ASE alone.

The reference for the batched engine, in tests and benchmarks.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from pymatgen.core import Lattice, Structure

from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    describe_unrelaxable,
    record_end,
    record_failure,
)
from nextrung.schemas.relaxation import CellDegrees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ase.calculators.calculator import Calculator

    from nextrung.potentials.interface import Relaxable
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings


def relax_with_ase(
    potential: Relaxable,
    waiting: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
) -> Iterator[tuple[int, RelaxationRecord]]:
    """Relax structures one by one.

    Parameters
    ----------
    potential : Relaxable
        What makes the ASE calculator.
    waiting : iterable of (int, Structure)
        Numbered structures.
    settings : RelaxationSettings
        How to relax.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Number and end of each structure, in the order drawn.
    """
    calculator = potential.calculator()
    for index, structure in waiting:
        reason = describe_unrelaxable(structure)
        if reason is None:
            yield index, _Run(structure, settings).finish(calculator)
        else:
            yield index, record_failure(reason)


class _Run:
    """One relaxation: where it last was well, and what it has cost."""

    def __init__(self, structure: Structure, settings: RelaxationSettings) -> None:
        self._species = structure.species
        self._settings = settings
        self._n_steps = 0
        self._initial_energy: float | None = None
        self._last: Structure | None = None
        self._atoms = Atoms(
            numbers=structure.atomic_numbers,
            scaled_positions=structure.frac_coords,
            cell=structure.lattice.matrix,
            pbc=True,
        )

    def finish(self, calculator: Calculator) -> RelaxationRecord:
        """Relax, whatever becomes of it."""
        self._atoms.calc = calculator
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "FixSymmetry adjust_cell")
                return self._step_until_done(self._prepare())
        except (ArithmeticError, AssertionError, RuntimeError, ValueError) as error:
            return self._fail(str(error))

    def _prepare(self) -> FIRE:
        """Choose the degrees of freedom."""
        if self._settings.fix_symmetry:
            self._atoms.set_constraint(FixSymmetry(self._atoms))
        self._reference = self._atoms.cell.array.copy()
        if self._settings.cell is CellDegrees.FIXED:
            return FIRE(self._atoms, logfile=None)
        fixed_volume = self._settings.cell is CellDegrees.FIXED_VOLUME
        degrees = FrechetCellFilter(self._atoms, constant_volume=fixed_volume)
        return FIRE(degrees, logfile=None)

    def _step_until_done(self, optimizer: FIRE) -> RelaxationRecord:
        """Step until the forces are small, the steps used up or the numbers bad."""
        while True:
            if reason := self._describe_cell():
                return self._fail(reason)
            energy = float(self._atoms.get_potential_energy())
            gradient = optimizer.optimizable.get_gradient()
            if not np.isfinite([energy, *gradient]).all():
                return self._fail(BAD_NUMBERS)
            if self._initial_energy is None:
                self._initial_energy = energy
            self._last = self._structure()
            fmax = float(optimizer.optimizable.gradient_norm(gradient))
            converged = fmax < self._settings.fmax
            if converged or self._n_steps == self._settings.max_steps:
                return record_end(
                    self._last,
                    (self._initial_energy, energy),
                    n_steps=self._n_steps,
                    fmax=fmax,
                    converged=converged,
                )
            optimizer.step()
            self._n_steps += 1

    def _describe_cell(self) -> str | None:
        """Say why the present cell is not worth another evaluation."""
        lattice = self._atoms.cell.array
        deformation = np.linalg.solve(self._reference, lattice).T
        (reason,) = describe_cells(
            lattice[None], np.array([len(self._atoms)]), deformation[None]
        )
        return reason

    def _structure(self) -> Structure:
        """Build the present structure."""
        fracs = self._atoms.get_scaled_positions(wrap=False)
        return Structure(Lattice(self._atoms.cell.array), self._species, fracs)

    def _fail(self, reason: str) -> RelaxationRecord:
        """Record the failure, with where all was last well."""
        return record_failure(
            reason,
            self._last,
            n_steps=self._n_steps,
            initial_energy=self._initial_energy,
        )
