from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.files.paths import expand_path
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("written", ["$SOME_DATA/runs", "${SOME_DATA}/runs"])
def test_variables_are_expanded(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("SOME_DATA", str(tmp_path))

    assert expand_path(written) == tmp_path / "runs"


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_DATA", raising=False)

    with pytest.raises(InputError, match="environment variable SOME_DATA is not set"):
        expand_path("$SOME_DATA/runs")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a file or folder, got none at .*x"):
        expand_path(str(tmp_path / "x"))
