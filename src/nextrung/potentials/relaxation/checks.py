"""What a relaxation refuses to go on with, and the record that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.potentials.graphs.crystals import Crystals, describe_unusable
from nextrung.potentials.graphs.validity import ISOLATED_ATOM, find_cell_faults
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

#: The reason of a relaxation that got NaN or infinity ends with these words.
NOT_FINITE: Final = "not finite"
#: What is said where a potential says nothing.
BAD_NUMBERS: Final = f"energy, forces or stress are {NOT_FINITE}"
#: Atoms per Å³ beyond which a crystal is an accident: diamond has 0.18.
MAX_DENSITY: Final = 0.5
#: Stretch or compression beyond which a relaxation has lost its crystal.
MAX_STRETCH: Final = 10.0


def describe_unrelaxable(structure: Structure) -> str | None:
    """Say why a structure cannot be relaxed at all.

    Parameters
    ----------
    structure : Structure
        Any structure.

    Returns
    -------
    str or None
        The reason, or None where it can be tried.
    """
    if len(structure) == 0:
        return "no atoms"
    if fault := describe_unusable(structure):
        return fault
    crystals = Crystals.of([structure])
    if faults := find_cell_faults(crystals):
        return faults[0]
    (fault,) = describe_cells(crystals.lattices, crystals.n_atoms)
    return fault


def describe_cells(
    lattices: NDArray[np.float64],
    n_atoms: NDArray[np.int64],
    deformations: NDArray[np.float64] | None = None,
) -> list[str | None]:
    """Say of each cell why no potential should be asked about it.

    Parameters
    ----------
    lattices : ndarray of float, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    n_atoms : ndarray of int, shape (n_crystals,)
        Atoms of each crystal.
    deformations : ndarray of float, shape (n_crystals, 3, 3), optional
        Deformation gradients since the start.

    Returns
    -------
    list of (str or None)
        The reason, or None for a sane cell.
    """
    finite = np.asarray(np.isfinite(lattices).all(axis=(1, 2)), dtype=np.bool_)
    volumes = np.abs(np.linalg.det(np.where(finite[:, None, None], lattices, 0.0)))
    crowded = n_atoms > MAX_DENSITY * volumes
    torn = np.zeros_like(finite)
    if deformations is not None:
        torn = _find_overstrained(deformations)
    faults: list[str | None] = [None] * len(lattices)
    for crystal in np.flatnonzero(~finite | crowded | torn):
        if not finite[crystal]:
            faults[crystal] = f"the cell is {NOT_FINITE}"
        elif torn[crystal]:
            faults[crystal] = f"cell deformed more than {MAX_STRETCH:g}-fold"
        else:
            faults[crystal] = (
                f"{n_atoms[crystal]} atoms in {volumes[crystal]:.3g} Å³: "
                f"more than {MAX_DENSITY:g} atoms/Å³"
            )
    return faults


def _find_overstrained(deformations: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the deformations that stretch or compress beyond reason."""
    stretches = np.linalg.svdvals(np.nan_to_num(deformations))
    torn: NDArray[np.bool_] = (stretches.max(axis=1) > MAX_STRETCH) | (
        stretches.min(axis=1) < 1 / MAX_STRETCH
    )
    return torn


def record_failure(
    reason: str,
    structure: Structure | None = None,
    *,
    n_steps: int = 0,
    initial_energy: float | None = None,
) -> RelaxationRecord:
    """Record a relaxation that has no energy to show.

    Parameters
    ----------
    reason : str
        What was said of it, by a potential or here.
    structure : Structure, optional
        Last structure whose energy was finite.
    n_steps : int
        Steps done.
    initial_energy : float, optional
        Total energy of the first structure in eV.

    Returns
    -------
    RelaxationRecord
        The failure.
    """
    if reason.startswith(ISOLATED_ATOM):
        status = RelaxationStatus.ISOLATED_ATOM
    elif reason.endswith(NOT_FINITE):
        status = RelaxationStatus.NON_FINITE
    else:
        status = RelaxationStatus.ERROR
    return RelaxationRecord(
        status=status,
        energy=None,
        initial_energy=initial_energy,
        structure=structure,
        n_steps=n_steps,
        error=reason,
    )


def record_end(
    structure: Structure,
    energies: tuple[float, float],
    *,
    n_steps: int,
    fmax: float,
    converged: bool,
) -> RelaxationRecord:
    """Record a relaxation that converged or used up its steps.

    Parameters
    ----------
    structure : Structure
        The last structure.
    energies : tuple of (float, float)
        Total energies of the first and the last structure in eV.
    n_steps : int
        Steps done.
    fmax : float
        Largest generalised force in eV/Å.
    converged : bool
        Whether that is small enough.

    Returns
    -------
    RelaxationRecord
        The end.
    """
    initial_energy, energy = energies
    return RelaxationRecord(
        status=RelaxationStatus.CONVERGED if converged else RelaxationStatus.MAX_STEPS,
        energy=energy,
        initial_energy=initial_energy,
        structure=structure,
        n_steps=n_steps,
        fmax=fmax,
    )
