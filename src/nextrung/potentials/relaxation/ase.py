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

from nextrung.potentials.devices import is_device_failure
from nextrung.potentials.inputs import copy_structure
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    describe_unrelaxable,
    record_failure,
)
from nextrung.potentials.relaxation.restart import RestartPoint, Restarts
from nextrung.potentials.relaxation.symmetry import build_atoms
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationRecord,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.interface import Relaxable
    from nextrung.schemas.relaxation import RelaxationSettings


def relax_with_ase(
    potential: Relaxable,
    structures: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
    *,
    restarts: Restarts | None = None,
) -> Generator[tuple[int, RelaxationRecord]]:
    """Relax structures one by one.

    Parameters
    ----------
    potential : Relaxable
        Potential that makes the ASE calculator.
    structures : iterable of (int, Structure)
        Indexed structures.
    settings : RelaxationSettings
        Settings of the relaxation.
    restarts : Restarts, optional
        Restart points, which are saved at intervals and when the relaxation is stopped.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Index and record of each structure, in the order given.
    """
    calculator = potential.calculator()
    restarts = restarts or Restarts()
    for index, structure in structures:
        reason = describe_unrelaxable(structure)
        if reason is None:
            relaxation = _Relaxation(index, structure, settings, restarts=restarts)
            yield index, relaxation.run(calculator)
        else:
            yield index, record_failure(reason)


class _Relaxation:
    """Relaxation of one structure."""

    def __init__(
        self,
        index: int,
        structure: Structure,
        settings: RelaxationSettings,
        *,
        restarts: Restarts,
    ) -> None:
        self._index = index
        self._restarts = restarts
        point = restarts.points.get(index)
        self._points = {} if point is None else {index: point}
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
                optimizer = self._make_optimizer()
                if self._points:
                    self._restore(optimizer, self._points[self._index])
                return self._step_until_done(optimizer)
        except (KeyboardInterrupt, SystemExit):
            self._restarts.update(self._points)
            raise
        except (ArithmeticError, AssertionError, RuntimeError, ValueError) as error:
            if is_device_failure(error):
                raise
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
            if self._restarts.is_due:
                self._restarts.update(self._points)
            if reason := self._describe_cell():
                return self._record_failure(reason)
            gradient = optimizer.optimizable.get_gradient()
            energy, reason = self._predict_energy()
            values = gradient if energy is None else [energy, *gradient]
            if not np.isfinite(values).all():
                return self._record_failure(BAD_NUMBERS)
            if self._n_steps == 0:
                self._initial_energy = energy
            self._last_valid = self._copy_structure()
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
            previous = _read_rows(optimizer, len(self._initial))
            optimizer.step()
            self._n_steps += 1
            initial = self._initial_energy
            known = np.nan if initial is None else initial
            point = self._make_point(optimizer, previous, known)
            self._points = {self._index: point}

    def _copy_structure(self) -> Structure:
        """Copy the present structure."""
        fracs = self._atoms.get_scaled_positions(wrap=False)
        return copy_structure(self._initial, self._atoms.cell.array, fracs)

    def _make_point(
        self,
        optimizer: FIRE,
        previous: NDArray[np.float64],
        initial_energy: float,
    ) -> RestartPoint:
        """Build the restart point after a step."""
        rows = _read_rows(optimizer, len(self._initial))
        velocities = np.zeros_like(rows)
        velocities.flat[: optimizer.vel.size] = optimizer.vel
        return RestartPoint(
            rows=rows,
            previous_rows=previous,
            velocities=velocities,
            time_step=optimizer.dt,
            mixing=optimizer.a,
            n_downhill=optimizer.Nsteps,
            n_steps=self._n_steps,
            initial_energy=initial_energy,
        )

    def _restore(self, optimizer: FIRE, point: RestartPoint) -> None:
        """Resume from a restart point."""
        n_degrees = optimizer.optimizable.ndofs()
        optimizer.optimizable.set_x(point.previous_rows.ravel()[:n_degrees])
        self._last_valid = self._copy_structure()
        optimizer.optimizable.set_x(point.rows.ravel()[:n_degrees])
        optimizer.vel = point.velocities.ravel()[:n_degrees].copy()
        optimizer.dt, optimizer.a = point.time_step, point.mixing
        optimizer.Nsteps = point.n_downhill
        self._n_steps = point.n_steps
        if not np.isnan(point.initial_energy):
            self._initial_energy = point.initial_energy

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


def _read_rows(optimizer: FIRE, n_atoms: int) -> NDArray[np.float64]:
    """Read generalised coordinates; rows of a fixed cell are zero."""
    rows = np.zeros((n_atoms + 3, 3))
    degrees = optimizer.optimizable.get_x()
    rows.flat[: degrees.size] = degrees
    return rows
