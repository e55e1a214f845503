"""Elastic constants of a crystal from stresses of strained cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.analysis.elasticity import (
    DeformedStructureSet,
    ElasticTensor,
    Strain,
    Stress,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.physics import ElasticitySettings


class ElasticConstants(NamedTuple):
    """Elastic constants of a cubic crystal in GPa.

    Attributes
    ----------
    c11, c12, c44 : float
        Elastic constants, means over the equivalent components.
    lowest_stiffness : float
        Lowest eigenvalue of the stiffness matrix in Voigt notation; the crystal is
        stable where it is positive (Born's criterion).
    """

    c11: float
    c12: float
    c44: float
    lowest_stiffness: float


class StrainedCrystal(NamedTuple):
    """A strained crystal and its strain.

    Attributes
    ----------
    structure : Structure
        Strained cell, atoms at the same fractional coordinates.
    strain : ndarray of float, shape (3, 3)
        Green-Lagrange strain.
    """

    structure: Structure
    strain: NDArray[np.float64]


def strain_cells(
    structure: Structure, settings: ElasticitySettings
) -> list[StrainedCrystal]:
    """Strain a crystal along each of the six components.

    Parameters
    ----------
    structure : Structure
        Relaxed crystal, cubic axes along x, y and z.
    settings : ElasticitySettings
        Strains.
    """
    strained = DeformedStructureSet(
        structure, norm_strains=settings.strains, shear_strains=settings.strains
    )
    return [
        StrainedCrystal(deformed, np.asarray(Strain.from_deformation(deformation)))
        for deformed, deformation in zip(strained, strained.deformations, strict=True)
    ]


def fit_elastic_constants(
    strains: Sequence[NDArray[np.float64]],
    stresses: Sequence[NDArray[np.float64]],
    unstrained: NDArray[np.float64],
) -> ElasticConstants:
    """Fit the elastic constants of a cubic crystal to stresses.

    Parameters
    ----------
    strains : sequence of ndarray of float, shape (3, 3)
        Green-Lagrange strains, as of :func:`strain_cells`.
    stresses : sequence of ndarray of float, shape (3, 3)
        Stress at each strain in GPa, tension positive.
    unstrained : ndarray of float, shape (3, 3)
        Stress without strain in GPa.

    References
    ----------
    F. Mouhat, F.-X. Coudert, Phys. Rev. B 90, 224104 (2014): Born's criterion.
    """
    tensor = ElasticTensor.from_independent_strains(
        [Strain(strain) for strain in strains],
        [Stress((stress + stress.T) / 2) for stress in stresses],
        eq_stress=Stress((unstrained + unstrained.T) / 2),
    )
    stiffness = np.asarray(tensor.voigt)
    normal, shear = stiffness[:3, :3], stiffness[3:, 3:]
    coupled = normal[~np.eye(3, dtype=bool)]
    eigenvalues = np.linalg.eigvalsh((stiffness + stiffness.T) / 2)
    return ElasticConstants(
        c11=float(np.diag(normal).mean()),
        c12=float(coupled.mean()),
        c44=float(np.diag(shear).mean()),
        lowest_stiffness=float(eigenvalues[0]),
    )
