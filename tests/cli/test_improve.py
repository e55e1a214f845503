from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pymatgen.core import Lattice, Structure
from tests.adapters.sources.test_gpaw_documents import make_document
from tests.cli.test_study import QUICK
from tests.gpaw_calculations import make_silicon

from nextrung.adapters.stores.job_store import close_store, open_embedded_store
from nextrung.adapters.stores.studies import load_improvement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

#: Options of a valid call but its study and pool.
VALID = ("--engine", "chgnet-r2scan", "--budget", "8")


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    file = tmp_path / "quick.yaml"
    file.write_text(yaml.safe_dump(QUICK))
    return file


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    make_silicon().to(str(folder / "Si.cif"))
    return folder


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--pool", "nowhere"), "--pool: expected a file or a folder, got none"),
        (("--pool", "."), "--pool: expected structures, got none in ."),
        (("--budget", "7"), "budget: expected at least one batch of 8 labels, got 7"),
        (("--target", "0"), "--target: input should be greater than 0, got 0.0"),
        (("--engine", "castep"), "--engine: expected gpaw, vasp or a potential: "),
        (("--engine", "chgnet-0.3.0"), "the code of the labels of the study, chgnet-r"),
        (("--engine", "gpaw"), "chgnet-r2scan, got GPAW: energies of two scales"),
        (("--recipe", "source"), "--recipe: expected one of source_refit, "),
        (("--set", "dataset.split.test=0"), "dataset.split.test: expected a held-out"),
        (("--settings", "x.yaml"), "--settings: expected --engine gpaw or vasp"),
        (("-c", "."), "-c: expected --submit beside it"),
        (("--beside", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_improved_is_one_line(
    call: Call,
    quick: Path,
    pool: Path,
    tmp_path: Path,
    options: tuple[str, str],
    line: str,
) -> None:
    root = tmp_path / "run"

    ended = call("improve", quick, "--pool", pool, *VALID, "--root", root, *options)

    assert (ended.code, ended.output) == (2, "")
    assert line in ended.errors
    assert ended.errors.count("\n") == 1
    assert not root.exists()


def test_elements_that_the_study_lacks_are_one_line(
    call: Call, quick: Path, pool: Path, tmp_path: Path
) -> None:
    short = ("--set", "training.epochs=1")
    arguments = ("--pool", pool, *VALID, *short, "--root", tmp_path / "run")

    ended = call("improve", quick, *arguments)

    assert ended.code == 2
    assert "elements of the data set of the study, got Si in Si" in ended.errors


def make_iron() -> dict[str, Any]:
    """A document of iron, which the script in place of GPAW cannot calculate."""
    document = make_document("iron", (-16.0,))
    (step,) = document["output"]["output"]["ionic_steps"]
    step["mol_or_struct"] = Structure(Lattice.cubic(2.9), ["Fe"] * 2, BCC).as_dict()
    return document


BCC = [[0, 0, 0], [0.5, 0.5, 0.5]]


@pytest.fixture
def gpaw_study(tmp_path: Path) -> Path:
    """A study on calculations of GPAW, of silicon but for one of iron."""
    documents = [make_document(f"silicon-{index}") for index in range(9)]
    (tmp_path / "labels.json").write_text(json.dumps([*documents, make_iron()]))
    source = {"kind": "gpaw_documents", "paths": [str(tmp_path / "labels.json")]}
    split = {"unit": "material", "val": 0.2, "test": 0.5}
    study = QUICK | {
        "dataset": {
            "source": source,
            "curation": {"functional": "PBE"},
            "split": split,
        }
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    return tmp_path / "study.yaml"


@pytest.fixture
def gpaw_pool(tmp_path: Path) -> Path:
    """Crystals of two atoms: other silicon than diamond, diamond, and iron."""
    folder = tmp_path / "crystals"
    folder.mkdir()
    make_silicon(5.4).to(str(folder / "diamond.vasp"), fmt="poscar")
    for name, lattice in (
        ("bcc", Lattice.cubic(3.1)),
        ("bct", Lattice.tetragonal(2.8, 4.2)),
        ("bco", Lattice.orthorhombic(2.8, 3.4, 4.4)),
    ):
        Structure(lattice, ["Si"] * 2, BCC).to(
            str(folder / f"{name}.vasp"), fmt="poscar"
        )
    iron = Structure(Lattice.tetragonal(2.9, 3.3), ["Fe"] * 2, BCC)
    iron.to(str(folder / "ferrite.vasp"), fmt="poscar")
    return folder


@pytest.mark.usefixtures("gpaw_script")
@pytest.mark.filterwarnings("ignore")
def test_gpaw_labels_are_spent_once_failures_too_and_a_larger_budget_goes_on(
    call: Call, gpaw_study: Path, gpaw_pool: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    options = ("--engine", "gpaw", "--batch", 2, "--recipe", "source_residual")
    line = ("improve", gpaw_study, "--pool", gpaw_pool, *options, "--root", root)

    first = call(*line, "--target", "1e-9", "--budget", 2)
    calculated = list_calculations(root)
    second = call(*line, "--target", "1e-9", "--budget", 4)

    assert (first.code, second.code) == (0, 0), second.errors
    assert "budget_spent: 2 of 2 labels are spent" in first.output
    assert len(calculated) == 2
    assert calculated.items() <= list_calculations(root).items()
    assert len(list_calculations(root)) == 4
    store = open_embedded_store(root)
    document = load_improvement(store)
    close_store(store)
    outcomes = {each.frame_id: each for r in document.rounds for each in r.labels}
    assert len(outcomes) == 4
    assert "diamond" not in outcomes  # the crystal of held-out materials
    assert document.n_held_out_structures == 1
    crash = "GPAW crashed with exit code 1: out of memory"
    iron = outcomes.pop("ferrite")
    assert iron.error == f"failed_labelling: {crash}"
    assert all(each.error is None for each in outcomes.values())
    last = document.rounds[-1]
    assert (last.n_labels, last.n_failed) == (4, 1)
    assert last.n_train_frames == document.rounds[0].n_train_frames + 3
    report = tmp_path / "pair.html"
    paired = call("report", root, root, "--improvement", "-o", report)
    assert paired.code == 0, paired.errors
    assert "expected gain, other run" in report.read_text()
    page = (root / "improvement.html").read_text()
    assert crash in page


def list_calculations(root: Path) -> dict[str, str]:
    """When each calculation was stored, by its structure."""
    store = open_embedded_store(root)
    found = {
        each["metadata"]["frame_id"]: each["completed_at"]
        for each in store.query({"output.ase_calculator_name": "GPAW"})
    }
    close_store(store)
    return found
