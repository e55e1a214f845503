from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.physics.forgetting import (
    measure_deviations,
    perturb_crystals,
    score_forgetting,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.physics import ForgettingSettings
from nextrung.schemas.prediction import Prediction

SETTINGS = ForgettingSettings(n_perturbed=2)
CRYSTALS = [
    Structure(Lattice.cubic(4.0), ["Po"], [[0, 0, 0]]),
    Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0] * 3, [0.5] * 3]),
]
REFERENCES = {"Po": -3.0, "Cs": 0.7, "Cl": 2.0}
STRUCTURES = perturb_crystals(CRYSTALS, SETTINGS)


def predict(
    *, shifted: bool = False, energy: float = 0, force: float = 0, stress: float = 0
) -> list[Prediction]:
    """Predictions; the deviations are those of the perturbed structures."""
    predictions = []
    for index, structure in enumerate(STRUCTURES):
        moved = index % 3 != 0
        own = sum(REFERENCES[site.specie.symbol] for site in structure) * shifted
        predictions.append(
            Prediction(
                energy=float(index) + own + moved * energy * len(structure),
                forces=np.full((len(structure), 3), force),
                stress=np.full((3, 3), stress),
            )
        )
    return predictions


def test_other_atomic_references_are_no_forgetting() -> None:
    errors = score_forgetting(predict(shifted=True), predict(), SETTINGS)

    assert errors.deformation_energy_mae == pytest.approx(0, abs=1e-12)
    assert errors.forces_mae == errors.stress_mae == 0


def test_deviations_are_those_of_perturbed_structures() -> None:
    changed = predict(shifted=True, energy=-0.02, force=0.3, stress=-1.5)

    errors = score_forgetting(changed, predict(), SETTINGS)

    assert errors.deformation_energy_mae == pytest.approx(0.02)
    assert errors.forces_mae == pytest.approx(0.3)
    assert errors.stress_mae == pytest.approx(1.5)
    assert (errors.n_crystals, errors.n_structures) == (2, 4)


def test_deviations_are_listed_crystal_by_crystal() -> None:
    """Two perturbed structures each, of two and of four atoms."""
    found = measure_deviations(predict(force=0.3), predict(), SETTINGS)

    assert [len(crystal["forces"]) for crystal in found] == [2 * 2 * 3, 2 * 4 * 3]
    assert [len(crystal["deformation_energy"]) for crystal in found] == [2, 2]
    assert np.concatenate([each["forces"] for each in found]) == pytest.approx(0.3)


def test_a_crystal_that_one_cannot_predict_is_counted_apart() -> None:
    lost = predict(force=0.3)
    lost[4] = Prediction(energy=None, error="no reference energy of Cs")

    errors = score_forgetting(lost, predict(), SETTINGS)

    assert (errors.n_crystals, errors.n_structures, errors.n_without_value) == (1, 2, 1)
    assert errors.forces_mae == pytest.approx(0.3)


def test_without_a_crystal_there_is_no_number() -> None:
    lost = [Prediction(energy=None, error="none") for _ in STRUCTURES]

    errors = score_forgetting(lost, predict(), SETTINGS)

    assert errors.deformation_energy_mae is errors.forces_mae is None
    assert errors.n_without_value == 2


def test_numbers_of_predictions_must_agree() -> None:
    with pytest.raises(InputError, match=r"expected 6 predictions, .* got 5"):
        score_forgetting(predict()[1:], predict(), SETTINGS)


def test_the_same_seed_makes_the_same_structures_and_keeps_the_crystals() -> None:
    again = perturb_crystals(CRYSTALS, SETTINGS)
    other = perturb_crystals(CRYSTALS, ForgettingSettings(n_perturbed=2, seed=1))

    assert again == STRUCTURES
    assert other != STRUCTURES
    assert [len(each) for each in again] == [1, 2, 2, 2, 4, 4]
    assert [again[0], again[3]] == CRYSTALS
