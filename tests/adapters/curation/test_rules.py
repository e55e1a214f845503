from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.curation import rules
from nextrung.adapters.curation.rules import FrameFilter
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetSettings
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import (
    CurationSettings,
    EnergyScaleSettings,
    MissingInput,
    Rejection,
    Rule,
)
from nextrung.schemas.labels.identity import LabelIdentity
from nextrung.schemas.labels.sources import VaspSource
from nextrung.schemas.labels.trajectory import Task, Trajectory

TASK = Task(final_energy=-3.0, functional="r2SCAN", hubbard_us={})


def run_of(name: str, n_frames: int = 2, **changes: Any) -> Trajectory:  # noqa: ANN401
    structure = Structure(Lattice.cubic(3), [changes.pop("element", "Po")], [[0] * 3])
    ids = [f"{name}#{index}" for index in range(n_frames)]
    frames = Frames.from_structures([structure] * n_frames, ids, functional="r2SCAN")
    frames.energies[:] = -3
    frames.forces[:] = 0
    frames = replace(frames, material_ids=np.full(n_frames, name[0]))
    run = Trajectory(frames, np.full(n_frames, fill_value=True), 0.0, np.nan, np.nan)
    return replace(run, **changes)


def filter_of(**curation: Any) -> FrameFilter:  # noqa: ANN401
    trusting = {"energy_scale": EnergyScaleSettings(potentials={})}
    return FrameFilter(
        DatasetSettings(
            source=VaspSource(paths=("a",)),
            curation=CurationSettings(**(trusting | curation)),
        )
    )


def test_parts_end_where_a_material_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of three or more frames: the two runs of two frames of a stay together."""
    monkeypatch.setattr(rules, "PART_SIZE", 3)
    runs = [run_of(name) for name in ("a1", "a2", "b", "c", "d")]

    parts = [good for good, _ in filter_of().apply(runs)]

    assert [sorted(set(p.material_ids.tolist())) for p in parts] == [
        ["a"],
        ["b", "c"],
        ["d"],
    ]


def test_materials_in_several_parts_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "PART_SIZE", 1)
    frame_filter = filter_of()

    list(frame_filter.apply([run_of(name) for name in ("a1", "b", "a2", "c")]))

    assert frame_filter.split_across_parts == {"a"}
    assert frame_filter.names.tolist() == [
        f"{name}#{index}" for name in ("a1", "b", "a2", "c") for index in (0, 1)
    ]


def test_rejections_of_the_source_are_passed_on() -> None:
    torn = Rejection(
        frame_id="x", material_id="x", rule=Rule.INCOMPLETE_FILE, reason="torn"
    )

    ((good, rejections),) = filter_of().apply([torn, run_of("a")])

    assert len(good) == 2
    assert rejections == [torn]


def test_an_empty_source_gives_one_empty_part() -> None:
    ((good, rejections),) = filter_of().apply([])

    assert (len(good), rejections) == (0, [])


def test_tasks_that_differ_from_the_primary_task_are_rejected() -> None:
    far = replace(TASK, final_energy=-2.9)
    runs = [
        run_of("a1", task=TASK, primary_task=TASK),
        run_of("a2", task=far, primary_task=TASK),
    ]

    ((good, rejections),) = filter_of().apply(runs)

    assert good.frame_ids.tolist() == ["a1#0", "a1#1"]
    assert [r.rule for r in rejections] == [Rule.PRIMARY_TASK] * 2


def test_frames_to_which_a_rule_cannot_be_applied_are_counted() -> None:
    frame_filter = filter_of()

    list(
        frame_filter.apply(
            [run_of("a"), run_of("b", relaxed_energy=-3.0, primary_task=TASK)]
        )
    )

    assert frame_filter.n_skipped == {Rule.PRIMARY_TASK: 2, Rule.ENERGY_WINDOW: 2}


def test_energies_of_another_code_are_neither_compared_nor_corrected() -> None:
    """Energies of GPAW, far from those of the potential of VASP's labels."""
    gpaw = LabelIdentity(code="GPAW", functional="r2SCAN")
    comparing = filter_of(energy_scale=EnergyScaleSettings())
    pbe = LabelIdentity(code="GPAW", functional="PBE")
    run = run_of("a", element="Li", identity=pbe)
    run = replace(run, frames=replace(run.frames, functional="PBE"))
    correcting = filter_of(functional="PBE", corrections="MP2020")

    ((kept, none),) = comparing.apply([run_of("a", element="Li", identity=gpaw)])
    ((_, rejections),) = correcting.apply([run])

    assert (len(kept), none) == (2, [])
    assert comparing.n_skipped[Rule.ENERGY_SCALE] == 2
    assert {each.rule for each in rejections} == {Rule.UNCORRECTABLE}
    assert rejections[0].reason == "expected energies of VASP for MP2020, got GPAW"


def test_a_rule_of_vasp_is_no_missing_input_of_another_code() -> None:
    run = run_of(
        "a",
        element="Li",
        relaxed_energy=-3.0,
        primary_task=TASK,
        identity=LabelIdentity(code="GPAW", functional="r2SCAN"),
    )
    frame_filter = filter_of(
        missing_input=MissingInput.STOP, energy_scale=EnergyScaleSettings()
    )

    ((kept, _),) = frame_filter.apply([run])

    assert len(kept) == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"relaxed_energy": -3.0}, "a primary task"),
        ({"primary_task": TASK}, "a relaxed energy"),
    ],
)
def test_frames_to_which_a_rule_cannot_be_applied_can_be_an_error(
    changes: dict[str, Any], expected: str
) -> None:
    frame_filter = filter_of(missing_input=MissingInput.STOP)

    with pytest.raises(InputError, match=f"frame a#0: expected {expected} to compare"):
        list(frame_filter.apply([run_of("a", **changes)]))


def test_elements_beyond_plutonium_are_rejected() -> None:
    with pytest.raises(InputError, match=r"frame a#0: .* got Cm \(Z = 96\)"):
        list(filter_of().apply([run_of("a", element="Cm")]))
