from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nextrung.adapters.sources.vasp.outcar import read_outcar
from nextrung.adapters.sources.vasp.vasprun import read_vasprun
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextrung.adapters.sources.vasp.run import VaspRun


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], VaspRun]:
    """Read an OUTCAR of the given text."""

    def write_and_read(text: str) -> VaspRun:
        (tmp_path / "OUTCAR").write_text(text)
        return read_outcar(tmp_path / "OUTCAR")

    return write_and_read


def test_hashes_of_paw_data_sets_belong_to_their_elements(
    tmp_path: Path, outcar: Callable[..., str]
) -> None:
    """VASP 6 writes a hash before the title; one of the two files has none."""
    text = outcar().replace(
        "   TITEL  = PAW_PBE Cl", "   SHA256 =  ab12 Cl/POTCAR\n   TITEL  = PAW_PBE Cl"
    )
    (tmp_path / "OUTCAR").write_text(text)

    assert read_outcar(tmp_path / "OUTCAR").hashes == {"Cl": "sha256:ab12"}


def test_every_ionic_step_has_its_labels(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    """Components of ``in kB`` are XX YY ZZ XY YZ ZX; columns that touch are two."""
    run = read(outcar((-8.0, -8.25)))

    assert [step.energy for step in run.steps] == [-8.0, -8.25]
    assert run.atomic_numbers == [11, 17]
    step = run.steps[1]
    assert step.stress is not None
    assert step.stress.tolist() == [[10, 40, 60], [40, 20, 50], [60, 50, 30]]
    assert step.forces is not None
    assert step.forces.tolist() == [[0.1, 0.2, 0.3], [-0.1, -10.2, -0.3]]
    assert step.magmoms is not None
    assert step.magmoms.tolist() == [0.25, -1.5]
    assert step.lattice.tolist() == [[4, -0.4, 0], [0, 4, 0], [0, 0, 5]]
    np.testing.assert_allclose(step.frac_coords, np.outer([0, 0.5], np.ones(3)))


def test_the_settings_of_the_run_are_read(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    run = read(outcar(n_electronic=9, nelm=150))

    assert run.functional == "r2SCAN"
    assert run.plane_wave_cutoff == 520
    assert run.max_electronic_steps == 150
    assert [step.n_electronic_steps for step in run.steps] == [9, 9]


@pytest.mark.parametrize(
    ("hubbard", "expected"),
    [
        ("", 0.0),
        ("   U (eV)           for each species LDAUU =   0.0  0.0", 0.0),
        ("   U (eV)           for each species LDAUU =   0.0  3.5", 3.5),
    ],
    ids=["no-u", "ldau-with-all-u-zero", "u"],
)
def test_the_hubbard_u_follows_from_its_values_not_from_ldau(
    hubbard: str,
    expected: float,
    read: Callable[[str], VaspRun],
    outcar: Callable[..., str],
) -> None:
    """LDAU = .TRUE. with all U = 0 is a run without Hubbard U."""
    run = read(outcar(hubbard=f" LDA+U is selected, LDAUTYPE =  2\n{hubbard}"))

    assert max(run.hubbard_us.values(), default=0) == expected


@pytest.mark.parametrize(
    ("metagga", "more", "expected"),
    [
        ("", "   METAGGA = --", "PBE"),
        (" METAGGA = SCAN ", "", "SCAN"),
        (
            " METAGGA = R2SCA    LMAXTAU =  6    LMIXTAU =  T",
            "   METAGGA=      F    non-selfconsistent MetaGGA calc.",
            "r2SCAN",
        ),
        (
            " METAGGA = --",
            "   METAGGA=      F    non-selfconsistent MetaGGA calc.",
            "PBE",
        ),
        ("", "   METAGGA = --\n   LHFCALC = T\n   HFSCREEN= 0.2000\n", "HSE06"),
        (" METAGGA = R2SCA", "   IVDW = 12", "r2SCAN-D3(BJ)"),
    ],
)
def test_the_functional_follows_from_the_tags(
    metagga: str,
    more: str,
    expected: str,
    read: Callable[[str], VaspRun],
    outcar: Callable[..., str],
) -> None:
    assert read(outcar(metagga=metagga, more=more)).functional == expected


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_compressed_files_are_read_alike(
    suffix: str,
    compress: Callable[[bytes], bytes],
    outcar: Callable[..., str],
    tmp_path: Path,
) -> None:
    path = tmp_path / f"OUTCAR{suffix}"
    path.write_bytes(compress(outcar().encode()))

    assert [step.energy for step in read_outcar(path).steps] == [-8.0, -8.25]


def test_moments_of_noncollinear_spins_are_skipped(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    run = read(outcar(noncollinear=" magnetization (y)"))

    assert [step.magmoms for step in run.steps] == [None, None]


def test_an_incomplete_run_is_rejected(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    with pytest.raises(InputError, match="stops after ionic step 2, without VASP's"):
        read(outcar(end=""))


def test_a_run_without_ionic_steps_is_rejected(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    with pytest.raises(InputError, match="no ionic step was completed"):
        read(outcar(()))


def test_numbers_that_overflow_their_columns_are_rejected(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    with pytest.raises(ValueError, match=r"\*\*\*"):
        read(outcar(force="**********"))


def test_a_step_without_positions_is_rejected(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    text = outcar().replace(" POSITION  ", " elsewhere  ")

    with pytest.raises(InputError, match="ionic step 1 has no positions"):
        read(text)


def test_both_files_of_a_real_run_agree(real_data: Path) -> None:
    """OUTCAR rounds positions to 1e-5 Å, forces to 1e-6 eV/Å, stress to 1e-5 kBar."""
    folder = real_data / "traps" / "Si_mp_meta_gga_wrong_scale"

    ours = read_outcar(folder / "OUTCAR.gz")
    theirs = read_vasprun(folder / "vasprun.xml.gz")

    assert list(ours.atomic_numbers) == list(theirs.atomic_numbers)
    assert ours.functional == theirs.functional == "r2SCAN"
    assert ours.plane_wave_cutoff == theirs.plane_wave_cutoff
    assert ours.max_electronic_steps == theirs.max_electronic_steps
    for step, other in zip(ours.steps, theirs.steps, strict=True):
        assert step.energy == other.energy
        assert step.n_electronic_steps == other.n_electronic_steps
        np.testing.assert_allclose(step.lattice, other.lattice, atol=1e-6)
        offsets = (step.frac_coords - other.frac_coords + 0.5) % 1 - 0.5
        np.testing.assert_allclose(offsets, 0, atol=1e-5)
        assert step.forces is not None
        assert other.forces is not None
        assert step.stress is not None
        assert other.stress is not None
        np.testing.assert_allclose(step.forces, other.forces, atol=1e-6)
        np.testing.assert_allclose(step.stress, other.stress, atol=1e-5)


#: What VASP writes of an ionic step that its machine-learned force field made.
ML_STEP = """\
 POSITION                                       TOTAL-FORCE (eV/Angst) (ML)
 -------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         9.000000      9.000000      9.000000
      2.00000      1.80000      2.50000        -9.000000     -9.000000     -9.000000
 -------------------------------------------------------------------------------
  free  energy ML TOTEN  =         0.00000000 eV

  ML energy  without entropy=      -1.00000000  ML energy(sigma->0) =      -2.00000000
"""


def test_steps_of_a_machine_learned_force_field_are_no_labels(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    """Neither those between DFT steps nor those that repeat a DFT step."""
    text = outcar().replace(" General timing", f"{ML_STEP} General timing")
    middle = text.rindex("--------------------------------------- Iteration      1(")
    first = text.index("--------------------------------------- Iteration      1(")

    run = read(text[:first] + ML_STEP + text[first:middle] + text[middle:])

    assert [step.energy for step in run.steps] == [-8.0, -8.25]
    forces = run.steps[1].forces
    assert forces is not None
    assert forces[0].tolist() == [0.1, 0.2, 0.3]
    assert run.steps[1].energy_without_smearing == -2.0


def test_positions_may_follow_the_energy_as_in_vasp_5_2(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    text = outcar()
    blocks = text.split(" POSITION  ")
    moved = blocks[0]
    for block in blocks[1:]:
        sites, _, rest = block.partition("  FREE ENERGIE")
        energy, _, after = rest.partition("energy(sigma->0) =      -2.00000000\n")
        moved += f"  FREE ENERGIE{energy}energy(sigma->0) =      -2.00000000\n"
        moved += f" POSITION  {sites}{after}"

    run, usual = read(moved), read(text)

    for step, other in zip(run.steps, usual.steps, strict=True):
        assert step.energy == other.energy
        assert step.energy_without_smearing == other.energy_without_smearing == -2.0
        np.testing.assert_array_equal(step.forces, other.forces)
        np.testing.assert_array_equal(step.frac_coords, other.frac_coords)


def test_the_forces_of_a_table_with_dispersion_are_the_total_ones(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    """Three more columns hold the forces of the dispersion correction alone."""
    text = outcar().replace("0.300000\n", "0.300000   7.000000   7.000000   7.000000\n")

    forces = read(text).steps[0].forces

    assert forces is not None
    assert forces.tolist() == [[0.1, 0.2, 0.3], [-0.1, -10.2, -0.3]]


def test_elements_are_known_without_titles(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    text = outcar().replace("   TITEL  = PAW_PBE Na_pv 19Sep2006\n", "")
    text = text.replace("   TITEL  = PAW_PBE Cl 06Sep2000\n", "   VRHFIN =Cl: s2p5\n")

    assert read(text).atomic_numbers == [11, 17]


def test_more_than_ten_species_wrap_into_the_next_line(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    chlorine = "   TITEL  = PAW_PBE Cl 06Sep2000\n"
    zeros = "   0" * 9
    text = outcar(
        hubbard=f"   U (eV)           for each species LDAUU =   0.0{'  0.0' * 9}"
        "\n 0.0  2.5",
    )
    text = text.replace(chlorine, chlorine * 11)
    text = text.replace(
        "   ions per type =               1   1\n",
        f"   ions per type =               1{zeros}\n   0   1\n",
    )

    run = read(text)

    assert run.atomic_numbers == [11, 17]
    assert run.hubbard_us == {"Na": 0.0, "Cl": 2.5}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("   ICHARG =     11    charge: 1-file 2-atom 10-const", ["fixed_density"]),
        ("   ICHARG =      1    charge: 1-file 2-atom 10-const", []),
        ("   LSORBIT =      T    spin-orbit coupling", ["spin_orbit"]),
        ("   NELECT =      14.0000    total number of electrons", []),
        ("   NELECT =      13.0000    total number of electrons", ["charged"]),
    ],
)
def test_the_electronic_state_is_read(
    more: str,
    expected: list[str],
    read: Callable[[str], VaspRun],
    outcar: Callable[..., str],
) -> None:
    text = outcar(more=more)
    for title in ("PAW_PBE Na_pv 19Sep2006", "PAW_PBE Cl 06Sep2000"):
        valence = "   POMASS =   1.000; ZVAL   =    7.000    mass and valenz\n"
        text = text.replace(f"TITEL  = {title}\n", f"TITEL  = {title}\n{valence}")

    assert sorted(read(text).states) == expected


HSE06_SUMMARY = """\
   LHFCALC =     T    Hartree Fock is set to
   AEXX    =    0.2500 exact exchange contribution
   HFSCREEN=    0.2000 screening length (either q_TF or 0.3 A-1)
   AGGAX   =    0.7500
   ALDAC   =    1.0000
   AGGAC   =    1.0000"""

#: The same functionals as the two files of a run tell them.
BOTH_FILES = [
    (
        HSE06_SUMMARY,
        '<i type="logical" name="LHFCALC"> T </i><i name="HFSCREEN"> 0.2 </i>',
        "HSE06",
    ),
    (
        "   LHFCALC =     T    Hartree Fock is set to\n   AEXX    =    0.3000 exact",
        '<i type="logical" name="LHFCALC"> T </i><i name="AEXX"> 0.3 </i>',
        "unknown: GGA = PE, LHFCALC = T, AEXX = 0.3",
    ),
    ("   GGA     =    PS    GGA type", '<i type="string" name="GGA">PS</i>', "PBEsol"),
    (
        "   GGA     =    CX    GGA type",
        '<i type="string" name="GGA">CX</i>',
        "unknown: GGA = CX",
    ),
    ("   IVDW = 12", '<i type="int" name="IVDW"> 12 </i>', "PBE-D3(BJ)"),
]


@pytest.mark.parametrize(("summary", "incar", "expected"), BOTH_FILES)
def test_both_files_name_the_same_functional(
    summary: str,
    incar: str,
    expected: str,
    read: Callable[[str], VaspRun],
    outcar: Callable[..., str],
    vasprun: Callable[..., str],
    tmp_path: Path,
) -> None:
    plain = vasprun(incar).replace('<i type="string" name="METAGGA"> R2SCAN</i>', "", 1)
    (tmp_path / "vasprun.xml").write_text(plain)
    text = outcar(metagga="", more=summary).replace("   METAGGA = R2SCAN\n", "")

    assert read(text).functional == expected
    assert read_vasprun(tmp_path / "vasprun.xml").functional == expected


def test_the_incar_tells_functionals_apart_that_the_summary_cuts_off(
    read: Callable[[str], VaspRun], outcar: Callable[..., str]
) -> None:
    """The summary holds five letters: R2SCAN and R2SCANL are both R2SCA there."""
    text = outcar(metagga=" METAGGA = R2SCA    LMAXTAU =  6")

    assert read(text).functional == "r2SCAN"
    other = text.replace("METAGGA = R2SCAN\n", "METAGGA = R2SCANL\n")
    assert read(other).functional == "r2SCAN-L"
