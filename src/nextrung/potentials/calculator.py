"""ASE calculator of a potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ase import units
from ase.calculators.calculator import (
    CalculationFailed,
    Calculator,
    all_changes,
)
from ase.stress import full_3x3_to_voigt_6_stress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from nextrung.potentials.interface import Predictor


class PotentialCalculator(Calculator):  # type: ignore[misc]
    """ASE calculator of a potential.

    Parameters
    ----------
    potential : Predictor
        Potential; ASE raises where a property is asked for that it lacks.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "forces",
        "stress",
        "magmoms",
    ]

    def __init__(self, potential: Predictor) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Predict all properties of the atoms.

        Parameters
        ----------
        atoms : Atoms, optional
            Periodic atoms.
        properties : sequence of str
            Wanted properties; all that can be are computed in any case.
        system_changes : sequence of str
            Changes since the last call.

        Raises
        ------
        CalculationFailed
            If the atoms, or the wanted energy, cannot be predicted; the message is the
            reason.
        """
        super().calculate(atoms, properties, system_changes)
        [prediction] = self.potential.predict([self.atoms])
        needs_energy = not {"energy", "free_energy"}.isdisjoint(properties)
        failed = prediction.error is not None and prediction.forces is None
        if failed or (needs_energy and prediction.energy is None):
            raise CalculationFailed(prediction.error)
        stress: Any = prediction.stress
        if stress is not None:
            stress = full_3x3_to_voigt_6_stress(stress * units.GPa)
        results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "forces": prediction.forces,
            "stress": stress,
            "magmoms": prediction.magmoms,
        }
        self.results = {
            name: value for name, value in results.items() if value is not None
        }
