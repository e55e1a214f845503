"""What stages, relaxation engines and calculators may ask of any potential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.schemas.prediction import Prediction


@dataclass(frozen=True, eq=False)
class BatchPrediction:
    """Properties of many crystals; NaN where a crystal failed.

    Parameters
    ----------
    energies : ndarray of float, shape (n_crystals,)
        Total energies in eV.
    forces : ndarray of float, shape (n_sites, 3)
        Forces in eV/Å; NaN where not asked for.
    stresses : ndarray of float, shape (n_crystals, 3, 3)
        Stresses in GPa, compression negative; NaN where not asked for.
    magmoms : ndarray of float, shape (n_sites,), or None
        Magnetic moments in μ_B; None where not asked for.
    errors : dict of int to str
        Why a crystal failed, by its index.
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    stresses: NDArray[np.float64]
    magmoms: NDArray[np.float64] | None
    errors: dict[int, str]


class Predictor(Protocol):
    """A potential that predicts structures one by one, as a calculator needs it."""

    def predict(
        self, structures: Sequence[Structure], properties: str = "efsm"
    ) -> list[Prediction]:
        """Predict properties of structures.

        Parameters
        ----------
        structures : sequence of Structure
            Any structures.
        properties : str
            Letters of the properties, ``e`` among them.

        Returns
        -------
        list of Prediction
            One per structure, in the order given; a failure has its reason.
        """
        ...


class Relaxable(Protocol):
    """A potential whose structures can be relaxed."""

    @property
    def device(self) -> torch.device:
        """Device that predicts."""
        ...

    def predict_batch(self, crystals: Crystals, properties: str) -> BatchPrediction:
        """Predict energies, forces and stresses.

        Parameters
        ----------
        crystals : Crystals
            Crystals, also such as cannot be predicted.
        properties : str
            Always ``efs``.

        Returns
        -------
        BatchPrediction
            Numbers, or the reason why there are none.
        """
        ...

    def calculator(self) -> Calculator:
        """Make an ASE calculator that raises where a structure cannot be predicted."""
        ...
