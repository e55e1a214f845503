"""The audit of labels, on real OUTCARs and on copies with planted mistakes."""

from __future__ import annotations

import bz2
import re
from shutil import copytree
from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.curation.audit import audit_source
from nextrung.schemas.labels.sources import VaspSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextrung.schemas.labels.identity import LabelAudit

FOLDERS = ("r2scan-tm-oxides/R2SCAN", "r2scan-tm-fluorides/R2SCAN")
U_OF_MN = "   U (eV)           for each species LDAUU =   3.9  0.0\n"
NUMBER = re.compile(r"-?\d+\.\d+")


def edit(path: Path, change: Callable[[str], str]) -> str:
    """Change the text of an OUTCAR; name its run."""
    text = bz2.decompress(path.read_bytes()).decode()
    changed = change(text)
    assert changed != text, path
    path.write_bytes(bz2.compress(changed.encode(), 1))
    return path.parent.name


def scale_lines(text: str, start: str, factor: float) -> str:
    """Multiply the numbers of the lines that start with a text."""

    def scale(line: str) -> str:
        return NUMBER.sub(lambda number: f"{factor * float(number[0]):.5f}", line)

    return "\n".join(
        scale(line) if line.lstrip().startswith(start) else line
        for line in text.split("\n")
    )


def shift_energies(text: str, shift: float) -> str:
    """Move the free energies of all ionic steps, in eV."""
    return re.sub(
        r"(free  energy   TOTEN  = +)(-?\d+\.\d+)",
        lambda found: f"{found[1]}{float(found[2]) + shift:.8f}",
        text,
    )


def audit(*folders: Path) -> LabelAudit:
    source = VaspSource(paths=tuple(str(folder) for folder in folders))
    return audit_source(source, "chgnet-r2scan", device="cpu")


@pytest.mark.slow
def test_clean_runs_raise_no_alarm(real_data: Path) -> None:
    """All have one functional, no U and one PAW data set per element."""
    found = audit(*(real_data / folder for folder in FOLDERS))

    assert (found.n_runs, found.n_frames) == (46, 170)
    assert found.files is not None
    assert (found.files.n_read, found.files.n_unreadable) == (46, 0)
    assert found.outliers == []
    assert [mixture.field for mixture in found.mixtures] == ["smearing"]


@pytest.mark.slow
def test_every_planted_mistake_is_found(real_data: Path, tmp_path: Path) -> None:
    for number, folder in enumerate(FOLDERS):
        copytree(real_data / folder, tmp_path / str(number))
    oxides, fluorides = tmp_path / "0", tmp_path / "1"
    (functional,) = oxides.glob("Ni_oxides/NiO_R2/OUTCAR.bz2")
    (potential,) = oxides.glob("Mn_oxides_cleaned/MnO_R2/OUTCAR.bz2")
    (hubbard_u,) = fluorides.glob("Mn/MnF2/0/OUTCAR.bz2")
    (energy,) = oxides.glob("Mn_oxides_cleaned/MnO2_R2/OUTCAR.bz2")
    edit(functional, lambda text: text.replace("METAGGA = R2SCA", "METAGGA = SCAN "))
    edit(potential, lambda text: text.replace("PAW_PBE Mn_pv", "PAW_PBE Mn_sv"))
    edit(
        hubbard_u,
        lambda text: text.replace("   GGA     =    --", f"{U_OF_MN}   GGA     =    --"),
    )
    moved = edit(energy, lambda text: shift_energies(text, 3.0))

    found = audit(oxides, fluorides)

    mixed = {mixture.field for mixture in found.mixtures}
    assert {"functional", "potential Mn", "hubbard_u Mn"} <= mixed
    assert [o.run_id.rpartition("/")[2] for o in found.outliers] == [moved]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factor", "cause"), [(-1.0, "opposite sign"), (10.0, "kBar"), (160.2, "eV/Å³")]
)
def test_stresses_of_another_unit_or_sign_are_found(
    factor: float, cause: str, real_data: Path, tmp_path: Path
) -> None:
    """In the run with the largest stresses; those of relaxed crystals tell nothing."""
    copytree(real_data / "r2scan-tm-fluorides/R2SCAN/Cr", tmp_path / "Cr")
    runs = sorted((tmp_path / "Cr").rglob("OUTCAR.bz2"))
    for run in runs:
        edit(run, lambda text: scale_lines(text, "in kB ", factor))

    found = audit(tmp_path / "Cr")

    named = [outlier for outlier in found.outliers if outlier.kind == "stress"]
    assert named
    assert all(cause in outlier.reason for outlier in named)
