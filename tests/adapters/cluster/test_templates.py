from __future__ import annotations

import json
import re
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from nextrung.adapters.cluster.config_files import read_machine, read_workers
from nextrung.adapters.cluster.templates import (
    PLACEHOLDER,
    TEMPLATES,
    find_outdated,
    read_site,
    replace_configuration,
    write_configuration,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Cluster, Site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services import Database

#: Time in ms for which the server may be down without harm.
OUTAGE = 600_000

#: Characters that mean something to YAML, to shells or to URIs.
PASSWORD = 'p@ss:w/rd%#"{$x} \\ü'


def site_of(folder: Path, cluster: Cluster = Cluster.SLURM) -> Site:
    return Site(
        cluster=cluster,
        bind="10.0.0.7",
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
        tmp_path, site_of(tmp_path, cluster), password=PASSWORD
    )

    templates = TEMPLATES / cluster
    expected = {str(file.relative_to(templates)) for file in templates.rglob("*.*")}
    found = {str(file.relative_to(tmp_path)) for file in written}
    assert found == expected | {".env", "site.yaml"}
    assert not any(PLACEHOLDER.search(file.read_text()) for file in written)


@pytest.mark.parametrize("cluster", Cluster)
def test_store_and_launchpad_use_the_same_server(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, site_of(tmp_path, cluster), password=PASSWORD)

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
    write_configuration(tmp_path, site_of(tmp_path, cluster), password=PASSWORD)

    for file in tmp_path.rglob("*"):
        if file.is_file():
            holds = "rd%#" in file.read_text()
            assert holds == (stat.S_IMODE(file.stat().st_mode) == 0o600)


def test_existing_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "machine.yaml").write_text("mine")

    first = write_configuration(tmp_path, site_of(tmp_path), password="a")
    second = write_configuration(tmp_path, site_of(tmp_path), password="b")

    assert (tmp_path / "machine.yaml").read_text() == "mine"
    assert tmp_path / "my_launchpad.yaml" in first
    assert second == []


@pytest.mark.parametrize("cluster", Cluster)
def test_workers_pull_every_category_that_jobs_have(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, site_of(tmp_path, cluster), password=PASSWORD)

    pulled = {name for names in read_workers(tmp_path).values() for name in names}
    assert {"cpu", "gpu"} <= pulled == set(read_machine(tmp_path).categories)


def test_a_worker_of_a_whole_node_sees_all_gpus(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    write_configuration(tmp_path, site, password=PASSWORD)

    node = read_all(tmp_path)["node/my_qadapter.yaml"]
    assert (node["ntasks"], node["gres"], node["cpus_per_task"]) == (1, "gpu:4", 64)
    assert "--ntasks=1 --gpus-per-task=4 rlaunch" in node["rocket_launch"]
    assert read_machine(tmp_path).categories["node"].gpus == 4


def test_pilots_bind_one_gpu_to_each_process_and_end_before_their_walltime(
    tmp_path: Path,
) -> None:
    write_configuration(tmp_path, site_of(tmp_path), password=PASSWORD)

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
    write_configuration(tmp_path, site_of(tmp_path, cluster), password=PASSWORD)

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
        write_configuration(tmp_path, site_of(tmp_path), password=password)
    assert list(tmp_path.iterdir()) == []


def test_the_error_of_a_folder_that_cannot_be_created_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="expected a folder that can be created, got"):
        write_configuration(tmp_path / "file", site_of(tmp_path), password="a")


def test_other_values_replace_only_the_files_that_they_change(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    write_configuration(tmp_path, site, password=PASSWORD)
    (tmp_path / "machine.yaml").write_text("mine")
    administrator = (tmp_path / ".env").read_text().splitlines()[1]
    other = site.model_copy(update={"gpu_partition": "h100"})

    assert find_outdated(tmp_path, site, password=PASSWORD) == []
    replaced = replace_configuration(tmp_path, other, password="another")

    names = {str(file.relative_to(tmp_path)) for file in replaced}
    secret = {"my_launchpad.yaml", "jobflow.yaml", ".env"}
    workers = {f"gpu/{kind}" for kind in ("my_qadapter.yaml", "reserved_qadapter.yaml")}
    workers |= {f"{part}/my_fworker.yaml" for part in ("gpu", "node")}
    assert names == {*secret, *workers, "node/my_qadapter.yaml", "site.yaml"}
    assert read_site(tmp_path) == (other, "another")
    assert (tmp_path / "machine.yaml").read_text() == "mine"
    assert administrator in (tmp_path / ".env").read_text()
    for name in secret:
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("cluster", Cluster)
def test_the_server_listens_where_it_is_told_with_a_pinned_image(
    cluster: Cluster, tmp_path: Path
) -> None:
    write_configuration(tmp_path, site_of(tmp_path, cluster), password=PASSWORD)

    service = read_all(tmp_path)["docker-compose.yaml"]["services"]["mongodb"]
    assert service["ports"] == ["10.0.0.7:27018:27017"]
    assert re.fullmatch(r"mongo:\d+\.\d+\.\d+(@sha256:\w{64})?", service["image"])
    assert service["environment"]["MONGO_INITDB_ROOT_USERNAME"] != "someone"
    assert Site.model_fields["bind"].default == "127.0.0.1"


@pytest.mark.mongo
def test_the_user_of_workers_has_its_two_databases_alone(
    database: Database, tmp_path: Path
) -> None:
    """The roles of users.js are given to a user of a real server."""
    names = {"database": database.name, "launchpad_database": f"{database.name}_l"}
    site = site_of(tmp_path).model_copy(update=names)
    write_configuration(tmp_path, site, password=PASSWORD)
    written = (tmp_path / "users.js").read_text()
    roles = json.loads(written.partition("roles = ")[2].partition(";")[0])
    assert 'getSiblingDB("people").createUser(\n  {user: "someone"' in written

    with database.mongod.client() as client:
        people = client[database.name]
        people.command("createUser", "someone", pwd="secret", roles=roles)
        worker: MongoClient[dict[str, Any]] = MongoClient(
            database.mongod.host,
            database.mongod.port,
            username="someone",
            password="secret",
            authSource=database.name,
        )
        with worker:
            for name in names.values():
                worker[name].rows.insert_one({"a": 1})
            for action in (
                lambda: worker["other"].rows.insert_one({"a": 1}),
                lambda: worker[database.name].command("dropUser", "someone"),
                lambda: worker.admin.command("serverStatus"),
            ):
                with pytest.raises(OperationFailure, match="not authorized"):
                    action()
        people.command("dropUser", "someone")
        client.drop_database(names["launchpad_database"])
