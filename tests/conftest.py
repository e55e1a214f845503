"""Fixtures that several shelves share."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore
from tests.calculations import (
    recorded_calculation,
    recorded_silicon,
    vasp_script,
)
from tests.gpaw_calculations import gpaw, gpaw_script
from tests.services import database, launchpad, mongo_store, mongod
from tests.slurm import slurm
from tests.vasp_files import outcar, vasprun

from nextrung.adapters.files.locks import hold_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "database",
    "gpaw",
    "gpaw_script",
    "launchpad",
    "mongo_store",
    "mongod",
    "outcar",
    "recorded_calculation",
    "recorded_silicon",
    "slurm",
    "vasp_script",
    "vasprun",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files with slow tests first, so that no process runs one last."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Hear Ctrl-C, which processes that a shell puts in the background do not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def clean_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail where tests leave files in the checkout; caches of tools are hidden."""
    root = Path(__file__).parents[1]
    before = {path.name for path in root.iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEXTRUNG_ROOT", str(tmp_path_factory.mktemp("root")))
        yield
    after = {path.name for path in root.iterdir() if not path.name.startswith(".")}
    assert after <= before


@pytest.fixture(scope="session")
def make_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Make a folder by its name, once for all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, filled = base / name, base / f"{name}.filled"
        with hold_lock(base / f"{name}.lock"):
            if not filled.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                filled.touch()
        return folder

    return make


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
