"""Data that cannot be used: one clear line, exit code 2, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pymatgen.core import Lattice, Structure

from nextrung.adapters.files.artifacts import hash_file
from nextrung.adapters.files.frame_table import frames_to_columns
from nextrung.adapters.files.frames import FRAME_SCHEMA
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Finished

    Call = Callable[..., Finished]

SALT = Structure(Lattice.cubic(4.2), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def frame(energy: float = -6.5, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "structure": SALT.as_dict(),
        "uncorrected_total_energy": energy,
        "force": [[0.1, 0, 0], [-0.1, 0, 0]],
        "stress": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]],
        "magmom": None,
    } | changes


MATERIALS = {
    f"mp-{m}": {f"mp-{m}-0-{i}": frame(-6 - i / 9) for i in range(3)} for m in range(4)
}
TEXT = json.dumps(MATERIALS)


def write_study(folder: Path, name: str = "frames.json", **source: Any) -> Path:  # noqa: ANN401
    study = {
        "dataset": {
            "source": {"kind": "mptrj_json", "paths": [str(folder / name)]} | source,
            "curation": {"energy_scale": {"potentials": {}}},
            "split": {"val": 0.25, "test": 0.25, "unit": "material"},
        }
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def list_left_behind(root: Path) -> list[str]:
    """List the files of data sets in a run folder, finished or not."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in (root / "artifacts").rglob("*")
        if path.is_file() or path.name.startswith(".staging-")
    )


def repeat(text: str, name: str) -> str:
    """Write a member of an object twice."""
    return text.replace(f'"{name}":', f'"{name}": 1, "{name}":', 1)


def with_frame(**changes: Any) -> bytes:  # noqa: ANN401
    return json.dumps(MATERIALS | {"mp-9": {"bad-0-0": frame(**changes)}}).encode()


