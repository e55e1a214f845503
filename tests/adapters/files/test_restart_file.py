from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.adapters.files.test_relaxation_log import full_disk

from nextrung.adapters.files.restart_file import RestartFile
from nextrung.checked_files import count_damaged
from nextrung.potentials.relaxation.restart import RestartPoint
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {"job": "a"}


def make_point(n_atoms: int) -> RestartPoint:
    rng = np.random.default_rng(n_atoms)
    rows, previous_rows, velocities = rng.normal(size=(3, n_atoms + 3, 3))
    return RestartPoint(
        rows=rows,
        previous_rows=previous_rows,
        velocities=velocities,
        time_step=0.1 / 3,
        mixing=0.099,
        n_downhill=4,
        n_steps=17,
        initial_energy=-1 / 3,
    )


POINTS = {"mp-1": make_point(2), "Mg–O": make_point(1), "mp-3": make_point(5)}


def assert_same(found: dict[str, RestartPoint], names: list[str]) -> None:
    """The points of some materials agree bit for bit."""
    assert list(found) == names
    for name, point in found.items():
        for field, value in asdict(POINTS[name]).items():
            read = getattr(point, field)
            assert np.array_equal(read, value)
            assert type(read) is type(value)


def test_restart_points_are_read_as_they_were_written(tmp_path: Path) -> None:
    RestartFile(tmp_path / "restart", HEADER).update(POINTS, set())

    assert_same(RestartFile(tmp_path / "restart", HEADER).points, list(POINTS))


def test_points_of_several_processes_are_joined_and_finished_ones_left_out(
    tmp_path: Path,
) -> None:
    file = RestartFile(tmp_path / "restart", HEADER)
    file.update({"mp-1": POINTS["mp-1"], "mp-3": make_point(4)}, set())
    file.update({"mp-3": POINTS["mp-3"]}, {"mp-1"})
    assert_same(RestartFile(tmp_path / "restart", HEADER).points, ["mp-3"])

    file.update({}, {"mp-1", "mp-3"})
    assert RestartFile(tmp_path / "restart", HEADER).points == {}


@pytest.mark.parametrize("position", [0, 100, -40, -1])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "restart"
    RestartFile(path, HEADER).update(POINTS, set())
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)

    file = RestartFile(path, HEADER)

    assert file.points == {}
    assert count_damaged(tmp_path) == 1
    assert caplog.messages[0].endswith("structures are relaxed from the start")
    file.update(POINTS, set())
    assert_same(RestartFile(path, HEADER).points, list(POINTS))


def test_the_file_of_another_job_is_rejected(tmp_path: Path) -> None:
    RestartFile(tmp_path / "restart", HEADER).update(POINTS, set())

    with pytest.raises(InputError, match="restart: expected the restart file of this"):
        RestartFile(tmp_path / "restart", {"job": "b"})


def test_on_a_full_disk_the_file_before_stays(tmp_path: Path) -> None:
    file = RestartFile(tmp_path / "restart", HEADER)
    file.update({"mp-1": POINTS["mp-1"]}, set())

    with full_disk(100), pytest.raises(InputError, match="disk space for the restart"):
        file.update(POINTS, set())

    assert_same(RestartFile(tmp_path / "restart", HEADER).points, ["mp-1"])
