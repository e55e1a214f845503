from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.registry import load_potential
from nextrung.potentials.training.preflight import Sample, predict_sample, try_models
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import Model, Rereference

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.potentials.potential import Potential


#: Scratch, and every model that is trained from the source.
TRIED = (
    Model.SCRATCH,
    Model.TRAINABLE_ATOM_REFS,
    Model.FROZEN_ATOM_REFS,
    Model.RESIDUAL_ATOM_REFS,
)


@pytest.fixture(scope="module")
def source() -> Potential:
    return load_potential("chgnet-0.3.0", "cpu")


@pytest.fixture(scope="module")
def frames(source: Potential) -> Frames:
    """Rock salts of two oxides, labelled by the source and a shift per element."""
    cells = [
        Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(a), [metal, "O"], [[0, 0, 0], [0.5] * 3]
        ).get_primitive_structure()
        for metal in ("Mg", "Ca")
        for a in (4.2, 4.4, 4.6)
    ]
    metals = [
        Structure(Lattice.cubic(3.2), [metal] * 2, [[0, 0, 0], [0.5] * 3])
        for metal in ("Mg", "Ca")
    ]
    bare = Frames.from_structures([*cells, *metals], [f"f{i}" for i in range(8)])
    labelled, _ = source.predict_frames(bare)
    shifts = {12: -3.0, 20: -5.0, 8: 1.0}
    moved = np.bincount(
        bare.frame_of_site, [shifts[int(z)] for z in bare.atomic_numbers]
    )
    return replace(
        labelled,
        energies=labelled.energies + moved,
        splits=np.array(["train", "train", "val"] * 2 + ["train", "train"]),
    )


@pytest.fixture(scope="module")
def sample(source: Potential, frames: Frames) -> Sample:
    return predict_sample(source, frames, frames)


def test_a_shift_of_references_has_no_residual(sample: Sample) -> None:
    assert sample.residuals == pytest.approx(0, abs=1e-4)
    shifted, kept = (
        sample.atom_refs[kind] for kind in (Rereference.RESIDUAL, Rereference.NONE)
    )
    assert shifted["Ca"] - kept["Ca"] == pytest.approx(-5, abs=1e-3)


def test_frames_of_an_element_that_is_not_trained_are_left_out(
    source: Potential, frames: Frames
) -> None:
    strontium = Structure(Lattice.cubic(3.5), ["Sr"] * 2, [[0, 0, 0], [0.5] * 3])
    extra = replace(
        Frames.from_structures([strontium], ["strontium"]),
        energies=np.array([-10.0]),
        splits=np.array(["val"]),
    )
    every = Frames.concatenate([frames, extra])
    sample = predict_sample(source, every, every)

    assert sample.unusable == {}
    assert "strontium" not in sample.frames.frame_ids
    assert len(sample.frames) == len(frames)


def test_frames_that_the_source_cannot_predict_are_named(
    source: Potential, frames: Frames
) -> None:
    """The source does not know americium, and one atom has no neighbour."""
    cells = [
        Structure(Lattice.cubic(3.5), ["Am"] * 2, [[0, 0, 0], [0.5] * 3]),
        Structure(Lattice.cubic(30), ["Mg"], [[0, 0, 0]]),
    ]
    extra = replace(
        Frames.from_structures(cells, ["heavy", "isolated"]),
        energies=np.array([-10.0, -1.0]),
        splits=np.array(["val", "val"]),
    )
    every = Frames.concatenate([frames, extra])

    unusable = predict_sample(source, every, every).unusable

    assert "unknown to this potential: Am" in unusable["heavy"]
    assert set(unusable) == {"heavy", "isolated"}


def test_references_without_predictions_are_fitted_to_all_frames(
    source: Potential, frames: Frames
) -> None:
    some = frames[[0, 1, 2, 6]]  # magnesium alone, two of its frames to train on

    sample = predict_sample(source, some, frames)

    assert set(sample.atom_refs[Rereference.REFIT]) == {"Mg", "Ca", "O"}
    assert set(sample.atom_refs[Rereference.RESIDUAL]) == {"Mg", "O"}


def test_every_model_is_trained_on_the_same_frames(
    source: Potential, sample: Sample, tmp_path: Path
) -> None:
    progress: list[tuple[int, int, str]] = []
    settings = FineTuningSettings(epochs=1, batch_size=3, gradient_points=2)

    trials = try_models(
        source,
        sample,
        settings,
        models=TRIED,
        workdir=tmp_path,
        on_trial=lambda *step: progress.append(step),
    )

    assert [trial.model for trial in trials] == list(TRIED)
    assert progress == [(i, len(TRIED), str(model)) for i, model in enumerate(TRIED)]
    by_model = {trial.model: trial for trial in trials}
    trainable, frozen = (
        by_model[model] for model in (Model.TRAINABLE_ATOM_REFS, Model.FROZEN_ATOM_REFS)
    )
    residual = by_model[Model.RESIDUAL_ATOM_REFS]
    assert (residual.energy_mae or 9) < (frozen.energy_mae or 0)
    assert trainable.gradient_norms.keys() == frozen.gradient_norms.keys()
    assert all(trial.seconds_per_frame > 0 for trial in trials)
