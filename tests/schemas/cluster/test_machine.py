from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from nextrung.schemas.cluster.machine import GPU_JOBS, JobRoutes, Machine, Site


def test_jobs_with_the_network_go_to_the_gpu_and_all_others_to_the_cpu() -> None:
    machine = Machine()

    routes = {kind: machine.route(kind).category for kind in JobRoutes.model_fields}

    assert {kind for kind, category in routes.items() if category == "gpu"} == GPU_JOBS
    assert set(routes.values()) == {"cpu", "gpu"}


def test_a_job_asks_for_what_its_category_asks_for_but_its_own_settings_win() -> None:
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


def test_a_category_of_the_user_takes_any_kind_of_job() -> None:
    machine = Machine.model_validate(
        {
            "categories": {"cpu": {}, "gpu": {}, "large": {"memory": "500G"}},
            "jobs": {"dataset": {"category": "large"}},
        }
    )

    assert machine.route("dataset").memory == "500G"


def test_a_category_without_workers_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"jobs\.density: .* cpu, gpu, got gpus"):
        Machine.model_validate({"jobs": {"density": {"category": "gpus"}}})


@pytest.mark.parametrize(
    "resources", [{"walltime": "90"}, {"memory": "much"}, {"cpus": 0}, {"gpus": -1}]
)
def test_resources_that_slurm_does_not_know_are_refused(
    resources: dict[str, object],
) -> None:
    with pytest.raises(ValidationError, match=next(iter(resources))):
        Machine.model_validate({"categories": {"cpu": resources, "gpu": {}}})


def test_an_unquoted_walltime_that_yaml_read_as_seconds_is_understood() -> None:
    machine = Machine.model_validate(
        yaml.safe_load("categories: {cpu: {walltime: 24:00:30}, gpu: {}}")
    )

    assert machine.route("results").walltime == "24:00:30"


def test_what_a_shell_would_take_apart_is_no_part_of_a_site() -> None:
    where = {"config": "/c", "data": "/d", "environment": "/e"}
    where["launchpad_database"] = "l"
    with pytest.raises(ValidationError, match="root"):
        Site(root="/my folder", **where)
