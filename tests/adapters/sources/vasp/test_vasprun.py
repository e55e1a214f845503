from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.adapters.sources.vasp.vasprun import read_vasprun
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vasprun.xml"


def test_the_energy_is_the_free_energy_not_e_0_energy(
    path: Path, vasprun: Callable[..., str]
) -> None:
    path.write_text(vasprun())

    run = read_vasprun(path)

    assert [step.energy for step in run.steps] == [-8.25]


def test_labels_are_read_from_the_file(path: Path, vasprun: Callable[..., str]) -> None:
    path.write_text(vasprun())

    run = read_vasprun(path)

    step = run.steps[0]
    assert run.atomic_numbers == (11, 17)
    assert step.forces is not None
    assert step.forces.tolist() == [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]]
    assert step.stress is not None
    assert step.stress.tolist() == [[10, 40, 60], [40, 20, 50], [60, 50, 30]]
    assert step.magmoms is None
    assert step.lattice.tolist() == [[4, -0.4, 0], [0, 4, 0], [0, 0, 5]]


def test_the_settings_of_the_run_are_read(
    path: Path, vasprun: Callable[..., str]
) -> None:
    path.write_text(vasprun())

    run = read_vasprun(path)

    assert run.functional == "r2SCAN"
    assert max(run.hubbard_us.values(), default=0) == 0
    assert run.plane_wave_cutoff == 520
    assert run.max_electronic_steps == 60
    assert [step.n_electronic_steps for step in run.steps] == [2]


@pytest.mark.parametrize(("value", "expected"), [("3.5", 3.5), ("0.0", 0.0)])
def test_u_is_read_from_the_incar(
    value: str, expected: float, path: Path, vasprun: Callable[..., str]
) -> None:
    """The parameters have LDAU = F in every run."""
    path.write_text(
        vasprun(
            '<i type="logical" name="LDAU"> T  </i>'
            f'<v name="LDAUU">      {value}      0.0 </v>'
            '<v name="LDAUJ">      0.0      0.0 </v>'
            '<v type="int" name="LDAUL">      2      -1 </v>'
        )
    )

    assert max(read_vasprun(path).hubbard_us.values(), default=0) == expected


def test_a_step_without_a_structure_is_rejected(
    path: Path, vasprun: Callable[..., str]
) -> None:
    """As a GW calculation leaves it."""
    before, _, step = vasprun().partition("<calculation>")
    start, stop = step.index("<structure"), step.index("</structure>")
    path.write_text(
        f"{before}<calculation>{step[:start]}{step[stop + len('</structure>') :]}"
    )

    with pytest.raises(InputError, match="a step has no structure, as in GW"):
        read_vasprun(path)


def test_a_truncated_file_is_rejected(path: Path, vasprun: Callable[..., str]) -> None:
    path.write_text(vasprun()[:-100])

    with pytest.raises(InputError, match="the XML is incomplete"):
        read_vasprun(path)


@pytest.mark.parametrize(
    ("name", "n_steps", "energy_per_atom"),
    [("Al", 2, -3.74204295), ("LiF", 1, -4.82294842), ("r2scan", 1, -5.945295325)],
)
def test_real_files_are_read(
    name: str, n_steps: int, energy_per_atom: float, real_data: Path
) -> None:
    """Energies are ``e_fr_energy`` of the last step of pymatgen's test files."""
    run = read_vasprun(real_data / "traps" / f"vasprun.{name}.xml.gz")

    assert run.functional == "r2SCAN"
    assert len(run.steps) == n_steps
    last = run.steps[-1].energy / len(run.atomic_numbers)
    assert last == pytest.approx(energy_per_atom, abs=1e-8)
