from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.preflight import (
    check_alignment,
    check_gradients,
    check_losses,
    check_trial,
    choose_sample,
    compare_gradients,
    find_out_of_range_frames,
    list_transferred,
    list_unreferenced,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import Model, NamedRecipe, Rereference, Trained
from nextrung.schemas.preflight import CheckOutcome, PreflightSettings, Trial

SETTINGS = PreflightSettings()


def make_frames(splits: list[str], symbols: list[str] | None = None) -> Frames:
    """Two frames of each material; material i is one atom of its symbol."""
    chosen = symbols or ["Li"] * len(splits)
    structures = [
        Structure(Lattice.cubic(4), [symbol], [[0, 0, 0]]) for symbol in chosen
    ]
    frames = Frames.from_structures(
        [structure for structure in structures for _ in range(2)],
        [f"{i}-{step}" for i in range(len(splits)) for step in range(2)],
    )
    return replace(
        frames,
        material_ids=np.repeat([f"m{i}" for i in range(len(splits))], 2),
        splits=np.repeat(splits, 2),
        energies=np.zeros(len(frames)),
        forces=np.zeros((len(frames), 3), dtype=np.float32),
    )


def make_trial(
    model: Model, energy: float | None, forces: float, gradient: float = 1.0
) -> Trial:
    return Trial(
        model=model,
        energy_mae=energy,
        forces_mae=forces,
        stress_mae=None,
        gradient_norms={"readout": gradient},
        checked_layer="readout",
        seconds_per_frame=0.1,
    )


def test_a_sample_has_whole_materials_of_both_splits() -> None:
    frames = make_frames(["train"] * 10 + ["val"] * 4 + ["test"] * 4)
    settings = SETTINGS.model_copy(update={"n_train_frames": 6, "n_val_frames": 4})

    sample = choose_sample(frames, settings)

    assert (sample.splits == "train").sum() == 6
    assert (sample.splits == "val").sum() == 4
    assert len(sample) == 10
    _, counts = np.unique(sample.material_ids, return_counts=True)
    assert set(counts) == {2}


def test_a_split_smaller_than_the_sample_is_chosen_whole() -> None:
    frames = make_frames(["train", "val", "test"])

    assert choose_sample(frames, SETTINGS).splits.tolist() == [
        "train", "train", "val", "val",
    ]  # fmt: skip


def test_another_seed_chooses_other_materials() -> None:
    frames = make_frames(["train"] * 30 + ["val"])
    chosen = [
        choose_sample(
            frames, SETTINGS.model_copy(update={"n_train_frames": 10, "seed": seed})
        ).frame_ids.tolist()
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


def test_an_empty_split_cannot_be_sampled() -> None:
    with pytest.raises(InputError, match="expected frames in the split val, got none"):
        choose_sample(make_frames(["train", "test"]), SETTINGS)


def test_frames_of_large_residual_or_force_are_out_of_range() -> None:
    frames = make_frames(["train"] * 2)
    forces = frames.forces.copy()
    forces[2] = [0, 30, 40]  # 50 eV/Å
    residuals = np.array([0.2, -1.5, 0.0, np.nan])

    odd = find_out_of_range_frames(replace(frames, forces=forces), residuals, SETTINGS)

    assert [frame.frame_id for frame in odd] == ["0-1", "1-0"]
    assert "within 1 eV/atom" in odd[0].reason
    assert "-1.50" in odd[0].reason
    assert "up to 30 eV/Å, got 50.0" in odd[1].reason


def test_elements_need_a_source_reference_and_a_training_frame() -> None:
    splits = ["train", "train", "val", "test"]
    frames = make_frames(splits, ["Li", "Xe", "O", "Li"])

    elements, n_frames = list_unreferenced(frames, {"Li", "O", "Na"})

    assert elements == ["O", "Xe"]
    assert n_frames == 4


def test_models_that_are_trained_from_the_source_are_transferred() -> None:
    assert list_transferred(Model) == [
        Model.TRAINABLE_ATOM_REFS,
        Model.FROZEN_ATOM_REFS,
        Model.REFITTED_ATOM_REFS,
        Model.RESIDUAL_ATOM_REFS,
    ]


def test_recipes_of_the_study_are_checked_like_those_of_the_table() -> None:
    own = NamedRecipe(
        name="my_row",
        pretrained=True,
        rereference=Rereference.RESIDUAL,
        trained=Trained.NETWORK,
    )
    random = own.model_copy(update={"pretrained": False})

    assert list_transferred([own, random, Model.SOURCE]) == [own]
    check = check_alignment(own, {Rereference.RESIDUAL: 0.9}, SETTINGS)
    assert (check.model, check.outcome) == ("my_row", CheckOutcome.PASSED)


@pytest.mark.parametrize(
    ("refit", "outcome"),
    [(0.81, CheckOutcome.PASSED), (0.79, CheckOutcome.FAILED), (None, "warning")],
)
def test_a_model_is_aligned_by_its_own_references_not_by_those_of_another(
    refit: float | None, outcome: CheckOutcome
) -> None:
    correlations = {Rereference.REFIT: refit, Rereference.RESIDUAL: 0.99}

    check = check_alignment(Model.REFITTED_ATOM_REFS, correlations, SETTINGS)

    assert check.outcome == outcome
    assert check.model == Model.REFITTED_ATOM_REFS


def test_gradients_are_compared_with_scratch() -> None:
    trials = [
        make_trial(Model.SCRATCH, 1, 1, gradient=0.1),
        make_trial(Model.FROZEN_ATOM_REFS, 1, 1, gradient=2.0),
    ]
    assert compare_gradients(trials) == pytest.approx({Model.FROZEN_ATOM_REFS: 20})


@pytest.mark.parametrize(
    ("gradient", "outcome"), [(5, CheckOutcome.PASSED), (20, CheckOutcome.FAILED)]
)
def test_misaligned_references_have_large_gradient_ratios(
    gradient: float, outcome: CheckOutcome
) -> None:
    trials = [
        make_trial(Model.SCRATCH, 1, 1),
        make_trial(Model.FROZEN_ATOM_REFS, 1, 1, gradient),
        make_trial(Model.RESIDUAL_ATOM_REFS, 1, 1, 1),
    ]
    check = check_gradients(Model.FROZEN_ATOM_REFS, trials, SETTINGS)

    assert check.outcome is outcome
    assert ("misaligned" in check.finding) == (outcome is CheckOutcome.FAILED)


def test_without_a_gradient_of_scratch_there_are_no_ratios() -> None:
    trials = [
        make_trial(Model.SCRATCH, 1, 1, 0),
        make_trial(Model.FROZEN_ATOM_REFS, 1, 1),
    ]
    check = check_gradients(Model.FROZEN_ATOM_REFS, trials, SETTINGS)
    assert check.outcome is CheckOutcome.WARNING


@pytest.mark.parametrize(
    ("energy", "forces", "outcome"),
    [
        (0.01, 0.02, CheckOutcome.PASSED),
        (0.01, 0.2, CheckOutcome.WARNING),
        (0.1, 0.02, CheckOutcome.WARNING),
        (0.1, 0.2, CheckOutcome.FAILED),
        (None, 0.02, CheckOutcome.PASSED),
        (None, 0.2, CheckOutcome.FAILED),
    ],
)
def test_each_model_must_be_better_than_scratch_on_energies_and_forces(
    energy: float | None, forces: float, outcome: CheckOutcome
) -> None:
    """Another model that is better does not help."""
    trials = [
        make_trial(Model.SCRATCH, 0.05, 0.1),
        make_trial(Model.REFITTED_ATOM_REFS, energy, forces),
        make_trial(Model.RESIDUAL_ATOM_REFS, 0.0, 0.0),
    ]
    check = check_trial(Model.REFITTED_ATOM_REFS, trials)

    assert check.outcome is outcome
    assert f"forces {1000 * forces:.1f} against 100.0 meV/Å" in check.finding


@pytest.mark.parametrize(
    ("n_lost", "outcome"),
    [(0, CheckOutcome.PASSED), (5, CheckOutcome.WARNING), (6, CheckOutcome.FAILED)],
)
def test_a_study_may_lose_five_percent_of_its_frames(
    n_lost: int, outcome: CheckOutcome
) -> None:
    check = check_losses("frames", (n_lost, 100), why="far off", settings=SETTINGS)

    assert check.outcome is outcome
    assert ("far off" in check.finding) == (n_lost > 0)
