"""Models to whose energies one energy per atom of each element is added."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from pymatgen.core import Element

from nextrung.potentials.generic.files import ShiftedFile, write_shifted
from nextrung.potentials.interface import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Crystals, Selection
    from nextrung.potentials.interface import Inputs, Outputs

#: Rows of a table by atomic number, 0 among them.
N_NUMBERS = 119


@dataclass(frozen=True, eq=False)
class ShiftedInputs:
    """Inputs of the base, and the energy added to each crystal.

    Parameters
    ----------
    base : Inputs
        Inputs of the base.
    added : ndarray of float, shape (n_crystals,)
        Added energies in eV.
    """

    base: Inputs
    added: NDArray[np.float64]

    @property
    def costs(self) -> NDArray[np.int64]:
        """Costs of the base, shape (n_crystals,)."""
        return self.base.costs

    def __getitem__(self, chosen: Selection) -> ShiftedInputs:
        """Select crystals by indices, mask or slice, in the order given."""
        return ShiftedInputs(self.base[chosen], self.added[chosen])


class ShiftedBackend(Backend):
    """A model with added energies: E → E + Σ n·Δ; forces and stresses are the same.

    Parameters
    ----------
    base : Backend
        Model without explicit references.
    name : str
        Name by which the base is loaded.
    shift : mapping of str to float
        Δ, the energy of each element in eV/atom; 0 for others.
    """

    suffix: ClassVar[str] = ".json"

    def __init__(self, base: Backend, name: str, shift: Mapping[str, float]) -> None:
        self.base = base
        self.name = name
        self.shift = dict(shift)
        self.family = base.family  # type: ignore[misc]  # that of the base
        self.properties = base.properties
        self.limits = base.limits
        self._by_number = np.zeros(N_NUMBERS)
        for symbol, energy in self.shift.items():
            self._by_number[Element(symbol).Z] = energy

    @property
    def device(self) -> torch.device:
        """Device of the base."""
        return self.base.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the base; energies are added in float64."""
        return self.base.dtype

    @property
    def known_elements(self) -> frozenset[str]:
        """Elements that the base knows."""
        return self.base.known_elements

    @property
    def atom_refs(self) -> None:
        """None: references of the base are not known."""
        return

    def with_atom_refs(self, energies: Mapping[str, float]) -> Self:
        """Add more energies.

        Parameters
        ----------
        energies : mapping of str to float
            Energy of each element in eV/atom.

        Returns
        -------
        ShiftedBackend
            The same base with the sum of the energies of the given elements.
        """
        total = {
            symbol: self.shift.get(symbol, 0.0) + energy
            for symbol, energy in energies.items()
        }
        return type(self)(self.base.copy(), self.name, total)

    def copy(self) -> Self:
        """Copy the model and its weights."""
        return type(self)(self.base.copy(), self.name, self.shift)

    def double(self) -> Self:
        """Copy the model to double precision."""
        return type(self)(self.base.double(), self.name, self.shift)

    def with_random_weights(self, seed: int) -> Self:
        """Copy the architecture and the added energies, with random weights.

        Parameters
        ----------
        seed : int
            Seed of the weights.
        """
        base = self.base.with_random_weights(seed)
        return type(self)(base, self.name, self.shift)

    def save(
        self, path: Path, elements: frozenset[str], metadata: Mapping[str, Any]
    ) -> None:
        """Write a file that names the base.

        Parameters
        ----------
        path : Path
            File to write or replace.
        elements : frozenset of str
            Elements whose energies are added.
        metadata : mapping of str to object
            Metadata of the file.
        """
        content = ShiftedFile(self.name, elements, self.shift, dict(metadata))
        write_shifted(content, path)

    def estimate_costs(
        self, lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Estimate the costs of the base.

        Parameters
        ----------
        lattices : ndarray of float, shape (n_crystals, 3, 3)
            Lattice vectors as rows in Å.
        n_atoms : ndarray of int, shape (n_crystals,)
            Atoms of each crystal.
        """
        return self.base.estimate_costs(lattices, n_atoms)

    def prepare(self, crystals: Crystals, device: torch.device) -> ShiftedInputs:
        """Prepare the inputs of the base, and sum the added energies.

        Parameters
        ----------
        crystals : Crystals
            Crystals of known elements with valid cells.
        device : torch.device
            Device of the search of the base.
        """
        added = np.zeros(len(crystals))
        per_atom = self._by_number[crystals.atomic_numbers]
        np.add.at(added, crystals.crystal_of_site, per_atom)
        return ShiftedInputs(self.base.prepare(crystals, device), added)

    def check(self, inputs: ShiftedInputs) -> dict[int, str]:  # type: ignore[override]
        """List the crystals that the base cannot predict.

        Parameters
        ----------
        inputs : ShiftedInputs
            Prepared crystals.
        """
        return self.base.check(inputs.base)

    def compute(self, inputs: ShiftedInputs, properties: str) -> Outputs:  # type: ignore[override]
        """Compute properties with the base, and add the energies.

        Parameters
        ----------
        inputs : ShiftedInputs
            Prepared crystals.
        properties : str
            Letters of the wanted properties.
        """
        outputs = self.base.compute(inputs.base, properties)
        added = torch.from_numpy(inputs.added).to(outputs.energies.device)
        return replace(outputs, energies=outputs.energies + added)
