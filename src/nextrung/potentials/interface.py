"""Interface of potentials to calculators and relaxation engines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.schemas.prediction import Prediction


@dataclass(frozen=True, eq=False)
class BatchPrediction:
    """Predicted properties of crystals; NaN where a crystal failed.

    Parameters
    ----------
    energies : ndarray of float, shape (n_crystals,)
        Total energies in eV.
    forces : ndarray of float, shape (n_sites, 3)
        Forces in eV/Å; NaN if not wanted.
    stresses : ndarray of float, shape (n_crystals, 3, 3)
        Stresses in GPa, compression negative; NaN if not wanted.
    magmoms : ndarray of float, shape (n_sites,), or None
        Magnetic moments in μ_B; None if not wanted.
    errors : dict of int to str
        Reason by the index of each failed crystal.
    unreferenced : dict of int to str
        Reason by the index of each crystal with an element without atomic reference
        energy: its energy is NaN, its other properties are predicted.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64]
    magmoms: NDArray[np.float64] | None
    errors: dict[int, str]
    unreferenced: dict[int, str] = field(default_factory=dict)


class Predictor(Protocol):
    """A potential that predicts structures."""

    def predict(
        self, structures: Sequence[Structure | Atoms], properties: str = "efsm"
    ) -> list[Prediction]:
        """Predict properties of structures.

        Parameters
        ----------
        structures : sequence of (Structure or ase.Atoms)
            Structures.
        properties : str
            Letters of the wanted properties, ``e`` among them.

        Returns
        -------
        list of Prediction
            One per structure, in the order given; a failure has its reason.
        """
        ...


class Relaxable(Protocol):
    """A potential that can relax structures."""

    @property
    def device(self) -> torch.device:
        """Device of the predictions."""
        ...

    def predict_batch(self, crystals: Crystals, properties: str) -> BatchPrediction:
        """Predict energies, forces and stresses.

        Parameters
        ----------
        crystals : Crystals
            Crystals, valid or not.
        properties : str
            Always ``efs``.

        Returns
        -------
        BatchPrediction
            Properties, or the reason of a failure.
        """
        ...

    def calculator(self) -> Calculator:
        """Make an ASE calculator, which raises if a structure cannot be predicted."""
        ...
