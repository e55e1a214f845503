"""Campaigns on a real LaunchPad, and workers that can be killed.

A campaign trains one model and relaxes the materials of a small data set. What it
computes is noted by the workers as they go; the documents of an undisturbed campaign
are there to compare with.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import Flow, JobStore, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.relaxation_table import read_relaxations
from nextrung.makers.dataset import DatasetMaker
from nextrung.makers.fine_tuning import FineTuningMaker, SourceMaker
from nextrung.makers.relaxation import RelaxationMaker
from nextrung.schemas.dataset import DatasetDoc, DatasetSettings
from nextrung.schemas.fine_tuning import FineTuningDoc, FineTuningSettings
from nextrung.schemas.models import Model
from nextrung.schemas.relaxation import RelaxationDoc
from nextrung.schemas.study import StudyRelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fireworks import LaunchPad
    from tests.services import Database

    from nextrung.schemas.base import TaskDoc

DATASET = DatasetSettings.model_validate(
    {
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
    }
)
TRAINING = FineTuningSettings(epochs=3, batch_size=4, gradient_points=2)
CAMPAIGN = StudyRelaxationSettings.model_validate(
    {"fmax": 0.1, "max_steps": 60, "materials_per_shard": 1000}
)
#: Fields that differ between two runs of the same jobs; the last bits of relaxations
#: depend on what else is relaxed with them.
MEASURED = {"provenance", "relaxation_time", "records", "n_steps", "n_damaged"}
#: How long a worker may take for what a test asks of it, in s.
PATIENCE = 300


@dataclass(frozen=True)
class Prepared:
    """The data set and the source that all campaigns share, and how one ends."""

    root: Path
    dataset: DatasetDoc
    source: FineTuningDoc
    undisturbed: dict[str, Any]


def prepare_campaigns(root: Path) -> None:
    """Compute in a folder what campaigns start from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(root))
        dataset = _run(DatasetMaker(settings=DATASET).make(), DatasetDoc)
        source = _run(SourceMaker().make(), FineTuningDoc)
        undisturbed = describe(
            _run(make_training(dataset, source), FineTuningDoc),
            _run(make_relaxation(dataset, source), RelaxationDoc),
        )
    prepared = Prepared(root, dataset, source, undisturbed)
    (root / "prepared.pickle").write_bytes(pickle.dumps(prepared))


@pytest.fixture(scope="session")
def prepared(make_once: Callable[[str, Callable[[Path], None]], Path]) -> Prepared:
    """What campaigns start from."""
    file = make_once("campaigns", prepare_campaigns) / "prepared.pickle"
    prepared: Prepared = pickle.loads(file.read_bytes())  # noqa: S301 - ours
    return prepared


def make_training(dataset: DatasetDoc, source: FineTuningDoc) -> Any:  # noqa: ANN401
    """Make the job that trains."""
    model = Model.FROZEN_ATOM_REFS
    return FineTuningMaker(model=model, settings=TRAINING).make(dataset, source, None)


def make_relaxation(dataset: DatasetDoc, source: FineTuningDoc) -> Any:  # noqa: ANN401
    """Make the job that plans the relaxations."""
    return RelaxationMaker(settings=CAMPAIGN).make(dataset, source)


def describe(*documents: TaskDoc) -> dict[str, Any]:
    """Say what documents do, but for when and how fast."""
    described = {}
    for document in documents:
        content = document.model_dump(mode="json", exclude=MEASURED)
        for epoch in content.get("history", ()):
            del epoch["wall_time"]
        described[type(document).__name__] = content
        if isinstance(document, RelaxationDoc):
            records = read_relaxations(artifact_path(document.records))
            described["energies"] = {
                name: record.energy for name, record in records.items()
            }
    return described


