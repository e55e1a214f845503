"""FireWorks' own `rlaunch` that notes every step and every end, and takes its time."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks.scripts.rlaunch_run import rlaunch

from nextrung.adapters.files.relaxation_log import RelaxationLog
from nextrung.potentials.potential import Potential
from nextrung.potentials.training.module import FineTuningModule

if TYPE_CHECKING:
    from torch import Tensor

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.interface import BatchPrediction
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
    train, write = FineTuningModule.training_step, RelaxationLog.record

    def training_step(self: FineTuningModule, micro_batches: list[Any]) -> Tensor:
        loss = train(self, micro_batches)
        note(f"step {self.trainer.global_step}")
        return loss

    def record_end(
        journal: RelaxationLog, material_id: str, record: RelaxationRecord
    ) -> None:
        write(journal, material_id, record)
        note(f"material {material_id}")

    FineTuningModule.training_step = training_step  # type: ignore[method-assign]
    RelaxationLog.record = record_end  # type: ignore[assignment, method-assign]


def poison(n_atoms: int) -> None:
    """Let structures of some size kill the process that predicts them."""
    predict = Potential.predict_batch

    def predict_or_die(
        potential: Potential, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        if n_atoms in crystals.n_atoms:
            os.kill(os.getpid(), signal.SIGSEGV)
        return predict(potential, crystals, properties)

    Potential.predict_batch = predict_or_die  # type: ignore[assignment, method-assign]


if "FAULTS_POISON" in os.environ:  # in the processes of a worker, too
    poison(int(os.environ["FAULTS_POISON"]))

if __name__ == "__main__":
    instrument()
    sys.exit(rlaunch())
