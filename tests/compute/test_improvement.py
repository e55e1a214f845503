from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.improvement import (
    count_atoms,
    decide_stop,
    describe_structures,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.improvement import (
    CommitteeMember,
    ImprovementRound,
    ImprovementSettings,
    StopReason,
)

SETTINGS = ImprovementSettings(budget=16, batch=8, target=0.02)


def make_round(error: float = 0.05, **fields: Any) -> ImprovementRound:  # noqa: ANN401
    """A round with candidates left and half of the budget."""
    member = CommitteeMember(seed=0, energy_mae=error, forces_mae=None, n_failed=0)
    values: dict[str, object] = {
        "number": 1,
        "labels": [],
        "n_labels": 8,
        "n_failed": 0,
        "n_train_frames": 100,
        "n_train_materials": 50,
        "members": [member],
        "energy_mae": error,
        "low": 0.9 * error,
        "high": 1.1 * error,
        "n_held_out_frames": 20,
        "n_held_out_materials": 10,
        "n_candidates": 30,
        "chosen": [],
        "wall_time": 1.0,
    }
    return ImprovementRound.model_validate(values | fields)


def test_atoms_are_counted_by_atomic_number() -> None:
    salt = Structure(Lattice.cubic(4.0), ["Na", "Cl", "Cl"], np.zeros((3, 3)))
    frames = Frames.from_structures([salt, salt * (2, 1, 1)])

    counts = count_atoms(frames)

    assert counts.shape == (2, 94)
    assert counts[0, [10, 16]].tolist() == [1, 2]
    assert counts[1].sum() == 6


def test_a_supercell_has_the_description_of_its_cell() -> None:
    salt = Structure(Lattice.cubic(4.0), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])

    cell, supercell = describe_structures(
        Frames.from_structures([salt, salt * (2, 2, 1)])
    )

    assert cell == pytest.approx(supercell)
    assert cell[-1] == pytest.approx(64e-3 / 2)  # nm³/atom


def test_a_loop_goes_on_above_its_target_with_labels_and_candidates_left() -> None:
    assert decide_stop(make_round(), SETTINGS, out_of_reach=False) == (None, "")


def test_a_loop_ends_at_its_target_and_says_where_the_interval_is() -> None:
    sure, sure_reason = decide_stop(make_round(0.015), SETTINGS, out_of_reach=True)
    doubtful = make_round(0.0199)
    stop, reason = decide_stop(doubtful, SETTINGS, out_of_reach=False)

    assert sure is stop is StopReason.TARGET_REACHED
    assert "0.0150 eV/atom (95 % interval 0.0135 to 0.0165)" in sure_reason
    assert "above" not in sure_reason
    assert reason.startswith("the test energy MAE of 0.0199 eV/atom")
    assert "the upper end of the interval is above it" in reason


def test_an_error_without_interval_is_said_to_have_none() -> None:
    scored = make_round(0.01, low=None, high=None)

    _, reason = decide_stop(scored, SETTINGS, out_of_reach=False)

    assert "too few materials for an interval" in reason
    assert "95 %" not in reason


@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({"n_labels": 16}, StopReason.BUDGET_SPENT),
        ({"n_candidates": 0}, StopReason.POOL_EMPTY),
        ({"n_candidates": 2, "n_unpredictable": 2}, StopReason.POOL_EMPTY),
    ],
)
def test_a_loop_ends_without_labels_or_candidates(
    fields: dict[str, Any], stop: StopReason
) -> None:
    ended, reason = decide_stop(make_round(**fields), SETTINGS, out_of_reach=False)

    assert ended is stop
    assert "0.0500 eV/atom" in reason


def test_a_target_out_of_reach_ends_a_loop() -> None:
    ended, reason = decide_stop(make_round(), SETTINGS, out_of_reach=True)

    assert ended is StopReason.OUT_OF_REACH
    assert "power law through 2 rounds does not reach the target" in reason
