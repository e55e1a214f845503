from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.adapters.sources import distilled
from nextrung.adapters.sources.distilled import distil, make_crystals
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.sources import DistilledSource
from nextrung.schemas.relaxation import (
    RelaxationRecord,
    RelaxationSettings,
    RelaxationStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.trajectory import Trajectory

SOURCE = DistilledSource(
    chemical_systems=("Na-Cl",),
    n_materials_per_system=3,
    n_polymorphs_per_element=1,
    n_frames_per_material=3,
    max_atoms=4,
)


class Teacher:
    """Relaxes by scaling lattices to 3 Å/atom^(1/3); the energy is the volume."""

    def __init__(self) -> None:
        self.failures: dict[int, RelaxationStatus] = {}
        self.unlabelled: dict[int, str] = {}
        self.twins = False
        self.collapsed: set[int] = set()

    def relax(
        self,
        structures: Sequence[Structure],
        settings: RelaxationSettings,
        on_record: Callable[[int, RelaxationRecord], None],
    ) -> list[RelaxationRecord]:
        records = [self._relax(i, s, settings) for i, s in enumerate(structures)]
        for index, record in enumerate(records):
            on_record(index, record)
        return records

    def _relax(
        self, index: int, structure: Structure, settings: RelaxationSettings
    ) -> RelaxationRecord:
        relaxed = structure.copy()
        volume = 4.9 if index in self.collapsed else 27.0
        relaxed.scale_lattice(volume * len(structure))
        status = self.failures.get(index, RelaxationStatus.CONVERGED)
        failed = status is RelaxationStatus.NON_FINITE
        energy = 1.0 if self.twins else float(index)
        return RelaxationRecord(
            status=status,
            energy=None if failed else energy * len(structure),
            structure=None if failed else relaxed,
            n_steps=settings.max_steps,
            error="energy is not finite" if failed else None,
        )

    def predict_frames(
        self, frames: Frames, properties: str
    ) -> tuple[Frames, dict[int, str]]:
        assert properties == "efsm"
        volumes = np.abs(np.linalg.det(frames.lattices))
        volumes[list(self.unlabelled)] = np.nan
        return replace(frames, energies=volumes), self.unlabelled


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Teacher:
    teacher = Teacher()
    monkeypatch.setattr(distilled, "load_potential", lambda _name: teacher)
    return teacher


def run(source: DistilledSource = SOURCE) -> tuple[list[Trajectory], list[Rejection]]:
    outcomes = list(distil(source, lambda _done, _total, _text: None))
    rejections = [item for item in outcomes if isinstance(item, Rejection)]
    return [item for item in outcomes if not isinstance(item, Rejection)], rejections


def test_every_element_of_the_chemical_systems_is_generated_once() -> None:
    source = SOURCE.model_copy(update={"chemical_systems": ("Na-Cl", "K-Cl")})

    systems = [s.chemical_system for s in make_crystals(source).values()]

    assert systems == ["Cl", "K", "Na", *["Cl-Na"] * 3, *["Cl-K"] * 3]


def test_crystals_depend_on_the_seed_alone() -> None:
    again = make_crystals(SOURCE)
    other = make_crystals(SOURCE.model_copy(update={"seed": 1}))

    assert make_crystals(SOURCE) == again
    assert list(again) != list(other)


@pytest.mark.usefixtures("teacher")
def test_frames_end_at_the_relaxed_crystal() -> None:
    """The relaxed crystals have 27 Å³ per atom; earlier frames are strained."""
    runs, rejections = run()

    assert rejections == []
    assert len(runs) == 2 + 3
    for trajectory in runs:
        frames = trajectory.frames
        name = trajectory.material_id
        per_atom = np.abs(np.linalg.det(frames.lattices)) / frames.n_atoms
        assert frames.frame_ids.tolist() == [f"{name}#{index}" for index in range(3)]
        assert per_atom[-1] == pytest.approx(27)
        assert np.abs(per_atom[:-1] - 27).min() > 1e-3
        assert frames.functional == "r2SCAN"
        np.testing.assert_allclose(frames.energies, per_atom * frames.n_atoms)


@pytest.mark.usefixtures("teacher")
def test_the_same_source_gives_the_same_frames() -> None:
    first, second = run()[0], run()[0]

    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(
            ours.frames.frac_coords, theirs.frames.frac_coords
        )
        np.testing.assert_array_equal(ours.frames.lattices, theirs.frames.lattices)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (RelaxationStatus.MAX_STEPS, "failed: max_steps after 200 steps"),
        (RelaxationStatus.NON_FINITE, "failed: energy is not finite"),
    ],
)
def test_a_failed_relaxation_is_a_rejection_with_a_reason(
    status: RelaxationStatus, reason: str, teacher: Teacher
) -> None:
    teacher.failures = {1: status}

    runs, rejections = run()

    assert len(runs) == 4
    assert [r.material_id for r in rejections] == [list(make_crystals(SOURCE))[1]]
    assert rejections[0].rule is Rule.FAILED_LABELLING
    assert reason in rejections[0].reason


