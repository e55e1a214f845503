"""Files that try to run code, to write elsewhere, to connect, or to fill the memory."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import pickle
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tests.cli.bad_inputs import Harmful

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Command lines; ``{}`` is the file.
RELAX = ("relax", "{}", "--max-steps", "0", "--device", "cpu")
SCORE = ("stability", "score", "{}")
WITH_MODEL = ("relax", "salt.cif", "--model", "{}", "--device", "cpu")
RUN = ("run", "{}", "--device", "cpu", "--root", "run")
EVALUATE = ("evaluate", "{}", "--device", "cpu")
FIT = ("scaling", "fit", "{}")
DENSITY = ("density", "--crystals", "{}", "--device", "cpu")

LAUNCHPAD = {
    "@module": "fireworks.core.launchpad",
    "@class": "LaunchPad",
    "host": "127.0.0.1",
    "port": 9,
    "logdir": "logs",
}
SYSTEM = {"@module": "os", "@callable": "system"}
BOUND = {"@module": "x", "@callable": "a.b", "@bound": LAUNCHPAD}
IMPORT = {"@module": "harmful", "@class": "Harmful"}
ESCAPES = "\x1b[2J\x1b]0;title\x07[red]name[/b]<script>alert(1)</script>"

#: An XML file of a kilobyte that expands to gigabytes, and one that reads a file.
LAUGHS = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 11)
)
LAUGHS += "]><modeling><generator>&a10;</generator></modeling>"
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">'
    "<!ENTITY y SYSTEM 'http://127.0.0.1:9/x'>]>"
    "<modeling><generator>&x;&y;</generator></modeling>"
)


def make_files(folder: Path, cif: str) -> None:
    """Make a module that must not be imported, and a crystal."""
    (folder / "harmful.py").write_text("open('/tmp/nextrung-was-here', 'w')")
    (folder / "salt.cif").write_text(cif)


def list_hostile(
    folder: Path, salt: dict[str, Any], cif: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Make the hostile files; list them by name with the command that reads each."""
    for content in _list_checkpoints(), _list_structures(salt, cif), _list_entries():
        for (name, data), command in content:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            yield name, _fill(command, path)
    for name, command in _list_others(folder):
        yield name, _fill(command, folder / name)
    for name, text in _list_studies(folder):
        (folder / f"{name}.yaml").write_text(text)
        yield f"{name}.yaml", _fill(RUN, folder / f"{name}.yaml")


