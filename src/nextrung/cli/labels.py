"""The command that has structures labelled by VASP."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer
from atomate2 import SETTINGS
from jobflow import run_locally
from pymatgen.core import SETTINGS as PYMATGEN_SETTINGS

from nextrung.adapters.labelling import (
    find_finished,
    read_structures,
    store_structure,
)
from nextrung.cli.running import Root, console, open_run
from nextrung.compute.labelling import choose_structures
from nextrung.makers.labelling import LabellingMaker
from nextrung.schemas.base import InputError
from nextrung.schemas.labelling import InputSet, LabelSettings
from nextrung.settings import MachineSettings


def label(
    structures: Annotated[
        list[Path], typer.Argument(help="CIF, POSCAR, … files, or frames files.")
    ],
    *,
    input_set: Annotated[
        InputSet, typer.Option(help="Settings of the calculations.")
    ] = InputSet.MP_R2SCAN,
    count: Annotated[
        int | None,
        typer.Option(help="Label this many, rare elements first.  [default: all]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 0,
    root: Root = None,
) -> None:
    """Label structures by VASP; what is labelled already is not calculated again."""
    _check_vasp()
    read = read_structures(structures)
    elements = [set(structure.atomic_numbers) for structure in read.values()]
    order = choose_structures(elements, count or len(read), seed)
    names = [list(read)[index] for index in order]
    store = open_run(root, "labels")
    files = {name: store_structure(read[name]) for name in names}
    maker = LabellingMaker(settings=LabelSettings(input_set=input_set))
    uuids = dict(zip(names, maker.make(files).job_uuids, strict=True))
    before = find_finished(store, uuids.values())
    waiting = {name: files[name] for name in names if uuids[name] not in before}
    if waiting:
        folder = MachineSettings().root / "calculations"
        folder.mkdir(exist_ok=True)
        run_locally(
            maker.make(waiting), store=store, create_folders=True, root_dir=folder
        )
    after = find_finished(store, uuids.values())
    failed = [name for name in names if uuids[name] not in after]
    console.print(
        f"{len(after) - len(before)} structures labelled, {len(before)} were already, "
        f"{len(failed)} failed"
    )
    if failed:
        console.print(f"failed: {', '.join(failed)}", soft_wrap=True)
        raise typer.Exit(1)


def _check_vasp() -> None:
    """Refuse to begin where atomate2 could not run VASP."""
    program = shlex.split(os.path.expandvars(SETTINGS.VASP_CMD))[0]
    if shutil.which(program) is None:
        raise InputError(
            f"expected the command of VASP in ATOMATE2_VASP_CMD, met {program!r}, "
            "which is no program here"
        )
    folder = PYMATGEN_SETTINGS.get("PMG_VASP_PSP_DIR")
    if folder is None or not Path(folder).is_dir():
        raise InputError(
            "expected the folder of the POTCARs in PMG_VASP_PSP_DIR, met "
            f"{'nothing' if folder is None else folder}"
        )
