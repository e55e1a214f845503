from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import (
    ComputedEntry,
    ComputedStructureEntry,
    ConstantEnergyAdjustment,
)

from nextrung.adapters.files.structures import read_structure
from nextrung.adapters.files.untrusted.msonable import decode_materials, load_plain
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

SALT = Structure(Lattice.cubic(3.5), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def write(path: Path, content: object) -> Path:
    """Write JSON with the tags of monty."""
    path.write_text(json.dumps(content, cls=MontyEncoder))
    return path


def test_entries_are_decoded_with_all_they_carry(tmp_path: Path) -> None:
    adjustment = ConstantEnergyAdjustment(
        -0.5, cls=MaterialsProject2020Compatibility(check_potcar=False).as_dict()
    )
    entries = [
        ComputedStructureEntry(
            SALT, -3.0, energy_adjustments=[adjustment], data={"magmoms": [0.0, 1.0]}
        ),
        ComputedEntry(
            "Na", -1.0, parameters={"made": datetime(2026, 1, 1, tzinfo=UTC)}
        ),
    ]
    path = write(tmp_path / "entries.json", entries)

    first, second = decode_materials(load_plain(path), path)

    assert first.energy == pytest.approx(-3.5)
    assert first.structure == SALT
    assert first.data == {"magmoms": [0.0, 1.0]}
    assert second.parameters["made"].year == entries[1].parameters["made"].year


def test_the_old_module_of_a_class_and_values_of_emmet_are_read(tmp_path: Path) -> None:
    """Files of the Materials Project name both, and emmet may not be installed."""
    entry = ComputedEntry("Na", -1.0).as_dict() | {
        "@module": "pymatgen.analysis.of_an_older_version",
        "parameters": {
            "run_type": {
                "@module": "emmet.nowhere",
                "@class": "RunType",
                "value": "GGA",
            }
        },
    }
    path = write(tmp_path / "entries.json", [entry])

    (read,) = decode_materials(load_plain(path), path)

    assert (read.energy, read.parameters) == (-1.0, {"run_type": "GGA"})


@pytest.mark.parametrize("name", ["salt.json", "salt.yaml"])
def test_a_structure_is_read_as_pymatgen_writes_it(tmp_path: Path, name: str) -> None:
    SALT.to(str(tmp_path / name))

    assert read_structure(tmp_path / name) == SALT


@pytest.mark.parametrize(
    "tagged",
    [
        {"@module": "harmful", "@class": "Anything"},
        {"@module": "harmful", "@callable": "anything"},
        {"@module": "harmful", "@class": "Anything", "value": [1]},
        {"@module": "os", "@callable": "system"},
        {"@module": "fireworks", "@class": "LaunchPad", "host": "example.org"},
        {"@module": "pathlib", "@class": "Path", "string": "/"},
    ],
    ids=["class", "function", "value", "system", "connection", "path"],
)
def test_no_other_class_is_imported(tmp_path: Path, tagged: dict[str, Any]) -> None:
    salt = SALT.as_dict()
    salt["sites"][0]["properties"] = {"magmom": tagged}
    harmful = tmp_path / "harmful.py"
    harmful.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    path = write(tmp_path / "salt.json", salt)
    code = (
        "import sys; from pathlib import Path\n"
        "from nextrung.adapters.files.structures import read_structure\n"
        "try: read_structure(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "print('harmful' in sys.modules, 'fireworks.core' in sys.modules)"
    )

    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    error, imported = done.stdout.splitlines()
    assert f"got an object of {tagged['@module']}." in error
    assert imported == "False False"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 100_000, "nested too deeply|expected JSON"),
        ("[1]", "values without lattice and sites"),
        ('{"lattice": 1, "sites": 2}', "got values that are none: "),
    ],
    ids=["deep", "list", "numbers"],
)
def test_files_of_no_structure_are_one_line(
    tmp_path: Path, content: str, reason: str
) -> None:
    path = tmp_path / "salt.json"
    path.write_text(content)

    with pytest.raises(InputError, match=reason):
        read_structure(path)