def _fill(command: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Replace the place of the file in a command line."""
    return tuple(str(path) if word == "{}" else word for word in command)


_Case = tuple[tuple[str, bytes], tuple[str, ...]]


def _list_checkpoints() -> Iterator[_Case]:
    """List files in place of a checkpoint."""
    yield ("pickle.pth.tar", pickle.dumps(Harmful())), WITH_MODEL
    saved, legacy, arrays = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"model": Harmful()}, saved)
    torch.save({"model": Harmful()}, legacy, _use_new_zipfile_serialization=False)
    np.savez(arrays, model=np.array([Harmful()], dtype=object))
    yield ("saved.pth.tar", saved.getvalue()), WITH_MODEL
    yield ("legacy.pth.tar", legacy.getvalue()), WITH_MODEL
    yield ("arrays.npz", arrays.getvalue()), WITH_MODEL
    bomb, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(2**27))
        file.writestr("../../outside", b"x")
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    yield ("bomb.pth.tar", bomb.getvalue()), WITH_MODEL
    yield ("outside.pth.tar", tar.getvalue()), WITH_MODEL


def _list_structures(salt: dict[str, Any], cif: str) -> Iterator[_Case]:
    """List files in place of a structure."""
    tags = {"launchpad": LAUNCHPAD, "system": SYSTEM, "bound": BOUND, "import": IMPORT}
    for name, tagged in tags.items():
        odd = json.loads(json.dumps(salt))
        odd["sites"][0]["properties"] = {"magmom": tagged}
        yield (f"site-{name}.json", json.dumps(odd).encode()), RELAX
    whole = json.dumps(salt | {"properties": {"x": IMPORT}})
    yield ("properties.json", whole.encode()), RELAX
    yield ("deep-structure.json", b'{"sites":' * 100_000), RELAX
    yield ("python.yaml", b"lattice: !!python/object/apply:os.system [ls]"), RELAX
    yield ("bomb.json.gz", gzip.compress(bytes(2**27))), RELAX
    yield ("bomb.cif.gz", gzip.compress(cif.encode() + b"#" * 2**27)), RELAX
    yield ("bomb.cif.bz2", bz2.compress(bytes(2**27))), RELAX
    yield ("nul.cif", cif.encode().replace(b"Na", b"\0a")), RELAX
    yield ("huge.cif", cif.replace("3.5", "1e400").encode()), RELAX
    yield ("POSCAR", b"x\n1\n1 0 0\n0 1 0\n0 0 1\nNa\n99999999999999\nDirect\n"), RELAX
    yield ("vasprun.laughs.xml", LAUGHS.encode()), RELAX
    yield ("vasprun.external.xml", EXTERNAL.encode()), RELAX
    yield ("[mp]-1.cif", cif.encode()), RELAX
    yield ("\x1b[2Ja[ b].cif", cif.encode()), RELAX
    yield (f"{'x' * 200}.cif", cif.encode()), (*RELAX, "-o", "relaxed")


def _list_entries() -> Iterator[_Case]:
    """List files in place of entries and points."""
    entry = {
        "@module": "pymatgen.entries.computed_entries",
        "@class": "ComputedEntry",
        "energy": -1.0,
        "composition": {"Na": 1},
        "entry_id": "a",
        "correction": 0.0,
    }
    odd: dict[str, list[Any]] = {
        "launchpad": [LAUNCHPAD],
        "system": [SYSTEM],
        "data": [entry | {"data": {"x": IMPORT}}],
        "parameters": [entry | {"parameters": {"x": LAUNCHPAD}}],
        "adjustments": [entry | {"energy_adjustments": [IMPORT]}],
        "pymatgen": [entry | {"@module": "pymatgen.nowhere", "@class": "Anything"}],
        "escapes": [entry | {"entry_id": ESCAPES}],
        "huge": [entry | {"composition": {"Na": 1e308}, "energy": 1e308}],
        "traversal": [entry | {"entry_id": "../../outside"}],
    }
    for name, entries in odd.items():
        yield (f"entries-{name}.json", json.dumps(entries).encode()), SCORE
    yield ("entries-deep.json", b"[" * 100_000), SCORE
    yield ("entries-bomb.json.gz", gzip.compress(b"[" + b" " * 2**27)), SCORE
    yield ("entries.mpk", pickle.dumps(Harmful())), SCORE
    yield ("points.csv", b"model,n_frames\n" + b"x" * 200_000 + b",1e400\n"), FIT


def _list_others(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Make links, folders of runs and labelled frames."""
    (folder / "loop.cif").symlink_to(folder / "loop.cif")
    yield "loop.cif", RELAX
    (folder / "passwd.cif").symlink_to("/etc/passwd")
    yield "passwd.cif", RELAX
    runs = folder / "runs"
    runs.mkdir()
    (runs / "OUTCAR.a.gz").write_bytes(gzip.compress(bytes(2**27)))
    (runs / "vasprun.b.xml").write_text(LAUGHS)
    (runs / "vasprun.c.xml").write_text(EXTERNAL)
    (runs / "OUTCAR.d").symlink_to(runs / "OUTCAR.d")
    (runs / "OUTCAR.e.gz").write_bytes(pickle.dumps(Harmful()))
    yield "runs", EVALUATE
    crystals = folder / "crystals"
    crystals.mkdir()
    (crystals / "a.cif").symlink_to("/etc/passwd")
    (crystals / "b.cif").write_bytes(bytes(range(256)))
    yield "crystals", DENSITY
    for name in ("frames.traj", "frames.pckl", "frames.py", "frames.db", "frames.nc"):
        (folder / name).write_bytes(pickle.dumps(Harmful()))
        yield name, EVALUATE
    (folder / "frames.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    yield "frames.parquet", EVALUATE
    (folder / "names.extxyz").write_text(
        "1\n"
        'Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:forces:R:3 '
        'energy=-1 pbc="T T T" material_id="../../outside" '
        'frame_id="[red]../../x[/b]"\n'
        "Na 0 0 0 0 0 0\n"
    )
    yield "names.extxyz", (*EVALUATE, "-o", "rows.csv")


def _list_studies(folder: Path) -> Iterator[tuple[str, str]]:
    """List study files, and make the stores that they name."""
    (folder / "store.json").write_text(json.dumps(LAUNCHPAD))
    (folder / "store.yaml").write_text("docs_store: {type: harmful.Store}")
    source = "dataset: {{source: {{kind: task_documents, store: {}}}}}"
    yield "study-store", source.format(folder / "store.json")
    yield "study-type", source.format(folder / "store.yaml")
    yield "study-python", "name: !!python/object/apply:os.system [ls]"
    yield "study-module", "name: !!python/name:harmful.x"
    yield "study-outside", "name: ../../outside"
    yield "study-model", f"source: {folder / 'pickle.pth.tar'}"
    yield (
        "study-ase",
        f"dataset: {{source: {{kind: ase, paths: ['{folder / 'frames.pckl'}']}}}}",
    )
