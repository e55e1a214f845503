from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.evaluation import find_new_formulas, score_predictions
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from nextrung.schemas.evaluation import PropertyErrors

LATTICE = Lattice.cubic(4)
DIMER = Structure(LATTICE, ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ATOM = Structure(LATTICE, ["Po"], [[0, 0, 0]])


@pytest.fixture
def labelled() -> Frames:
    """Two dimers and an atom; the labels of all are zero."""
    frames = Frames.from_structures([DIMER, ATOM, DIMER], ["a", "b", "c"])
    return replace(
        frames,
        splits=np.array(["test", "test", "val"]),
        energies=np.zeros(3),
        forces=np.zeros((5, 3), dtype=np.float32),
        stresses=np.zeros((3, 3, 3), dtype=np.float32),
        magmoms=np.zeros(5, dtype=np.float32),
    )


def test_energies_are_averaged_over_frames_per_atom(labelled: Frames) -> None:
    """Off by 2 eV in two atoms and by -3 eV in one: 1 and 3 eV/atom."""
    predicted = replace(labelled, energies=np.array([2.0, -3.0, 10.0]))

    score = score_predictions(labelled, predicted, {})

    test = score.metrics["test"]
    assert test.energy_mae == pytest.approx((1 + 3) / 2)
    assert test.energy_rmse == pytest.approx(np.sqrt((1 + 9) / 2))
    assert score.metrics["val"].energy_mae == pytest.approx(5)


def test_forces_are_averaged_over_components_not_over_frames(labelled: Frames) -> None:
    """Six components of 1 and three of 4 eV/Å."""
    forces = np.repeat([1.0, 1.0, -4.0, 0.0, 0.0], 3).reshape(5, 3)

    score = score_predictions(
        labelled, replace(labelled, forces=forces.astype(np.float32)), {}
    )

    assert score.metrics["test"].forces_mae == pytest.approx((6 * 1 + 3 * 4) / 9)
    assert score.metrics["test"].forces_rmse == pytest.approx(
        np.sqrt((6 * 1 + 3 * 16) / 9)
    )
    assert score.rows.forces_mae == pytest.approx([1, 4, 0])


def test_all_nine_stress_components_count(labelled: Frames) -> None:
    stresses = labelled.stresses.copy()
    stresses[0, 0, 1] = stresses[0, 1, 0] = 9.0

    score = score_predictions(labelled, replace(labelled, stresses=stresses), {})

    assert score.rows.stress_mae == pytest.approx([2, 0, 0])
    assert score.metrics["test"].stress_mae == pytest.approx(1)
    assert score.metrics["test"].stress_rmse == pytest.approx(np.sqrt(2 * 81 / 18))


def test_magmoms_are_compared_by_magnitude_over_labelled_atoms(
    labelled: Frames,
) -> None:
    """Atom 0 is labelled -2 and predicted 2.5, atom 1 has no label."""
    target = replace(
        labelled, magmoms=np.array([-2, np.nan, np.nan, 1, 1], dtype=np.float32)
    )
    predicted = replace(labelled, magmoms=np.array([2.5, 7, 7, 1, 1], dtype=np.float32))

    score = score_predictions(target, predicted, {})

    assert score.metrics["test"].magmoms_mae == pytest.approx(0.5)
    assert score.rows.magmoms_mae == pytest.approx([0.5, None, 0])


def test_perfect_predictions_have_no_error(labelled: Frames) -> None:
    errors = score_predictions(labelled, labelled, {}).metrics["test"]

    assert set(_all_errors(errors)) == {0.0}


def test_properties_without_labels_have_no_error(labelled: Frames) -> None:
    unlabelled = replace(
        labelled,
        forces=np.full_like(labelled.forces, np.nan),
        stresses=np.full_like(labelled.stresses, np.nan),
        magmoms=np.full_like(labelled.magmoms, np.nan),
    )

    errors = score_predictions(unlabelled, labelled, {}).metrics["test"]

    assert errors.energy_mae == 0
    assert set(_all_errors(errors)[2:]) == {None}


def test_properties_that_were_not_requested_do_not_fail_frames(
    labelled: Frames,
) -> None:
    energies_only = replace(
        Frames.from_structures([DIMER, ATOM, DIMER], ["a", "b", "c"]),
        energies=np.zeros(3),
    )

    score = score_predictions(labelled, energies_only, {})

    assert score.failures == []
    assert set(_all_errors(score.metrics["test"])) == {0.0, None}


def test_failed_frames_are_counted_by_reason_and_left_out(labelled: Frames) -> None:
    predicted = replace(labelled, energies=np.array([0, np.nan, np.nan]))

    score = score_predictions(
        labelled, predicted, {1: "no atomic reference energy for Po"}
    )

    assert [(failed.reason, failed.frame_ids) for failed in score.failures] == [
        ("no atomic reference energy for Po", ("b",)),
        ("non-finite predicted energy", ("c",)),
    ]
    assert (score.metrics["test"].n_frames, score.metrics["test"].n_failed) == (1, 1)
    assert score.metrics["val"].energy_mae is None
    assert score.rows.frame_id == ["a"]


def test_one_force_that_is_not_finite_fails_its_frame(labelled: Frames) -> None:
    forces = labelled.forces.copy()
    forces[1, 2] = np.inf

    score = score_predictions(labelled, replace(labelled, forces=forces), {})

    assert score.failures[0].reason == "non-finite predicted forces"
    assert score.rows.frame_id == ["b", "c"]


def test_residuals_list_their_frames(labelled: Frames) -> None:
    target = replace(labelled, energies=np.array([-4.0, np.nan, -6.0]))

    rows = score_predictions(target, labelled, {}).rows

    assert rows.formula == ["LiF", "Po", "LiF"]
    assert rows.split == ["test", "test", "val"]
    assert rows.energy_per_atom == [-2.0, None, -3.0]
    assert rows.predicted_energy_per_atom == [0.0, 0.0, 0.0]


def test_only_the_chosen_splits_are_scored(labelled: Frames) -> None:
    score = score_predictions(labelled, labelled, {0: "lost"}, splits=["val"])

    assert list(score.metrics) == ["val"]
    assert score.rows.frame_id == ["c"]
    assert score.failures == []


def test_all_frames_are_scored_together_split_or_not(labelled: Frames) -> None:
    """Off by 1, 3 and 5 eV/atom; the last frame is in no split."""
    unsplit = labelled.with_splits(np.array(["test", "test", ""]))
    predicted = replace(unsplit, energies=np.array([2.0, -3.0, 10.0]))

    score = score_predictions(unsplit, predicted, {}, splits=("all", "test"))

    assert score.metrics["all"].n_frames == len(score.rows.frame_id) == 3
    assert score.metrics["all"].energy_mae == pytest.approx((1 + 3 + 5) / 3)
    assert score.metrics["test"].energy_mae == pytest.approx((1 + 3) / 2)


def test_an_empty_split_has_no_frames_and_no_errors(labelled: Frames) -> None:
    errors = score_predictions(labelled, labelled, {}).metrics["train"]

    assert errors.n_frames == 0
    assert set(_all_errors(errors)) == {None}


def test_a_formula_is_new_where_no_training_frame_has_it() -> None:
    cells = [
        Structure(Lattice.cubic(4), species, np.eye(3)[: len(species)] / 2)
        for species in (["Mg", "O"], ["Mg", "Mg"], ["O", "Mg"], ["Mg"], ["Mg"])
    ]
    frames = replace(
        Frames.from_structures(cells),
        splits=np.array(["train", "val", "test", "test", "val"]),
    )
    assert find_new_formulas(frames).tolist() == [False, False, False, True, False]
    alone = replace(frames, splits=np.array(["test"] * 5))
    assert not find_new_formulas(alone).any()


def test_subsets_are_scored_besides_their_split(labelled: Frames) -> None:
    whole = score_predictions(labelled, labelled, {}).metrics
    val = labelled.splits == "val"
    none = np.zeros(len(labelled), dtype=bool)
    found = score_predictions(
        labelled, labelled, {}, subsets={"again": val, "empty": none}
    ).metrics
    assert found == whole | {"again": whole["val"]}


def test_predictions_of_other_frames_are_rejected(labelled: Frames) -> None:
    with pytest.raises(InputError, match="3 labelled frames in their order, got 2"):
        score_predictions(labelled, labelled[:2], {})


def test_predictions_of_other_atoms_are_rejected(labelled: Frames) -> None:
    other = replace(
        labelled, atomic_numbers=np.array([3, 9, 84, 3, 17], dtype=np.int16)
    )

    with pytest.raises(InputError, match="got other atoms"):
        score_predictions(labelled, other, {})


def _all_errors(errors: PropertyErrors) -> list[float | None]:
    """List energy, forces, stress and magmoms errors in this order."""
    return [
        getattr(errors, f"{name}_{kind}")
        for name in ("energy", "forces", "stress", "magmoms")
        for kind in ("mae", "rmse")
    ]


def test_zero_forces_are_the_baseline_of_forces(labelled: Frames) -> None:
    """Labels of 2 eV/Å, predictions of 1: half of the baseline's error is left."""
    target = replace(labelled, forces=np.tile([2.0, -2.0, 2.0], (5, 1)))
    predicted = replace(labelled, forces=np.tile([1.0, -1.0, 1.0], (5, 1)))

    errors = score_predictions(target, predicted, {}).metrics["test"]

    assert errors.forces_baseline_mae == pytest.approx(2)
    assert errors.forces_skill == pytest.approx(0.5)
    assert errors.forces_slope == pytest.approx(0.5)
    assert errors.forces_pearson_r == pytest.approx(1)
    assert errors.forces_cosine == pytest.approx(1)


def test_a_model_worse_than_zero_has_negative_skill(labelled: Frames) -> None:
    stresses = np.array([np.eye(3), -np.eye(3), np.eye(3)], dtype=np.float32)
    target = replace(labelled, stresses=stresses)

    errors = score_predictions(
        target, replace(labelled, stresses=-0.5 * stresses), {}
    ).metrics["test"]

    assert errors.stress_baseline_mae == pytest.approx(1 / 3)
    assert errors.stress_skill == pytest.approx(-0.5)
    assert errors.stress_slope == pytest.approx(-0.5)
    assert errors.stress_pearson_r == pytest.approx(-1)


def test_references_alone_are_the_baseline_of_energies(labelled: Frames) -> None:
    """Dimers of -5 eV/atom with references of -4, 0.5 eV/atom above the label."""
    target = replace(labelled, energies=np.array([-10.0, 0, -10]))
    predicted = replace(labelled, energies=np.array([-9.5, 0, -9.5]))

    references = {"Li": -2.0, "F": -6.0}
    score = score_predictions(target, predicted, {}, references=references)

    val = score.metrics["val"]
    assert val.energy_baseline_mae == pytest.approx(1)
    assert val.energy_skill == pytest.approx(0.75)
    assert val.energy_slope is None
    assert score.rows.energy_baseline_mae == [pytest.approx(1), None, pytest.approx(1)]


def test_without_references_energies_have_no_baseline(labelled: Frames) -> None:
    score = score_predictions(labelled, labelled, {})

    assert score.metrics["test"].energy_baseline_mae is None
    assert score.rows.energy_baseline_mae == [None, None, None]


def test_opposite_and_vanishing_forces_lower_the_cosine(labelled: Frames) -> None:
    """One force the same, one reversed, one predicted as zero: mean cosine 0."""
    target = np.zeros((5, 3), dtype=np.float32)
    target[:3] = [1.0, 2.0, 2.0]
    signs = np.array([1, -1, 0, 1, 1], dtype=np.float32)
    predicted = target * signs[:, None]

    errors = score_predictions(
        replace(labelled, forces=target), replace(labelled, forces=predicted), {}
    ).metrics

    assert errors["test"].forces_cosine == pytest.approx(0)
    assert errors["val"].forces_cosine is None
