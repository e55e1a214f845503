"""Pools of processes that crash, hang and finish; krypton exits its process."""

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
from tests.potentials.lennard_jones import EXITING, LennardJonesPotential

from nextrung.potentials.registry import load_potential
from nextrung.potentials.relaxation import restart, worker_pool
from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.parallel import (
    relax_in_isolation,
    relax_in_processes,
)
from nextrung.potentials.relaxation.restart import RestartPoint, Restarts
from nextrung.potentials.relaxation.worker_pool import WorkerPool, _single_threaded
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.interface import BatchPrediction


SETTINGS = RelaxationSettings(max_steps=20)


class ExitingOnce(LennardJonesPotential):
    """Krypton exits the first process only, as when memory was short."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        self._mark = mark

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict, from the second call on krypton as copper."""
        if EXITING in crystals.atomic_numbers and not self._mark.exists():
            self._mark.touch()
            os._exit(9)
        crystals.atomic_numbers[crystals.atomic_numbers == EXITING] = 29
        return super().predict_batch(crystals, properties)


class Endless(LennardJonesPotential):
    """Krypton takes for ever, in a process that prints its id."""

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict, unless there is krypton."""
        if EXITING in crystals.atomic_numbers:
            print(os.getpid(), flush=True)  # noqa: T201 - a test reads it
            time.sleep(1000)
        return super().predict_batch(crystals, properties)


class SavingOften(LennardJonesPotential):
    """Restart points of its process are saved after every step."""

    def __init__(self) -> None:
        super().__init__()
        restart.RESTART_INTERVAL = 0.0  # type: ignore[misc] # in the child process


@pytest.fixture(autouse=True)
def _find_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tests on the path of the processes."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3])


def dimer(strain: float, species: str = "Cu") -> Structure:
    """Two atoms in a strained cell."""
    lattice = Lattice.cubic(2.9 + strain)
    return Structure(lattice, [species] * 2, [[0, 0, 0], [0.4, 0.5, 0.45]])


def run_pool(
    load: Callable[[], LennardJonesPotential],
    structures: list[Structure],
    *,
    n_workers: int = 2,
    timeout: float = 1000,
) -> list[RelaxationRecord]:
    """Relax structures in a pool, which yields each of them once."""
    with WorkerPool(load, structures, SETTINGS, timeout=timeout) as pool:
        pool.start(n_workers)
        results = list(pool.results())
    assert sorted(index for index, _ in results) == list(range(len(structures)))
    return [record for _, record in sorted(results, key=lambda result: result[0])]


def test_a_structure_that_crashes_its_process_does_not_affect_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    structures = [dimer(0.0, "Kr"), dimer(0.1), dimer(0.0, "Xe")]

    krypton, copper, xenon = run_pool(LennardJonesPotential, structures)

    assert [copper] == relax(LennardJonesPotential(), structures[1:2], SETTINGS)
    assert krypton.status == xenon.status == "error"
    assert krypton.error == "the process that relaxed it died with exit code 9"
    assert xenon.error is not None
    assert xenon.error.endswith("died with exit code 1: unknown element Xe")


def test_many_unfinished_structures_are_retried_in_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of five in one batch, the one that crashes is found by three or four retries."""
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    monkeypatch.setattr(worker_pool, "SERIAL_LIMIT", 2)
    structures = [dimer(0.01 * index) for index in range(5)]
    structures[3] = dimer(0.0, "Kr")

    records = run_pool(LennardJonesPotential, structures, n_workers=1)

    assert [record.status == "error" for record in records] == [
        index == 3 for index in range(5)
    ]


def test_a_structure_is_retried_once_by_itself(tmp_path: Path) -> None:
    """Alone it may have enough memory."""
    (record,) = run_pool(
        partial(ExitingOnce, tmp_path / "mark"), [dimer(0.0, "Kr")], n_workers=1
    )

    (as_copper,) = relax(LennardJonesPotential(), [dimer(0.0)], SETTINGS)
    assert (record.energy, record.n_steps) == (as_copper.energy, as_copper.n_steps)


def test_a_structure_that_never_finishes_is_killed_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    started = time.monotonic()

    endless, other = run_pool(
        Endless, [dimer(0.0, "Kr"), dimer(0.1)], n_workers=1, timeout=3
    )

    assert other.energy is not None
    assert endless.error is not None
    assert endless.error.endswith("exit code -9: no result in 3 s")
    assert time.monotonic() - started < 60


