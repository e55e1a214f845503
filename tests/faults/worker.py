"""FireWorks' own `rlaunch` that notes every step and every end, and takes its time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks.scripts.rlaunch_run import rlaunch

from nextrung.adapters.relaxations import Journal
from nextrung.potentials.training import Training

if TYPE_CHECKING:
    from torch import Tensor

    from nextrung.schemas.relaxation import RelaxationRecord

#: How long a step of a training and the end of a relaxation are stretched, in s.
PAUSE = 0.25


def note(text: str) -> None:
    """Add a line to the file that the test reads."""
    with Path(os.environ["FAULTS_NOTES"]).open("a") as file:
        file.write(f"{text}\n")
    time.sleep(PAUSE)


def instrument() -> None:
    """Note what is computed, once it is."""
    train, write = Training.training_step, Journal.record

    def training_step(self: Training, parts: list[Any]) -> Tensor:
        loss = train(self, parts)
        note(f"step {self.trainer.global_step}")
        return loss

    def record_end(
        journal: Journal, material_id: str, record: RelaxationRecord
    ) -> None:
        write(journal, material_id, record)
        note(f"material {material_id}")

    Training.training_step = training_step  # type: ignore[method-assign]
    Journal.record = record_end  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    instrument()
    sys.exit(rlaunch())
