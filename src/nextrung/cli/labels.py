"""The command that labels structures by VASP, here or on a cluster: label."""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.cluster import require_shared_root, submit_flow
from nextrung.cli.options import Configuration, Root
from nextrung.cli.running import console, open_cluster_store, open_run
from nextrung.schemas.base import InputError
from nextrung.schemas.labelling import InputSet, LabelSettings

if TYPE_CHECKING:
    from jobflow import JobStore

    from nextrung.makers.labelling import LabellingMaker
    from nextrung.schemas.base import Artifact


#: Study that the label jobs belong to, and name of its run folder.
NAME = "labels"


def label(
    structures: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="CIF, POSCAR, … files or frames files."),
    ],
    *,
    input_set: Annotated[
        InputSet, typer.Option(help="Settings of the VASP calculations.")
    ] = InputSet.MP_R2SCAN,
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file: input_set, incar, maker."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, help="Structures to label, rare elements first.", show_default="all"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice.")] = 0,
    root: Root = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit to the LaunchPad of a cluster.")
    ] = False,
    config: Configuration = None,
) -> None:
    """Label structures by VASP; finished calculations are not repeated."""
    from nextrung.adapters.cluster.config_files import find_configuration
    from nextrung.adapters.files.structures import read_structures, store_structure
    from nextrung.compute.labelling import choose_structures
    from nextrung.makers.labelling import LabellingMaker

    if config is not None and not submit:
        raise InputError("-c: expected --submit beside it")
    wanted = _read_settings(settings, input_set)
    folder = find_configuration(config) if submit else None
    if folder is None:
        _check_vasp()
    else:
        require_shared_root()
    read = read_structures(structures)
    elements = [set(structure.atomic_numbers) for structure in read.values()]
    order = choose_structures(elements, count or len(read), seed)
    names = [list(read)[index] for index in order]
    store = open_run(root, NAME) if folder is None else open_cluster_store(config)
    files = {name: store_structure(read[name]) for name in names}
    maker = LabellingMaker(settings=wanted)
    with closing(store):
        waiting = _leave_out_labelled(maker, files, store)
        n_labelled = len(files) - len(waiting)
        console.print(f"{n_labelled} of {len(files)} are labelled already")
        if waiting and folder is None:
            _calculate(maker, waiting, store)
        elif waiting and folder is not None:
            _submit(maker, waiting, folder)


def _read_settings(path: Path | None, input_set: InputSet) -> LabelSettings:
    """Read the settings of labels from a file, if there is one."""
    from nextrung.adapters.files.yaml_records import load_yaml, validate_record

    if path is None:
        return LabelSettings(input_set=input_set)
    return validate_record(LabelSettings, load_yaml(path, "settings file"), path)


def _leave_out_labelled(
    maker: LabellingMaker, files: dict[str, Artifact], store: JobStore
) -> dict[str, Artifact]:
    """Select the structures whose label is not in the store."""
    from nextrung.adapters.stores.job_store import find_finished

    uuids = maker.make(files).job_uuids
    finished = find_finished(store, uuids)
    return {
        name: file
        for (name, file), uuid in zip(files.items(), uuids, strict=True)
        if uuid not in finished
    }


def _calculate(
    maker: LabellingMaker, files: dict[str, Artifact], store: JobStore
) -> None:
    """Run the calculations one after another, each in a folder of its own."""
    from jobflow import run_locally

    from nextrung.settings import MachineSettings

    folder = MachineSettings().root / "calculations"
    folder.mkdir(exist_ok=True)
    run_locally(maker.make(files), store=store, create_folders=True, root_dir=folder)
    failed = _leave_out_labelled(maker, files, store)
    console.print(f"{len(files) - len(failed)} labelled, {len(failed)} failed")
    if failed:
        console.print(f"failed: {', '.join(failed)}", soft_wrap=True)
        raise typer.Exit(1)


def _submit(maker: LabellingMaker, files: dict[str, Artifact], folder: Path) -> None:
    """Submit the calculations to the LaunchPad."""
    submit_flow(maker.make(files), NAME, folder)


def _check_vasp() -> None:
    """Raise where atomate2 could not run VASP."""
    from atomate2 import SETTINGS as ATOMATE2
    from pymatgen.core import SETTINGS

    program = shlex.split(os.path.expandvars(ATOMATE2.VASP_CMD))[0]
    if shutil.which(program) is None:
        raise InputError(
            f"expected the command of VASP in ATOMATE2_VASP_CMD, got {program!r}, "
            "which is no program here"
        )
    folder = SETTINGS.get("PMG_VASP_PSP_DIR")
    if folder is None or not Path(folder).is_dir():
        raise InputError(
            "expected the folder of the POTCARs in PMG_VASP_PSP_DIR, got "
            f"{'nothing' if folder is None else folder}"
        )
