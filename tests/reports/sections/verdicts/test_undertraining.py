"""Trainings that were too short."""

from __future__ import annotations

import pytest
from tests.made_up_study import make_evaluations, make_fine_tuning
from tests.made_up_study.stages import make_atom_refs

from nextrung.reports.sections.verdicts.evidence import read_evidence
from nextrung.reports.sections.verdicts.undertraining import (
    describe_training,
    describe_undertrained,
    describe_unreachable_references,
    find_still_falling,
)
from nextrung.schemas.fine_tuning import EpochRecord, FineTuningDoc, FineTuningSettings
from nextrung.schemas.models import Model, Rereference


def train(model: Model, errors: list[float], n_frames: int = 64) -> FineTuningDoc:
    made = make_fine_tuning(model, 1.0)
    template = made.history[0]
    history = [
        EpochRecord(
            epoch=epoch,
            learning_rate=1e-3,
            train=template.train,
            val=template.val.model_copy(update={"energy_mae": error}),
            wall_time=1,
        )
        for epoch, error in enumerate(errors, start=1)
    ]
    settings = FineTuningSettings(epochs=len(errors), batch_size=16)
    changed = {"history": history, "settings": settings, "n_train_frames": n_frames}
    return made.model_copy(update=changed)


def test_an_error_that_still_falls_is_undertrained() -> None:
    scratch = train(Model.SCRATCH, [1.0, 0.8, 0.6, 0.4])
    documents = {"fine_tuning/scratch": scratch}

    assert find_still_falling(documents) == [Model.SCRATCH]
    (text,) = describe_undertrained(documents, read_evidence({}))
    assert text == (
        "1 · From scratch (validation error still falling in the last epochs)"
    )


@pytest.mark.parametrize("errors", [[1.0, 0.5, 0.5, 0.495], [1.0, 0.5, 0.6, 0.55], []])
def test_a_flat_or_rising_error_is_not_undertrained(errors: list[float]) -> None:
    documents = {"fine_tuning/scratch": train(Model.SCRATCH, errors)}

    assert find_still_falling(documents) == []


def test_references_that_the_learning_rate_cannot_move_far_enough_are_a_sign() -> None:
    """4 steps of 1e-3 in 40 epochs are 0.16 eV; shifts are 0.5, 8 and 1.5 eV."""
    documents = {
        "atom_refs/refit": make_atom_refs(Rereference.REFIT),
        "fine_tuning/trainable_atom_refs": train(Model.TRAINABLE_ATOM_REFS, [1.0] * 40),
        "fine_tuning/frozen_atom_refs": train(Model.FROZEN_ATOM_REFS, [1.0] * 40),
    }

    (text,) = describe_unreachable_references(documents)
    assert text.startswith(
        "2 · Trainable atom refs (at most about 0.16 eV/atom per element; "
        "3 of 3 elements need more, up to 8.00 eV/atom"
    )


def test_references_within_reach_are_no_sign() -> None:
    documents = {
        "atom_refs/refit": make_atom_refs(Rereference.REFIT),
        "fine_tuning/trainable_atom_refs": train(
            Model.TRAINABLE_ATOM_REFS, [1.0] * 40, n_frames=64 * 100
        ),
    }

    assert describe_unreachable_references(documents) == []
    assert describe_unreachable_references({}) == []


@pytest.mark.parametrize(
    ("n_frames", "forces", "texts"),
    [
        (
            640,
            0.09,
            ["1 · From scratch (160 steps, forces not shown to be better than zero)"],
        ),
        (640, 0.03, []),
        (64_000, 0.09, []),
    ],
)
def test_few_steps_that_learned_no_forces_are_undertrained(
    n_frames: int, forces: float, texts: list[str]
) -> None:
    """4 epochs of 40 steps; zero forces are 0.07 eV/Å off."""
    documents = {
        "fine_tuning/scratch": train(Model.SCRATCH, [1.0, 0.5, 0.5, 0.5], n_frames)
    }
    evidence = read_evidence(make_evaluations({Model.SCRATCH: {"forces": forces}}))

    assert describe_undertrained(documents, evidence) == texts
    shown = describe_training(documents, evidence)[Model.SCRATCH]
    assert shown["Energies against atomic references alone"] == "no test labels"
    assert shown["Forces against zero forces"].startswith(
        "+29 %" if forces > 0.07 else "\N{MINUS SIGN}57 %"
    )
    assert (shown["Undertrained"] == "no sign of it") is not bool(texts)
