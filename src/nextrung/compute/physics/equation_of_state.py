"""Equation of state of a crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import units
from ase.eos import EquationOfState as BirchMurnaghan

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

    from nextrung.schemas.physics import EquationOfStateSettings


class EquationOfState(NamedTuple):
    """Minimum of the energy of a crystal over its volume.

    Attributes
    ----------
    volume : float
        Volume of lowest energy in Å³.
    bulk_modulus : float
        Bulk modulus at that volume in GPa.
    """

    volume: float
    bulk_modulus: float


def strain_volumes(
    structure: Structure, settings: EquationOfStateSettings
) -> list[Structure]:
    """Strain a crystal isotropically, from compressed to expanded.

    Parameters
    ----------
    structure : Structure
        Relaxed crystal.
    settings : EquationOfStateSettings
        Number of volumes and largest strain.
    """
    largest = settings.largest_strain
    strains = np.linspace(-largest, largest, settings.n_volumes)
    return [structure.apply_strain(strain, inplace=False) for strain in strains]


def fit_equation_of_state(
    volumes: Sequence[float], energies: Sequence[float]
) -> EquationOfState:
    """Fit the Birch-Murnaghan equation of state.

    Parameters
    ----------
    volumes : sequence of float
        Volumes in Å³.
    energies : sequence of float
        Energies in eV.

    Returns
    -------
    EquationOfState
        Volume of lowest energy, and bulk modulus.

    Raises
    ------
    InputError
        If the energy has no minimum between the first and the last volume.
    """
    lowest = int(np.argmin(energies))
    if lowest in {0, len(energies) - 1}:
        raise InputError(
            "expected the lowest energy inside the range of volumes, got it at "
            f"{volumes[lowest]:.2f} Å³"
        )
    fit = BirchMurnaghan(volumes, energies, eos="birchmurnaghan")
    volume, _, bulk_modulus = fit.fit(warn=False)
    return EquationOfState(float(volume), float(bulk_modulus / units.GPa))
