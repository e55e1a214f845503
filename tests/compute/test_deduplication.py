from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from nextrung.adapters.task_documents import read_task_documents
from nextrung.compute.deduplication import find_unique, find_unique_frames
from nextrung.schemas.curation import MPTRJ_TOLERANCES, DuplicateTolerance
from nextrung.schemas.frames import Frames
from nextrung.schemas.sources import TaskDocumentsSource
from nextrung.schemas.trajectory import Trajectory

if TYPE_CHECKING:
    from pathlib import Path

LOOSE = (DuplicateTolerance(more_than=-1, energy=0.01, length=0.2, site=0.3, angle=5),)


def salt(length: float, shift: float = 0.0) -> Structure:
    return Structure(
        Lattice.cubic(length), ["Cs", "Cl"], [[0, 0, 0], [0.5 + shift, 0.5, 0.5]]
    )


def frames_of(structures: list[Structure], energies: list[float]) -> Frames:
    frames = Frames.from_structures(structures)
    frames.energies[:] = energies
    return replace(frames, material_ids=np.full(len(frames), "a"))


def test_the_same_frame_is_kept_once() -> None:
    frames = frames_of([salt(4)] * 3, [-6.0] * 3)

    assert find_unique(frames, 2, LOOSE).tolist() == [2]


def test_another_energy_makes_another_frame() -> None:
    """Energies count per atom: 0.012 eV/atom of the two-atom cell's 0.024 eV."""
    frames = frames_of([salt(4)] * 3, [-6.024, -6.018, -6.0])

    assert find_unique(frames, 2, LOOSE).tolist() == [0, 2]


def test_another_structure_makes_another_frame() -> None:
    frames = frames_of([salt(4), salt(4.9)], [-6.0, -6.0])

    assert find_unique(frames, 1, LOOSE).tolist() == [0, 1]


def test_scaled_cells_are_not_the_same() -> None:
    """Both cells are cubic; only the volume, which must not be scaled, differs."""
    tight = replace_tolerance(length=0.002)

    frames = frames_of([salt(4), salt(4.05)], [-6.0, -6.0])

    assert find_unique(frames, 1, (tight,)).tolist() == [0, 1]


def replace_tolerance(**changes: float) -> DuplicateTolerance:
    return LOOSE[0].model_copy(update=changes)


def test_the_reference_is_kept_and_the_earlier_twin_is_not() -> None:
    frames = frames_of([salt(4), salt(4), salt(4.9)], [-6.0, -6.0, -5.0])

    assert find_unique(frames, 1, LOOSE).tolist() == [1, 2]


def test_no_tolerances_keep_everything() -> None:
    frames = frames_of([salt(4)] * 3, [-6.0] * 3)

    assert find_unique(frames, 0, ()).tolist() == [0, 1, 2]


def test_the_more_are_accepted_the_more_must_differ() -> None:
    """0.1 eV/atom steps pass until the second level asks for 1 eV/atom."""
    levels = (
        replace_tolerance(energy=0.05),
        replace_tolerance(more_than=2, energy=1.0),
    )
    frames = frames_of([salt(4)] * 6, [0.2 * index for index in range(6)])

    assert find_unique(frames, 0, levels).tolist() == [0, 1, 2]


def find_naively(frames: Frames) -> list[int]:
    """Transcribe the authors' loop: no reduction is kept, no pair is left out."""
    structures = frames.to_structures()
    energies = frames.energies / frames.n_atoms
    accepted = [len(frames) - 1]
    for index in range(len(frames) - 1):
        level = next(
            t for t in reversed(MPTRJ_TOLERANCES) if len(accepted) > t.more_than
        )
        matcher = StructureMatcher(
            ltol=level.length, stol=level.site, angle_tol=level.angle, scale=False
        )
        gaps = [abs(energies[index] - energies[other]) for other in accepted]
        if min(gaps) > level.energy or not any(
            matcher.fit(structures[index], structures[other]) for other in accepted
        ):
            accepted.append(index)
    return sorted(accepted)


