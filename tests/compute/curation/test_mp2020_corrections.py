from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from monty.serialization import loadfn
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.mp2020_corrections import correct, find_mp2020_correction
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.trajectory import Trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def run(
    structure: Structure, energy: float = -14.0, us: Mapping[str, float] | None = None
) -> Trajectory:
    frames = Frames.from_structures([structure], functional="PBE")
    frames.energies[:] = energy
    return Trajectory(
        frames=frames,
        converged=np.array([True]),
        hubbard_u=max((us or {}).values(), default=0.0),
        plane_wave_cutoff=520,
        relaxed_energy=energy / len(structure),
        hubbard_us=us or {},
    )


def rock_salt(*symbols: str) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.3), symbols, [[0, 0, 0], [0.5] * 3]
    ).get_primitive_structure()


def test_an_oxide_with_u_gets_corrections_of_anion_and_metal() -> None:
    """Published: -0.687 eV per O and -2.256 eV per Fe, here one of two atoms each."""
    correction = find_mp2020_correction(run(rock_salt("Fe", "O"), us={"Fe": 5.3}))

    assert correction == pytest.approx((-0.687 - 2.256) / 2)


def test_a_chloride_without_u_gets_the_correction_of_its_anion() -> None:
    """Published: -0.614 eV per Cl."""
    assert find_mp2020_correction(run(rock_salt("Na", "Cl"))) == pytest.approx(-0.307)


def test_an_element_gets_no_correction() -> None:
    cell = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])

    assert find_mp2020_correction(run(cell)) == 0


@pytest.mark.parametrize("us", [{}, {"Fe": 4.0}])
def test_a_hubbard_u_unlike_the_materials_projects_is_not_corrected(
    us: dict[str, float],
) -> None:
    """An iron oxide has 5.3 eV there."""
    assert find_mp2020_correction(run(rock_salt("Fe", "O"), us=us)) is None


def test_a_hubbard_u_of_an_unknown_element_is_not_corrected() -> None:
    unknown = replace(run(rock_salt("Na", "Cl")), hubbard_u=np.inf)

    assert find_mp2020_correction(unknown) is None


def test_a_correction_is_added_to_all_energies_of_a_run() -> None:
    """Two atoms: 0.5 eV/atom are 1 eV."""
    moved = correct(run(rock_salt("Na", "Cl")), -0.5)

    assert moved.frames.energies.tolist() == [-15]
    assert moved.relaxed_energy == -7.5


def test_entries_of_the_materials_project_get_their_published_corrections(
    real_data: Path,
) -> None:
    """Computed entries of Li-Fe-O with structures; their corrections are MP2020's."""
    entries = loadfn(real_data / "mp-task-documents" / "Li-Fe-O.json.gz")
    checked = 0
    for entry in entries[::9]:
        us = {e: u for e, u in (entry.parameters.get("hubbards") or {}).items() if u}
        found = find_mp2020_correction(run(entry.structure, entry.energy, us))
        if entry.energy_adjustments and found is not None:
            expected = entry.correction / len(entry.structure)
            assert found == pytest.approx(expected, abs=1e-4), entry.entry_id
            checked += 1
    assert checked > 5