def _run(job: Any, schema: type[TaskDoc]) -> Any:  # noqa: ANN401
    """Run a job and what it plans; return the document it ends with."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(job, store=store, log=False, raise_immediately=True)
    return schema.model_validate(store.get_output(job.uuid, load=True))


@dataclass(eq=False)
class Campaign:
    """A campaign on a LaunchPad, the workers it has had, and what they noted."""

    root: Path
    launchpad: LaunchPad
    database: Database
    prepared: Prepared
    jobs: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What all workers have computed so far, in order."""
        file = self.root / "notes"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the workers."""
        return os.environ | {
            "NEXTRUNG_ROOT": str(self.root),
            "NEXTRUNG_N_PROCESSES": "1",
            "FAULTS_NOTES": str(self.root / "notes"),
            "JOBFLOW_CONFIG_FILE": str(self.root / "config" / "jobflow.yaml"),
            "FW_CONFIG_FILE": str(self.root / "config" / "FW_config.yaml"),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    @property
    def command(self) -> list[str]:
        """Command of a worker that takes jobs until none is left."""
        launchpad = str(self.root / "config" / "my_launchpad.yaml")
        worker = str(Path(__file__).with_name("worker.py"))
        return [sys.executable, worker, "-l", launchpad, "rapidfire"]

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker in a launch folder of its own."""
        folder = self.root / f"worker-{len(self.workers)}"
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            worker = subprocess.Popen(  # noqa: S603
                self.command,
                cwd=folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def run(self) -> None:
        """Let a worker take what is left."""
        assert self.start().wait(PATIENCE) == 0, self.logs

    @property
    def logs(self) -> str:
        """What workers have printed, and why jobs have fizzled."""
        texts = [log.read_text()[-3000:] for log in self.root.glob("worker-*/log")]
        for launch in self.launchpad.launches.find({"state": "FIZZLED"}):
            stored = (launch.get("action") or {}).get("stored_data", {})
            texts.append(str(stored.get("_exception", {}).get("_stacktrace")))
        return "\n".join(texts)

    def wait_for(self, kind: str, number: int) -> None:
        """Wait until a number of steps or materials is noted."""
        self.wait(lambda: sum(line.startswith(kind) for line in self.notes) >= number)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < deadline, self.logs
            time.sleep(0.02)

    def kill(self, signum: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the last worker; return how it ended."""
        self.workers[-1].send_signal(signum)
        return self.workers[-1].wait(PATIENCE)

    def lpad(self, *arguments: str) -> None:
        """Call FireWorks' own `lpad`."""
        launchpad = str(self.root / "config" / "my_launchpad.yaml")
        program = str(Path(sys.executable).with_name("lpad"))
        subprocess.run(  # noqa: S603
            [program, "-l", launchpad, *arguments],
            env=self.environment,
            cwd=self.root,
            check=True,
            capture_output=True,
        )

    def rerun_lost(self) -> None:
        """Have jobs run again whose workers have been silent for a second."""
        time.sleep(1.5)
        self.lpad("detect_lostruns", "--time", "1", "--rerun")

    def states(self) -> Counter[str]:
        """Count fireworks by their state."""
        return Counter(self.launchpad.fireworks.distinct("state"))

    def assert_undisturbed(self) -> None:
        """All jobs are done, and documents are those of a campaign without fault."""
        assert set(self.states()) == {"COMPLETED"}, self.logs
        contents, undisturbed = self.contents(), self.prepared.undisturbed
        energies = contents.pop("energies", None)
        assert contents == {kind: undisturbed[kind] for kind in contents}
        if energies is not None:
            assert energies == pytest.approx(undisturbed["energies"], abs=1e-3)
        ended = [line for line in self.notes if line.startswith("material")]
        assert len(set(ended)) == len(ended)

    def contents(self) -> dict[str, Any]:
        """What the documents of this campaign say."""
        store = self.database.job_store()
        store.connect()
        schemas: dict[str, type[TaskDoc]] = {
            "training": FineTuningDoc,
            "relaxation": RelaxationDoc,
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NEXTRUNG_ROOT", str(self.root))
            documents = [
                schemas[kind].model_validate(store.get_output(uuid, load=True))
                for kind, uuid in self.jobs.items()
            ]
            described = describe(*documents)
        store.close()  # type: ignore[no-untyped-call]
        return described


@pytest.fixture
def submit(
    database: Database, launchpad: LaunchPad, prepared: Prepared, tmp_path: Path
) -> Iterator[Callable[..., Campaign]]:
    """Put a campaign of some of the kinds ``training`` and ``relaxation`` up."""
    work: list[Campaign] = []

    def put_up(*kinds: str) -> Campaign:
        database.write_configuration(tmp_path / "config")
        shutil.copytree(prepared.root / "artifacts", tmp_path / "artifacts")
        make = {"training": make_training, "relaxation": make_relaxation}
        jobs = {kind: make[kind](prepared.dataset, prepared.source) for kind in kinds}
        launchpad.add_wf(flow_to_workflow(Flow(list(jobs.values()))))
        uuids = {kind: job.uuid for kind, job in jobs.items()}
        campaign = Campaign(tmp_path, launchpad, database, prepared, uuids)
        work.append(campaign)
        return campaign

    yield put_up
    for campaign in work:
        for worker in campaign.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
