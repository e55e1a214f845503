from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from tests.compute.curation.reference_duplicates import find_naively

from nextrung.compute.curation.duplicates import find_candidates, find_unique
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import MPTRJ_TOLERANCES, DuplicateTolerance

LOOSE = (DuplicateTolerance(more_than=-1, energy=0.01, length=0.2, site=0.3, angle=5),)


def salt(length: float, shift: float = 0.0) -> Structure:
    return Structure(
        Lattice.cubic(length), ["Cs", "Cl"], [[0, 0, 0], [0.5 + shift, 0.5, 0.5]]
    )


def frames_of(structures: list[Structure], energies: list[float]) -> Frames:
    frames = Frames.from_structures(structures)
    frames.energies[:] = energies
    return replace(frames, material_ids=np.full(len(frames), "a"))


def test_identical_frames_are_kept_once() -> None:
    frames = frames_of([salt(4)] * 3, [-6.0] * 3)

    assert find_unique(frames, LOOSE).tolist() == [2]


def test_frames_of_different_energies_are_distinct() -> None:
    """Energies count per atom: 0.012 eV/atom of the two-atom cell's 0.024 eV."""
    frames = frames_of([salt(4)] * 3, [-6.024, -6.018, -6.0])

    assert find_unique(frames, LOOSE).tolist() == [0, 2]


def test_frames_of_different_structures_are_distinct() -> None:
    frames = frames_of([salt(4), salt(4.9)], [-6.0, -6.0])

    assert find_unique(frames, LOOSE).tolist() == [0, 1]


def test_scaled_cells_are_distinct() -> None:
    """Both cells are cubic; only the volume, which must not be scaled, differs."""
    tight = replace_tolerance(length=0.002)

    frames = frames_of([salt(4), salt(4.05)], [-6.0, -6.0])

    assert find_unique(frames, (tight,)).tolist() == [0, 1]


def replace_tolerance(**changes: float) -> DuplicateTolerance:
    return LOOSE[0].model_copy(update=changes)


def test_the_last_frame_is_kept_and_its_earlier_duplicate_is_not() -> None:
    frames = frames_of([salt(4.9), salt(4), salt(4)], [-5.0, -6.0, -6.0])

    assert find_unique(frames, LOOSE).tolist() == [0, 2]


def test_without_tolerances_every_frame_is_kept() -> None:
    frames = frames_of([salt(4)] * 3, [-6.0] * 3)

    assert find_unique(frames, ()).tolist() == [0, 1, 2]


def test_tolerances_grow_with_the_number_of_accepted_frames() -> None:
    """0.1 eV/atom steps pass until the second level asks for 1 eV/atom."""
    levels = (
        replace_tolerance(energy=0.05),
        replace_tolerance(more_than=2, energy=1.0),
    )
    frames = frames_of([salt(4)] * 6, [0.2 * index for index in range(6)])

    assert find_unique(frames, levels).tolist() == [0, 1, 5]


def test_kept_frames_are_those_of_the_authors_loop() -> None:
    """A transcription of the uniqueness check of MPtrj, on a random walk."""
    walk = np.cumsum(np.random.default_rng(1).normal(scale=0.006, size=40))
    structures = [salt(4 + step, shift=step) for step in walk]
    frames = frames_of(structures, (walk / 10).tolist())

    unique = find_unique(frames, MPTRJ_TOLERANCES)
    assert unique.tolist() == find_naively(frames)
    assert 10 < len(unique) < len(frames)


def test_frames_of_different_materials_are_not_compared() -> None:
    frames = frames_of([salt(4)] * 5, [-6.0, -6.0, -6.0, -6.0, -5.0])
    frames = replace(frames, material_ids=np.array(["a", "b", "a", "b", "c"]))

    candidates = [indices.tolist() for indices in find_candidates(frames, LOOSE)]

    assert candidates == [[0, 2], [1, 3]]


def test_frames_far_apart_in_energy_are_no_candidates() -> None:
    frames = frames_of([salt(4)] * 3, [-6.0, -5.9, -5.8])

    assert find_candidates(frames, LOOSE) == []
    assert find_candidates(Frames.from_structures([]), LOOSE) == []
    assert find_candidates(frames, ()) == []


def test_many_identical_frames_are_never_matched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frames that are equal bit by bit need no matcher."""
    monkeypatch.setattr(StructureMatcher, "fit", None)
    frames = frames_of([salt(4)] * 300, [-6.0] * 300)

    assert find_unique(frames, MPTRJ_TOLERANCES).tolist() == [299]


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
        unique = find_unique(frames_of([first, second], [0, 0]), (tolerance,))
        assert (len(unique) == 1) == matches
        n_matches += matches
    assert 0 < n_matches < 40


@pytest.mark.parametrize("seed", range(8))
def test_the_matcher_matches_identical_frames(seed: int) -> None:
    """Identical frames are duplicates without the matcher too."""
    cell = random_cell(np.random.default_rng(seed))
    tight = MPTRJ_TOLERANCES[0]
    matcher = StructureMatcher(
        ltol=tight.length, stol=tight.site, angle_tol=tight.angle, scale=False
    )

    assert matcher.fit(cell, cell.copy())
