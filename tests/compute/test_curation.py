from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.curation import (
    check_energy_scale,
    check_frames,
    check_primary_task,
    check_run,
    count_rejections,
    count_skipped,
    find_missing,
    reject,
)
from nextrung.schemas.curation import (
    CurationSettings,
    ElectronicConvergence,
    EnergyScaleSettings,
    EnergyWindow,
    HubbardU,
    Label,
    Rule,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.trajectory import Task, Trajectory


@pytest.fixture
def frames() -> Frames:
    """Three r²SCAN frames of two atoms with all labels, -5 eV/atom."""
    structure = Structure(Lattice.cubic(4), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frames = Frames.from_structures(
        [structure] * 3, ["a#0", "a#1", "a#2"], functional="r2SCAN"
    )
    frames.energies[:] = -10
    for labels in (frames.forces, frames.stresses, frames.magmoms):
        labels[:] = 0
    return replace(frames, material_ids=np.array(["a", "a", "a"]))


def run_of(
    frames: Frames,
    *,
    converged: tuple[bool, ...] = (True, True, True),
    hubbard_u: float = 0.0,
    plane_wave_cutoff: float = 520.0,
    relaxed_energy: float = np.nan,
) -> Trajectory:
    return Trajectory(
        frames, np.array(converged), hubbard_u, plane_wave_cutoff, relaxed_energy
    )


def test_a_wanted_run_breaks_no_rule(frames: Frames) -> None:
    assert check_run(run_of(frames), CurationSettings()) == []


@pytest.mark.parametrize(
    ("changes", "settings", "rule", "reason"),
    [
        ({}, {"functional": "PBE"}, Rule.FUNCTIONAL, "expected PBE, met r2SCAN"),
        ({"hubbard_u": 3.5}, {}, Rule.HUBBARD_U, "no Hubbard U, met U = 3.5 eV"),
        (
            {"plane_wave_cutoff": 450.0},
            {"min_plane_wave_cutoff": 520},
            Rule.PLANE_WAVE_CUTOFF,
            "520 eV or more, met 450 eV",
        ),
    ],
)
def test_an_unwanted_run_loses_all_its_frames(
    changes: dict[str, Any],
    settings: dict[str, Any],
    rule: Rule,
    reason: str,
    frames: Frames,
) -> None:
    rejections = check_run(run_of(frames, **changes), CurationSettings(**settings))

    assert [r.frame_id for r in rejections] == ["a#0", "a#1", "a#2"]
    assert {r.rule for r in rejections} == {rule}
    assert reason in rejections[0].reason


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"hubbard_u": 3.5}, {"hubbard_u": HubbardU.ALLOWED}),
        ({"plane_wave_cutoff": 520.0}, {"min_plane_wave_cutoff": 520}),
        ({"plane_wave_cutoff": np.nan}, {"min_plane_wave_cutoff": 520}),
        ({"plane_wave_cutoff": 100.0}, {}),
    ],
    ids=["u-allowed", "cutoff-met", "cutoff-unknown", "any-cutoff"],
)
def test_what_the_settings_allow_is_kept(
    changes: dict[str, Any], settings: dict[str, Any], frames: Frames
) -> None:
    assert check_run(run_of(frames, **changes), CurationSettings(**settings)) == []


@pytest.mark.parametrize("expected", [-10 - 1.01, -10 + 1.01])
def test_another_energy_scale_is_noticed_on_either_side(
    expected: float, frames: Frames
) -> None:
    """-5 eV/atom where ∓5.505 are expected, with 0.5 eV/atom of tolerance."""
    settings = CurationSettings(energy_scale=EnergyScaleSettings(tolerance=0.5))

    rejections = check_energy_scale(run_of(frames), expected, settings)

    assert {r.rule for r in rejections} == {Rule.ENERGY_SCALE}
    assert len(rejections) == 3
    assert "on the r2SCAN scale, met -5.000 eV/atom where" in rejections[0].reason
    assert f"chgnet-r2scan has {expected / 2:.3f} eV/atom" in rejections[0].reason


@pytest.mark.parametrize("expected", [-10 - 0.99, -10.0, -10 + 0.99, np.nan])
def test_near_or_unknown_energies_pass(expected: float, frames: Frames) -> None:
    settings = CurationSettings(energy_scale=EnergyScaleSettings(tolerance=0.5))

    assert check_energy_scale(run_of(frames), expected, settings) == []


SAME = Task(final_energy=-5.0, functional="r2SCAN", hubbard_us={"Fe": 4.0})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"final_energy": -4.981}, None),
        ({"final_energy": -5.019}, None),
        ({"final_energy": -4.979}, "met a final energy 0.021 eV/atom from that of"),
        ({"final_energy": np.nan}, "met a final energy nan eV/atom from that of"),
        ({"functional": "PBE"}, "met PBE where the primary task has r2SCAN"),
        ({"hubbard_us": {}}, "met no Hubbard U where the primary task has U.Fe. = 4"),
        ({"hubbard_us": {"Fe": 5.3}}, "met U.Fe. = 5.3 eV where the primary task has"),
    ],
)
def test_a_task_unlike_the_primary_one_loses_all_its_frames(
    changes: dict[str, Any], reason: str | None, frames: Frames
) -> None:
    """The paper's tolerance is 20 meV/atom, to either side."""
    task = replace(SAME, **changes)
    run = replace(run_of(frames), task=task, primary_task=SAME)

    rejections = check_primary_task(run, CurationSettings())

    assert [r.frame_id for r in rejections] == (["a#0", "a#1", "a#2"] if reason else [])
    assert all(r.rule is Rule.PRIMARY_TASK for r in rejections)
    assert all(re.search(str(reason), r.reason) for r in rejections)


