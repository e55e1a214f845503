from __future__ import annotations

import csv
import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from monty.json import MontyEncoder
from pymatgen.entries.computed_entries import ComputedEntry

from nextrung.compute.stability import score_decomposition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

#: One untrained model and few, short relaxations: seconds to run.
STUDY: dict[str, Any] = {
    "name": "hulls",
    "dataset": {
        "source": {
            "kind": "distilled",
            "chemical_systems": ["Mg-O"],
            "n_materials_per_system": 4,
            "n_polymorphs_per_element": 1,
            "n_frames_per_material": 1,
            "max_atoms": 4,
            "fmax": 0.5,
        },
        "split": {"val": 0.2, "test": 0.2},
    },
    "models": ["source", "source_refit"],
    "relaxation": {"fmax": 0.5, "max_steps": 5},
    "alignment": None,
    "density": None,
    "scaling_law": None,
}


def write_entries(path: Path, entries: list[ComputedEntry]) -> Path:
    path.write_text(json.dumps(entries, cls=MontyEncoder))
    return path


def read_table(output: str) -> dict[str, list[str]]:
    """Cells of every row of a table, by the first one."""
    lines = [line for line in output.splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    return {row[0]: row[1:] for row in rows}


ENTRIES = [
    ComputedEntry("Li", 0, entry_id="lithium"),
    ComputedEntry("F", 0, entry_id="fluorine"),
    ComputedEntry("LiF", -2, entry_id="salt"),
    ComputedEntry("Li2F2", -3.2, entry_id="other salt"),
]


def test_every_entry_of_a_file_is_scored(call: Call, tmp_path: Path) -> None:
    file = write_entries(tmp_path / "entries.json", ENTRIES)

    scored = call("stability", "score", file)

    assert scored.code == 0
    shown = read_table(scored.output)
    for record in score_decomposition(ENTRIES):
        energy = record.decomposition_energy_per_atom
        assert energy is not None
        assert shown[record.entry_id][1] == f"{1000 * energy:.1f}"
    assert shown["salt"] == ["LiF", "-1000.0", "Li + F2", ""]


def test_the_choice_of_competitors_is_the_command_s(call: Call, tmp_path: Path) -> None:
    file = write_entries(tmp_path / "entries.json", ENTRIES)

    scored = call("stability", "score", file, "--competitors", "self")

    assert read_table(scored.output)["other salt"] == ["LiF", "200.0", "LiF", ""]


def test_entries_without_a_score_are_rows_and_nothing_else_is_lost(
    call: Call, tmp_path: Path
) -> None:
    odd = [
        ComputedEntry("LiF2", float("nan"), entry_id="endless"),
        ComputedEntry("NaF", -1, entry_id="lonely"),
    ]
    file = write_entries(tmp_path / "entries.json", [*ENTRIES, *odd])

    scored = call("stability", "score", file)

    shown = read_table(scored.output)
    assert scored.code == 0
    assert shown["endless"][1:] == ["–", "", "the energy is not finite: nan"]
    assert shown["lonely"][1:] == ["–", "", "no elemental entry to refer to for Na"]
    assert shown["salt"] == ["LiF", "-1000.0", "Li + F2", ""]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (json.dumps([ENTRIES[0]] * 2, cls=MontyEncoder), "got lithium twice"),
        ("[]", "expected at least one entry to decompose, got none"),
        ("", "entries.json: expected JSON, got Expecting value"),
        ("{}", "expected a list of pymatgen entries in"),
        ("[1, 2]", "expected pymatgen entries in"),
        ("[{", "entries.json: expected JSON, got Expecting property name"),
    ],
    ids=["two of one id", "no entry", "no text", "no list", "numbers", "half a file"],
)
def test_unusable_entries_are_one_line_and_exit_code_2(
    call: Call, tmp_path: Path, content: str, line: str
) -> None:
    file = tmp_path / "entries.json"
    file.write_text(content)

    ended = call("stability", "score", file)

    assert (ended.code, ended.output) == (2, "")
    assert line in ended.errors
    assert ended.errors.count("\n") == 1


