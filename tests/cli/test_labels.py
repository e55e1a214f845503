from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from atomate2 import SETTINGS
from pymatgen.core import SETTINGS as PYMATGEN_SETTINGS
from pymatgen.core import Lattice, Structure
from tests.gpaw_calculations import make_silicon

from nextrung.cli.inputs import choose_folder_source
from nextrung.schemas.labels.sources import GpawDocumentsSource, VaspSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from fireworks import LaunchPad
    from tests.cli.conftest import Finished
    from tests.services import Database

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
        ("no_vasp", None, r"ATOMATE2_VASP_CMD, got 'no_vasp'"),
        ("sh", None, r"POTCARs in PMG_VASP_PSP_DIR, got nothing"),
        ("sh", "nowhere", r"POTCARs in PMG_VASP_PSP_DIR, got nowhere"),
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


@pytest.fixture
def settings_file(vasp_script: Path, tmp_path: Path) -> Path:
    """No POTCAR is written, and a script is in the place of VASP."""
    file = tmp_path / "labels.yaml"
    maker = {
        "write_input_set_kwargs": {"potcar_spec": True},
        "run_vasp_kwargs": {"vasp_cmd": str(vasp_script)},
    }
    file.write_text(yaml.safe_dump({"input_set": "mp_r2scan", "maker": maker}))
    return file


