from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from nextrung.schemas.cluster.checks import Finding, make_finding
from nextrung.schemas.cluster.machine import GPU_JOBS, JobRoutes, Machine, Site
from nextrung.schemas.cluster.progress import ShardProgress


def test_jobs_that_predict_or_train_go_to_the_gpu_and_all_others_to_the_cpu() -> None:
    machine = Machine()

    routes = {kind: machine.route(kind).category for kind in JobRoutes.model_fields}

    assert {kind for kind, category in routes.items() if category == "gpu"} == GPU_JOBS
    assert set(routes.values()) == {"cpu", "gpu"}


def test_resources_of_a_job_override_those_of_its_category() -> None:
    machine = Machine.model_validate(
        {
            "categories": {
                "cpu": {"cpus": 4},
                "gpu": {"walltime": "24:00:00", "gpus": 1},
            },
            "jobs": {"fine_tuning": {"walltime": "2-00:00:00", "memory": "64G"}},
        }
    )

    route = machine.route("fine_tuning")

    assert route.model_dump(exclude_none=True) == {
        "category": "gpu",
        "walltime": "2-00:00:00",
        "memory": "64G",
        "gpus": 1,
    }
    assert machine.route("stability").cpus == 4


def test_a_custom_category_can_have_any_kind_of_job() -> None:
    machine = Machine.model_validate(
        {
            "categories": {"cpu": {}, "gpu": {}, "large": {"memory": "500G"}},
            "jobs": {"dataset": {"category": "large"}},
        }
    )

    assert machine.route("dataset").memory == "500G"


def test_a_category_without_workers_is_rejected() -> None:
    with pytest.raises(ValidationError, match=r"jobs\.density: .* cpu, gpu, got gpus"):
        Machine.model_validate({"jobs": {"density": {"category": "gpus"}}})


@pytest.mark.parametrize(
    "resources", [{"walltime": "90"}, {"memory": "much"}, {"cpus": 0}, {"gpus": -1}]
)
def test_invalid_resources_are_rejected(
    resources: dict[str, object],
) -> None:
    with pytest.raises(ValidationError, match=next(iter(resources))):
        Machine.model_validate({"categories": {"cpu": resources, "gpu": {}}})


def test_an_unquoted_walltime_that_yaml_reads_as_seconds_is_converted() -> None:
    machine = Machine.model_validate(
        yaml.safe_load("categories: {cpu: {walltime: 24:00:30}, gpu: {}}")
    )

    assert machine.route("results").walltime == "24:00:30"


def test_paths_that_need_quotes_are_rejected() -> None:
    where = {"config": "/c", "data": "/d", "environment": "/e"}
    where["launchpad_database"] = "l"
    with pytest.raises(ValidationError, match="root"):
        Site(root="/my folder", **where)


def test_advice_of_a_finding_is_empty_by_default() -> None:
    assert make_finding("disk", "ok", "1 TB free").advice == ""  # type: ignore[arg-type]


def test_a_finding_has_one_of_three_levels() -> None:
    with pytest.raises(ValidationError, match="'ok', 'warn' or 'fail'"):
        Finding.model_validate({"subject": "disk", "level": "bad", "found": "full"})


def test_negative_counts_are_rejected() -> None:
    with pytest.raises(ValidationError, match="n_left"):
        ShardProgress(
            n_done=0,
            n_left=-1,
            n_materials=0,
            busy_hours=0,
            materials_per_hour=None,
            hours_left=None,
        )