def test_without_a_primary_task_or_its_rule_any_task_passes(frames: Frames) -> None:
    other = replace(SAME, final_energy=0.0)
    run = replace(run_of(frames), task=other, primary_task=SAME)

    unknown = check_primary_task(replace(run, primary_task=None), CurationSettings())
    unasked = check_primary_task(run, CurationSettings(primary_task=None))

    assert unknown == unasked == []


def test_frames_that_a_rule_cannot_judge_are_counted(frames: Frames) -> None:
    known = replace(run_of(frames, relaxed_energy=-5.0), task=SAME, primary_task=SAME)
    unasked = CurationSettings(primary_task=None, energy_window=None)

    assert count_skipped(known, CurationSettings()) == {}
    assert count_skipped(run_of(frames), CurationSettings()) == {
        Rule.PRIMARY_TASK: 3,
        Rule.ENERGY_WINDOW: 3,
    }
    assert count_skipped(run_of(frames), unasked) == {}


def test_only_the_final_energy_is_held_against_the_scale(frames: Frames) -> None:
    frames.energies[0] = 1000

    assert check_energy_scale(run_of(frames), -10.0, CurationSettings()) == []


def test_unconverged_frames_are_left_out_one_by_one(frames: Frames) -> None:
    run = run_of(frames, converged=(True, False, True))

    kept, rejections = check_frames(run, CurationSettings())

    assert kept.frame_ids.tolist() == ["a#0", "a#2"]
    assert [(r.frame_id, r.rule) for r in rejections] == [("a#1", Rule.NOT_CONVERGED)]


def test_unconverged_frames_may_be_kept(frames: Frames) -> None:
    settings = CurationSettings(electronic_convergence=ElectronicConvergence.IGNORED)

    kept, rejections = check_frames(
        run_of(frames, converged=(False, False, False)), settings
    )

    assert len(kept) == 3
    assert rejections == []


def test_frames_far_from_the_relaxed_structure_are_left_out(frames: Frames) -> None:
    """The paper's window: 1 eV/atom above and 10 meV/atom below -5 eV/atom."""
    frames.energies[:] = np.array([-3.99, -4.01, -5.011]) * 2

    kept, rejections = check_frames(
        run_of(frames, relaxed_energy=-5.0), CurationSettings()
    )

    assert kept.frame_ids.tolist() == ["a#1"]
    assert {r.rule for r in rejections} == {Rule.ENERGY_WINDOW}
    assert [r.reason.split(", met ")[1] for r in rejections] == [
        "+1.010 eV/atom",
        "-0.011 eV/atom",
    ]
    assert "expected -0.01 to +1 eV/atom from the relaxed" in rejections[0].reason


@pytest.mark.parametrize(
    ("relaxed_energy", "window"), [(np.nan, EnergyWindow()), (-5.0, None)]
)
def test_without_a_relaxed_energy_or_a_window_any_energy_passes(
    relaxed_energy: float, window: EnergyWindow | None, frames: Frames
) -> None:
    frames.energies[:] = [1000, -1000, 0]

    kept, _ = check_frames(
        run_of(frames, relaxed_energy=relaxed_energy),
        CurationSettings(energy_window=window),
    )

    assert len(kept) == 3


def test_missing_labels_are_named(frames: Frames) -> None:
    frames.forces[2, 1] = np.nan
    frames.magmoms[2:] = np.nan
    settings = CurationSettings(required_labels=tuple(Label))

    kept, rejections = check_frames(run_of(frames), settings)

    assert kept.frame_ids.tolist() == ["a#0"]
    assert [r.reason for r in rejections] == [
        "met no forces, magmoms",
        "met no magmoms",
    ]


def test_labels_that_are_not_required_may_be_missing(frames: Frames) -> None:
    frames.magmoms[:] = np.nan

    kept, _ = check_frames(run_of(frames), CurationSettings())

    assert len(kept) == 3


@pytest.mark.parametrize(
    ("label", "array", "position"),
    [
        (Label.ENERGY, "energies", (1,)),
        (Label.FORCES, "forces", (3, 2)),
        (Label.STRESS, "stresses", (1, 0, 2)),
        (Label.MAGMOMS, "magmoms", (2,)),
    ],
)
def test_one_missing_number_makes_a_label_incomplete(
    label: Label, array: str, position: tuple[int, ...], frames: Frames
) -> None:
    getattr(frames, array)[position] = np.nan

    assert find_missing(frames, label).tolist() == [False, True, False]


def test_an_unconverged_frame_without_labels_is_rejected_once(frames: Frames) -> None:
    frames.energies[1] = np.nan

    _, rejections = check_frames(
        run_of(frames, converged=(True, False, True)), CurationSettings()
    )

    assert [r.rule for r in rejections] == [Rule.NOT_CONVERGED]


def test_every_rule_is_counted_also_where_it_found_nothing(frames: Frames) -> None:
    counts = count_rejections(reject(frames, Rule.DUPLICATE, "seen"))

    assert counts == dict.fromkeys(Rule, 0) | {Rule.DUPLICATE: 3}