@pytest.mark.filterwarnings("ignore")
def test_what_is_labelled_is_not_calculated_again(
    call: Call,
    recorded_silicon: Structure,
    settings_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SETTINGS, "VASP_CMD", "sh")
    monkeypatch.setitem(PYMATGEN_SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path))
    recorded_silicon.to(str(tmp_path / "Si.vasp"), fmt="poscar")
    salt = Structure(Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    salt.to(str(tmp_path / "NaCl.cif"))
    files = tmp_path / "Si.vasp", tmp_path / "NaCl.cif"
    options = "--settings", settings_file, "--root", tmp_path / "run"

    first = call("label", *files, *options)
    again = call("label", *files, *options)

    assert (first.code, again.code) == (1, 1)  # the script cannot calculate salt
    assert "0 of 2 are labelled already" in first.output
    assert "1 labelled, 1 failed\nfailed: NaCl" in first.output
    assert "1 of 2 are labelled already" in again.output
    assert call("label", files[0], *options).code == 0


@pytest.mark.mongo
def test_calculations_go_to_the_workers_that_have_vasp(
    call: Call,
    recorded_silicon: Structure,
    database: Database,
    launchpad: LaunchPad,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = database.write_configuration(tmp_path / "config")
    machine: dict[str, Any] = {
        "categories": {"cpu": {}, "gpu": {}, "vasp": {}},
        "jobs": {"labelling": {"category": "vasp", "cpus": 32}},
    }
    (config / "machine.yaml").write_text(yaml.safe_dump(machine))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(config / "jobflow.yaml"))
    recorded_silicon.to(str(tmp_path / "Si.vasp"), fmt="poscar")

    arguments = "label", tmp_path / "Si.vasp", "--submit", "-c", config
    lost = call(*arguments)
    root = str(tmp_path / "run")
    ended, again = call(*arguments, root=root), call(*arguments, root=root)

    assert lost.code == 2
    assert "expected $NEXTRUNG_ROOT to be an absolute path" in lost.errors
    assert ended.code == 0
    assert "study labels is workflow 1: 1 jobs" in ended.output
    assert "study labels is already workflow 1, READY, 0 of 1 jobs done" in again.output
    spec = launchpad.get_fw_by_id(1).spec
    assert spec["_category"] == "vasp"
    assert spec["_queueadapter"] == {"cpus_per_task": 32}


@pytest.fixture
def crystals(tmp_path: Path) -> dict[str, Path]:
    """Files of crystals; the script in place of GPAW calculates silicon alone."""
    files = {}
    for symbol in ("Si", "Fe", "Ni", "U"):
        crystal = make_silicon()
        crystal.replace_species({"Si": symbol})
        files[symbol] = tmp_path / f"{symbol}.vasp"
        crystal.to(str(files[symbol]), fmt="poscar")
    return files


@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n_processes", [1, 2])
def test_gpaw_goes_on_with_what_is_missing_and_a_failure_is_a_row(
    n_processes: int, call: Call, crystals: dict[str, Path], tmp_path: Path
) -> None:
    root = "--root", tmp_path / "run", "--processes", n_processes
    options = "--engine", "gpaw", *root

    first = call("label", crystals["Si"], *options)
    both = call("label", crystals["Si"], crystals["Fe"], *options)
    again = call("label", crystals["Si"], crystals["Fe"], *options)
    other = call("label", crystals["Si"], *options, "--functional", "r2scan")

    assert (first.code, both.code, again.code, other.code) == (0, 1, 1, 0)
    assert "1 labelled, 0 failed" in first.output
    assert "1 of 2 are labelled already" in both.output
    assert "0 labelled, 1 failed" in both.output
    assert "failed: Fe: GPAW crashed with exit code 1: out of memory" in both.output
    assert "1 of 2 are labelled already, 1 failed" in again.output
    assert "0 of 1 are labelled already" in other.output
    calculations = list((tmp_path / "run" / "calculations").iterdir())
    assert len(calculations) == 3


@pytest.mark.filterwarnings("ignore")
def test_a_killed_command_leaves_no_calculation_running(
    gpaw_script: Path, crystals: dict[str, Path], tmp_path: Path
) -> None:
    code = "from nextrung.cli import main; main()"
    options = "--engine", "gpaw", "--root", str(tmp_path / "run"), "--processes", "2"
    files = str(crystals["Ni"]), str(crystals["Si"])
    command = [sys.executable, "-W", "ignore", "-c", code, "label", *files, *options]
    folder = tmp_path / "run" / "calculations"
    with subprocess.Popen(command) as process:  # noqa: S603 - ours
        try:
            wait_for(lambda: len(list(folder.glob("*/output.json"))) == 1)
            wait_for(lambda: len(find_processes(gpaw_script)) == 1)  # of nickel
        finally:
            process.kill()

    wait_for(lambda: not find_processes(gpaw_script))


def find_processes(script: Path) -> list[Path]:
    """Processes whose command has a script."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(script).encode() in file.read_bytes():
                found.append(file)
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--input-set", "hse06"], "--input-set: expected --engine vasp, got gpaw"),
        (["--functional", "HSE06"], "--functional: expected one of LDA, PBE, "),
        (["--settings", "bad.yaml"], "bad.yaml: plane_wave_cutoff: "),
    ],
)
def test_settings_of_gpaw_that_cannot_be_are_one_line(
    options: list[str],
    line: str,
    call: Call,
    crystals: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("plane_wave_cutoff: -1")

    finished = call("label", crystals["Si"], "--engine", "gpaw", *options)

    assert finished.code == 2
    assert line in finished.errors
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("gpaw_script")
def test_without_a_data_set_nothing_begins(
    call: Call, crystals: dict[str, Path], tmp_path: Path
) -> None:
    options = "--engine", "gpaw", "--root", tmp_path / "run"
    finished = call("label", crystals["Si"], crystals["U"], *options)

    assert finished.code == 2
    assert "expected the PAW data set U.PBE of GPAW, got none" in finished.errors
    assert not (tmp_path / "run").exists()


def test_vasp_has_no_functional_by_name(call: Call, silicon: Path) -> None:
    finished = call("label", silicon, "--functional", "PBE")
    assert finished.code == 2
    assert "--functional: expected --engine gpaw beside it" in finished.errors


@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.filterwarnings("ignore")
def test_a_run_folder_of_gpaw_is_a_folder_of_labels(
    call: Call, crystals: dict[str, Path], tmp_path: Path
) -> None:
    """Beside folders of VASP runs, which have no store or none of GPAW's documents."""
    run = tmp_path / "run"
    call("label", crystals["Si"], "--engine", "gpaw", "--root", run)
    (tmp_path / "vasp" / "store").mkdir(parents=True)

    audited = call("dataset", "audit", run)
    evaluated = call("evaluate", run, "--functional", "PBE", "--model", "chgnet-0.3.0")

    assert (audited.code, evaluated.code) == (0, 0)
    assert re.search(r"code\s+│ GPAW", audited.output)
    assert "1 frames or unreadable files: 1 kept" in evaluated.output
    assert isinstance(choose_folder_source(run), GpawDocumentsSource)
    assert isinstance(choose_folder_source(tmp_path / "vasp"), VaspSource)
    assert isinstance(choose_folder_source(tmp_path), VaspSource)