def test_decisions_are_those_of_the_authors_loop() -> None:
    """A transcription of the uniqueness check of MPtrj, on a random walk."""
    walk = np.cumsum(np.random.default_rng(1).normal(scale=0.006, size=40))
    structures = [salt(4 + step, shift=step) for step in walk]
    frames = frames_of(structures, (walk / 10).tolist())

    unique = find_unique(frames, len(frames) - 1, MPTRJ_TOLERANCES)
    assert unique.tolist() == find_naively(frames)
    assert 10 < len(unique) < len(frames)


def test_materials_do_not_see_each_other() -> None:
    frames = frames_of([salt(4)] * 4, [-6.0] * 4)
    frames = replace(frames, material_ids=np.array(["a", "b", "a", "b"]))

    assert find_unique_frames(frames, LOOSE).tolist() == [False, False, True, True]


def test_no_frames_are_all_unique() -> None:
    assert find_unique_frames(Frames.from_structures([]), LOOSE).tolist() == []


@pytest.mark.parametrize("tolerances", [LOOSE, MPTRJ_TOLERANCES])
def test_the_last_of_each_is_kept_and_the_first_of_others(
    tolerances: tuple[DuplicateTolerance, ...],
) -> None:
    frames = frames_of([salt(4), salt(4), salt(5), salt(5)], [-6.0, -6.0, -5.0, -5.0])

    assert find_unique_frames(frames, tolerances).tolist() == [True, False, False, True]


def test_decisions_on_a_real_trajectory_are_those_of_the_authors_loop(
    real_data: Path,
) -> None:
    """As2SO6: relaxations of 86, 54 and fewer steps, many of them alike."""
    path = real_data / "mp-task-documents" / "test_As2SO6_tasks.json.gz"
    source = TaskDocumentsSource(paths=(str(path),))
    runs = read_task_documents(source, lambda _done, _total, _text: None)
    trajectories = [run.frames for run in runs if isinstance(run, Trajectory)]
    frames = Frames.concatenate([part[:20] for part in trajectories])

    unique = find_unique(frames, len(frames) - 1, MPTRJ_TOLERANCES)

    assert unique.tolist() == find_naively(frames)
    assert 10 < len(unique) < len(frames)


def random_cell(rng: np.random.Generator) -> Structure:
    return Structure(
        Lattice(np.eye(3) * 4 + rng.normal(scale=1.0, size=(3, 3))),
        ["Cs", "Cl", "Cl"],
        rng.random((3, 3)),
    )


@pytest.mark.parametrize("level", range(4))
def test_no_pair_that_matches_is_left_out_for_its_volume(level: int) -> None:
    """Random oblique cells, strained to the edge of the tolerances and beyond."""
    changes = {"energy": 1.0, "more_than": -1}
    tolerance = MPTRJ_TOLERANCES[level].model_copy(update=changes)
    rng = np.random.default_rng(level)
    n_matches = 0
    for _ in range(40):
        first = random_cell(rng)
        reduced = first.get_reduced_structure()
        stretch = 1 + rng.uniform(-1.5, 1.5) * tolerance.length
        shear = rng.uniform(-0.6, 0.6, (3, 3)) * np.deg2rad(tolerance.angle)
        lattice = Lattice(reduced.lattice.matrix @ (stretch * np.eye(3) + shear))
        second = Structure(lattice, reduced.species, reduced.frac_coords)
        matcher = StructureMatcher(
            ltol=tolerance.length,
            stol=tolerance.site,
            angle_tol=tolerance.angle,
            scale=False,
        )
        matches = matcher.fit(first, second)
        unique = find_unique(frames_of([first, second], [0, 0]), 1, (tolerance,))
        assert (len(unique) == 1) == matches
        n_matches += matches
    assert 0 < n_matches < 40
