"""Run the job of a file in this process, note what it computes, and take its time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

look_up = importlib.metadata.version


def look_up_or_upgrade(distribution_name: str) -> str:
    """Look up a version; this package may have been upgraded."""
    upgraded = os.environ.get("FAULTS_VERSION")
    is_ours = distribution_name == "nextrung"
    return upgraded if upgraded and is_ours else look_up(distribution_name)


importlib.metadata.version = look_up_or_upgrade  # before the modules that import it

from jobflow import run_locally  # noqa: E402
from monty.json import MontyDecoder  # noqa: E402
from tests.faults.worker import instrument, note  # noqa: E402

from nextrung.adapters.stores.job_store import make_embedded_store  # noqa: E402
from nextrung.potentials.potential import Potential  # noqa: E402
from nextrung.potentials.relaxation import restart  # noqa: E402
from nextrung.potentials.training import checkpoint  # noqa: E402

# Every state is saved, so that a test of a minute shows what an hour does.
restart.RESTART_INTERVAL = 0.0  # type: ignore[misc]
checkpoint.CHECKPOINT_INTERVAL = 0.0  # type: ignore[misc]
predict_batch = Potential.predict_batch


def predict_slowly(
    self: Potential, crystals: object, properties: str = "efs"
) -> object:
    """Predict, note it, and wait."""
    prediction = predict_batch(self, crystals, properties)  # type: ignore[arg-type]
    note("prediction")
    time.sleep(0.1)
    return prediction


if "FAULTS_PREDICTIONS" in os.environ:  # in the processes of a pool, too
    Potential.predict_batch = predict_slowly  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    instrument()
    root, file = map(Path, sys.argv[1:])
    job = json.loads(file.read_text(), cls=MontyDecoder)
    store = make_embedded_store(root)
    run_locally(job, store=store, log=False, raise_immediately=True)
