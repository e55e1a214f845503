"""Deviation of a model from its source on perturbed crystals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError
from nextrung.schemas.physics import ForgettingErrors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.physics import ForgettingSettings
    from nextrung.schemas.prediction import Prediction


#: Properties by which a model is compared with its source.
PROPERTIES = ("deformation_energy", "forces", "stress")


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


def measure_deviations(
    predicted: Sequence[Prediction],
    source: Sequence[Prediction],
    settings: ForgettingSettings,
) -> list[dict[str, NDArray[np.float64]]]:
    """Measure the deviations of a model from its source, crystal by crystal.

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
    list of dict
        Absolute deviations of all components of the perturbed structures of each
        crystal that both predict, by property.

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
    return [
        {
            "deformation_energy": _join(
                _find_energy(ours) - _find_energy(theirs) - _subtract_first(crystal)
                for ours, theirs in crystal[1:]
            ),
            "forces": _join(
                np.asarray(ours.forces) - np.asarray(theirs.forces)
                for ours, theirs in crystal[1:]
            ),
            "stress": _join(
                np.asarray(ours.stress) - np.asarray(theirs.stress)
                for ours, theirs in crystal[1:]
            ),
        }
        for crystal in crystals
        if all(side.error is None for pair in crystal for side in pair)
    ]


def score_forgetting(
    predicted: Sequence[Prediction],
    source: Sequence[Prediction],
    settings: ForgettingSettings,
) -> ForgettingErrors:
    """Compare the predictions of a model with those of its source.

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
        Mean absolute deviations over the crystals that both predict, without
        intervals.
    """
    crystals = measure_deviations(predicted, source, settings)
    return ForgettingErrors(
        n_crystals=len(crystals),
        n_structures=len(crystals) * settings.n_perturbed,
        n_without_value=len(source) // (settings.n_perturbed + 1) - len(crystals),
        **{
            f"{name}_mae": float(np.concatenate([c[name] for c in crystals]).mean())
            if crystals
            else None
            for name in PROPERTIES
        },
    )


def _find_energy(prediction: Prediction) -> float:
    """Compute the energy in eV/atom."""
    return float(prediction.energy or 0) / len(np.asarray(prediction.forces))


def _subtract_first(crystal: Sequence[tuple[Prediction, Prediction]]) -> float:
    """Subtract the energies in eV/atom of the unperturbed crystal."""
    ours, theirs = crystal[0]
    return _find_energy(ours) - _find_energy(theirs)


def _join(differences: Iterable[ArrayLike]) -> NDArray[np.float64]:
    """Join the absolute differences of all components, shape (n_components,)."""
    return np.concatenate([np.abs(np.asarray(each)).ravel() for each in differences])
