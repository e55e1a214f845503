from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.parallel_relaxation import _one_thread, relax_in_processes
from nextrung.potentials.potential import load_potential
from nextrung.potentials.relaxation import relax
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import (
    RelaxationEngine,
    RelaxationRecord,
    RelaxationSettings,
)

SETTINGS = RelaxationSettings(max_steps=20)


def dimer(strain: float, species: str = "Cu") -> Structure:
    """Two atoms in a strained cell."""
    lattice = Lattice.cubic(2.9 + strain)
    return Structure(lattice, [species] * 2, [[0, 0, 0], [0.4, 0.5, 0.45]])


@pytest.fixture(autouse=True)
def _children_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.mark.parametrize("n_processes", [1, 2])
def test_processes_find_what_one_finds_in_the_order_of_the_structures(
    n_processes: int,
) -> None:
    structures = [dimer(0.05 * index) for index in range(6)]
    met: dict[int, RelaxationRecord] = {}

    records = relax_in_processes(
        LennardJonesPotential,
        structures,
        SETTINGS,
        n_processes=n_processes,
        on_record=met.__setitem__,
    )

    assert records == relax(LennardJonesPotential(), structures, SETTINGS)
    assert [met[index] for index in range(6)] == records


def test_a_structure_that_kills_its_process_takes_no_other_along() -> None:
    """Krypton exits the process that is asked about it, with code 9."""
    structures = [dimer(0.0), dimer(0.1), dimer(0.0, "Kr"), dimer(0.2)]

    records = relax_in_processes(
        LennardJonesPotential, structures, SETTINGS, n_processes=2
    )

    others = [structures[index] for index in (0, 1, 3)]
    expected = relax(LennardJonesPotential(), others, SETTINGS)
    assert [records[index] for index in (0, 1, 3)] == expected
    assert records[2].status == "error"
    assert records[2].error == ("the process that relaxed it died with exit code 9")


def test_a_potential_that_cannot_be_loaded_is_the_error_it_is() -> None:
    load = partial(load_potential, "no-such-model", "cpu")

    with pytest.raises(InputError, match="no-such-model"):
        relax_in_processes(load, [dimer(0.0)] * 2, SETTINGS, n_processes=2)


def test_a_process_that_dies_at_the_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="exit code 7 before it had loaded"):
        relax_in_processes(
            partial(os._exit, 7),
            [dimer(0.0)] * 2,
            SETTINGS,
            n_processes=2,
        )


def test_the_last_words_of_a_process_are_the_reason() -> None:
    """Xenon raises what no engine expects of a potential."""
    records = relax_in_processes(
        LennardJonesPotential,
        [dimer(0.0), dimer(0.0, "Xe")],
        SETTINGS.model_copy(update={"engine": RelaxationEngine.ASE}),
        n_processes=2,
    )

    assert not records[0].failed
    assert records[1].error is not None
    assert records[1].error.endswith("exit code 1: never seen xenon")


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    with _one_thread():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"

    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ
