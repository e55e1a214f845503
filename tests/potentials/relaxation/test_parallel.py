from __future__ import annotations

import os
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.parallel import (
    relax_in_isolation,
    relax_in_processes,
)
from nextrung.schemas.relaxation import RelaxationSettings

SETTINGS = RelaxationSettings(max_steps=20)


def dimer(strain: float, species: str = "Cu") -> Structure:
    """Two atoms in a strained cell."""
    lattice = Lattice.cubic(2.9 + strain)
    return Structure(lattice, [species] * 2, [[0, 0, 0], [0.4, 0.5, 0.45]])


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


def test_much_work_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
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


def test_a_single_structure_may_kill_another_process_in_place_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    here = os.getpid()

    (record,) = relax_in_isolation(
        LennardJonesPotential, [dimer(0.0, "Kr")], SETTINGS, n_processes=4
    )

    assert record.error == "the process that relaxed it died with exit code 9"
    assert os.getpid() == here


def test_nothing_starts_no_process() -> None:
    assert relax_in_isolation(NotImplemented, [], SETTINGS, n_processes=4) == []
