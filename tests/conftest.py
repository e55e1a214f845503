"""Fixtures that several shelves share."""

from __future__ import annotations

import os
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobflow import JobStore
from maggma.stores import GridFSStore, MemoryStore, MongoStore
from pymongo import MongoClient

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def job_store() -> JobStore:
    """A connected job store in memory, with the additional store ``data``."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    return store


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real DFT data, ``$NEXTRUNG_DATA``; tests skip without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEXTRUNG_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set NEXTRUNG_DATA")
    return folder


@pytest.fixture(scope="session")
def mongod_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a MongoDB server of this test session; tests skip without mongod."""
    if find_spec("fiftyone") is None:
        pytest.skip("no mongod: install the extra `mongo`")
    (package,) = find_spec("fiftyone").submodule_search_locations  # type: ignore[union-attr, misc]
    binary = Path(package) / "db" / "bin" / "mongod"
    binary.chmod(0o755)
    folder = tmp_path_factory.mktemp("mongod")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = ["--dbpath", str(folder), "--bind_ip", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(  # noqa: S603
        [binary, *options, "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"],
        stdout=subprocess.DEVNULL,
    )
    client: MongoClient[dict[str, object]]
    with MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=60_000) as client:
        client.admin.command("ping")
    yield port
    server.terminate()
    server.wait()


@pytest.fixture
def mongo_store(mongod_port: int) -> Iterator[JobStore]:
    """A job store as on a cluster: documents in MongoDB, arrays in GridFS."""
    where = {"database": "nextrung_test", "host": "127.0.0.1", "port": mongod_port}
    store = JobStore(
        MongoStore(collection_name="outputs", **where),
        additional_stores={"data": GridFSStore(collection_name="blobs", **where)},
    )
    store.connect()
    yield store
    client: MongoClient[dict[str, object]]
    with MongoClient("127.0.0.1", mongod_port) as client:
        client.drop_database("nextrung_test")
    store.close()  # type: ignore[no-untyped-call]
