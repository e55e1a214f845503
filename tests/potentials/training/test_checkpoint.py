from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from nextrung.potentials.training.state import TrainingState
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import (
    EpochRecord,
    Errors,
    GradientRecord,
    TrackedLayer,
)

if TYPE_CHECKING:
    from pathlib import Path

ERRORS = Errors(
    energy_mae=0.1, forces_mae=0.2, stress_mae=None, magmoms_mae=None, loss=0.3
)


def make_state() -> TrainingState:
    record = EpochRecord(
        epoch=1, learning_rate=1e-3, train=ERRORS, val=ERRORS, wall_time=2.0
    )
    gradient = GradientRecord(
        step=0,
        fraction_of_epoch=0,
        layer=TrackedLayer.ATOM_EMBEDDING,
        minimum=-1,
        p5=-1,
        p25=0,
        median=0,
        p75=0,
        p95=1,
        maximum=1,
        mean_abs=0.1,
        norm=2,
    )
    return TrainingState("me", [record], [gradient], 1, {"weight": torch.ones(2)})


def test_a_state_survives_a_file_of_plain_values(tmp_path: Path) -> None:
    """``TrainingState.read`` loads weights only: no code in the file can run."""
    state = make_state()
    torch.save({"nextrung": state.dump()}, tmp_path / "state")

    returned = TrainingState.read(tmp_path / "state")

    assert returned.history == state.history
    assert returned.gradients == state.gradients
    assert (returned.identity, returned.best_epoch) == ("me", 1)
    assert returned.best_weights["weight"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_that_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(content)

    with pytest.raises(InputError, match="state: expected the state of a training"):
        TrainingState.read(tmp_path / "state")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "state")

    with pytest.raises(InputError, match="state: expected the state of a training"):
        TrainingState.read(tmp_path / "state")
