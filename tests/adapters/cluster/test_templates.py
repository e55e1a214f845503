from __future__ import annotations

import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nextrung.adapters.cluster.config_files import read_machine, read_workers
from nextrung.adapters.cluster.templates import (
    PLACEHOLDER,
    TEMPLATES,
    write_configuration,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Cluster, Site

if TYPE_CHECKING:
    from pathlib import Path

#: Time in ms for which the server may be down without harm.
OUTAGE = 600_000

#: Characters that mean something to YAML, to shells or to URIs.
PASSWORD = 'p@ss:w/rd%#"{$x} \\ü'


def site_of(folder: Path) -> Site:
    return Site(
        host="mongo.example.org",
        port=27018,
        database="oxides",
        launchpad_database="oxides_launchpad",
        auth_database="people",
        user="someone",
        config=str(folder),
        root="/scratch/nextrung",
        data="/data",
        environment="/opt/env",
        cpu_partition="standard",
        gpu_partition="a100",
        account="proj-1",
        gpus=4,
        cpus=16,
    )


def read_all(folder: Path) -> dict[str, Any]:
    """Every YAML file of a folder, read."""
    return {
        str(file.relative_to(folder)): yaml.safe_load(file.read_text())
        for file in folder.rglob("*.yaml")
    }


@pytest.mark.parametrize("cluster", Cluster)
def test_all_placeholders_are_filled_in(cluster: Cluster, tmp_path: Path) -> None:
    written = write_configuration(
        tmp_path, cluster, site_of(tmp_path), password=PASSWORD
    )

    templates = TEMPLATES / cluster
    expected = {str(file.relative_to(templates)) for file in templates.rglob("*.*")}
    found = {str(file.relative_to(tmp_path)) for file in written}
    assert found == expected | {".env"}
    assert not any(PLACEHOLDER.search(file.read_text()) for file in written)


@pytest.mark.parametrize("cluster", Cluster)
def test_store_and_launchpad_use_the_same_server(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, cluster, site_of(tmp_path), password=PASSWORD)

    files = read_all(tmp_path)
    launchpad, stores = files["my_launchpad.yaml"], files["jobflow.yaml"]["JOB_STORE"]
    docs, data = stores["docs_store"], stores["additional_stores"]["data"]
    for place in (launchpad, docs, data):
        assert (place["host"], place["port"]) == ("mongo.example.org", 27018)
        assert (place["username"], place["password"]) == ("someone", PASSWORD)
        assert place["mongoclient_kwargs"]["journal"] is True
        assert place["mongoclient_kwargs"]["serverSelectionTimeoutMS"] >= OUTAGE
    assert docs["database"] == data["database"] == "oxides"
    assert launchpad["name"] == "oxides_launchpad"
    assert launchpad["authsource"] == docs["auth_source"] == "people"
    assert data["auth_source"] == "people"
    assert list(stores["additional_stores"]) == ["data"]


@pytest.mark.parametrize("cluster", Cluster)
def test_only_the_owner_can_read_files_with_the_password(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, cluster, site_of(tmp_path), password=PASSWORD)

    for file in tmp_path.rglob("*"):
        if file.is_file():
            holds = "rd%#" in file.read_text()
            assert holds == (stat.S_IMODE(file.stat().st_mode) == 0o600)


def test_existing_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "machine.yaml").write_text("mine")

    first = write_configuration(
        tmp_path, Cluster.SLURM, site_of(tmp_path), password="a"
    )
    second = write_configuration(
        tmp_path, Cluster.SLURM, site_of(tmp_path), password="b"
    )

    assert (tmp_path / "machine.yaml").read_text() == "mine"
    assert tmp_path / "my_launchpad.yaml" in first
    assert second == []


@pytest.mark.parametrize("cluster", Cluster)
def test_workers_pull_every_category_that_jobs_have(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, cluster, site_of(tmp_path), password=PASSWORD)

    pulled = {name for names in read_workers(tmp_path).values() for name in names}
    assert {"cpu", "gpu"} <= pulled == set(read_machine(tmp_path).categories)


def test_a_worker_of_a_whole_node_sees_all_gpus(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    write_configuration(tmp_path, Cluster.SLURM, site, password=PASSWORD)

    node = read_all(tmp_path)["node/my_qadapter.yaml"]
    assert (node["ntasks"], node["gres"], node["cpus_per_task"]) == (1, "gpu:4", 64)
    assert "--ntasks=1 --gpus-per-task=4 rlaunch" in node["rocket_launch"]
    assert read_machine(tmp_path).categories["node"].gpus == 4


def test_pilots_bind_one_gpu_to_each_process_and_end_before_their_walltime(
    tmp_path: Path,
) -> None:
    write_configuration(tmp_path, Cluster.SLURM, site_of(tmp_path), password=PASSWORD)

    gpu = read_all(tmp_path)["gpu/my_qadapter.yaml"]
    assert (gpu["queue"], gpu["account"]) == ("a100", "proj-1")
    assert (gpu["ntasks"], gpu["gres"], gpu["cpus_per_task"]) == (4, "gpu:4", 16)
    assert gpu["rocket_launch"].startswith("srun --ntasks=4 --gpus-per-task=1 rlaunch")
    hours = int(gpu["walltime"].partition(":")[0])
    timeout = gpu["rocket_launch"].partition("--timeout ")[2].split()[0]
    assert int(timeout) < 3600 * hours
    for adapter in ("cpu/my", "gpu/my", "node/my", "cpu/reserved", "gpu/reserved"):
        settings = read_all(tmp_path)[f"{adapter}_qadapter.yaml"]
        assert settings["signal"].startswith("INT@")
        assert settings["rocket_launch"].startswith("srun ")


@pytest.mark.parametrize("cluster", Cluster)
def test_the_environment_gives_each_process_one_thread(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, cluster, site_of(tmp_path), password=PASSWORD)

    command = f"source {tmp_path}/env.sh && env"
    shown = subprocess.run(  # noqa: S603
        ["/bin/bash", "-euc", command], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "OMP_NUM_THREADS=1" in shown
    assert f"JOBFLOW_CONFIG_FILE={tmp_path}/jobflow.yaml" in shown
    assert f"NEXTRUNG_CONFIG={tmp_path}" in shown
    assert "NEXTRUNG_ROOT=/scratch/nextrung" in shown


@pytest.mark.parametrize("name", ["my_launchpad", "jobflow", "FW_config"])
def test_common_settings_are_equal_on_every_cluster(name: str) -> None:
    first, second = (
        TEMPLATES.joinpath(cluster, f"{name}.yaml").read_text() for cluster in Cluster
    )

    assert first == second


@pytest.mark.parametrize("password", ["", "it's", "two\nlines"])
def test_a_password_with_invalid_characters_is_rejected(
    password: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="expected a password of printable"):
        write_configuration(
            tmp_path, Cluster.SLURM, site_of(tmp_path), password=password
        )
    assert list(tmp_path.iterdir()) == []


def test_the_error_of_a_folder_that_cannot_be_created_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="expected a folder that can be created, got"):
        write_configuration(
            tmp_path / "file", Cluster.SLURM, site_of(tmp_path), password="a"
        )
