from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials import parallel_relaxation
from nextrung.potentials.parallel_relaxation import _one_thread, relax_in_processes
from nextrung.potentials.potential import load_potential
from nextrung.potentials.relaxation import relax
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

SETTINGS = RelaxationSettings(max_steps=20)


def dimer(strain: float, species: str = "Cu") -> Structure:
    """Two atoms in a strained cell."""
    lattice = Lattice.cubic(2.9 + strain)
    return Structure(lattice, [species] * 2, [[0, 0, 0], [0.4, 0.5, 0.45]])


@pytest.fixture
def _two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes start even for single structures, and find the tests."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    monkeypatch.setattr(parallel_relaxation, "WORTHWHILE_SHARE", 1)


@pytest.mark.parametrize(("n_structures", "n_processes"), [(20, 1), (15, 2), (0, 2)])
def test_little_work_is_done_by_this_process(
    n_structures: int, n_processes: int
) -> None:
    potential = LennardJonesPotential()
    structures = [dimer(0.001 * index) for index in range(n_structures)]
    settings = SETTINGS.model_copy(update={"max_steps": 0})

    records = relax_in_processes(
        lambda: potential, structures, settings, n_processes=n_processes
    )

    assert records == relax(potential, structures, settings)


@pytest.mark.usefixtures("_two_processes")
def test_structures_that_kill_their_process_take_no_other_along() -> None:
    """Krypton exits the process that is asked about it; xenon raises there."""
    structures = [dimer(0.0, "Kr"), dimer(0.1), dimer(0.0, "Xe")]
    met: dict[int, RelaxationRecord] = {}

    records = relax_in_processes(
        LennardJonesPotential,
        structures,
        SETTINGS,
        n_processes=2,
        on_record=met.__setitem__,
    )

    by_krypton, healthy, by_xenon = records
    assert [healthy] == relax(LennardJonesPotential(), structures[1:2], SETTINGS)
    assert [met[index] for index in range(3)] == records
    assert by_krypton.status == by_xenon.status == "error"
    assert by_krypton.error == "the process that relaxed it died with exit code 9"
    assert by_xenon.error is not None
    assert by_xenon.error.endswith("died with exit code 1: never seen xenon")


@pytest.mark.usefixtures("_two_processes")
def test_processes_that_die_one_after_another_end_it_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of all structures would take days to show one by one."""
    monkeypatch.setattr(parallel_relaxation, "MAX_DEATHS", 0)

    with pytest.raises(RuntimeError, match=r"1 processes died .* exit code 9"):
        relax_in_processes(
            LennardJonesPotential, [dimer(0.0, "Kr")] * 2, SETTINGS, n_processes=2
        )


@pytest.mark.usefixtures("_two_processes")
def test_a_potential_that_cannot_be_loaded_is_the_error_it_is() -> None:
    load = partial(load_potential, "no-such-model", "cpu")

    with pytest.raises(InputError, match="no-such-model"):
        relax_in_processes(load, [dimer(0.0)] * 2, SETTINGS, n_processes=2)


@pytest.mark.usefixtures("_two_processes")
def test_a_process_that_dies_at_the_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit code 7 before it had loaded"):
        relax_in_processes(
            partial(os._exit, 7),
            [dimer(0.0)] * 2,
            SETTINGS,
            n_processes=2,
        )


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    with _one_thread():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"

    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ
