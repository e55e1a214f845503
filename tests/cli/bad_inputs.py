"""Bad inputs of every command, listed from the commands themselves.

Arguments that begin with ``@`` are files and folders that :func:`make_files` makes.
"""

from __future__ import annotations

import gzip
import json
import pickle
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import typer
import yaml
from monty.json import MontyEncoder
from pymatgen.entries.computed_entries import ComputedEntry

from nextrung.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Command lines that are valid, at least up to the first thing that is computed.
VALID = {
    "run": ("@study.yaml",),
    "preflight": ("@study.yaml",),
    "report": ("@run",),
    "compare-recipes": ("@study.yaml",),
    "status": ("@run",),
    "results": ("@run",),
    "build": ("@run",),
    "provenance": ("@run", "source"),
    "init": ("@new",),
    "doctor": ("-c", "@folder"),
    "submit": ("@study.yaml", "-c", "@folder"),
    "label": ("@salt.cif",),
    "improve": (
        "@study.yaml",
        "--pool",
        "@salt.cif",
        "--engine",
        "chgnet-r2scan",
        "--budget",
        "8",
    ),
    "fine-tune": ("@frames.parquet",),
    "evaluate": ("@frames.parquet",),
    "relax": ("@salt.cif",),
    "density": (),
    "physics": (),
    "models": (),
    "benchmark": ("chgnet-r2scan",),
    "dataset build": ("@study.yaml",),
    "dataset audit": ("@study.yaml",),
    "dataset info": ("@frames.parquet",),
    "atom-refs fit": ("@frames.parquet",),
    "stability score": ("@entries.json",),
    "stability plot": ("@run", "Li-O"),
    "scaling fit": ("@points.csv",),
}

#: Wrong values of options by their type.
WRONG_TYPES: dict[type, tuple[str, ...]] = {
    int: ("x", "1.5", "nan", "1e30", "-1"),
    float: ("x", "nan", "inf", "-1"),
}
WRONG_FOLDERS = ("@empty", "/proc/nope", "@empty/below")
WRONG_OUTPUTS = ("@folder", "@none/file", "/proc/x.html", "@empty/file")
WRONG_POTENTIALS = (
    "nope",
    "",
    "@folder",
    "@empty",
    "@pickle.pth.tar",
    "@foreign.pth.tar",
    "@binary",
)
WRONG_FILES = ("@none", "@folder", "@empty", "@binary", "@list.json", "/dev/null")

#: Wrong values of options by name, where the type does not decide.
WRONG_OPTIONS: dict[Any, tuple[str, ...]] = {
    "device": ("nope", "", "cuda:99", "meta"),
    "model": WRONG_POTENTIALS,
    "source": WRONG_POTENTIALS,
    "models": ("nope", ""),
    "tests": ("nope", ""),
    "properties": ("nope", ""),
    "frames": WRONG_FILES,
    "crystals": ("nope", "", "@folder", "@empty"),
    "collection": ("nope", ""),
    "overrides": (
        "a",
        "nope=1",
        "training.epochs=x",
        "training.epochs=-1",
        "training.epochs=1.0e+30",
        "training.batch_size=1.0e+30",
        "training={a: 1, a: 2}",
        "scaling_law.sizes=[-3]",
        "scaling_law.sizes=[0]",
        "scaling_law.sizes=[]",
        "dataset.source.n_materials_per_system=1000000000000",
        "dataset.source.teacher=nope",
        "dataset.source.teacher=@folder",
        "dataset.source.teacher=@foreign.pth.tar",
        "dataset.source.teacher=@pickle.pth.tar",
        "source=nope",
        "source=@empty",
        "source=@foreign.pth.tar",
        "name=../up",
        "name=a/b",
        "models=[nope]",
        "models=[]",
        "dataset.source={kind: vasp, paths: [nope]}",
        "dataset.source={kind: mptrj, paths: ['@folder']}",
        "relaxation={fmax: .nan}",
        "dataset.split={val: 2}",
        "a" + "[" * 3000 + "=1",
        "training=" + "[" * 3000,
    ),
    "study": ("nope", ""),
    "output": WRONG_OUTPUTS,
    "figures": WRONG_FOLDERS,
    "root": WRONG_FOLDERS,
    "config": ("@none", "@folder", "@empty", "@broken"),
    "labels": ("a", "=b", "a.b=c"),
    "pool": ("@none", "@folder", "@empty", "@binary", "@deep.json", "@frames.nope"),
    "engine": ("nope", "@foreign.pth.tar"),
    "recipe": ("nope", "source"),
    "beside": ("@none", "@folder"),
    "settings": (*WRONG_FILES, "@repeated.yaml", "@deep.yaml"),
}