def test_restart_points_do_not_extend_the_time_of_a_structure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that never finishes is killed, however often it is saved."""
    monkeypatch.setattr(worker_pool, "MAX_ATTEMPTS", 1)
    saved: list[int] = []
    settings = SETTINGS.model_copy(update={"max_steps": 10**6, "fmax": 1e-300})

    (endless,) = relax_in_isolation(
        SavingOften,
        [dimer(0.0)],
        settings,
        n_processes=1,
        timeout=3,
        restarts=Restarts({}, saved.extend),
    )

    assert endless.error is not None
    assert endless.error.endswith("exit code -9: no result in 3 s")
    assert len(saved) > 1
    assert set(saved) == {0}


def test_a_killed_pool_resumes_from_the_restart_points_of_its_processes() -> None:
    """No process starts from the initial structure again."""
    points: dict[int, RestartPoint] = {}
    settings = SETTINGS.model_copy(update={"max_steps": 40, "fmax": 1e-300})

    def kill(new: Mapping[int, RestartPoint]) -> None:
        points.update(new)
        if len(points) == 2 and min(p.n_steps for p in points.values()) > 20:
            raise SystemExit(143)

    structures = [dimer(0.0), dimer(0.1)]
    with pytest.raises(SystemExit):
        relax_in_isolation(
            SavingOften,
            structures,
            settings,
            n_processes=1,
            restarts=Restarts({}, kill),
        )
    n_before = min(point.n_steps for point in points.values())
    resumed: list[int] = []
    records = relax_in_isolation(
        SavingOften,
        structures,
        settings,
        n_processes=1,
        restarts=Restarts(
            points, lambda new: resumed.extend(p.n_steps for p in new.values())
        ),
    )

    assert min(resumed) >= n_before > 20
    assert records == relax(LennardJonesPotential(), structures, settings)


def test_many_crashes_one_after_another_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of all structures would take days one by one."""
    monkeypatch.setattr(worker_pool, "MAX_CRASHES", 0)

    with pytest.raises(RuntimeError, match=r"1 processes died .* exit code 9"):
        run_pool(LennardJonesPotential, [dimer(0.0, "Kr")] * 2)


def test_the_exception_of_loading_the_potential_is_raised() -> None:
    load = partial(load_potential, "no-such-model", "cpu")

    with pytest.raises(InputError, match="no-such-model"):
        run_pool(load, [dimer(0.0)] * 2)  # type: ignore[arg-type]


def test_a_process_that_exits_at_the_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit code 7 before it had loaded"):
        run_pool(partial(os._exit, 7), [dimer(0.0)] * 2)


def test_processes_exit_with_their_parent(tmp_path: Path) -> None:
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


#: A script that starts a process that prints its id and never finishes.
_SCRIPT = """
from tests.potentials.relaxation.test_worker_pool import SETTINGS, Endless, dimer
from nextrung.potentials.relaxation.restart import RestartPoint, Restarts
from nextrung.potentials.relaxation.worker_pool import WorkerPool

if __name__ == "__main__":
    with WorkerPool(Endless, [dimer(0.0, "Kr")], SETTINGS, timeout=1000) as pool:
        pool.start(1)
        list(pool.results())
"""


def test_the_environment_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    with _single_threaded():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"

    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(("n_structures", "n_processes"), [(20, 1), (15, 2), (0, 2)])
def test_few_structures_are_relaxed_in_this_process(
    n_structures: int, n_processes: int
) -> None:
    potential = LennardJonesPotential()
    structures = [dimer(0.001 * index) for index in range(n_structures)]
    settings = SETTINGS.model_copy(update={"max_steps": 0})

    records = relax_in_processes(
        lambda: potential, structures, settings, n_processes=n_processes
    )

    assert records == relax(potential, structures, settings)


def test_many_structures_are_relaxed_in_parallel() -> None:
    structures = [dimer(0.001 * index) for index in range(16)]
    got: list[int] = []

    records = relax_in_processes(
        LennardJonesPotential,
        structures,
        SETTINGS,
        n_processes=2,
        on_record=lambda index, _: got.append(index),
    )

    assert records == relax(LennardJonesPotential(), structures, SETTINGS)
    assert sorted(got) == list(range(16))


def test_an_isolated_structure_crashes_another_process_than_this_one() -> None:
    here = os.getpid()

    (record,) = relax_in_isolation(
        LennardJonesPotential, [dimer(0.0, "Kr")], SETTINGS, n_processes=4
    )

    assert record.error == "the process that relaxed it died with exit code 9"
    assert os.getpid() == here


def test_no_structures_start_no_process() -> None:
    assert relax_in_isolation(NotImplemented, [], SETTINGS, n_processes=4) == []
