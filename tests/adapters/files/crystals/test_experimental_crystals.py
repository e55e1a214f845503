from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.crystals.experimental_crystals import (
    digest_crystals,
    read_crystals,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.density import (
    DensitySettings,
    ExperimentalCrystal,
    UnreadableCrystal,
)

if TYPE_CHECKING:
    from pathlib import Path

SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)

#: Densities at room temperature in g/cm³ as handbooks round them.
HANDBOOK = {
    "Li bcc": 0.534,
    "Na bcc": 0.97,
    "Cr bcc": 7.19,
    "Fe bcc": 7.87,
    "Nb bcc": 8.57,
    "Mo bcc": 10.2,
    "W bcc": 19.3,
    "Al fcc": 2.70,
    "Ni fcc": 8.90,
    "Cu fcc": 8.96,
    "Pd fcc": 12.0,
    "Ag fcc": 10.5,
    "Pt fcc": 21.5,
    "Au fcc": 19.3,
    "Pb fcc": 11.3,
    "Mg hcp": 1.74,
    "Ti hcp": 4.51,
    "Zn hcp": 7.14,
    "Zr hcp": 6.52,
    "C diamond": 3.51,
    "Si diamond": 2.33,
    "Ge diamond": 5.32,
    "LiF rocksalt": 2.64,
    "NaF rocksalt": 2.78,
    "NaCl rocksalt": 2.17,
    "KCl rocksalt": 1.99,
    "KBr rocksalt": 2.74,
    "CaO rocksalt": 3.34,
    "MnO rocksalt": 5.37,
    "PbS rocksalt": 7.60,
    "GaAs zincblende": 5.32,
    "GaP zincblende": 4.14,
    "InP zincblende": 4.81,
    "SiC zincblende": 3.21,
    "CaF2 fluorite": 3.18,
    "BaF2 fluorite": 4.89,
    "Li2O fluorite": 2.01,
    "CsCl cscl": 3.99,
    "CsI cscl": 4.51,
    "SrTiO3 perovskite": 5.12,
    "ZnO wurtzite": 5.61,
    "AlN wurtzite": 3.26,
    "GaN wurtzite": 6.1,
    "TiO2 rutile": 4.25,
    "MgF2 rutile": 3.15,
}


def write_cif(path: Path, structure: Structure = SALT, extra: str = "") -> None:
    path.write_text(structure.to(fmt="cif") + extra)


def read_all(settings: DensitySettings) -> list[ExperimentalCrystal]:
    """Read crystals, none of which is unreadable."""
    found = [c for c in read_crystals(settings) if isinstance(c, ExperimentalCrystal)]
    assert len(found) == len(read_crystals(settings))
    return found


def test_the_embedded_crystals_have_handbook_densities() -> None:
    crystals = {c.crystal_id: c for c in read_all(DensitySettings())}

    densities = {name: crystals[name].structure.density for name in HANDBOOK}

    assert densities == pytest.approx(HANDBOOK, rel=0.015)


def test_every_embedded_crystal_has_a_reference() -> None:
    crystals = read_all(DensitySettings())

    assert len(crystals) >= 40
    assert len({crystal.crystal_id for crystal in crystals}) == len(crystals)
    assert all(crystal.reference and crystal.temperature for crystal in crystals)
    assert all(crystal.structure.is_ordered for crystal in crystals)


def test_a_sample_is_reproducible_and_ordered() -> None:
    names = [crystal.crystal_id for crystal in read_crystals(DensitySettings())]
    settings = DensitySettings(n_crystals=7, seed=3)

    first, again = read_crystals(settings), read_crystals(settings)

    drawn = [crystal.crystal_id for crystal in first]
    assert drawn == [crystal.crystal_id for crystal in again]
    assert drawn == sorted(drawn, key=names.index)
    assert len(set(drawn)) == 7


def test_a_sample_larger_than_the_source_is_rejected() -> None:
    with pytest.raises(InputError, match="at least 999 crystals in embedded, got"):
        read_crystals(DensitySettings(n_crystals=999))


def test_a_folder_of_cifs_is_read_by_file_name(tmp_path: Path) -> None:
    write_cif(tmp_path / "b.cif", extra="\n_cell_measurement_temperature 100(2)\n")
    write_cif(tmp_path / "a.cif")
    (tmp_path / "notes.txt").write_text("not a crystal")

    crystals = read_all(DensitySettings(source=str(tmp_path)))

    assert [crystal.crystal_id for crystal in crystals] == ["a", "b"]
    assert [crystal.temperature for crystal in crystals] == [None, 100]
    assert len(crystals[0].structure) == 2
    assert crystals[0].structure.density == pytest.approx(SALT.density, rel=1e-4)


def test_digests_depend_on_the_content(tmp_path: Path) -> None:
    settings = DensitySettings(source=str(tmp_path))
    write_cif(tmp_path / "a.cif")
    before = digest_crystals(settings)

    write_cif(tmp_path / "a.cif", SALT.get_primitive_structure())

    assert digest_crystals(settings) != before
    assert digest_crystals(DensitySettings()) == digest_crystals(DensitySettings())


def test_a_folder_without_cifs_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected files \*\.cif in .*, got none"):
        digest_crystals(DensitySettings(source=str(tmp_path)))


def test_a_missing_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got none at"):
        read_crystals(DensitySettings(source=str(tmp_path / "away")))


def test_a_file_that_cannot_be_read_has_its_reason_among_the_others(
    tmp_path: Path,
) -> None:
    write_cif(tmp_path / "c.cif")
    alloy = Structure(Lattice.cubic(3), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    write_cif(tmp_path / "a.cif", alloy)
    (tmp_path / "b.cif").write_bytes(bytes(range(256)))

    first, second, third = read_crystals(DensitySettings(source=str(tmp_path)))

    assert isinstance(first, UnreadableCrystal)
    assert "got partial ones" in first.reason
    assert isinstance(second, UnreadableCrystal)
    assert (second.crystal_id, second.reference) == ("b", "b.cif")
    assert isinstance(third, ExperimentalCrystal)


def test_a_file_without_crystal_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("data_x\n_cell_length_a 4\n")

    with pytest.raises(InputError, match=r"a crystal structure in .*broken\.cif"):
        read_crystals(DensitySettings(source=str(tmp_path)))


def test_partially_occupied_sites_are_rejected(tmp_path: Path) -> None:
    alloy = Structure(Lattice.cubic(3), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    write_cif(tmp_path / "alloy.cif", alloy)

    with pytest.raises(InputError, match=r"got partial ones in .*alloy\.cif"):
        read_crystals(DensitySettings(source=str(tmp_path)))
