"""Run the job of a file in this process, note what it computes, and take its time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jobflow import run_locally
from monty.json import MontyDecoder
from tests.faults.worker import instrument, note

from nextrung.adapters.stores.job_store import make_embedded_store
from nextrung.potentials.potential import Potential
from nextrung.potentials.relaxation import restart
from nextrung.potentials.training import checkpoint

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


def slow_down() -> None:
    """Let predictions be noted and wait, if the environment says so."""
    if "FAULTS_PREDICTIONS" in os.environ:
        Potential.predict_batch = predict_slowly  # type: ignore[assignment, method-assign]


slow_down()  # in the processes of a pool, too


def upgrade() -> None:
    """Let this package have another version, if the environment says so."""
    look_up, upgraded = importlib.metadata.distribution, os.environ["FAULTS_VERSION"]

    def look_up_upgraded(distribution_name: str) -> Any:  # noqa: ANN401
        if distribution_name == "nextrung":
            return SimpleNamespace(version=upgraded)
        return look_up(distribution_name)

    importlib.metadata.distribution = look_up_upgraded


def main(root: str, file: str) -> None:
    """Run the job of a file."""
    if "FAULTS_VERSION" in os.environ:
        upgrade()
    slow_down()
    instrument()
    job = json.loads(Path(file).read_text(), cls=MontyDecoder)
    store = make_embedded_store(Path(root))
    run_locally(job, store=store, log=False, raise_immediately=True)
