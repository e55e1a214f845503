from __future__ import annotations

import json
from pathlib import Path

from nextrung.adapters.files.study_yaml import read_study
from nextrung.makers.study import StudyMaker
from nextrung.makers.submission import make_workflow
from nextrung.schemas.cluster.machine import Machine

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def test_metadata_name_study_flow_and_labels() -> None:
    settings = read_study(WORKFLOWS / "demo.yaml")

    workflow = make_workflow(settings, Machine(), {"project": "oxides"})

    assert workflow.metadata["study"] == "demo"
    assert workflow.metadata["flow"] == StudyMaker(settings).make().uuid
    assert len(workflow.metadata["fingerprint"]) == 64
    assert workflow.metadata["labels"] == {"project": "oxides"}
    assert {job.spec["labels"]["project"] for job in workflow.fws} == {"oxides"}
    assert {job.spec["study"] for job in workflow.fws} == {"demo"}


def test_the_same_settings_make_the_same_fingerprint_and_others_another() -> None:
    prints = [
        make_workflow(
            read_study(WORKFLOWS / "demo.yaml", changes), Machine(), {}
        ).metadata["fingerprint"]
        for changes in ((), (), ["training.epochs=11"])
    ]

    assert prints[0] == prints[1] != prints[2]


def test_the_largest_spec_of_the_papers_study_is_small() -> None:
    settings = read_study(WORKFLOWS / "mp_r2scan.yaml")
    machine = Machine.model_validate(
        {"categories": {"cpu": {"memory": "16G"}, "gpu": {"gpus": 1}}}
    )

    workflow = make_workflow(settings, machine, {"project": "oxides"})

    sizes = {job.name: len(json.dumps(job.to_db_dict())) for job in workflow.fws}
    assert max(sizes.values()) < 30_000, max(sizes, key=lambda name: sizes[name])


def test_no_spec_holds_a_store() -> None:
    workflow = make_workflow(read_study(WORKFLOWS / "demo.yaml"), Machine(), {})

    for job in workflow.fws:
        (task,) = job.to_db_dict()["spec"]["_tasks"]
        assert task["store"] is None
