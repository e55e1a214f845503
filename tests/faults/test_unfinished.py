"""Runs on one machine that are ended, damaged, upgraded, or run twice at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from monty.json import MontyEncoder
from tests.faults.conftest import (
    PATIENCE,
    TRAINING,
    describe,
    make_relaxation,
    make_training,
)
from tests.processes import start_process

from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.adapters.stores.job_store import close_store, make_embedded_store
from nextrung.schemas.fine_tuning import FineTuningDoc
from nextrung.schemas.relaxation import RelaxationDoc

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from tests.faults.conftest import Prepared

    from nextrung.schemas.base import TaskDoc

pytestmark = pytest.mark.slow

SCHEMAS: dict[str, type[TaskDoc]] = {
    "training": FineTuningDoc,
    "relaxation": RelaxationDoc,
}


def wait(process: ForkServerProcess) -> int | None:
    """Wait for the end of a process; its exit code."""
    process.join(PATIENCE)
    return process.exitcode


@dataclass(eq=False)
class LocalRun:
    """A job in a run folder, the processes that ran it, and what they noted."""

    root: Path
    prepared: Prepared
    kind: str
    uuid: str
    processes: list[ForkServerProcess] = field(default_factory=list)

    def start(self, **variables: str) -> ForkServerProcess:
        """Start a process that runs the job."""
        environment = os.environ | {
            "NEXTRUNG_ROOT": str(self.root),
            "NEXTRUNG_N_PROCESSES": "1",
            "FAULTS_NOTES": str(self.root / "notes"),
            "OMP_NUM_THREADS": "1",
        }
        if self.kind == "relaxation":
            environment["FAULTS_PREDICTIONS"] = "1"
        process = start_process(
            "tests.faults.local",
            str(self.root),
            str(self.root / "job.json"),
            log=self.root / f"log-{len(self.processes)}",
            environment=environment | variables,
        )
        self.processes.append(process)
        return process

    def finish(self, **variables: str) -> None:
        """Run the job to its end."""
        assert wait(self.start(**variables)) == 0, self.logs

    @property
    def logs(self) -> str:
        """What all processes have printed."""
        return "\n".join(log.read_text() for log in sorted(self.root.glob("log-*")))

    def count(self, kind: str) -> Counter[str]:
        """Count what all processes have computed, by its note."""
        file = self.root / "notes"
        lines = file.read_text().splitlines() if file.exists() else []
        return Counter(line for line in lines if line.startswith(kind))

    def wait_for(self, kind: str, number: int) -> None:
        """Wait until a number of steps, predictions or materials is noted."""
        deadline = time.monotonic() + PATIENCE
        while self.count(kind).total() < number:
            assert time.monotonic() < deadline, self.logs
            assert self.processes[-1].exitcode is None, self.logs
            time.sleep(0.02)

    def end(self, *, warned: bool) -> None:
        """End the last process as a queue does, with SIGTERM before or without."""
        process = self.processes[-1]
        if warned:
            process.terminate()
            assert wait(process) == 128 + signal.SIGTERM, self.logs
        process.kill()
        wait(process)

    def document(self) -> TaskDoc:
        """Read the document of the job."""
        store = make_embedded_store(self.root)
        document = SCHEMAS[self.kind].model_validate(store.get_output(self.uuid))
        close_store(store)
        return document

    def assert_undisturbed(self) -> TaskDoc:
        """The document is that of a run without fault, and nothing is left over."""
        document = self.document()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NEXTRUNG_ROOT", str(self.root))
            contents = describe(document)
        undisturbed = self.prepared.undisturbed
        energies = contents.pop("energies", None)
        assert contents == {kind: undisturbed[kind] for kind in contents}
        if energies is not None:
            assert energies == pytest.approx(undisturbed["energies"], abs=1e-3)
        assert not list(self.root.glob("work/*"))
        return document

    def n_predictions(self) -> int:
        """Count the predictions of an undisturbed run: all materials in one batch."""
        document = self.document()
        assert isinstance(document, RelaxationDoc)
        path = self.root / "artifacts" / document.records.path
        return 1 + max(record.n_steps for record in read_relaxations(path).values())


@pytest.fixture
def prepare(prepared: Prepared, tmp_path: Path) -> Callable[[str], LocalRun]:
    """Prepare a run of the kind ``training`` or ``relaxation``."""

    def write(kind: str) -> LocalRun:
        shutil.copytree(prepared.root / "artifacts", tmp_path / "artifacts")
        make = {"training": make_training, "relaxation": make_relaxation}[kind]
        job: Any = make(prepared.dataset, prepared.source)
        (tmp_path / "job.json").write_text(json.dumps(job, cls=MontyEncoder))
        return LocalRun(tmp_path, prepared, kind, job.uuid)

    return write


warned_or_not = pytest.mark.parametrize("warned", [True, False], ids=["TERM", "KILL"])


@warned_or_not
def test_a_relaxation_longer_than_its_walltime_ends_as_an_undisturbed_one(
    prepare: Callable[[str], LocalRun], *, warned: bool
) -> None:
    """Three walltimes of a few steps each; every one repeats two at most."""
    run = prepare("relaxation")
    for walltime in range(3):
        run.start()
        run.wait_for("prediction", 4 * (walltime + 1))
        run.end(warned=warned)
    run.finish()

    run.assert_undisturbed()
    repeated = run.count("prediction").total() - run.n_predictions()
    assert repeated <= 3 * 2


@warned_or_not
def test_a_training_longer_than_its_walltime_ends_as_an_undisturbed_one(
    prepare: Callable[[str], LocalRun], *, warned: bool
) -> None:
    """Bit for bit; a warning saves the step, no warning costs one."""
    run = prepare("training")
    for walltime in range(3):
        run.start()
        run.wait_for("step", 2 * (walltime + 1))
        run.end(warned=warned)
    run.finish()

    document = run.assert_undisturbed()
    assert isinstance(document, FineTuningDoc)
    steps = run.count("step")
    n_batches = -(-document.n_train_frames // TRAINING.batch_size)
    assert len(steps) == n_batches * TRAINING.epochs
    assert steps.total() - len(steps) <= (0 if warned else 3)


@pytest.mark.parametrize(
    ("kind", "name", "damage", "said"),
    [
        ("relaxation", "relaxations.jsonl", "altered", "lines are damaged; their mat"),
        ("relaxation", "restart.npz", "altered", "are relaxed from the start"),
        ("training", "last.ckpt", "altered", "the training resumes from previous"),
        ("training", "last.ckpt", "truncated", "the training resumes from previous"),
    ],
)
def test_damaged_unfinished_work_is_computed_again_and_said(
    prepare: Callable[[str], LocalRun], kind: str, name: str, damage: str, said: str
) -> None:
    run = prepare(kind)
    run.start()
    run.wait_for(*{"relaxation": ("material", 2), "training": ("step", 4)}[kind])
    run.end(warned=True)
    (path,) = run.root.glob(f"work/*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    size = len(content) // (1 if damage == "altered" else 2)
    path.write_bytes(content[:size])
    run.finish()

    document = run.assert_undisturbed()
    assert isinstance(document, FineTuningDoc | RelaxationDoc)
    assert document.n_damaged == 1
    assert run.logs.count(said) == 1


def test_two_runs_at_once_compute_everything_once(
    prepare: Callable[[str], LocalRun],
) -> None:
    run = prepare("relaxation")
    first = run.start()
    run.wait_for("prediction", 2)
    second = run.start()

    assert [wait(first), wait(second)] == [0, 0], run.logs

    run.assert_undisturbed()
    assert run.count("prediction").total() == run.n_predictions()
    assert "another process runs this job; waiting" in run.logs


def test_an_emptied_database_is_filled_with_the_same_documents(
    prepare: Callable[[str], LocalRun],
) -> None:
    """All is computed again."""
    run = prepare("relaxation")
    run.finish()
    shutil.rmtree(run.root / "store")

    run.finish()

    run.assert_undisturbed()
    assert set(run.count("material").values()) == {2}


def test_an_upgrade_between_two_runs_changes_no_document_but_for_the_version(
    prepare: Callable[[str], LocalRun],
) -> None:
    """Unfinished work of the same algorithm is continued, and none is left over."""
    run = prepare("relaxation")
    run.start()
    run.wait_for("prediction", 4)
    run.end(warned=False)

    run.finish(FAULTS_VERSION="99.0")

    document = run.assert_undisturbed()
    assert document.provenance.versions["nextrung"] == "99.0"
