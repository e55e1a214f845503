"""GPAW itself on tiny cells, and a script that answers in its place."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from pymatgen.core import Lattice, Structure
from tests.services import skip_or_fail

if TYPE_CHECKING:
    from pathlib import Path

#: Output for silicon at 5.5 Å: 300 eV, k-point density 1.5, GPAW 25.7.0, PBE.
RECORDED: dict[str, Any] = {
    "relaxed": None,
    "seconds": 4.9,
    "version": "25.7.0",
    "libxc_version": "5.2.3",
    "data_sets": {"Si": {"name": "Si.PBE", "md5": "ee77bee481871cc2cb65ac61239ccafa"}},
    "k_points": [3, 3, 3],
    "n_irreducible_k_points": 4,
    "n_cores": 1,
}

#: Labels of one ionic step; the structure is added.
LABELS: dict[str, Any] = {
    "energy": -10.194535368968141,
    "forces": [[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]],
    "stress": [-0.0036, -0.0036, -0.0036, 0.001, 0.0, 0.0],
    "magmoms": None,
    "n_scf_steps": 17,
}

#: Stands in for the Python of GPAW: silicon has labels, other elements do not converge,
#: iron crashes, nickel takes ten
#: minutes, gold is killed and uranium has no data set.
_SCRIPT = """
import json, os, signal, sys, time
given = json.loads(open(sys.argv[2]).read())
numbers = set(given["numbers"])
if 92 in numbers:
    sys.stderr.write("expected the PAW data set U.PBE of GPAW, got none")
    sys.exit(2)
if given["positions"] is None:
    sys.exit()
if 79 in numbers:
    os.kill(os.getpid(), signal.SIGKILL)
if 26 in numbers:
    sys.exit("out of memory")
if 28 in numbers:
    time.sleep(600)
output = {"error": "KohnShamConvergenceError: Did not converge!"}
if numbers == {14}:
    place = {key: given[key] for key in ("positions", "cell")}
    output = RECORDED | {"steps": [LABELS | place]}
open(sys.argv[3], "w").write(json.dumps(output))
"""


def make_silicon(a: float = 5.5) -> Structure:
    """Primitive cell of silicon."""
    lattice = Lattice([[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]])
    return Structure(lattice, ["Si", "Si"], [[0, 0, 0], [0.25] * 3])


@pytest.fixture
def gpaw() -> None:
    """GPAW is installed."""
    if find_spec("gpaw") is None:
        skip_or_fail("no GPAW: pip install 'nextrung[gpaw]'")


@pytest.fixture
def gpaw_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that takes no time to calculate silicon, and knows nothing else."""
    script = tmp_path / "gpaw_python.py"
    null = _SCRIPT.replace("RECORDED", f"json.loads({json.dumps(RECORDED)!r})")
    script.write_text(null.replace("LABELS", f"json.loads({json.dumps(LABELS)!r})"))
    monkeypatch.setenv("NEXTRUNG_GPAW_COMMAND", f"{sys.executable} {script}")
    return script
