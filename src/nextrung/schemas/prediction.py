"""Predicted properties of one structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted properties of one structure, or why they are missing.

    Parameters
    ----------
    energy : float or None
        Total energy in eV; None where the prediction failed, or an element has no
        atomic reference energy.
    forces : ndarray of float, shape (n_atoms, 3), or None
        Forces in eV/Å; None where failed or not requested.
    stress : ndarray of float, shape (3, 3), or None
        Stress in GPa, compression negative; None where failed or not requested.
    magmoms : ndarray of float, shape (n_atoms,), or None
        Magnetic moments in μ_B; None where failed or not requested.
    error : str or None
        Why the prediction, or its energy alone, is missing; None where neither is.
    note : str or None
        Elements whose reference energy is of a prior, and how uncertain the energy is
        for it; None where there are none.
    """

    energy: float | None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    magmoms: NDArray[np.float64] | None = None
    error: str | None = None
    note: str | None = None
