from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from atomate2 import SETTINGS
from pymatgen.core import SETTINGS as PYMATGEN_SETTINGS
from pymatgen.core import Lattice, Structure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]


@pytest.fixture
def silicon(tmp_path: Path) -> Path:
    path = tmp_path / "Si.cif"
    lattice = Lattice.cubic(5.43)
    Structure.from_spacegroup("Fd-3m", lattice, ["Si"], [[0, 0, 0]]).to(str(path))
    return path


@pytest.mark.parametrize(
    ("program", "folder", "line"),
    [
        ("no_vasp", None, r"ATOMATE2_VASP_CMD, met 'no_vasp'"),
        ("sh", None, r"POTCARs in PMG_VASP_PSP_DIR, met nothing"),
        ("sh", "nowhere", r"POTCARs in PMG_VASP_PSP_DIR, met nowhere"),
    ],
)
def test_without_vasp_nothing_begins(
    program: str,
    folder: str | None,
    line: str,
    call: Call,
    silicon: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SETTINGS, "VASP_CMD", program)
    monkeypatch.setitem(PYMATGEN_SETTINGS, "PMG_VASP_PSP_DIR", folder)

    finished = call("label", silicon, "--root", tmp_path / "run")

    assert finished.code == 2
    assert line in finished.errors
    assert not (tmp_path / "run").exists()
