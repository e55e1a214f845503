"""A run that is killed and started again ends as an undisturbed one."""

from __future__ import annotations

import os
import random
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.processes import start_process

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.adapters.stores.job_store import open_embedded_store
from nextrung.adapters.stores.studies import load_documents, load_study

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "name": "killed",
    "dataset": {
        "source": {
            "kind": "distilled",
            "chemical_systems": ["Mg-O"],
            "n_materials_per_system": 9,
            "n_polymorphs_per_element": 1,
            "n_frames_per_material": 2,
            "max_atoms": 4,
            "fmax": 0.2,
        },
        "split": {"val": 0.2, "test": 0.2},
    },
    "training": {"epochs": 4, "batch_size": 4, "gradient_points": 0},
    "models": ["source", "scratch", "residual_atom_refs"],
    "relaxation": {"fmax": 0.1, "max_steps": 60, "materials_per_shard": 6},
    "density": None,
    "scaling_law": None,
}
#: Fields that differ between two runs of the same jobs.
MEASURED = {"provenance", "relaxation_time", "history"}


def start(study: Path, root: Path, log: Path) -> ForkServerProcess:
    """Start a run of the study in a session of its own."""
    return start_process(
        "tests.cli.command",
        *("run", str(study), "--root", str(root)),
        log=log,
        environment=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
    )


def read_contents(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the documents of a run say, but for when and how fast."""
    monkeypatch.setenv("NEXTRUNG_ROOT", str(root))
    store = open_embedded_store(root)
    documents = load_documents(store, load_study(store))
    return {part: doc.model_dump(exclude=MEASURED) for part, doc in documents.items()}


def relaxed_energies(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("NEXTRUNG_ROOT", str(root))
    store = open_embedded_store(root)
    documents: dict[str, Any] = load_documents(store, load_study(store))
    return {
        f"{part} {name}": record.energy
        for part, doc in documents.items()
        if part.startswith("relaxation/")
        for name, record in read_relaxations(artifact_path(doc.records)).items()
    }


def test_three_kills_change_nothing_and_repeat_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "killed.yaml"
    study.write_text(yaml.safe_dump(STUDY))
    whole = start(study, tmp_path / "whole", tmp_path / "log-whole")
    whole.join(timeout=500)
    assert whole.exitcode == 0

    delays = random.Random(0)  # noqa: S311
    for number in range(3):
        run = start(study, tmp_path / "killed", tmp_path / f"log-{number}")
        run.join(timeout=delays.uniform(3, 12))
        if run.exitcode is None:
            assert run.pid is not None
            os.killpg(run.pid, signal.SIGKILL)
            run.join()
    last = start(study, tmp_path / "killed", tmp_path / "log-last")
    last.join(timeout=500)

    assert last.exitcode == 0
    logs = [tmp_path / f"log-{name}" for name in (0, 1, 2, "last")]
    output = "".join(log.read_text() for log in logs)
    finished = re.findall(r"✓ (.+?) \d+\.\d s", output)
    repeated = {job: n for job, n in Counter(finished).items() if n > 1}
    assert {job for job in repeated if not job.startswith("plan")} == set()
    undisturbed = read_contents(tmp_path / "whole", monkeypatch)
    continued = read_contents(tmp_path / "killed", monkeypatch)
    assert set(continued) == set(undisturbed)
    for part in undisturbed:
        if part.startswith(("dataset", "atom_refs", "fine_tuning", "alignment")):
            assert continued[part] == undisturbed[part]
    assert relaxed_energies(tmp_path / "killed", monkeypatch) == pytest.approx(
        relaxed_energies(tmp_path / "whole", monkeypatch), abs=1e-3
    )
