"""Deviation of a model from its source on perturbed crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError
from nextrung.schemas.physics import ForgettingErrors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike
    from pymatgen.core import Structure

    from nextrung.schemas.physics import ForgettingSettings
    from nextrung.schemas.prediction import Prediction


def perturb_crystals(
    crystals: Sequence[Structure], settings: ForgettingSettings
) -> list[Structure]:
    """Strain crystals and displace their atoms at random.

    Parameters
    ----------
    crystals : sequence of Structure
        Crystals.
    settings : ForgettingSettings
        Size, number and seed of the perturbations.

    Returns
    -------
    list of Structure
        Each crystal, unchanged, followed by its perturbed structures.
    """
    rng = np.random.default_rng(settings.seed)
    largest = settings.largest_strain
    structures = []
    for crystal in crystals:
        structures.append(crystal)
        for _ in range(settings.n_perturbed):
            strain = rng.uniform(-largest, largest)
            perturbed = crystal.apply_strain(strain, inplace=False)
            perturbed.make_supercell([2, 1, 1])  # one atom alone feels no force
            perturbed.perturb(settings.displacement, seed=int(rng.integers(2**31)))
            structures.append(perturbed)
    return structures


def score_forgetting(
    predicted: Sequence[Prediction],
    source: Sequence[Prediction],
    settings: ForgettingSettings,
) -> ForgettingErrors:
    """Compare the predictions of a model with those of its source.

    Energies are those of the perturbed structures relative to their unperturbed
    crystal, in which atomic reference energies cancel.

    Parameters
    ----------
    predicted : sequence of Prediction
        Predictions of the model for :func:`perturb_crystals`.
    source : sequence of Prediction
        Predictions of the source for the same structures.
    settings : ForgettingSettings
        Number of perturbed structures of each crystal.

    Returns
    -------
    ForgettingErrors
        Mean absolute deviations over the crystals that both predict.

    Raises
    ------
    InputError
        If the numbers of predictions differ.
    """
    if len(predicted) != len(source):
        raise InputError(
            f"expected {len(source)} predictions, one per structure, "
            f"got {len(predicted)}"
        )
    size = settings.n_perturbed + 1
    pairs = list(zip(predicted, source, strict=True))
    crystals = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    both = [
        crystal
        for crystal in crystals
        if all(side.error is None for pair in crystal for side in pair)
    ]
    perturbed = [pair for crystal in both for pair in crystal[1:]]
    return ForgettingErrors(
        n_crystals=len(both),
        n_structures=len(perturbed),
        n_without_value=len(crystals) - len(both),
        deformation_energy_mae=_average(
            [_find_energy(ours) - _find_energy(theirs) - _subtract_first(crystal)]
            for crystal in both
            for ours, theirs in crystal[1:]
        ),
        forces_mae=_average(
            np.asarray(ours.forces) - np.asarray(theirs.forces)
            for ours, theirs in perturbed
        ),
        stress_mae=_average(
            np.asarray(ours.stress) - np.asarray(theirs.stress)
            for ours, theirs in perturbed
        ),
    )


def _find_energy(prediction: Prediction) -> float:
    """Compute the energy in eV/atom."""
    return float(prediction.energy or 0) / len(np.asarray(prediction.forces))


def _subtract_first(crystal: Sequence[tuple[Prediction, Prediction]]) -> float:
    """Subtract the energies in eV/atom of the unperturbed crystal."""
    ours, theirs = crystal[0]
    return _find_energy(ours) - _find_energy(theirs)


def _average(differences: Iterable[ArrayLike]) -> float | None:
    """Average absolute differences over all components; None without any."""
    listed = [np.abs(np.asarray(each)).ravel() for each in differences]
    return float(np.concatenate(listed).mean()) if listed else None
