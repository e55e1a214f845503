"""Crystals as tensors on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.potentials.graphs.row_indices import repeat_rows
from nextrung.potentials.graphs.transfers import upload

if TYPE_CHECKING:
    from typing import Any

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Crystals


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites of crystals on one device, the sites of one crystal after those of another.

    Parameters
    ----------
    offsets : Tensor of int, shape (n_crystals + 1,)
        Sites of crystal ``i`` are ``offsets[i]:offsets[i + 1]``.
    atomic_numbers : Tensor of int, shape (n_sites,)
        Atomic number of each site.
    owners : Tensor of int, shape (n_sites,)
        Crystal of each site.
    lattices : Tensor of float64, shape (n_crystals, 3, 3)
        Lattice vectors as rows in Å.
    coords : Tensor of float64, shape (n_sites, 3)
        Coordinates in Å; not wrapped.
    """

    offsets: Tensor
    atomic_numbers: Tensor
    owners: Tensor
    lattices: Tensor
    coords: Tensor

    def __len__(self) -> int:
        """Count the sites."""
        return len(self.coords)

    @classmethod
    def of(
        cls, crystals: Crystals, device: torch.device | str, *others: NDArray[Any]
    ) -> tuple[Sites, list[Tensor]]:
        """Copy crystals and other arrays to a device, in one transfer.

        Parameters
        ----------
        crystals : Crystals
            Crystals.
        device : torch.device or str
            Device of the tensors.
        *others : ndarray of int64 or float64
            Other arrays.

        Returns
        -------
        sites : Sites
            The crystals.
        others : list of Tensor
            The other arrays.
        """
        own = (crystals.offsets, crystals.atomic_numbers, crystals.crystal_of_site)
        tensors = upload(device, *own, crystals.lattices, crystals.cart_coords, *others)
        return cls(*tensors[:5]), tensors[5:]

    def list_bonds(self, ends: Tensor, images: Tensor, n_pairs: Tensor) -> Bonds:
        """List the atoms and the vectors of pairs.

        Parameters
        ----------
        ends : Tensor of int, shape (2, n_pairs)
            Both atoms of each pair, numbered within their crystal.
        images : Tensor of float64, shape (n_pairs, 3)
            Lattice translation of the second atom.
        n_pairs : Tensor of int, shape (n_crystals,)
            Pairs of each crystal.
        """
        crystal, _ = repeat_rows(n_pairs, ends.shape[1])
        atoms = ends + self.offsets[crystal]
        shifts = compute_shifts(images, self.lattices[crystal])
        vectors = self.coords[atoms[0]] - self.coords[atoms[1]] - shifts
        return Bonds(self, atoms, vectors)


@dataclass(frozen=True, eq=False)
class Bonds:
    """Pairs of atoms on one device.

    Parameters
    ----------
    sites : Sites
        The crystals.
    atoms : Tensor of int, shape (2, n_pairs)
        Both atoms of each pair, numbered through all crystals.
    vectors : Tensor of float64, shape (n_pairs, 3)
        From the second atom (its image) to the first in Å.
    """

    sites: Sites
    atoms: Tensor
    vectors: Tensor


def compute_shifts(images: Tensor, cells: Tensor) -> Tensor:
    """Compute the vectors of lattice translations.

    Parameters
    ----------
    images : Tensor of float64, shape (n_images, 3)
        Lattice translations.
    cells : Tensor of float64, shape (n_images, 3, 3)
        Lattice vectors of each as rows in Å.

    Returns
    -------
    Tensor of float64, shape (n_images, 3)
        Vectors in Å.

    Notes
    -----
    Three sums have the bits of a batched product on a CPU; that of cuBLAS is limited to
    65,535 matrices.
    """
    first, second, third = images.unsqueeze(-1).unbind(1)
    return first * cells[:, 0] + second * cells[:, 1] + third * cells[:, 2]
