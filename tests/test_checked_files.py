from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.checked_files import (
    DamagedFileError,
    count_damaged,
    read_checked,
    set_aside,
    write_checked,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_content_is_read_as_it_was_written(tmp_path: Path) -> None:
    for content in (b"", b"state of a relaxation"):
        write_checked(tmp_path / "state", content)
        assert read_checked(tmp_path / "state") == content


def test_every_flipped_byte_and_every_truncation_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_checked(path, b"state of a relaxation")
    whole = path.read_bytes()
    damaged = [whole[:n] for n in range(len(whole))]
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        damaged.append(bytes(flipped))

    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(
            DamagedFileError, match=r"state: expected .*, got .* damaged"
        ):
            read_checked(path)


def test_damaged_files_are_kept_under_other_names_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert count_damaged(tmp_path) == 0
    for _ in range(2):
        (tmp_path / "state").touch()
        set_aside(tmp_path / "state", "it starts again")

    assert count_damaged(tmp_path) == 2
    assert not (tmp_path / "state").exists()
    assert caplog.messages[1].endswith(
        "state is damaged, kept as damaged-2-state; it starts again"
    )
