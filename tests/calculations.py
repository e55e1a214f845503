"""VASP stands aside: a script leaves the files of a recorded calculation instead."""

from __future__ import annotations

import gzip
import warnings
from typing import TYPE_CHECKING

import pytest
from pymatgen.io.vasp import Vasprun

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure


@pytest.fixture(scope="session")
def recorded_calculation(real_data: Path) -> Path:
    """A folder with the files of an r²SCAN calculation of silicon."""
    return real_data / "mp-task-documents" / "r2scan_Si_relax"


@pytest.fixture(scope="session")
def recorded_silicon(recorded_calculation: Path) -> Structure:
    """The structure of the recorded calculation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Vasprun(
            recorded_calculation / "vasprun.xml.gz",
            parse_dos=False,
            parse_eigen=False,
            parse_potcar_file=False,
        )
    return run.final_structure


@pytest.fixture
def vasp_script(recorded_calculation: Path, tmp_path: Path) -> Path:
    """A program that takes no time to calculate silicon, and knows nothing else."""
    folder = tmp_path / "vasp"
    folder.mkdir()
    for name in ("OUTCAR", "vasprun.xml"):
        content = (recorded_calculation / f"{name}.gz").read_bytes()
        (folder / name).write_bytes(gzip.decompress(content))
    script = folder / "vasp_std"
    script.write_text(
        "#!/bin/sh\ngrep -q Si POSCAR || exit 1\n"
        f"cp {folder}/OUTCAR {folder}/vasprun.xml .\n"
        "cp POSCAR CONTCAR\necho '1 F= -17.5 E0= -17.5' > OSZICAR\n"
    )
    script.chmod(0o755)
    return script
