"""Phonon frequencies of a crystal by finite displacements, with phonopy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

try:
    from phonopy import Phonopy
    from pymatgen.io.phonopy import get_phonopy_structure, get_pmg_structure
except ImportError as error:
    raise InputError(
        f"expected phonopy, got: {error}; pip install 'nextrung[physics]', or leave "
        "phonons out of the tests of physics"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.physics import PhononSettings


class PhononCalculation:
    """Displaced supercells of a crystal, and the frequencies that follow from forces.

    Parameters
    ----------
    structure : Structure
        Relaxed primitive cell.
    settings : PhononSettings
        Displacement, and size of the supercell.

    Attributes
    ----------
    supercells : list of Structure
        Displaced supercells.
    """

    def __init__(self, structure: Structure, settings: PhononSettings) -> None:
        repeats = np.ceil(settings.min_length / np.array(structure.lattice.abc))
        self._repeats = repeats.astype(int).tolist()
        self._phonopy = Phonopy(
            get_phonopy_structure(structure),
            supercell_matrix=np.diag(self._repeats),
            primitive_matrix=np.eye(3),
        )
        self._phonopy.generate_displacements(distance=settings.displacement)
        self.supercells = [
            get_pmg_structure(supercell)
            for supercell in self._phonopy.supercells_with_displacements
        ]

    def find_lowest_frequency(self, forces: Sequence[NDArray[np.float64]]) -> float:
        """Find the lowest frequency at the wave vectors of the supercell.

        Only these are exact, others are interpolated.

        Parameters
        ----------
        forces : sequence of ndarray of float, shape (n_atoms, 3)
            Forces of every displaced supercell in eV/Å.

        Returns
        -------
        float
            Lowest frequency in THz; an imaginary one is negative.
        """
        self._phonopy.forces = np.array(forces)
        self._phonopy.produce_force_constants()
        self._phonopy.symmetrize_force_constants()
        self._phonopy.run_mesh(self._repeats, is_gamma_center=True)
        return float(np.min(self._phonopy.mesh.frequencies))
