"""Models that are ASE calculators, called crystal by crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator

from nextrung.potentials.devices import is_device_failure
from nextrung.potentials.generic.external import ExternalBackend
from nextrung.potentials.generic.factories import describe
from nextrung.potentials.generic.inputs import CrystalInputs
from nextrung.potentials.interface import BatchLimits, Outputs
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.potentials.generic.factories import Factory
    from nextrung.potentials.graphs.crystals import Crystals

#: ASE's name of each property, in the order in which they are asked for: what computes
#: stresses has computed forces and energies too. Not magnetic moments, which are listed
#: by calculators that have none, such as EMT.
_NAMES = {"s": "stress", "f": "forces", "e": "energy"}


class AseBackend(ExternalBackend):
    """A calculator of ASE.

    Parameters
    ----------
    factory : Factory
        Factory of the calculator: a function, or its class.

    Raises
    ------
    InputError
        If the factory makes something else, or the calculator has no energy.
    """

    family: ClassVar[str] = "ase"
    #: Atoms of a batch; crystals are computed one by one, so it is of no importance.
    limits = BatchLimits(
        prediction={"cpu": 1000},
        relaxation={"cpu": 1000},
        training={},
        bytes_per_cost=0,
    )

    def __init__(self, factory: Factory) -> None:
        super().__init__(factory)
        self.calculator = factory.make()
        if not isinstance(self.calculator, BaseCalculator):
            raise InputError(
                f"{factory}: expected a calculator of ASE, got a "
                f"{type(self.calculator).__name__}"
            )
        has = self.calculator.implemented_properties
        self.properties = "".join(x for x in "efs" if _NAMES[x] in has)
        if "e" not in self.properties:
            raise InputError(
                f"{factory}: expected a calculator with energy, got one with "
                f"{', '.join(has) or 'no property'}"
            )

    @property
    def device(self) -> torch.device:
        """The CPU, where ASE has its arrays."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The type of ASE's arrays."""
        return torch.float64

    def double(self) -> Self:
        """Make the calculator again: ASE works in float64.

        Returns
        -------
        AseBackend
            An independent calculator.
        """
        return self.copy()

    def estimate_costs(
        self,
        lattices: NDArray[np.float64],  # noqa: ARG002
        n_atoms: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Estimate costs.

        Parameters
        ----------
        lattices : ndarray of float, shape (n_crystals, 3, 3)
            Lattice vectors as rows in Å.
        n_atoms : ndarray of int, shape (n_crystals,)
            Atoms of each crystal.

        Returns
        -------
        ndarray of float, shape (n_crystals,)
            Atoms of each crystal.
        """
        return n_atoms.astype(np.float64)

    def prepare(
        self,
        crystals: Crystals,
        device: torch.device,  # noqa: ARG002
    ) -> CrystalInputs:
        """Take crystals as they are.

        Parameters
        ----------
        crystals : Crystals
            Crystals.
        device : torch.device
            Not used.

        Returns
        -------
        CrystalInputs
            The crystals, whose cost is their atoms.
        """
        return CrystalInputs(crystals, crystals.n_atoms)

    def compute(self, inputs: CrystalInputs, properties: str) -> Outputs:  # type: ignore[override]
        """Compute crystals one by one.

        Parameters
        ----------
        inputs : CrystalInputs
            Crystals.
        properties : str
            Letters of the wanted properties.

        Returns
        -------
        Outputs
            Properties; NaN and a reason for each crystal for which the calculator
            raises.
        """
        crystals = inputs.crystals
        shapes = {"e": (), "f": (-1, 3), "s": (3, 3)}
        rows: dict[str, list[NDArray[np.float64]]] = {x: [] for x in properties}
        errors: dict[int, str] = {}
        for index, n_atoms in enumerate(crystals.n_atoms.tolist()):
            shaped = {
                x: tuple(n_atoms if n < 0 else n for n in shapes[x]) for x in properties
            }
            try:
                found = self._compute_one(crystals[[index]], shaped)
            except Exception as error:  # a calculator raises anything
                if is_device_failure(error):
                    raise
                errors[index] = describe(error)
                found = {x: np.full(shape, np.nan) for x, shape in shaped.items()}
            for letter, value in found.items():
                rows[letter].append(value)
        tensors = {
            x: torch.from_numpy((np.concatenate if x == "f" else np.array)(rows[x]))
            for x in properties
        }
        return Outputs(
            energies=tensors["e"],
            forces=tensors.get("f"),
            stresses=tensors.get("s"),
            magmoms=None,
            errors=errors,
        )

    def _compute_one(
        self, crystal: Crystals, shapes: dict[str, tuple[int, ...]]
    ) -> dict[str, NDArray[np.float64]]:
        """Compute one crystal; raise what the calculator raises."""
        atoms = Atoms(
            crystal.atomic_numbers,
            positions=crystal.cart_coords,
            cell=crystal.lattices[0],
            pbc=True,
            calculator=self.calculator,
        )
        found: dict[str, NDArray[np.float64]] = {}
        for letter, name in _NAMES.items():
            if letter in shapes:
                value = (
                    atoms.get_stress(voigt=False) / units.GPa
                    if letter == "s"
                    else self.calculator.get_property(name, atoms)
                )
                found[letter] = np.array(value, dtype=np.float64)
                if found[letter].shape != shapes[letter]:
                    raise InputError(
                        f"{name}: expected shape {shapes[letter]}, "
                        f"got {found[letter].shape}"
                    )
        return found
