from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.untrusted.compressed import (
    ALWAYS_ALLOWED,
    MAX_EXPANSION,
    open_text,
    read_text,
    require_bounded,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Zero bytes, of which a thousand compress to one.
BOMB = bytes(ALWAYS_ALLOWED + 2**24)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
    ids=["gzip", "bzip2", "xz"],
)
def test_a_file_that_expands_without_bounds_is_rejected(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"OUTCAR{suffix}"
    path.write_bytes(compress(BOMB))

    with pytest.raises(InputError, match=f"at most {MAX_EXPANSION} times"):
        require_bounded(path)
    with pytest.raises(InputError, match=f"at most {MAX_EXPANSION} times"):
        read_text(path)
    with (
        pytest.raises(InputError, match=f"at most {MAX_EXPANSION} times"),
        open_text(path) as file,
    ):
        next(file)


def test_a_plain_file_has_no_limit_and_small_ones_expand_freely(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed.gz"
    plain.write_bytes(b"line\n" * 10**6)
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    with open_text(plain) as left, open_text(packed) as right:
        assert list(left) == list(right)
    assert packed.stat().st_size * MAX_EXPANSION < plain.stat().st_size


def test_a_truncated_or_missing_file_is_one_line(tmp_path: Path) -> None:
    truncated = tmp_path / "a.json.gz"
    truncated.write_bytes(gzip.compress(b"[1, 2]")[:-9])

    with pytest.raises(InputError, match="expected text, got: Compressed file ended"):
        read_text(truncated)
    with pytest.raises(InputError, match=r"expected a file, got no .*b\.json"):
        read_text(tmp_path / "b.json")
