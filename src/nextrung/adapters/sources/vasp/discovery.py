"""Discovery of VASP runs below folders, and their materials."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.adapters.files.paths import expand_path
from nextrung.adapters.sources.vasp.outcar import read_outcar
from nextrung.adapters.sources.vasp.vasprun import read_vasprun
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nextrung.schemas.labels.sources import VaspEnergy, VaspSource
    from nextrung.schemas.labels.trajectory import Trajectory

#: Suffixes of compressed files.
COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|lzma)$")

#: File names such as OUTCAR, core.OUTCAR.relax1, vasprun.xml and hybrid_vasprun.Al.xml.
RUN_FILE = re.compile(
    r"(?:(?P<before>.+)[._-])?(?P<kind>OUTCAR|vasprun(?=.*\.xml))(?P<after>(?:[._-].*)?)"
)
#: Reader of each kind of file; the first one that can read a run is taken.
READERS = {"OUTCAR": read_outcar, "vasprun": read_vasprun}

#: Tags of consecutive runs of one material.
CONSECUTIVE = re.compile(r"(?:relax\d*|static)?")


@dataclass(frozen=True)
class RunFile:
    """Output files of one run.

    Parameters
    ----------
    paths : tuple of Path
        OUTCAR and vasprun.xml, plain or compressed, in the order in which they are
        tried.
    material_id : str
        Path of the run from the source's folder, with the tag of the file name where
        runs of several materials share a folder.
    run_id : str
        The same, also with the tag of consecutive runs of one material.
    """

    paths: tuple[Path, ...]
    material_id: str
    run_id: str


def find_runs(source: VaspSource) -> list[RunFile]:
    """Find the runs below the folders of a source.

    Parameters
    ----------
    source : VaspSource
        Folders to search.

    Returns
    -------
    list of RunFile
        Runs sorted by name; an OUTCAR, which has magnetic moments, is tried before a
        vasprun.xml.

    Raises
    ------
    InputError
        If a folder does not exist or has no run, or two runs have the same name.
    """
    runs: dict[str, RunFile] = {}
    for written in source.paths:
        found = _group_files(written)
        if not found:
            raise InputError(
                "expected OUTCAR or vasprun.xml files, got none in "
                f"{expand_path(written)}"
            )
        for run in found:
            if run.run_id in runs:
                raise InputError(
                    f"expected runs of different names, got {run.run_id!r} as "
                    f"{runs[run.run_id].paths[0]} and {run.paths[0]}"
                )
            runs[run.run_id] = run
    return [runs[name] for name in sorted(runs)]


def count_outputs(source: VaspSource) -> tuple[int, int]:
    """Count the files below the folders of a source.

    Parameters
    ----------
    source : VaspSource
        Folders to search.

    Returns
    -------
    n_files : int
        All files.
    n_outputs : int
        Files named as VASP's OUTCAR and vasprun.xml.
    """
    paths = [path for written in source.paths for path in _list_files(written)]
    return len(paths), sum(_match(path) is not None for path in paths)


def _list_files(written: str) -> list[Path]:
    """List the files below a folder, or the file itself."""
    root = expand_path(written)
    paths = [root] if root.is_file() else root.rglob("*")
    return [path for path in sorted(paths) if path.is_file()]


def _match(path: Path) -> re.Match[str] | None:
    """Match the name of an output file, compressed or not."""
    return RUN_FILE.fullmatch(COMPRESSED.sub("", path.name))


def read_vasp(
    source: VaspSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Read the runs below the folders of a source; reject unreadable ones.

    Parameters
    ----------
    source : VaspSource
        Folders to search.
    on_progress : callable
        Receives the number of runs read, of all runs, and the name of the next.
    """
    runs = find_runs(source)
    for index, run in enumerate(runs):
        on_progress(index, len(runs), run.run_id)
        yield _read_run(run, source.energy)


def _group_files(written: str) -> list[RunFile]:
    """List the runs below a folder with their files, an OUTCAR before a vasprun.xml."""
    root = expand_path(written)
    top = root.parent if root.is_dir() else root.parent.parent
    found: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
    for path in _list_files(written):
        if match := _match(path):
            parts = (match["before"] or "", match["after"].replace(".xml", ""))
            tag = ".".join(part for each in parts if (part := each.strip("._-")))
            found[path.parent.relative_to(top), tag].setdefault(match["kind"], path)
    return [
        _name_run(tuple(files[kind] for kind in READERS if kind in files), *name)
        for name, files in found.items()
    ]


def _name_run(paths: tuple[Path, ...], folder: Path, tag: str) -> RunFile:
    """Name a run by its folder and the tag of its file names."""
    run_id = (folder / tag).as_posix()
    material = folder.as_posix() if CONSECUTIVE.fullmatch(tag) else run_id
    return RunFile(paths, material, run_id)


def _read_run(run: RunFile, energy: VaspEnergy) -> Trajectory | Rejection:
    """Read one run from the first of its files that can be read, or reject it."""
    reasons = []
    for path in run.paths:
        match = _match(path)
        read = READERS[match["kind"] if match else "OUTCAR"]
        try:
            return read(path).to_trajectory(run.material_id, run.run_id, energy)
        except Exception as error:  # noqa: BLE001 - whatever a file holds, it is one row
            reasons.append(f"{path.name}: {_describe(error)}")
    return Rejection(
        frame_id=run.run_id,
        material_id=run.material_id,
        rule=Rule.INCOMPLETE_FILE,
        reason="; ".join(reasons),
    )


def _describe(error: Exception) -> str:
    """Describe why a file cannot be read, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError | OSError | EOFError | ValueError) and text:
        return text
    return f"{type(error).__name__}: {text}"
