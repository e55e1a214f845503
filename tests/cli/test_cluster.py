"""Studies on a LaunchPad, as a person submits them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.cli.test_study import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireworks import LaunchPad
    from tests.cli.conftest import Finished
    from tests.services import Database

    Call = Callable[..., Finished]


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A study file."""
    file = tmp_path / "quick.yaml"
    file.write_text(yaml.safe_dump(QUICK))
    return file


@pytest.fixture
def config(database: Database, launchpad: LaunchPad, tmp_path: Path) -> Path:
    """A configuration folder of a prepared LaunchPad."""
    assert launchpad.name == database.name
    return database.write_configuration(tmp_path / "config")


@pytest.mark.mongo
def test_submit_says_what_went_where(call: Call, quick: Path, config: Path) -> None:
    ended = call("submit", quick, "-c", config)

    assert ended.code == 0
    assert ended.output == (
        "study quick is workflow 1: 9 jobs before fan-out (4 cpu, 5 gpu)\n"
    )


@pytest.mark.mongo
def test_the_configuration_folder_comes_from_the_environment(
    call: Call, quick: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_CONFIG", str(config))

    assert call("submit", quick).code == 0


@pytest.mark.mongo
def test_an_active_study_is_named_and_not_submitted_again(
    call: Call, quick: Path, config: Path, launchpad: LaunchPad
) -> None:
    call("submit", quick, "-c", config)
    again = call("submit", quick, "-c", config)

    assert again.code == 0
    assert again.output == (
        "study quick is already workflow 1, READY, 0 of 9 jobs done\n"
    )
    assert launchpad.workflows.count_documents({}) == 1

    launchpad.archive_wf(1)
    assert "is workflow 10" in call("submit", quick, "-c", config).output


@pytest.mark.mongo
def test_a_study_with_a_failed_job_is_rerun_and_not_submitted_again(
    call: Call, quick: Path, config: Path, launchpad: LaunchPad
) -> None:
    call("submit", quick, "-c", config)
    launchpad.workflows.update_one({}, {"$set": {"state": "FIZZLED"}})

    again = call("submit", quick, "-c", config)

    assert again.output.endswith(
        "FIZZLED, 0 of 9 jobs done: `lpad rerun_fws -q "
        """'{"spec.study": "quick", "state": "FIZZLED"}'`\n"""
    )


@pytest.mark.mongo
def test_a_study_submitted_twice_at_one_instant_is_one_workflow(
    quick: Path, config: Path, launchpad: LaunchPad
) -> None:
    code = (
        "import sys; from nextrung.cli import main; import nextrung.makers.submission; "
        "import fireworks; print('ready', flush=True); sys.stdin.readline(); "
        f"sys.argv = ['nextrung', 'submit', {str(quick)!r}, '-c', {str(config)!r}]; "
        "main()"
    )
    processes = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate()[0] for process in processes]

    assert launchpad.workflows.count_documents({}) == 1
    assert sorted("is already workflow 1, READY" in line for line in printed) == [
        False,
        True,
    ]