def test_half_a_compressed_file_is_refused(call: Call, tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(ENTRIES, cls=MontyEncoder).encode())
    file = tmp_path / "entries.json.gz"
    file.write_bytes(packed[: len(packed) // 2])

    ended = call("stability", "score", file)

    assert ended.code == 2
    assert "expected text, got: Compressed file ended" in ended.errors


def test_an_entry_without_a_composition_is_refused(call: Call, tmp_path: Path) -> None:
    entry = ENTRIES[0].as_dict()
    del entry["composition"]
    (tmp_path / "entries.json").write_text(json.dumps([entry]))

    ended = call("stability", "score", tmp_path / "entries.json")

    assert ended.code == 2
    assert "composition" in ended.errors


def test_a_file_that_is_not_there_is_named(call: Call, tmp_path: Path) -> None:
    ended = call("stability", "score", tmp_path / "none.json")

    assert ended.code == 2
    assert "none.json" in ended.errors


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two models with stability."""
    file = tmp_path_factory.mktemp("study") / "hulls.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    return file


@pytest.fixture
def root(call: Call, study_file: Path) -> Path:
    """The run folder of the study; the second time it is there already."""
    folder = study_file.parent / "run"
    ended = call("run", study_file, "--root", folder)
    assert ended.code == 0, ended.errors
    return folder


def read_models(page: Path) -> list[str]:
    text = page.read_text()
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    return list(json.loads(data)["models"])


def test_a_hull_of_a_study_is_one_page(call: Call, root: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    ended = call("stability", "plot", root, "Mg-O", "-o", page)

    assert ended.code == 0
    assert ended.output.strip() == f"hull: {page}"
    assert read_models(page) == ["Source, untouched", "Source, refitted atom refs"]
    assert "labels: distilled from chgnet-r2scan" in page.read_text()


def test_a_model_can_be_chosen(call: Call, root: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    call("stability", "plot", root, "O-Mg", "--model", "source_refit", "-o", page)

    assert read_models(page) == ["Source, refitted atom refs"]
    assert "Above hull, Source, refitted atom refs" in page.read_text()
    assert "Source, untouched" not in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("Mg-Xx",), "got Xx; nearest: Mg"),
        (("Mg-O", "--model", "sorce"), "got sorce; did you mean source?"),
        (("Mg-O", "--study", "other"), "expected a finished study other"),
    ],
)
def test_what_a_study_does_not_hold_is_one_line_and_exit_code_2(
    call: Call, root: Path, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    ended = call("stability", "plot", root, *arguments, "-o", tmp_path / "page.html")

    assert ended.code == 2
    assert line in ended.errors
    assert ended.errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_study_without_hulls_says_so(
    call: Call, study_file: Path, tmp_path: Path
) -> None:
    """Everything but relaxation and stability is answered from the store."""
    folder = study_file.parent / "run"
    without = ("--set", "stability=null", "--set", "relaxation=null")
    call("run", study_file, "--root", folder, "--set", "name=bare", *without)

    ended = call(
        "stability", "plot", folder, "Mg-O", "--study", "bare", "-o", tmp_path / "p"
    )

    assert ended.code == 2
    assert "expected a study with scored stability, got one without" in ended.errors


COLUMNS = ("model", "n_frames", "n_materials", "energy_mae", "forces_mae")


def write_points(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def power_law(n_frames: int) -> dict[str, object]:
    """An error of 2 N^-0.4 eV/atom, ten times that in eV/Å."""
    error = 2 * n_frames**-0.4
    return {
        "model": "scratch",
        "n_frames": n_frames,
        "n_materials": n_frames // 10,
        "energy_mae": error,
        "forces_mae": 10 * error,
    }


def test_an_exact_power_law_is_found(call: Call, tmp_path: Path) -> None:
    points = [power_law(size) for size in (1500, 3000, 10_000)]
    file = write_points(tmp_path / "points.csv", points)

    fitted = call("scaling", "fit", file)

    assert fitted.code == 0
    shown = read_table(fitted.output)
    assert shown["energy_mae"] == ["scratch", "-0.400", "1.000", "3", ""]
    assert shown["forces_mae"] == ["scratch", "-0.400", "1.000", "3", ""]


def test_an_empty_cell_is_an_error_that_is_not_known(
    call: Call, tmp_path: Path
) -> None:
    points = [power_law(size) for size in (1500, 3000, 10_000)]
    points[1]["forces_mae"] = ""
    file = write_points(tmp_path / "points.csv", points)

    fitted = call("scaling", "fit", file)

    shown = read_table(fitted.output)
    assert fitted.code == 0
    assert shown["energy_mae"][3] == "3"
    assert shown["forces_mae"] == ["scratch", "-0.400", "–", "2", ""]


def test_small_sizes_are_left_out_of_the_fit(call: Call, tmp_path: Path) -> None:
    points = [power_law(size) for size in (1500, 3000, 10_000)]
    points.append({**power_law(100), "energy_mae": 9.0})
    file = write_points(tmp_path / "points.csv", points)

    assert read_table(call("scaling", "fit", file).output)["energy_mae"][1] == "-0.400"
    bent = call("scaling", "fit", file, "--fit-above", 10)
    assert read_table(bent.output)["energy_mae"][3] == "4"
    assert read_table(bent.output)["energy_mae"][1] != "-0.400"


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model,frames\nscratch,3\n", "line 2: n_frames: Field required"),
        (f"{HEADER},red\nscratch,9,3,1,1,2\n", "line 2: red: Extra inputs"),
        (f"{HEADER}\nscratch,many,3,1,1\n", "n_frames: Input should be a valid"),
        (f"{HEADER}\nscratches,9,3,1,1\n", "line 2: model: Input should"),
        (f"{HEADER}\nscratch,9,3,1,1\nscratch,9,3\n", "3: expected 5 cells, got 3"),
        (f"{HEADER}\n\n", "expected a header and points in"),
        ("", "expected a header and points in"),
    ],
    ids=["header", "more columns", "number", "model", "short", "no row", "no text"],
)
def test_unusable_points_are_one_line_and_exit_code_2(
    call: Call, tmp_path: Path, text: str, line: str
) -> None:
    file = tmp_path / "points.csv"
    file.write_text(text)

    ended = call("scaling", "fit", file)

    assert ended.code == 2
    assert line in ended.errors
    assert str(file) in ended.errors
    assert ended.errors.count("\n") == 1


def test_points_that_are_not_there_are_named(call: Call, tmp_path: Path) -> None:
    ended = call("scaling", "fit", tmp_path / "none.csv")

    assert ended.code == 2
    assert "none.csv" in ended.errors
