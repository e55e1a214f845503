from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from nextrung.potentials.catalogue import FAMILIES, MODELS
from nextrung.potentials.generic.factories import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

EMT = "ase:ase.calculators.emt:EMT"
#: A study of made-up labels, which trains nothing.
STUDY: dict[str, Any] = {
    "name": "emt",
    "source": EMT,
    "dataset": {
        "source": {
            "kind": "distilled",
            "chemical_systems": ["Al-Cu"],
            "n_materials_per_system": 4,
            "n_polymorphs_per_element": 1,
            "n_frames_per_material": 2,
            "max_atoms": 4,
            "fmax": 0.5,
        },
        "split": {"val": 0.2, "test": 0.2},
    },
    "models": ["source", "source_residual"],
    "relaxation": {"fmax": 0.5, "max_steps": 5},
    "stability": None,
    "alignment": None,
    "density": None,
    "physics": None,
    "scaling_law": None,
}


@pytest.fixture(autouse=True)
def _named_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget factories that other tests have named."""
    monkeypatch.setenv(VARIABLE, "")


def test_models_are_listed_with_what_each_family_can_do(call: Call) -> None:
    done = call("models", "--json")

    rows = {row["name"]: row for row in json.loads(done.output)}
    patterns = {family.pattern for family in FAMILIES if family.pattern}
    assert rows.keys() == {model.name for model in MODELS} | patterns
    assert rows["chgnet-r2scan"]["functional"] == "r2SCAN"
    assert {"Ac", "O", "Pu"} <= set(rows["chgnet-r2scan"]["elements"])
    assert rows["ase:module:factory"]["does"] == "predict, relax"
    for family in FAMILIES:
        for row in rows.values():
            if row["family"] == family.name:
                assert row["installed"] == family.is_installed


def test_the_table_says_which_extra_to_install(call: Call) -> None:
    output = call("models").output

    assert "predict, relax, refit, fine-tune" in output
    for family in FAMILIES:
        installs = f"pip install 'nextrung[{family.extra}]'" in output
        assert installs == (not family.is_installed)


def test_a_calculator_of_ase_relaxes_a_file(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "Cu.poscar"
    path.write_text("Cu\n3.8\n0 .5 .5\n.5 0 .5\n.5 .5 0\nCu\n1\ndirect\n0 0 0\n")

    done = call("relax", path, "--model", EMT, "--fmax", 0.01)

    assert done.code == 0
    assert "converged" in done.output
    assert "-0.00" in done.output


def test_a_study_of_a_calculator_re_references_it_by_a_residual_shift(
    call: Call, tmp_path: Path
) -> None:
    """From labels to relaxed structures; the shift aligns energies to the labels."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(STUDY))

    done = call("run", path, "--root", tmp_path / "run")

    assert done.code == 0, done.errors
    document = json.loads(call("results", tmp_path / "run", "--json").output)
    source, residual = (
        document["models"][name]["metrics"]["test"] for name in STUDY["models"]
    )
    assert residual["energy_mae"] < 0.2 * source["energy_mae"]
    for label in ("forces", "stress"):
        assert residual[f"{label}_mae"] == source[f"{label}_mae"] > 0


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            ["source", "source_refit"],
            "with explicit atomic references.*model source_refit",
        ),
        (
            ["source", "residual_atom_refs"],
            "that can be trained, got ase:.*model residual",
        ),
    ],
)
def test_a_study_says_what_its_source_cannot_do_before_it_computes(
    call: Call, tmp_path: Path, models: list[str], message: str
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "models": models}))

    done = call("run", path, "--root", tmp_path / "run")

    assert done.code == 2
    assert len(done.errors.splitlines()) == 1
    assert re.search(rf"{path}: source: .*{message}", done.errors)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ase:nothing:EMT", "ModuleNotFoundError: No module named 'nothing'"),
        ("ase:os:getcwd", "expected a calculator of ASE, got a str"),
        ("mace-large", "expected chgnet-0.3.0, chgnet-r2scan"),
    ],
)
def test_a_wrong_name_is_one_line(
    call: Call, tmp_path: Path, name: str, message: str
) -> None:
    path = tmp_path / "Cu.poscar"
    path.write_text("Cu\n3.8\n0 .5 .5\n.5 0 .5\n.5 .5 0\nCu\n1\ndirect\n0 0 0\n")

    done = call("relax", path, "--model", name)

    assert done.code == 2
    assert message in done.errors
    assert len(done.errors.splitlines()) == 1
