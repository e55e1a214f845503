"""A whole study through a real LaunchPad, MongoDB and Slurm, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import bson
import pytest
import yaml
from tests.cli.test_study import QUICK

from nextrung.adapters.cluster.launchpad import open_launchpad
from nextrung.adapters.stores.job_store import open_store_file
from nextrung.cli.setup import PASSWORD_VARIABLE
from nextrung.makers.routing import kind_of
from nextrung.schemas.cluster.machine import GPU_JOBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Finished
    from tests.services import Database
    from tests.slurm import Slurm

    Call = Callable[..., Finished]

pytestmark = [pytest.mark.slow, pytest.mark.mongo]

#: Every kind of job, each of them for seconds.
TINY: dict[str, Any] = QUICK | {
    "name": "tiny",
    "models": ["source", "refitted_atom_refs"],
    "training": {"epochs": 1, "batch_size": 4, "gradient_points": 2},
    "relaxation": {"fmax": 0.3, "max_steps": 20, "materials_per_shard": 4},
    "stability": {},
    "density": {"n_crystals": 2, "relaxation": {"fmax": 0.3, "max_steps": 10}},
    "scaling_law": {"sizes": [4, 6], "fit_above": 0},
}

#: What the first jobs of the study ask for where each is a Slurm job of its own.
FIRST_JOBS = {"walltime": "0:07:00", "memory": "500M", "cpus": 2}

#: What no document of a LaunchPad may hold: structures, in the words of their fields.
STRUCTURES = (b"frac_coords", b"pymatgen.core", b"cart_coords", b"atomic_numbers")

#: Results that follow from relaxed structures.
RELAXED = {"stability", "density"}

#: Seconds the campaign may take on a slow machine.
PATIENCE = 600


class Campaign:
    """The tiny study, submitted and launched through Slurm."""

    def __init__(self, config: Path, slurm: Slurm, folder: Path) -> None:
        self.config = config
        self.slurm = slurm
        self.folder = folder

    def launch(self) -> None:
        """Keep a pilot job in each partition until every job has ended."""
        queues = [self._qlaunch(part) for part in ("cpu", "gpu")]
        end = time.monotonic() + PATIENCE
        try:
            while self.states() != {"COMPLETED"}:
                broken = {"FIZZLED", "DEFUSED"} & self.states()
                if broken or time.monotonic() > end:
                    pytest.fail(f"the campaign did not end: {self._logs()}")
                time.sleep(1)
        finally:
            for queue in queues:
                queue.terminate()
                queue.wait()
        self.slurm.wait_until_empty(60)

    def states(self) -> set[str]:
        """States of the fireworks."""
        launchpad = open_launchpad(self.config)
        with closing(launchpad.connection):
            return set(launchpad.fireworks.distinct("state"))

    def _qlaunch(self, part: str) -> subprocess.Popen[bytes]:
        """Submit pilot jobs, as the comment in my_qadapter.yaml says."""
        command = (
            f"source {self.config}/env.sh && exec qlaunch -c {self.config}/{part} "
            "-d 1 rapidfire -m 1"
        )
        with (self.folder / f"qlaunch_{part}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                ["/bin/bash", "-c", command],
                cwd=self.folder,
                env=self.slurm.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _logs(self) -> str:
        """What queues and pilots said last."""
        files = (*self.folder.glob("*.log"), *self.folder.rglob("*.error"))
        return "\n".join(f"{file.name}: {file.read_text()[-3000:]}" for file in files)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study file."""
    file = tmp_path_factory.mktemp("tiny") / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return file


@pytest.fixture
def config(
    call: Call, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """Set a cluster up: the options of `nextrung init` in, its folder out."""
    folder, server = tmp_path / "config", database.mongod
    monkeypatch.setenv(PASSWORD_VARIABLE, server.password)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(folder / "jobflow.yaml"))

    def init(*options: object) -> Path:
        where = ("--host", server.host, "--port", server.port)
        names = ("--user", server.username, "--database", database.name)
        root = ("--root", tmp_path / "artifacts")
        assert call("init", folder, *where, *names, *root, *options).code == 0
        hurry(folder)
        return folder

    yield init
    with server.client() as client:
        client.drop_database(f"{database.name}_launchpad")


def hurry(config: Path) -> None:
    """Look at queues every second: a test has no time to sleep."""
    file = config / "FW_config.yaml"
    settings = yaml.safe_load(file.read_text())
    sleeps = {"RAPIDFIRE_SLEEP_SECS": 1, "QUEUE_UPDATE_INTERVAL": 1}
    file.write_text(yaml.safe_dump(settings | sleeps))


@pytest.fixture
def campaign(
    call: Call,
    config: Callable[..., Path],
    study: Path,
    slurm: Slurm,
    tmp_path: Path,
) -> Iterator[Campaign]:
    """The submitted study on a cluster that `nextrung init` set up."""
    folder = config("--gpus", 2, "--cpus", 1)
    asked = dict.fromkeys(("dataset", "source"), FIRST_JOBS)
    (folder / "machine.yaml").write_text(yaml.safe_dump({"jobs": asked}))
    submitted = call("submit", study, "-c", folder, "--label", "project=tests")
    assert "study tiny is workflow 1" in submitted.output
    launches = tmp_path / "launches"
    launches.mkdir()
    yield Campaign(folder, slurm, launches)
    slurm.call("scancel", "--user", "root")


def in_environment(config: Path, command: str, **options: Any) -> str:  # noqa: ANN401
    """Call a command as a person does who has sourced env.sh; return what it said."""
    done = subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", f"source {config}/env.sh && {command}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **options,
    )
    said: str = done.stdout
    assert done.returncode == 0, said + done.stderr
    return said


