from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation.materials import (
    MaterialCollector,
    count_frames_by_element,
    list_elements,
    validate_elements,
    validate_unique_names,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from nextrung.schemas.labels.materials import Materials


def crystal(*elements: str, length: float = 4.0) -> Structure:
    return Structure(Lattice.cubic(length), elements, np.zeros((len(elements), 3)))


def run_of(name: str, structures: list[Structure], energies: list[float]) -> Trajectory:
    frames = Frames.from_structures(
        structures,
        [f"{name}#{index}" for index in range(len(structures))],
        functional="PBE",
    )
    frames.energies[:] = energies
    frames = replace(frames, material_ids=np.full(len(frames), name))
    converged = np.full(len(frames), fill_value=True)
    relaxed_energy = energies[-1] / len(structures[-1])
    return Trajectory(frames, converged, 0.0, np.nan, relaxed_energy)


def collect_materials(runs: list[Trajectory], kept: Frames) -> Materials:
    collector = MaterialCollector()
    for run in runs:
        collector.add([run])
    return collector.collect(dict.fromkeys(kept.material_ids.tolist(), "train"))


def test_frames_are_counted_once_per_element() -> None:
    frames = Frames.from_structures(
        [crystal("O", "O", "Li"), crystal("O"), crystal("H")]
    )

    assert count_frames_by_element(frames) == {"H": 1, "Li": 1, "O": 2}


def test_elements_are_listed_by_material_in_order() -> None:
    frames = Frames.from_structures(
        [crystal("O", "O", "Li"), crystal("O"), crystal("O", "H")]
    )
    frames = replace(frames, material_ids=np.array(["b", "a", "b"]))

    elements = list_elements(frames)

    assert list(elements.items()) == [("b", {1, 3, 8}), ("a", {8})]


def test_initial_structures_carry_no_label() -> None:
    run = run_of("a", [crystal("H")], [-1])

    initial = collect_materials([run], run.frames).initial

    for labels in (initial.energies, initial.forces, initial.stresses):
        assert np.isnan(labels).all()
    assert initial.frame_ids.tolist() == ["a"]


def test_elements_beyond_plutonium_are_rejected_by_name() -> None:
    frames = Frames.from_structures([crystal("Pu"), crystal("O", "Cm")], ["a", "b"])

    with pytest.raises(InputError, match=r"frame b: expected .* got Cm \(Z = 96\)"):
        validate_elements(frames)


def test_plutonium_itself_passes() -> None:
    validate_elements(Frames.from_structures([crystal("Pu")]))


def test_two_frames_of_one_name_are_rejected() -> None:
    frames = Frames.from_structures([crystal("H")] * 3, ["a", "b", "b"])

    with pytest.raises(InputError, match="a name for every frame, got 'b' twice"):
        validate_unique_names(frames.frame_ids)


def test_materials_start_from_their_first_frame_and_end_at_the_relaxed() -> None:
    run = run_of("a", [crystal("H", length=n) for n in (5, 4, 3)], [-1, -2, -3])

    materials = collect_materials([run], run.frames[1:])

    assert materials.initial.material_ids.tolist() == ["a"]
    assert materials.initial.lattices[0, 0, 0] == 5
    assert materials.initial.splits.tolist() == ["train"]
    assert materials.initial.functional == "PBE"
    assert materials.energies.tolist() == [-3]


def test_consecutive_runs_are_one_relaxation() -> None:
    first = run_of("a", [crystal("H", length=5)], [-1])
    second = run_of("a", [crystal("H", length=4)], [-2])

    materials = collect_materials([first, second], second.frames)

    assert materials.initial.lattices[0, 0, 0] == 5
    assert materials.energies.tolist() == [-2]


def test_energies_are_for_the_atoms_of_the_initial_structure() -> None:
    """A relaxed supercell of four atoms at -8 eV is -4 eV for two atoms."""
    small = run_of("a", [crystal("H", "H")], [-3])
    large = run_of("a", [crystal("H", "H", "H", "H")], [-8])

    materials = collect_materials([small, large], small.frames)

    assert materials.energies.tolist() == [-4]


def test_an_unknown_relaxed_energy_stays_unknown() -> None:
    run = replace(run_of("a", [crystal("H")] * 2, [-1, -2]), relaxed_energy=np.nan)

    materials = collect_materials([run], run.frames[:1])

    assert np.isnan(materials.energies).tolist() == [True]


def test_materials_without_a_kept_frame_are_left_out() -> None:
    runs = [run_of(name, [crystal("H")], [-1]) for name in "abc"]
    kept = Frames.concatenate([runs[2].frames, runs[0].frames])

    materials = collect_materials(runs, kept)

    assert materials.initial.material_ids.tolist() == ["c", "a"]


def test_the_lowest_of_several_relaxations_is_the_label_of_a_material() -> None:
    """The last run read is 18 meV above, the one before it has no relaxed energy."""
    runs = [
        run_of("a", [crystal("H")], [-2.0]),
        run_of("a", [crystal("H")], [np.nan]),
        run_of("a", [crystal("H")], [-1.982]),
    ]

    materials = collect_materials(runs, runs[0].frames)

    assert materials.energies.tolist() == [-2.0]


def test_the_primary_task_is_the_label_even_where_another_run_is_lower() -> None:
    primary = Task(final_energy=-1.5, functional="PBE", hubbard_us={})
    runs = [
        run_of("a", [crystal("H")], [-1.9]),
        replace(run_of("a", [crystal("H")], [-1.5]), primary_task=primary),
        run_of("a", [crystal("H")], [-1.7]),
    ]

    materials = collect_materials(runs, runs[0].frames)

    assert materials.energies.tolist() == [-1.5]
