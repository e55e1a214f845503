"""Checks before and during a relaxation, and the records of failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.potentials.graphs.crystals import Crystals, describe_unusable
from nextrung.potentials.graphs.validity import ISOLATED_ATOM, check_cells
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

#: End of the reason of a relaxation with NaN or infinity.
NOT_FINITE: Final = "not finite"
#: Reason where the potential gives non-finite numbers and no reason of its own.
BAD_NUMBERS: Final = f"energy, forces or stress are {NOT_FINITE}"
#: Largest number density in atoms/Å³; diamond has 0.18.
MAX_DENSITY: Final = 0.5
#: Largest stretch of the cell, and inverse of the largest compression.
MAX_STRETCH: Final = 10.0
#: Norm of a strain up to which every stretch is within the limits.
_SMALL_STRAIN: Final = 0.5


def describe_unrelaxable(structure: Structure) -> str | None:
    """Describe why a structure cannot be relaxed.

    Parameters
    ----------
    structure : Structure
        Any structure.

    Returns
    -------
    str or None
        The reason, or None for a structure that can.
    """
    if len(structure) == 0:
        return "no atoms"
    if reason := describe_unusable(structure):
        return reason
    crystals = Crystals.of([structure])
    if reasons := check_cells(crystals):
        return reasons[0]
    (reason,) = describe_cells(crystals.lattices, crystals.n_atoms)
    return reason


def describe_cells(
    lattices: NDArray[np.float64],
    n_atoms: NDArray[np.int64],
    deformations: NDArray[np.float64] | None = None,
) -> list[str | None]:
    """Describe which limit each cell exceeds.

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
        The reason, or None for a valid cell.
    """
    finite = np.asarray(np.isfinite(lattices).all(axis=(1, 2)), dtype=np.bool_)
    volumes = np.abs(np.linalg.det(np.where(finite[:, None, None], lattices, 0.0)))
    crowded = n_atoms > MAX_DENSITY * volumes
    overstrained = np.zeros_like(finite)
    if deformations is not None:
        overstrained = _find_overstrained(np.nan_to_num(deformations))
    reasons: list[str | None] = [None] * len(lattices)
    for crystal in np.flatnonzero(~finite | crowded | overstrained):
        if not finite[crystal]:
            reasons[crystal] = f"the cell is {NOT_FINITE}"
        elif overstrained[crystal]:
            reasons[crystal] = f"cell deformed more than {MAX_STRETCH:g}-fold"
        else:
            reasons[crystal] = (
                f"{n_atoms[crystal]} atoms in {volumes[crystal]:.3g} Å³: "
                f"more than {MAX_DENSITY:g} atoms/Å³"
            )
    return reasons


def _find_overstrained(deformations: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find deformations with a stretch beyond the limits.

    A stretch differs from 1 by less than the Frobenius norm of the deformation less the
    identity: most deformations need no singular values.
    """
    with np.errstate(over="ignore"):
        strains = np.linalg.norm(deformations - np.eye(3), axis=(1, 2))
    overstrained: NDArray[np.bool_] = strains > _SMALL_STRAIN
    stretches = np.linalg.svdvals(deformations[overstrained])
    beyond = (stretches > MAX_STRETCH) | (stretches < 1 / MAX_STRETCH)
    overstrained[overstrained] = beyond.any(axis=1)
    return overstrained


def record_failure(
    reason: str,
    structure: Structure | None = None,
    *,
    n_steps: int = 0,
    initial_energy: float | None = None,
) -> RelaxationRecord:
    """Build the record of a failed relaxation.

    Parameters
    ----------
    reason : str
        Reason of the failure, which determines the status.
    structure : Structure, optional
        Last structure whose energy was finite.
    n_steps : int
        Steps done.
    initial_energy : float, optional
        Total energy of the first structure in eV.
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
