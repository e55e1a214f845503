"""Neighbor lists of models that see pairs, and angles of short ones, of atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.potentials.graphs.neighbors import NeighborLists, find_pairs
from nextrung.potentials.graphs.validity import check_pairs
from nextrung.potentials.interface import Backend

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from nextrung.potentials.graphs.crystals import Crystals


class NeighborModel(Backend):
    """Part of a backend: its inputs are the pairs of atoms within a cutoff.

    Attributes
    ----------
    cutoff : float
        Largest distance of a pair in Å.
    angle_cutoff : float
        Length in Å of a bond that takes part in angles; 0 for a model without angles.
    """

    cutoff: float
    angle_cutoff: float = 0.0

    def estimate_costs(
        self, lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Estimate directed edges and pairs of bonds at a uniform density.

        Parameters
        ----------
        lattices : ndarray of float, shape (n_crystals, 3, 3)
            Lattice vectors as rows in Å.
        n_atoms : ndarray of int, shape (n_crystals,)
            Atoms of each crystal.

        Returns
        -------
        ndarray of float, shape (n_crystals,)
            Costs, in the unit of those of the neighbor lists.
        """
        spheres = n_atoms / np.abs(np.linalg.det(lattices)) * (4 / 3 * np.pi)
        per_atom = spheres * self.cutoff**3 + (spheres * self.angle_cutoff**3) ** 2
        costs: NDArray[np.float64] = n_atoms * per_atom
        return costs

    def prepare(self, crystals: Crystals, device: torch.device) -> NeighborLists:
        """Search the neighbors of crystals.

        Parameters
        ----------
        crystals : Crystals
            Crystals of known elements with valid cells.
        device : torch.device
            Device of the search and of its results.
        """
        pairs = find_pairs(crystals, self.cutoff, device, bond_cutoff=self.angle_cutoff)
        return NeighborLists(crystals, pairs)

    def check(self, inputs: NeighborLists) -> dict[int, str]:  # type: ignore[override]
        """List the crystals with isolated or overlapping atoms or too many angles.

        Parameters
        ----------
        inputs : NeighborLists
            Crystals and their pairs.
        """
        return check_pairs(inputs.crystals, inputs.pairs, self.cutoff)
