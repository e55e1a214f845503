"""Crews of processes, and what structures can do to them.

Krypton exits the process that is asked about it, and xenon raises there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import DEADLY, LennardJonesPotential

from nextrung.potentials.registry import load_potential
from nextrung.potentials.relaxation import worker_pool
from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.worker_pool import WorkerPool, single_threaded
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.interface import BatchPrediction

SETTINGS = RelaxationSettings(max_steps=20)


class DeadlyOnce(LennardJonesPotential):
    """Krypton kills the first process, as when others had used the memory up."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self._mark = mark

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict, with all atoms alike from the second time on."""
        if DEADLY in crystals.atomic_numbers and not self._mark.exists():
            self._mark.touch()
            os._exit(9)
        crystals.atomic_numbers[crystals.atomic_numbers == DEADLY] = 29
        return super().predict_batch(crystals, properties)


class Endless(LennardJonesPotential):
    """Krypton is thought about for ever, by the process that says so."""

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict, unless there is krypton."""
        if DEADLY in crystals.atomic_numbers:
            print(os.getpid(), flush=True)  # noqa: T201 - a test listens
            time.sleep(1000)
        return super().predict_batch(crystals, properties)


@pytest.fixture(autouse=True)
def _find_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes find the tests."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def dimer(strain: float, species: str = "Cu") -> Structure:
    """Two atoms in a strained cell."""
    lattice = Lattice.cubic(2.9 + strain)
    return Structure(lattice, [species] * 2, [[0, 0, 0], [0.4, 0.5, 0.45]])


def work(
    load: Callable[[], LennardJonesPotential],
    structures: list[Structure],
    *,
    n_workers: int = 2,
    timeout: float = 1000,
) -> list[RelaxationRecord]:
    """Let a crew relax structures, each told of once."""
    with WorkerPool(load, structures, SETTINGS, timeout=timeout) as pool:
        pool.start(n_workers)
        ends = list(pool.work())
    assert sorted(index for index, _ in ends) == list(range(len(structures)))
    return [record for _, record in sorted(ends, key=lambda end: end[0])]


def test_structures_that_kill_their_process_take_no_other_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    structures = [dimer(0.0, "Kr"), dimer(0.1), dimer(0.0, "Xe")]

    by_krypton, healthy, by_xenon = work(LennardJonesPotential, structures)

    assert [healthy] == relax(LennardJonesPotential(), structures[1:2], SETTINGS)
    assert by_krypton.status == by_xenon.status == "error"
    assert by_krypton.error == "the process that relaxed it died with exit code 9"
    assert by_xenon.error is not None
    assert by_xenon.error.endswith("died with exit code 1: never seen xenon")


def test_many_suspects_are_halved_until_they_are_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of five in flight, the one that kills is found by three processes or four."""
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    monkeypatch.setattr(worker_pool, "SERIAL_LIMIT", 2)
    structures = [dimer(0.01 * index) for index in range(5)]
    structures[3] = dimer(0.0, "Kr")

    records = work(LennardJonesPotential, structures, n_workers=1)

    assert [record.status == "error" for record in records] == [
        index == 3 for index in range(5)
    ]


def test_a_structure_may_kill_one_process_by_itself(tmp_path: Path) -> None:
    """The next may have more memory to itself."""
    (record,) = work(
        partial(DeadlyOnce, tmp_path / "mark"), [dimer(0.0, "Kr")], n_workers=1
    )

    (as_copper,) = relax(LennardJonesPotential(), [dimer(0.0)], SETTINGS)
    assert (record.energy, record.n_steps) == (as_copper.energy, as_copper.n_steps)


def test_a_structure_that_never_ends_costs_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    started = time.monotonic()

    endless, healthy = work(
        Endless, [dimer(0.0, "Kr"), dimer(0.1)], n_workers=1, timeout=3
    )

    assert healthy.energy is not None
    assert endless.error is not None
    assert endless.error.endswith("exit code -9: nothing ended in 3 s")
    assert time.monotonic() - started < 60


def test_processes_that_die_one_after_another_end_it_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of all structures would take days to show one by one."""
    monkeypatch.setattr(worker_pool, "MAX_DEATHS", 0)

    with pytest.raises(RuntimeError, match=r"1 processes died .* exit code 9"):
        work(LennardJonesPotential, [dimer(0.0, "Kr")] * 2)


def test_a_potential_that_cannot_be_loaded_is_the_error_it_is() -> None:
    load = partial(load_potential, "no-such-model", "cpu")

    with pytest.raises(InputError, match="no-such-model"):
        work(load, [dimer(0.0)] * 2)  # type: ignore[arg-type]


def test_a_process_that_dies_at_the_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit code 7 before it had loaded"):
        work(partial(os._exit, 7), [dimer(0.0)] * 2)


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "relax.py"
    script.write_text(_SCRIPT)
    parent = subprocess.Popen(  # noqa: S603
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    child = Path("/proc", parent.stdout.readline().strip(), "stat")
    runs = child.exists()
    parent.kill()
    parent.communicate()

    deadline = time.monotonic() + 10
    while runs and time.monotonic() < deadline:
        time.sleep(0.1)
        runs = child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z"

    assert not runs
    assert time.monotonic() < deadline


#: A script that has a process, which is busy for ever once it has said so.
_SCRIPT = """
from tests.potentials.relaxation.test_worker_pool import SETTINGS, Endless, dimer
from nextrung.potentials.relaxation.worker_pool import Crew

if __name__ == "__main__":
    with Crew(Endless, [dimer(0.0, "Kr")], SETTINGS, timeout=1000) as crew:
        crew.hire(1)
        list(crew.work())
"""


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    with single_threaded():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"

    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ
