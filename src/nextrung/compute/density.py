"""Densities of relaxed crystals compared with experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.schemas.base import InputError
from nextrung.schemas.density import (
    DensityRecord,
    DensityScore,
    ExperimentalCrystal,
)
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.density import UnreadableCrystal
    from nextrung.schemas.relaxation import RelaxationRecord


def strain_lattice(structure: Structure, linear_strain: float) -> Structure:
    """Strain a structure isotropically.

    Parameters
    ----------
    structure : Structure
        Any structure; not modified.
    linear_strain : float
        Strain of every lattice vector; -0.1 makes each of them 10 % shorter.

    Returns
    -------
    Structure
        The same atoms at the same fractional coordinates in the strained cell.
    """
    return Structure(
        Lattice(structure.lattice.matrix * (1 + linear_strain)),
        structure.species_and_occu,
        structure.frac_coords,
    )


def score_densities(
    crystals: Sequence[ExperimentalCrystal | UnreadableCrystal],
    relaxations: Sequence[RelaxationRecord],
) -> DensityScore:
    """Score the densities of relaxed crystals against experiment.

    Parameters
    ----------
    crystals : sequence of (ExperimentalCrystal or UnreadableCrystal)
        Experimental crystals, and files of which none could be read.
    relaxations : sequence of RelaxationRecord
        Relaxation of each readable crystal by a model, in the same order.

    Returns
    -------
    DensityScore
        One row per crystal, and the errors over converged relaxations.

    Raises
    ------
    InputError
        If the numbers of crystals and relaxations differ.
    """
    n_readable = sum(isinstance(each, ExperimentalCrystal) for each in crystals)
    if n_readable != len(relaxations):
        raise InputError(
            f"expected {n_readable} relaxations, one per crystal, "
            f"got {len(relaxations)}"
        )
    remaining = iter(relaxations)
    rows = [
        _compare(crystal, next(remaining))
        if isinstance(crystal, ExperimentalCrystal)
        else _describe_unreadable(crystal)
        for crystal in crystals
    ]
    errors = [
        abs(row.predicted_density - row.experimental_density)
        for row in rows
        if row.ratio is not None
        and row.predicted_density is not None
        and row.experimental_density is not None
    ]
    ratios = [row.ratio for row in rows if row.ratio is not None]
    return DensityScore(
        mae=float(np.mean(errors)) if errors else None,
        mean_ratio=float(np.mean(ratios)) if ratios else None,
        n_crystals=len(rows),
        n_failed=len(rows) - len(ratios),
        rows=rows,
    )


def _describe_unreadable(crystal: UnreadableCrystal) -> DensityRecord:
    """Describe a crystal without a structure."""
    return DensityRecord(
        crystal_id=crystal.crystal_id,
        formula=None,
        experimental_density=None,
        predicted_density=None,
        ratio=None,
        status=RelaxationStatus.ERROR,
        n_steps=0,
        reference=crystal.reference,
        error=crystal.reason,
    )


def _compare(
    crystal: ExperimentalCrystal, relaxation: RelaxationRecord
) -> DensityRecord:
    """Compare the densities of one crystal."""
    measured = float(crystal.structure.density)
    relaxed = relaxation.structure
    predicted = None if relaxed is None else float(relaxed.density)
    converged = relaxation.status is RelaxationStatus.CONVERGED
    return DensityRecord(
        crystal_id=crystal.crystal_id,
        formula=crystal.structure.composition.reduced_formula,
        experimental_density=measured,
        predicted_density=predicted,
        ratio=measured / predicted if converged and predicted else None,
        status=relaxation.status,
        n_steps=relaxation.n_steps,
        temperature=crystal.temperature,
        reference=crystal.reference,
        error=None if converged else relaxation.error,
    )
