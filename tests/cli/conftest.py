"""The command line as a person calls it, in this process."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.frames import write_frames
from nextrung.cli import main
from nextrung.cli.running import console
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    output: str
    errors: str


@pytest.fixture(autouse=True)
def working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Run commands in an empty folder, so that none writes into the checkout."""
    monkeypatch.chdir(tmp_path_factory.mktemp("working"))


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """Call ``nextrung`` with arguments."""

    def run(*arguments: object, root: str = "", width: int = 160) -> Finished:
        monkeypatch.setattr(sys, "argv", ["nextrung", *map(str, arguments)])
        monkeypatch.setenv("NEXTRUNG_ROOT", root)
        monkeypatch.setattr(console, "width", width)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setenv("NEXTRUNG_DEVICE", os.environ.get("NEXTRUNG_DEVICE", "auto"))
            with pytest.raises(SystemExit) as ended:
                main()
        logging.getLogger("jobflow").handlers.clear()  # they write to captured streams
        captured = capsys.readouterr()
        code = ended.value.code
        return Finished(
            code if isinstance(code, int) else 0, captured.out, captured.err
        )

    return run


@pytest.fixture(scope="session")
def salt() -> Structure:
    """Rock salt in a primitive cubic cell, one atom displaced."""
    return Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.52]])


@pytest.fixture
def salt_file(tmp_path: Path, salt: Structure) -> Path:
    """The only file of a folder."""
    (tmp_path / "crystals").mkdir()
    salt.to(str(tmp_path / "crystals" / "salt.cif"))
    return tmp_path / "crystals" / "salt.cif"


@pytest.fixture
def odd_frames(tmp_path: Path, salt: Structure) -> Path:
    """A frame labelled by the r²SCAN potential, and one that it cannot predict."""
    lonely = Structure(Lattice.cubic(20), ["Na"], [[0, 0, 0]])
    frames = Frames.from_structures(
        [salt, lonely], ["salt", "lonely"], functional="r2SCAN"
    )
    labelled, _ = load_potential("chgnet-r2scan", "cpu").predict_frames(frames)
    labelled.energies[1] = 0.0
    write_frames(labelled, tmp_path / "odd.parquet")
    return tmp_path / "odd.parquet"


@pytest.fixture
def frames_file(tmp_path: Path, salt: Structure) -> Path:
    """Strained crystals labelled by the r²SCAN potential itself."""
    sodium = Structure(Lattice.cubic(4.2), ["Na", "Na"], [[0, 0, 0], [0.5] * 3])
    structures = [
        structure.copy().apply_strain(0.01 * strain, inplace=False)
        for strain, structure in enumerate([salt, salt, salt, sodium, salt, salt])
    ]
    frames = Frames.from_structures(structures, functional="r2SCAN")
    labelled, _ = load_potential("chgnet-r2scan", "cpu").predict_frames(frames)
    splits = frames.splits.copy()
    splits[:] = ["train", "train", "train", "train", "val", "test"]
    write_frames(labelled.with_splits(splits), tmp_path / "frames.parquet", {})
    return tmp_path / "frames.parquet"
