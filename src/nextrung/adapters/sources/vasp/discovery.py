"""Discovery of VASP runs below folders, and their materials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextrung.adapters.files.paths import expand_path
from nextrung.adapters.sources.vasp.outcar import read_outcar
from nextrung.adapters.sources.vasp.vasprun import read_vasprun
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.curation import Rejection, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from nextrung.schemas.labels.sources import VaspSource
    from nextrung.schemas.labels.trajectory import Trajectory

#: Suffixes of compressed files.
COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|lzma)$")

#: File names such as OUTCAR, OUTCAR.relax1, vasprun.xml and vasprun.Al.xml.
RUN_FILE = re.compile(r"(?:OUTCAR|vasprun(?=.*\.xml))((?:[._-].*)?)")

#: Tags of consecutive runs of one material.
CONSECUTIVE = re.compile(r"(?:relax\d*|static)?")


@dataclass(frozen=True)
class RunFile:
    """Output file of one run.

    Parameters
    ----------
    path : Path
        OUTCAR or vasprun.xml, plain or compressed.
    material_id : str
        Path of the run from the source's folder, with the tag of the file name where
        runs of several materials share a folder.
    run_id : str
        The same, also with the tag of consecutive runs of one material.
    """

    path: Path
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
        One file per run, sorted by name; an OUTCAR, which has magnetic moments, is
        preferred to a vasprun.xml.

    Raises
    ------
    InputError
        If a folder does not exist or has no run, or two runs have the same name.
    """
    runs: dict[str, RunFile] = {}
    for written in source.paths:
        root = expand_path(written)
        found = list(_prefer_outcars(root))
        if not found:
            raise InputError(
                f"expected OUTCAR or vasprun.xml files, got none in {root}"
            )
        for run in found:
            if run.run_id in runs:
                raise InputError(
                    f"expected runs of different names, got {run.run_id!r} as "
                    f"{runs[run.run_id].path} and {run.path}"
                )
            runs[run.run_id] = run
    return [runs[name] for name in sorted(runs)]


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
        yield _read_run(run)


def _prefer_outcars(root: Path) -> Iterable[RunFile]:
    """List one file per run, the OUTCAR where there are several."""
    paths = [root] if root.is_file() else root.rglob("*")
    runs: dict[str, RunFile] = {}
    for path in sorted(paths, key=lambda path: (path.name.startswith("OUTCAR"), path)):
        match = RUN_FILE.fullmatch(COMPRESSED.sub("", path.name))
        if match and path.is_file():
            tag = match[1].replace(".xml", "").strip("._-")
            top = root.parent if root.is_dir() else root.parent.parent
            run = _name_run(path, path.parent.relative_to(top), tag)
            runs[run.run_id] = run
    return runs.values()


def _name_run(path: Path, folder: Path, tag: str) -> RunFile:
    """Name a run by its folder and the tag of its file name."""
    run_id = (folder / tag).as_posix()
    material = folder.as_posix() if CONSECUTIVE.fullmatch(tag) else run_id
    return RunFile(path, material, run_id)


def _read_run(run: RunFile) -> Trajectory | Rejection:
    """Read one run, or reject it."""
    read = read_outcar if run.path.name.startswith("OUTCAR") else read_vasprun
    try:
        return read(run.path).to_trajectory(run.material_id, run.run_id)
    except (InputError, OSError, EOFError, LookupError, ValueError) as error:
        return Rejection(
            frame_id=run.run_id,
            material_id=run.material_id,
            rule=Rule.INCOMPLETE_FILE,
            reason=f"{run.path.name}: {error}",
        )
