"""Real servers for tests: MongoDB with authentication."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import uuid
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fireworks import LaunchPad
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pymongo import MongoClient

if TYPE_CHECKING:
    from collections.abc import Iterator


def skip_or_fail(reason: str) -> None:
    """Skip the running test; fail it where every service has to be there."""
    if os.environ.get("CI") or os.environ.get("NEXTRUNG_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def find_mongod() -> Path | None:
    """Find the server's program: of the extra ``mongo``, or on the PATH."""
    if find_spec("fiftyone") is not None:
        for package in find_spec("fiftyone").submodule_search_locations or ():  # type: ignore[union-attr]
            binary = Path(package) / "db" / "bin" / "mongod"
            if binary.is_file():
                binary.chmod(0o755)
                return binary
    found = shutil.which("mongod")
    return Path(found) if found else None


def free_port() -> int:
    """Name a port nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@dataclass
class Mongod:
    """A MongoDB server with authentication that can be stopped and started again."""

    binary: Path
    folder: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    username: str = "researcher"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    server: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where clients connect, password included."""
        login = f"{self.username}:{self.password}"
        return f"mongodb://{login}@{self.host}:{self.port}/?authSource=admin"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        (self.folder / "db").mkdir(parents=True, exist_ok=True)
        where = ["--bind_ip", self.host, "--port", str(self.port), "--nounixsocket"]
        where += ["--wiredTigerCacheSizeGB", "0.25"]
        with (self.folder / "mongod.log").open("ab") as log:
            self.server = subprocess.Popen(  # noqa: S603
                [self.binary, "--auth", "--dbpath", str(self.folder / "db"), *where],
                stdout=log,
                start_new_session=True,
            )
        client: MongoClient[dict[str, Any]]
        with MongoClient(self.host, self.port, serverSelectionTimeoutMS=60_000) as (
            client
        ):
            client.admin.command("ping")

    def create_user(self) -> None:
        """Create the one user; a server without users lets its own machine do it."""
        client: MongoClient[dict[str, Any]]
        with MongoClient(self.host, self.port) as client:
            client.admin.command(
                "createUser", self.username, pwd=self.password, roles=["root"]
            )

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server, by default with everything written."""
        if self.server is not None:
            self.server.send_signal(how)
            self.server.wait()
            self.server = None

    def client(self) -> MongoClient[dict[str, Any]]:
        """Connect as the user; close it after use."""
        return MongoClient(self.uri, serverSelectionTimeoutMS=10_000)

    def database(self) -> Database:
        """Name a database that nothing uses."""
        return Database(self, f"nextrung_{uuid.uuid4().hex[:12]}")


@dataclass(frozen=True)
class Database:
    """A database of one test, for documents and the LaunchPad alike."""

    mongod: Mongod
    name: str

    @property
    def where(self) -> dict[str, Any]:
        """Arguments of a maggma store, its collection left out."""
        return {
            "database": self.name,
            "host": self.mongod.host,
            "port": self.mongod.port,
            "username": self.mongod.username,
            "password": self.mongod.password,
            "auth_source": "admin",
            "mongoclient_kwargs": {"journal": True},  # acknowledged means on disk
        }

    def job_store(self) -> JobStore:
        """Make a job store as on a cluster, not connected yet."""
        return JobStore(
            MongoStore(collection_name="outputs", **self.where),
            additional_stores={
                "data": GridFSStore(collection_name="blobs", **self.where)
            },
        )

    def launchpad(self) -> LaunchPad:
        """Connect to the LaunchPad of this database; close ``connection`` after use."""
        return LaunchPad(**self._launchpad_settings())

    def write_configuration(self, folder: Path) -> Path:
        """Write jobflow.yaml, my_launchpad.yaml and FW_config.yaml into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        stores = {
            "docs_store": {
                "type": "MongoStore",
                "collection_name": "outputs",
                **self.where,
            },
            "additional_stores": {
                "data": {
                    "type": "GridFSStore",
                    "collection_name": "blobs",
                    **self.where,
                }
            },
        }
        for name, content in (
            ("jobflow.yaml", {"JOB_STORE": stores}),
            ("my_launchpad.yaml", self._launchpad_settings()),
            ("FW_config.yaml", {"CONFIG_FILE_DIR": str(folder)}),
        ):
            (folder / name).write_text(yaml.safe_dump(content))
        return folder

    def drop(self) -> None:
        """Delete the database."""
        with self.mongod.client() as client:
            client.drop_database(self.name)

    def _launchpad_settings(self) -> dict[str, Any]:
        """Fields of my_launchpad.yaml."""
        return {
            "host": self.mongod.host,
            "port": self.mongod.port,
            "name": self.name,
            "username": self.mongod.username,
            "password": self.mongod.password,
            "authsource": "admin",
            "mongoclient_kwargs": {"journal": True},
            "logdir": None,
            "strm_lvl": "WARNING",
        }


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A MongoDB server with authentication; tests with it are marked ``mongo``."""
    binary = find_mongod()
    if binary is None:
        skip_or_fail("no mongod: install the extra `mongo`")
    server = Mongod(binary, tmp_path_factory.mktemp("mongod"))  # type: ignore[arg-type]
    server.start()
    server.create_user()
    yield server
    server.stop(how=signal.SIGKILL)


@pytest.fixture
def database(mongod: Mongod) -> Iterator[Database]:
    """A fresh database; a server that a test stopped is started again."""
    if mongod.server is None:
        mongod.start()
    database = mongod.database()
    yield database
    if mongod.server is None:
        mongod.start()
    database.drop()


@pytest.fixture
def mongo_store(database: Database) -> Iterator[JobStore]:
    """A connected job store as on a cluster: documents in MongoDB, arrays in GridFS."""
    store = database.job_store()
    store.connect()
    yield store
    store.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def launchpad(database: Database) -> Iterator[LaunchPad]:
    """An empty LaunchPad in the fresh database."""
    pad = database.launchpad()
    pad.reset("", require_password=False)
    yield pad
    pad.connection.close()
