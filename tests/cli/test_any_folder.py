"""Folders of files of any kind: a row for each, and no traceback."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

#: Names that are taken for output files, and others.
NAMES = ("OUTCAR", "vasprun.xml", "OUTCAR.gz", "core.OUTCAR", "notes.txt", "plot.png")

#: Tags of runs that are no relaxations of the ground state.
TAGS = {
    "gw": "   ALGO   = GW0",
    "nmr": "   LCHIMAG =     T",
    "phonon": "   IBRION =      8    ionic relax",
    "neb": "   IMAGES =      3",
    "optics": "   LOPTICS=     T",
    "number": "   ALGO   =     38    algorithm",
    "charged": "   NELECT =      9.0000    total number of electrons",
    "fixed": "   ICHARG =     11    charge: 1-file",
}

ML_STEP = "  free  energy ML TOTEN  =        -8.00000000 eV\n"


def make_contents(outcar: Callable[..., str]) -> Iterator[bytes]:
    """A hundred contents, most of which are no OUTCAR of a finished run."""
    rng = np.random.default_rng(0)
    good = outcar()
    yield good.encode()
    for tag in TAGS.values():
        yield outcar(more=tag).encode()
    yield good.replace("  FREE ENERGIE", f"{ML_STEP}  FREE ENERGIE").encode()
    yield from (b"", b"\x00" * 999, b"\xff\xfe\x00text", b"\x89PNG\r\n\x1a\n")
    yield from (b"<html></html>", b"<modeling>", b"{}", b"[[[[", b"=" * 5000)
    yield gzip.compress(good.encode())
    yield gzip.compress(good.encode())[:-20]
    yield b"PK\x03\x04" + rng.bytes(200)
    lines = good.splitlines(keepends=True)
    for _ in range(40):
        yield "".join(lines[: rng.integers(len(lines))]).encode()
    for _ in range(38):
        damaged = bytearray(good.encode())
        for position in rng.integers(len(damaged), size=rng.integers(1, 60)):
            damaged[position] = rng.integers(256)
        yield bytes(damaged)


@pytest.fixture
def folder(tmp_path: Path, outcar: Callable[..., str]) -> Path:
    """A folder of a hundred files, and of things that are no files."""
    root = tmp_path / "any"
    for index, content in enumerate(make_contents(outcar)):
        name = NAMES[index % 2 if index < 20 else index % len(NAMES)]
        if index < len(TAGS) + 2:
            name = "OUTCAR"
        (root / f"{index:03}").mkdir(parents=True)
        (root / f"{index:03}" / name).write_bytes(content)
    (root / "OUTCAR").mkdir()
    (root / "vasprun.xml").symlink_to(root / "nowhere")
    return root


def numbers_of(line: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", line)]


def find_line(output: str, text: str) -> str:
    (line,) = [line for line in output.splitlines() if text in line]
    return line


def test_every_file_is_counted_by_the_audit(call: Call, folder: Path) -> None:
    ended = call("dataset", "audit", folder, "--json")

    assert ended.code == 0
    found = json.loads(ended.output)
    files = found["files"]
    assert files["n_files"] == sum(path.is_file() for path in folder.rglob("*")) >= 100
    assert files["n_read"] == found["n_runs"]
    assert files["n_unreadable"] == sum(found["n_unreadable"].values())
    assert files["n_files"] == sum(
        files[name] for name in ("n_read", "n_unreadable", "n_second", "n_other")
    )


def test_every_frame_is_kept_or_rejected_by_a_rule(call: Call, folder: Path) -> None:
    ended = call("evaluate", folder)

    assert ended.code == 0
    n_files, *parts = numbers_of(find_line(ended.output, "read as a run"))
    assert n_files == sum(parts)
    counts = find_line(ended.output, "frames or unreadable files")
    n_seen, n_kept, n_left_out, *by_rule = numbers_of(re.sub(r"\w*_\w*", "", counts))
    assert n_seen == n_kept + n_left_out
    assert n_left_out == sum(by_rule) > 50


def test_a_data_set_says_what_became_of_every_frame(
    call: Call, folder: Path, tmp_path: Path
) -> None:
    study = tmp_path / "any.yaml"
    study.write_text(
        f"name: any\ndataset:\n  source: {{kind: vasp, paths: [{folder}]}}\n"
        "  curation: {energy_scale: {potentials: {}}}\n"
        "  split: {val: 0, test: 0}\n"
    )

    ended = call("dataset", "build", study, "--root", tmp_path / "root")

    assert ended.code == 0
    rows = dict(re.findall(r"│ ([\w: ]+?) +│ +(\d+) +│", ended.output))
    rejected = [int(n) for name, n in rows.items() if name.startswith("rejected")]
    assert int(rows["seen"]) == int(rows["kept"]) + sum(rejected)


@pytest.mark.parametrize("command", ["audit", "evaluate"])
def test_a_folder_without_a_run_is_one_line(
    command: str, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"\x89PNG")

    names = ["dataset", "audit"] if command == "audit" else ["evaluate"]
    ended = call(*names, tmp_path / "photos")

    assert ended.code == 2
    assert "expected OUTCAR or vasprun.xml files, got none in" in ended.errors