@pytest.fixture
def finished(
    call: Call,
    quick: Path,
    config: Path,
    launchpad: LaunchPad,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The run folder of a study that ran as a workflow in this process."""
    root = quick.parent / "run"
    root.mkdir()
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(config / "jobflow.yaml"))
    monkeypatch.setenv("NEXTRUNG_ROOT", str(root))
    monkeypatch.chdir(root)
    call("submit", quick, "-c", config, root=str(root))
    worker = Path(sys.executable).parent / "rlaunch"
    file = config / "my_launchpad.yaml"
    subprocess.run([worker, "-l", file, "rapidfire"], check=True)  # noqa: S603
    assert launchpad.workflows.distinct("state") == ["COMPLETED"]
    return root


@pytest.mark.mongo
def test_a_finished_study_is_named_with_its_results(
    call: Call, quick: Path, config: Path, finished: Path, launchpad: LaunchPad
) -> None:
    again = call("submit", quick, "-c", config, root=str(finished))

    assert again.output == (
        "study quick is finished: workflow 1, 9 jobs done: `nextrung results quick`; "
        "to compute a stage again: --recompute STAGE\n"
    )
    assert launchpad.workflows.count_documents({}) == 1

    more = call(
        *("submit", quick, "-c", config, "--recompute", "evaluation"),
        root=str(finished),
    )

    assert "study quick is workflow 10" in more.output
    marked = launchpad.fireworks.find({"spec.recompute": {"$exists": True}})
    names = {job["name"] for job in marked}
    assert names == {"evaluate source", "evaluate source_residual", "gather results"}


@pytest.mark.mongo
def test_a_finished_study_whose_files_are_lost_is_submitted_again(
    call: Call, quick: Path, config: Path, finished: Path
) -> None:
    for file in finished.glob("artifacts/checkpoints/*"):
        file.unlink()

    again = call("submit", quick, "-c", config, root=str(finished))

    assert "study quick is workflow 10" in again.output
    assert "; artifact missing: expected a file at" in again.output


@pytest.mark.mongo
def test_every_job_has_the_priority_that_was_asked_for(
    call: Call, quick: Path, config: Path, launchpad: LaunchPad
) -> None:
    assert call("submit", quick, "-c", config, "--priority", 7).code == 0

    assert set(launchpad.fireworks.distinct("spec._priority")) == {7}
    assert launchpad.fireworks.count_documents({"spec._priority": 7}) == 9


@pytest.mark.mongo
def test_the_same_study_with_other_settings_is_submitted_and_says_so(
    call: Call, quick: Path, config: Path
) -> None:
    call("submit", quick, "-c", config)
    other = call("submit", quick, "-c", config, "--set", "source=chgnet-r2scan")

    assert other.output.endswith("; active with other settings: workflow 1\n")


@pytest.mark.mongo
def test_labels_and_routes_reach_the_launchpad(
    call: Call, quick: Path, config: Path, launchpad: LaunchPad
) -> None:
    (config / "machine.yaml").write_text(
        "categories: {cpu: {}, gpu: {gpus: 1, walltime: '1:00:00'}}"
    )

    call("submit", quick, "-c", config, "--label", "project=oxides")

    (stored,) = launchpad.workflows.find({"metadata.labels.project": "oxides"})
    assert stored["metadata"]["study"] == "quick"
    evaluated = launchpad.fireworks.find_one({"name": "evaluate source"})
    assert evaluated["spec"]["_category"] == "gpu"
    assert evaluated["spec"]["_queueadapter"] == {
        "gres": "gpu:1",
        "walltime": "1:00:00",
    }


@pytest.mark.parametrize("label", ["project", "a.b=c", "$a=b", "=c"])
def test_labels_that_cannot_be_stored_are_refused(
    call: Call, quick: Path, tmp_path: Path, label: str
) -> None:
    (tmp_path / "my_launchpad.yaml").touch()

    ended = call("submit", quick, "-c", tmp_path, "--label", label)

    assert ended.code == 2
    assert "--label: expected KEY=VALUE" in ended.errors


def test_submit_without_configuration_is_one_line_and_exit_code_2(
    call: Call, quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEXTRUNG_CONFIG", raising=False)

    ended = call("submit", quick)

    assert ended.code == 2
    assert ended.errors.startswith("nextrung: expected -c DIR or $NEXTRUNG_CONFIG")
    assert ended.errors.count("\n") == 1


def test_a_path_that_workers_would_not_find_is_refused(
    call: Call, quick: Path, tmp_path: Path
) -> None:
    (tmp_path / "my_launchpad.yaml").touch()

    ended = call("submit", quick, "-c", tmp_path, "--set", "source=models/a.pth.tar")

    assert ended.code == 2
    assert "source: expected a path that workers find" in ended.errors
