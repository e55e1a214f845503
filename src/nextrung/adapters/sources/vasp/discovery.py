"""VASP runs below folders: which files belong to which material."""

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

COMPRESSED = re.compile(r"\.(?:gz|bz2|xz|lzma)$")

#: Names such as OUTCAR, OUTCAR.relax1, vasprun.xml and vasprun.Al.xml.
RUN_FILE = re.compile(r"(?:OUTCAR|vasprun(?=.*\.xml))((?:[._-].*)?)")

#: Tags of the runs that follow one another for one material.
CONSECUTIVE = re.compile(r"(?:relax\d*|static)?")


@dataclass(frozen=True)
class RunFile:
    """The file that tells one run.

    Parameters
    ----------
    path : Path
        OUTCAR or vasprun.xml, plain or compressed.
    material_id : str
        Folder of the run, from the name of the source's folder on; with the tag of
        the file's name where that tells runs of one folder apart.
    run_id : str
        The same, with the tags of consecutive runs of one material.
    """

    path: Path
    material_id: str
    run_id: str


def find_runs(source: VaspSource) -> list[RunFile]:
    """Find the runs below the folders of a source.

    Parameters
    ----------
    source : VaspSource
        Where to look.

    Returns
    -------
    list of RunFile
        One file per run, by name; an OUTCAR, which has the moments of the sites, is
        preferred to a vasprun.xml.

    Raises
    ------
    InputError
        If a folder does not exist, holds no run, or two runs have one name.
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
    """Read the runs below the folders of a source.

    Parameters
    ----------
    source : VaspSource
        Where to look.
    on_progress : callable
        Told the number of runs read, of all runs, and the name of the last.

    Yields
    ------
    Trajectory or Rejection
        A run, or why it cannot be read.
    """
    runs = find_runs(source)
    for index, run in enumerate(runs):
        on_progress(index, len(runs), run.run_id)
        yield _read_run(run)


def _prefer_outcars(root: Path) -> Iterable[RunFile]:
    """List one file per run: where there are several, the OUTCAR."""
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
    """Name a run by its folder and, where its file name has one, by its tag."""
    run_id = (folder / tag).as_posix()
    material = folder.as_posix() if CONSECUTIVE.fullmatch(tag) else run_id
    return RunFile(path, material, run_id)


def _read_run(run: RunFile) -> Trajectory | Rejection:
    """Read one run; say why where that is impossible."""
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
