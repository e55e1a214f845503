from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.compute.curation.synthetic_runs import make_frames, run_of

from nextrung.compute.curation.rules import check_frames, find_missing
from nextrung.schemas.labels.curation import (
    CurationSettings,
    ElectronicConvergence,
    EnergyWindow,
    Label,
    Rule,
)

if TYPE_CHECKING:
    from nextrung.schemas.frames import Frames


@pytest.fixture
def frames() -> Frames:
    return make_frames()


def test_unconverged_frames_are_left_out_one_by_one(frames: Frames) -> None:
    run = run_of(frames, converged=(True, False, True))

    kept, rejections = check_frames(run, CurationSettings())

    assert kept.frame_ids.tolist() == ["a#0", "a#2"]
    assert [(r.frame_id, r.rule) for r in rejections] == [("a#1", Rule.NOT_CONVERGED)]


def test_unconverged_frames_may_be_kept(frames: Frames) -> None:
    settings = CurationSettings(electronic_convergence=ElectronicConvergence.IGNORED)

    kept, rejections = check_frames(
        run_of(frames, converged=(False, False, False)), settings
    )

    assert len(kept) == 3
    assert rejections == []


def test_frames_outside_the_energy_window_are_rejected(frames: Frames) -> None:
    """The paper's window: 1 eV/atom above and 10 meV/atom below -5 eV/atom."""
    frames.energies[:] = np.array([-3.99, -4.01, -5.011]) * 2

    kept, rejections = check_frames(
        run_of(frames, relaxed_energy=-5.0), CurationSettings()
    )

    assert kept.frame_ids.tolist() == ["a#1"]
    assert {r.rule for r in rejections} == {Rule.ENERGY_WINDOW}
    assert [r.reason.split(", got ")[1] for r in rejections] == [
        "+1.010 eV/atom",
        "-0.011 eV/atom",
    ]
    assert "expected -0.01 to +1 eV/atom from the relaxed" in rejections[0].reason


@pytest.mark.parametrize(
    ("relaxed_energy", "window"), [(np.nan, EnergyWindow()), (-5.0, None)]
)
def test_without_a_relaxed_energy_or_a_window_any_energy_passes(
    relaxed_energy: float, window: EnergyWindow | None, frames: Frames
) -> None:
    frames.energies[:] = [1000, -1000, 0]

    kept, _ = check_frames(
        run_of(frames, relaxed_energy=relaxed_energy),
        CurationSettings(energy_window=window),
    )

    assert len(kept) == 3


def test_missing_labels_are_named(frames: Frames) -> None:
    frames.forces[2, 1] = np.nan
    frames.magmoms[2:] = np.nan
    settings = CurationSettings(required_labels=tuple(Label))

    kept, rejections = check_frames(run_of(frames), settings)

    assert kept.frame_ids.tolist() == ["a#0"]
    assert [r.reason for r in rejections] == [
        "got no forces, magmoms",
        "got no magmoms",
    ]


def test_labels_that_are_not_required_may_be_missing(frames: Frames) -> None:
    frames.magmoms[:] = np.nan

    kept, _ = check_frames(run_of(frames), CurationSettings())

    assert len(kept) == 3


@pytest.mark.parametrize(
    ("label", "array", "position"),
    [
        (Label.ENERGY, "energies", (1,)),
        (Label.FORCES, "forces", (3, 2)),
        (Label.STRESS, "stresses", (1, 0, 2)),
        (Label.MAGMOMS, "magmoms", (2,)),
    ],
)
def test_one_missing_number_makes_a_label_incomplete(
    label: Label, array: str, position: tuple[int, ...], frames: Frames
) -> None:
    getattr(frames, array)[position] = np.nan

    assert find_missing(frames, label).tolist() == [False, True, False]


def test_an_unconverged_frame_without_labels_is_rejected_once(frames: Frames) -> None:
    frames.energies[1] = np.nan

    _, rejections = check_frames(
        run_of(frames, converged=(True, False, True)), CurationSettings()
    )

    assert [r.rule for r in rejections] == [Rule.NOT_CONVERGED]