#: Overrides for the commands on studies but ``run``, which has all of them.
SOME_OVERRIDES = (
    "nope=1",
    "training={a: 1, a: 2}",
    "dataset.source.teacher=nope",
    "source=@foreign.pth.tar",
)

#: Wrong values of options of one command.
WRONG_HERE: dict[Any, tuple[str, ...]] = {
    ("init", "root"): (),
    ("relax", "output"): ("@empty", *WRONG_OUTPUTS[1:]),
    ("preflight", "overrides"): SOME_OVERRIDES,
    ("submit", "overrides"): SOME_OVERRIDES,
    ("compare-recipes", "overrides"): SOME_OVERRIDES,
    ("improve", "overrides"): SOME_OVERRIDES,
    ("dataset build", "overrides"): SOME_OVERRIDES,
    ("dataset audit", "overrides"): SOME_OVERRIDES,
    ("doctor", "config"): ("@none", "@folder", "@empty"),  # of others it tells faults
    ("results", "query"): (
        "x",
        "[]",
        '{"nope": 1}',
        '{"$nope": 1}',
        '{"formula": {"$nope": 1}}',
        '{"formula": {"$regex": "["}}',
        '{"formula": {"$in": 1}}',
        "[" * 3000,
        '{"$and": 1}',
    ),
    ("results", "fields"): ("nope", "a b"),
    ("results", "sort"): ("nope", "-", "--formula"),
    ("stability plot", "models"): ("nope", ""),
}

#: Wrong values of arguments by command and position.
WRONG_ARGUMENTS: dict[tuple[str, int], tuple[str, ...]] = {
    ("report", 0): ("@none", "@folder", "@empty", "./nope", "nope"),
    ("status", 0): ("@none", "@folder", "@empty", "./nope", "nope"),
    ("results", 0): ("@none", "@folder", "@empty", "./nope", "nope"),
    ("build", 0): ("@none", "@folder", "@empty", "./nope", "nope"),
    ("provenance", 0): ("@none", "@folder", "@empty", "./nope", "nope"),
    ("provenance", 1): ("nope", "", "source/nope", "a/b/c", "f" * 64),
    ("init", 0): ("@empty", "@empty/below", "/proc/nope"),
    ("benchmark", 0): WRONG_POTENTIALS,
    ("stability plot", 0): ("@none", "@folder", "@empty", "nope"),
    ("stability plot", 1): ("", "nope", "Xx-O", "1"),
}
DATASET_COMMANDS = ("dataset build", "dataset audit")
STUDIES = ("@repeated.yaml", "@deep.yaml", "@bomb.yaml", "@tagged.yaml", "@latin.yaml")
for _command in (
    "run",
    "preflight",
    "compare-recipes",
    "improve",
    "submit",
    *DATASET_COMMANDS,
):
    WRONG_ARGUMENTS[_command, 0] = WRONG_FILES + STUDIES
for _command in ("relax", "label"):
    WRONG_ARGUMENTS[_command, 0] = (
        *WRONG_FILES,
        "@tagged.json",
        "@deep.json",
        "@bomb.json.gz",
        "@frames.nope",
    )

#: Other command lines, each of which was accepted or a traceback once.
OTHERS = (
    ("run", "@study.yaml", "--set", "density={source: nope}"),
    ("nope",),
    ("relax",),
    ("relax", "@salt.cif", "@salt.cif"),
    ("relax", "@salt.cif", "--root", "@new", "--model", "nope"),
    ("run", "@study.yaml", "--dry-run", "--set", "source=nope"),
    ("run", "@study.yaml", "--dry-run", "--set", "source=@foreign.pth.tar"),
    ("run", "@study.yaml", "--dry-run", "--set", "dataset.source.teacher=nope"),
    ("report", "@run", "@run", "--figures", "@new"),
    ("results", "@run", "--query", "{}", "--sort", "formula"),
    ("label", "@salt.cif", "-c", "@folder"),
    ("status", "nope", "-c", "@broken"),
    ("results", "nope", "-c", "@broken"),
    ("dataset", "nope"),
)