def test_a_collapsed_crystal_is_a_rejection_with_its_volume(teacher: Teacher) -> None:
    teacher.collapsed = {2}

    runs, rejections = run()

    assert len(runs) == 4
    assert [r.rule for r in rejections] == [Rule.FAILED_LABELLING]
    assert "expected at least 5.0 Å³/atom, got 4.9" in rejections[0].reason


def test_crystals_that_relax_to_the_same_structure_are_kept_once(
    teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    salt = make_crystals(SOURCE)
    name = list(salt)[-1]
    monkeypatch.setattr(
        distilled, "make_crystals", lambda _: {"a": salt[name], "b": salt[name]}
    )
    teacher.twins = True

    runs, rejections = run()

    assert [trajectory.material_id for trajectory in runs] == ["a"]
    assert [(r.material_id, r.rule) for r in rejections] == [("b", Rule.DUPLICATE)]
    assert rejections[0].reason == "relaxes to the same crystal as a"


def test_a_perturbed_frame_without_labels_is_rejected(teacher: Teacher) -> None:
    teacher.unlabelled = {0: "an isolated atom"}

    runs, rejections = run()

    assert [len(trajectory.frames) for trajectory in runs] == [2, 3, 3, 3, 3]
    assert [(r.rule, r.reason) for r in rejections] == [
        (Rule.FAILED_LABELLING, "an isolated atom")
    ]


def test_a_crystal_whose_relaxed_frame_has_no_labels_is_rejected(
    teacher: Teacher,
) -> None:
    teacher.unlabelled = {2: "an isolated atom"}

    runs, rejections = run()

    assert len(runs) == 4
    assert [r.frame_id[-2:] for r in rejections] == ["#0", "#1", "#2"]
    assert {r.reason for r in rejections} == {"relaxed crystal: an isolated atom"}


def test_a_teacher_that_always_fails_gives_rejections_only(teacher: Teacher) -> None:
    teacher.failures = dict.fromkeys(range(5), RelaxationStatus.NON_FINITE)

    runs, rejections = run()

    assert runs == []
    assert len(rejections) == 5


@pytest.mark.usefixtures("teacher")
def test_progress_counts_crystals() -> None:
    told: list[tuple[int, int, str]] = []

    list(distil(SOURCE, lambda *step: told.append(step)))

    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]
    assert {total for _, total, _ in told} == {5}


def test_the_forces_of_the_teacher_vanish_at_relaxed_structures() -> None:
    """At the relaxed crystal the forces of the teacher are below fmax."""
    source = SOURCE.model_copy(
        update={"n_materials_per_system": 1, "fmax": 0.05, "n_frames_per_material": 2}
    )

    runs, _ = run(source)

    assert runs
    for trajectory in runs:
        frames = trajectory.frames
        assert np.isfinite(frames.energies).all()
        assert np.isfinite(frames.magmoms).all()
        assert np.isfinite(frames.stresses).all()
        final = frames[-1:]
        assert np.linalg.norm(final.forces, axis=1).max() < 0.051
        assert frames.energies[-1] <= frames.energies[0]
