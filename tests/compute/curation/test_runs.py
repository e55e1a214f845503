from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.compute.curation.synthetic_runs import make_frames, run_of

from nextrung.compute.curation.runs import (
    check_energy_scale,
    check_primary_task,
    check_run,
    count_skipped,
    explain_uncorrectable,
    has_vasp_energies,
)
from nextrung.schemas.labels.curation import (
    CurationSettings,
    EnergyScaleSettings,
    HubbardU,
    Rule,
)
from nextrung.schemas.labels.identity import LabelIdentity
from nextrung.schemas.labels.trajectory import ElectronicState, Task

if TYPE_CHECKING:
    from nextrung.schemas.frames import Frames


@pytest.fixture
def frames() -> Frames:
    return make_frames()


def test_a_run_that_meets_the_settings_is_not_rejected(frames: Frames) -> None:
    assert check_run(run_of(frames), CurationSettings()) == []


@pytest.mark.parametrize(
    ("changes", "settings", "rule", "reason"),
    [
        ({}, {"functional": "PBE"}, Rule.FUNCTIONAL, "expected PBE, got r2SCAN"),
        ({"hubbard_u": 3.5}, {}, Rule.HUBBARD_U, "no Hubbard U, got U = 3.5 eV"),
        (
            {"states": frozenset(ElectronicState)},
            {"allowed_states": ["electric_field", "fixed_density"]},
            Rule.NOT_GROUND_STATE,
            "ground state of a neutral cell, got charged, constrained_moments, spin_or",
        ),
        (
            {"plane_wave_cutoff": 450.0},
            {"min_plane_wave_cutoff": 520},
            Rule.PLANE_WAVE_CUTOFF,
            "520 eV or more, got 450 eV",
        ),
    ],
)
def test_all_frames_of_a_run_that_violates_a_rule_are_rejected(
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
        (
            {"states": frozenset({ElectronicState.CHARGED})},
            {"allowed_states": ["charged"]},
        ),
    ],
    ids=["u-allowed", "cutoff-reached", "cutoff-unknown", "any-cutoff", "charged"],
)
def test_runs_that_the_settings_allow_are_kept(
    changes: dict[str, Any], settings: dict[str, Any], frames: Frames
) -> None:
    assert check_run(run_of(frames, **changes), CurationSettings(**settings)) == []


@pytest.mark.parametrize("expected", [-10 - 1.01, -10 + 1.01])
def test_energies_too_high_or_too_low_are_rejected(
    expected: float, frames: Frames
) -> None:
    """-5 eV/atom where ∓5.505 are expected, with 0.5 eV/atom of tolerance."""
    settings = CurationSettings(energy_scale=EnergyScaleSettings(tolerance=0.5))

    rejections = check_energy_scale(run_of(frames), expected, settings)

    assert {r.rule for r in rejections} == {Rule.ENERGY_SCALE}
    assert len(rejections) == 3
    assert "on the r2SCAN scale, got -5.000 eV/atom where" in rejections[0].reason
    assert f"chgnet-r2scan has {expected / 2:.3f} eV/atom" in rejections[0].reason


@pytest.mark.parametrize("expected", [-10 - 0.99, -10.0, -10 + 0.99, np.nan])
def test_energies_close_to_the_prediction_or_unknown_pass(
    expected: float, frames: Frames
) -> None:
    settings = CurationSettings(energy_scale=EnergyScaleSettings(tolerance=0.5))

    assert check_energy_scale(run_of(frames), expected, settings) == []


SAME = Task(final_energy=-5.0, functional="r2SCAN", hubbard_us={"Fe": 4.0})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"final_energy": -4.981}, None),
        ({"final_energy": -5.019}, None),
        ({"final_energy": -4.979}, "got a final energy 0.021 eV/atom from that of"),
        ({"final_energy": np.nan}, "got a final energy nan eV/atom from that of"),
        ({"functional": "PBE"}, "got PBE where the primary task has r2SCAN"),
        ({"hubbard_us": {}}, "got no Hubbard U where the primary task has U.Fe. = 4"),
        ({"hubbard_us": {"Fe": 5.3}}, "got U.Fe. = 5.3 eV where the primary task has"),
    ],
)
def test_all_frames_of_a_task_unlike_the_primary_one_are_rejected(
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


def test_frames_that_a_rule_cannot_check_are_counted(frames: Frames) -> None:
    known = replace(run_of(frames, relaxed_energy=-5.0), task=SAME, primary_task=SAME)
    unasked = CurationSettings(primary_task=None, energy_window=None)

    assert count_skipped(known, CurationSettings()) == {}
    assert count_skipped(run_of(frames), CurationSettings()) == {
        Rule.PRIMARY_TASK: 3,
        Rule.ENERGY_WINDOW: 3,
    }
    assert count_skipped(run_of(frames), unasked) == {}


@pytest.mark.parametrize(("code", "n_frames"), [("GPAW", 3), ("VASP", 0), ("", 0)])
def test_the_energy_scale_of_vasp_is_not_asked_of_another_code(
    code: str, n_frames: int, frames: Frames
) -> None:
    identity = LabelIdentity(code=code, functional="r2SCAN")
    run = replace(run_of(frames, relaxed_energy=-5.0), primary_task=SAME)
    run = replace(run, identity=identity)
    unasked = CurationSettings(energy_scale=EnergyScaleSettings(potentials={}))

    assert has_vasp_energies(run) is (n_frames == 0)
    skipped = count_skipped(run, CurationSettings())
    assert skipped.get(Rule.ENERGY_SCALE, 0) == n_frames
    assert count_skipped(run, unasked) == {}


def test_why_a_run_has_no_correction_is_said_in_its_terms(frames: Frames) -> None:
    gpaw = replace(
        run_of(frames), identity=LabelIdentity(code="GPAW", functional="PBE")
    )
    other_u = replace(run_of(frames), hubbard_u=1.0, hubbard_us={"Fe": 1.0})

    assert (
        explain_uncorrectable(gpaw) == "expected energies of VASP for MP2020, got GPAW"
    )
    assert "got no Hubbard U" in explain_uncorrectable(run_of(frames))
    assert "got U of {'Fe': 1.0} eV" in explain_uncorrectable(other_u)


def test_only_the_final_energy_is_compared_with_the_prediction(frames: Frames) -> None:
    frames.energies[0] = 1000

    assert check_energy_scale(run_of(frames), -10.0, CurationSettings()) == []