def list_bad_inputs() -> dict[str, tuple[str, ...]]:
    """List command lines by a readable name, in the order of the commands."""
    listed = [
        *(line for name in VALID for line in _vary(name)),
        *OTHERS,
    ]
    return {" ".join(part[:60] for part in line) or "nothing": line for line in listed}


def _vary(name: str) -> Iterator[tuple[str, ...]]:
    """Replace every argument and option of a valid command line by wrong values."""
    words, valid = tuple(name.split()), VALID[name]
    yield (*words, *valid, "--nope")
    arguments = takewhile(lambda part: part[:1] != "-", valid)
    for position, _ in enumerate(arguments):
        for wrong in WRONG_ARGUMENTS.get((name, position), WRONG_FILES):
            yield (*words, *valid[:position], wrong, *valid[position + 1 :])
    for parameter in _find_command(words).params:
        if parameter.param_type_name != "option":
            continue
        for wrong in _list_wrong(name, parameter):
            line = [*words, *valid, parameter.opts[0], wrong]
            if name == "results" and parameter.name in {"query", "fields", "sort"}:
                line += ["--collection", "relaxations"]
            if parameter.name == "config" and "@run" in valid:
                line[line.index("@run")] = "nope"  # a run folder needs none
            yield tuple(line)


def _find_command(words: tuple[str, ...]) -> Any:  # noqa: ANN401
    """Find a command of click."""
    found: Any = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]
    return found


def _list_wrong(command: str, parameter: Any) -> tuple[str, ...]:  # noqa: ANN401
    """List wrong values of an option; a text that may be any has none."""
    name, kind = parameter.name, parameter.type_descriptor.annotation
    for table, key in ((WRONG_HERE, (command, name)), (WRONG_OPTIONS, name)):
        if key in table:
            return table[key]
    if kind in {bool, str, Path}:
        return ()
    return WRONG_TYPES.get(kind, ("nope", ""))  # the latter where there are choices


def make_files(folder: Path) -> None:
    """Make the wrong files; those that are right are made by the test."""
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    (folder / "list.json").write_text("[1, 2]")
    (folder / "broken").mkdir()
    (folder / "broken" / "jobflow.yaml").write_text("JOB_STORE: [secret\n: }")
    (folder / "broken" / "my_launchpad.yaml").write_text("host: [secret\n: }")
    torch.save({"weights": torch.zeros(3)}, folder / "foreign.pth.tar")
    (folder / "pickle.pth.tar").write_bytes(pickle.dumps(Harmful()))
    (folder / "deep.json").write_text('{"a":' * 100_000)
    (folder / "deep.yaml").write_text("name: " + "[" * 3000 + "]" * 3000)
    (folder / "repeated.yaml").write_text("name: a\nname: b\n")
    (folder / "tagged.yaml").write_text("name: !!python/object/apply:os.getcwd []\n")
    (folder / "latin.yaml").write_bytes("name: Ångström".encode("latin-1"))
    laughs = "\n".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
    )
    (folder / "bomb.yaml").write_text(f"a0: &a0 [1]\n{laughs}\n")
    (folder / "bomb.json.gz").write_bytes(gzip.compress(bytes(2**27)))
    tagged = {"@module": "fireworks", "@class": "LaunchPad", "host": "127.0.0.1"}
    (folder / "tagged.json").write_text(json.dumps(tagged))
    (folder / "frames.nope").write_text("1 2 3")
    entries = [ComputedEntry("Na", -1.0, entry_id="a")]
    (folder / "entries.json").write_text(json.dumps(entries, cls=MontyEncoder))
    (folder / "points.csv").write_text(
        "model,n_frames,n_materials,energy_mae,forces_mae\nscratch,2000,20,0.1,0.1\n"
    )


class Harmful:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the call that unpickling makes."""
        return (exec, ("open('/tmp/nextrung-was-here', 'w')",))


def write_study(path: Path, settings: dict[str, Any]) -> None:
    """Write a study file."""
    path.write_text(yaml.safe_dump(settings))