BROKEN: dict[str, tuple[str, bytes, str]] = {
    "truncated": (
        "frames.json",
        TEXT[:-900].encode(),
        "expected JSON, got 'the end of the file within an entry' after 3 complete",
    ),
    "truncated gzip": (
        "frames.json.gz",
        gzip.compress(TEXT.encode(), mtime=0)[:-30],
        "expected JSON, got 'Compressed file ended",
    ),
    "garbled": (
        "frames.json",
        TEXT.replace("uncorrected_total_energy", "\x00", 5)[:-1].encode() + b"}",
        "expected JSON, got 'unexpected control character in string' in",
    ),
    "two objects": ("frames.json", (TEXT + TEXT).encode(), "or data after it"),
    "a list": ("frames.json", b"[1, 2]", "expected an object of materials, got none"),
    "wrong type of material": ("frames.json", b'{"mp-1": 3}', "got a number as 'mp-1'"),
    "wrong type of frame": (
        "frames.json",
        b'{"mp-1": {"a-0-0": 3}}',
        "frame a-0-0: expected an object, got '3'",
    ),
    "wrong type of energy": (
        "frames.json",
        with_frame(uncorrected_total_energy="-6.5"),
        "frame bad-0-0: expected energy as numbers of shape (), got '-6.5'",
    ),
    "wrong type of forces": (
        "frames.json",
        with_frame(force=[["a", "b", "c"]] * 2),
        "frame bad-0-0: expected forces as numbers of shape (2, 3), got",
    ),
    "wrong shape of stress": (
        "frames.json",
        with_frame(stress=[1.0, 2.0]),
        "frame bad-0-0: expected stress as numbers of shape (3, 3), got '[1.0, 2.0]'",
    ),
    "no structure": (
        "frames.json",
        b'{"mp-1": {"a-0-0": {"uncorrected_total_energy": 1.0}}}',
        "frame a-0-0: expected the key 'structure', got none",
    ),
    "repeated material": (
        "frames.json",
        f'{TEXT[:-1]}, "mp-0": {{"other-0-0": {json.dumps(frame())}}}}}'.encode(),
        "expected every name once, got 'mp-0' twice",
    ),
    "repeated frame": (
        "frames.json",
        repeat(TEXT, "mp-1-0-1").encode(),
        "expected every name once, got 'mp-1-0-1' twice",
    ),
    "repeated key": (
        "frames.json",
        repeat(TEXT, "force").encode(),
        "expected every name once, got 'force' twice",
    ),
    "one name in two materials": (
        "frames.json",
        json.dumps(MATERIALS | {"mp-9": {"mp-0-0-0": frame()}}).encode(),
        "expected a name for every frame, got 'mp-0-0-0' twice",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_data_are_one_clear_line_and_leave_nothing(
    name: str, call: Call, tmp_path: Path
) -> None:
    file, content, reason = BROKEN[name]
    (tmp_path / file).write_bytes(content)
    root = tmp_path / "run"

    ended = call("dataset", "build", write_study(tmp_path, file), "--root", root)

    assert ended.code == 2
    assert reason in " ".join(ended.errors.split())
    assert "Traceback" not in ended.errors
    assert list_left_behind(root) == []


def test_good_data_are_built(call: Call, tmp_path: Path) -> None:
    """So that what the others lack is not something else."""
    (tmp_path / "frames.json").write_text(TEXT)
    root = tmp_path / "run"

    ended = call("dataset", "build", write_study(tmp_path), "--root", root)

    assert ended.code == 0, ended.errors
    shelves = [path.split("/")[1] for path in list_left_behind(root)]
    assert shelves == ["frames", "materials", "rejections"]


def test_a_wrong_unit_hint_is_one_clear_line(
    call: Call, tmp_path: Path, real_data: Path
) -> None:
    """MatPES elements in kBar, read as if they were GPa."""
    file = real_data / "elemental-references" / "MatPES-PBE-Element-Refs.json.gz"
    study = write_study(tmp_path, kind="matpes", paths=[str(file)], stress_unit="GPa")
    content = yaml.safe_load(study.read_text())
    scale = {"potentials": {"PBE": "chgnet-0.3.0"}, "tolerance": 100}
    content["dataset"]["curation"] = {"functional": "PBE", "energy_scale": scale}
    study.write_text(yaml.safe_dump(content))
    root = tmp_path / "run"

    ended = call("dataset", "build", study, "--root", root)

    assert ended.code == 2
    assert "is the stress_unit of the source right?" in " ".join(ended.errors.split())
    assert list_left_behind(root) == []


def test_a_unit_that_nobody_knows_is_one_clear_line(call: Call, tmp_path: Path) -> None:
    study = write_study(tmp_path, stress_unit="bar")

    ended = call("dataset", "build", study, "--root", tmp_path / "run")

    assert ended.code == 2
    assert "stress_unit: input should be 'eV/A^3', 'GPa' or 'VASP kBar'" in " ".join(
        ended.errors.split()
    )


def test_a_material_in_two_splits_is_one_clear_line(call: Call, tmp_path: Path) -> None:
    """A frames file that something else has written."""
    frames = Frames.from_structures([SALT] * 2, ["a", "b"])
    columns = frames_to_columns(frames) | {
        "material_id": ["mp-1", "mp-1"],
        "split": ["train", "test"],
    }
    path = tmp_path / "frames.parquet"
    table = pa.table(columns, schema=FRAME_SCHEMA)
    pq.write_table(table, path)

    ended = call("dataset", "info", path)

    assert ended.code == 2
    assert "expected every material in one split, got 'mp-1' in two in" in " ".join(
        ended.errors.split()
    )


#: Builds a data set again and again, each time in a child that dies at another call.
KILLED_BUILDS = """
import io, os, signal, sys
from pathlib import Path
from nextrung.adapters.files.json_split import cut_members
from nextrung.adapters.files import artifacts
from nextrung.adapters.curation import dataset, stored_dataset
from nextrung.adapters.files import frame_stream
from nextrung.adapters.files import staging
from nextrung.adapters.files.yaml_records import load_yaml
from nextrung.schemas.study import StudySettings

settings = StudySettings.model_validate(
    {"name": "s"} | load_yaml(Path(sys.argv[1]), "study")
).dataset
WATCHED = [
    (frame_stream.FrameBuffer, "write"), (frame_stream.FrameBuffer, "__exit__"),
    (frame_stream.FrameWriter, "write"), (frame_stream.FrameWriter, "__exit__"),
    (frame_stream.RejectionWriter, "write"), (frame_stream.RejectionWriter, "__exit__"),
    (stored_dataset, "store_artifact"), (artifacts, "hash_file"), (Path, "replace"),
    (stored_dataset, "write_materials"), (stored_dataset.shutil, "copy"),
    (staging.StagingFolder, "remove"),
]

def build(fatal):
    n_calls = 0
    def watch(owner, name):
        done = getattr(owner, name)
        def call(*given, **named):
            nonlocal n_calls
            for _ in "before", "after":
                n_calls += 1
                if n_calls == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = done(*given, **named) if _ == "before" else result
            return result
        setattr(owner, name, call)
    for owner, name in WATCHED:
        watch(owner, name)
    stored_dataset.store_dataset(dataset.curate(settings), settings)

list(cut_members(io.BytesIO(b"[1]")))  # compiled once for all children
fatal = 0
while True:
    fatal += 1
    child = os.fork()
    if not child:
        build(fatal)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    left = [p for p in Path(os.environ["NEXTRUNG_ROOT"]).rglob("*") if p.is_file()]
    print(fatal, status, *left, sep="\\t", flush=True)
    if status == 0:
        break
"""


@pytest.mark.slow
def test_a_build_killed_at_any_point_leaves_whole_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after every call that writes, names or removes a file."""
    root = tmp_path / "run"
    monkeypatch.setenv("NEXTRUNG_ROOT", str(root))
    (tmp_path / "frames.json").write_text(TEXT)
    script = tmp_path / "build.py"
    script.write_text(KILLED_BUILDS)

    done = subprocess.run(  # noqa: S603
        [sys.executable, str(script), str(write_study(tmp_path))],
        check=True,
        capture_output=True,
        text=True,
    )

    *killed, last = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(killed) > 20
    assert {int(status) for _, status, *_ in killed} == {signal.SIGKILL}
    finished = {
        path for _, _, *left in killed for path in left if "/.staging-" not in path
    }
    assert {path.split("/")[-2] for path in finished} == {
        "frames",
        "materials",
        "rejections",
    }
    for path in map(Path, finished):
        assert hash_file(path) == path.name.partition(".")[0]
    assert sorted(last[2:]) == sorted(finished)