def test_a_study_on_one_machine_is_run_by_its_one_worker(
    call: Call, config: Callable[..., Path], tmp_path: Path
) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text(yaml.safe_dump(QUICK))
    folder = config("--for", "one_machine")

    examined = in_environment(folder, "nextrung doctor", cwd=tmp_path)
    in_environment(folder, f"nextrung submit {quick}", cwd=tmp_path)
    in_environment(folder, "rlaunch -s rapidfire", cwd=tmp_path)
    listed = in_environment(
        folder, """lpad get_wflows -q '{"metadata.study": "quick"}'""", cwd=tmp_path
    )

    assert not any(line.startswith("fail") for line in examined.splitlines())
    assert json.loads(listed)["state"] == "COMPLETED"
    shown = json.loads(call("results", "quick", "--json").output)
    assert set(shown["models"]) == set(QUICK["models"])


@pytest.mark.slurm
def test_a_reserved_job_asks_the_queue_for_what_the_machine_file_says(
    campaign: Campaign,
) -> None:
    adapter = f"{campaign.config}/cpu/reserved_qadapter.yaml"
    call = f"qlaunch -r -c {campaign.config}/cpu -q {adapter} singleshot"
    environment = campaign.slurm.environment

    in_environment(campaign.config, call, cwd=campaign.folder, env=environment)
    campaign.slurm.wait_until_empty(PATIENCE)

    script = (campaign.folder / "FW_submit.script").read_text().splitlines()
    assert {
        "#SBATCH --time=0:07:00",
        "#SBATCH --mem=500M",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --partition=cpu",
    } <= set(script)
    launchpad = open_launchpad(campaign.config)
    with closing(launchpad.connection):
        (ran,) = launchpad.fireworks.find({"state": "COMPLETED"})
        launch = launchpad.launches.find_one({"fw_id": ran["fw_id"]})
    states = [entry["state"] for entry in launch["state_history"]]
    assert states == ["RESERVED", "RUNNING", "COMPLETED"]


@pytest.mark.slurm
def test_a_study_on_two_partitions_gives_the_numbers_of_one_machine(
    call: Call, campaign: Campaign, study: Path, database: Database, tmp_path: Path
) -> None:
    campaign.launch()

    progress = json.loads(
        call("status", "tiny", "-c", campaign.config, "--json").output
    )
    assert progress["state"] == "COMPLETED"
    assert progress["shards"]["n_done"] == progress["jobs"]["relaxation"]["COMPLETED"]
    assert progress["shards"]["materials_per_hour"] > 0
    shown = json.loads(call("results", "tiny", "--json").output)
    call("run", study, "--root", tmp_path / "here")
    expected = json.loads((tmp_path / "here" / "results.json").read_text())
    assert_close(shown, expected)
    assert_jobs_ran_where_they_belong(campaign.config)
    assert_launchpad_holds_no_secret_and_no_structure(database)


def assert_close(found: Any, expected: Any, where: str = "") -> None:  # noqa: ANN401
    """Compare two results; what was relaxed, to the last bits of float32."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_close(found[number], value, f"{where}.{number}")
    elif isinstance(expected, float) and RELAXED & set(where.split(".")):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4), where
    else:
        assert found == expected, where


def assert_jobs_ran_where_they_belong(config: Path) -> None:
    """Check partition and GPU in the documents, and the workers of all launches."""
    store = open_store_file(config / "jobflow.yaml")
    ran = {
        document["name"]: document["output"]["provenance"]
        for document in store.query({"output.provenance": {"$exists": True}})
    }
    store.close()  # type: ignore[no-untyped-call]
    assert sum(name.startswith("relax shard") for name in ran) >= 4
    for name, provenance in ran.items():
        needs_gpu = kind_of(name) in GPU_JOBS
        assert provenance["partition"] == ("gpu" if needs_gpu else "cpu"), name
        assert provenance["visible_gpus"] in ({"0", "1"} if needs_gpu else {None})
        assert int(provenance["queue_job"]) > 0
    launchpad = open_launchpad(config)
    with closing(launchpad.connection):
        for firework in launchpad.fireworks.find({}, ["name", "fw_id", "spec.study"]):
            launch = launchpad.launches.find_one({"fw_id": firework["fw_id"]})
            needs_gpu = kind_of(firework["name"]) in GPU_JOBS
            assert launch["fworker"]["name"] == ("gpu" if needs_gpu else "cpu")
            assert firework["spec"]["study"] == "tiny"
        labels = {"metadata.labels.project": "tests"}
        assert launchpad.workflows.count_documents(labels) == 1


def assert_launchpad_holds_no_secret_and_no_structure(database: Database) -> None:
    """Look for what must not be there in every document of the LaunchPad."""
    forbidden = (database.mongod.password.encode(), b"mongodb://", *STRUCTURES)
    environment = {
        value.encode()
        for name, value in os.environ.items()
        if name.endswith(("_TOKEN", "_KEY", "_SECRET")) and len(value) > 8
    }
    with database.mongod.client() as client:
        launchpad = client[f"{database.name}_launchpad"]
        names = launchpad.list_collection_names()
        assert {"fireworks", "launches", "workflows"} <= set(names)
        for name in names:
            for document in launchpad[name].find():
                stored = bson.encode(document)
                for word in (*forbidden, *environment):
                    assert word not in stored, f"{name}: {word!r}"
                assert len(stored) < 100_000, name
