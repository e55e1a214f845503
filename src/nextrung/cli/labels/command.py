"""The command that labels structures by VASP or GPAW, here or on a cluster: label."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.cluster import require_shared_root, submit_flow
from nextrung.cli.options import Configuration, Root
from nextrung.cli.running import console, open_cluster_store, open_run
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.labelling import Engine, InputSet

if TYPE_CHECKING:
    from jobflow import JobStore

    from nextrung.cli.labels.engines import LabelEngine
    from nextrung.schemas.base import Artifact


#: Study that the label jobs belong to, and name of its run folder.
NAME = "labels"


def label(
    structures: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="CIF, POSCAR, … files or frames files."),
    ],
    *,
    engine: Annotated[
        Engine, typer.Option(help="Code that calculates; gpaw needs no licence.")
    ] = Engine.VASP,
    input_set: Annotated[
        InputSet | None,
        typer.Option(
            help="Settings of VASP calculations.", show_default=InputSet.MP_R2SCAN
        ),
    ] = None,
    functional: Annotated[
        str | None,
        typer.Option(
            help="Functional of GPAW calculations, such as r2SCAN, or libxc's name.",
            show_default="PBE",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file of settings: LabelSettings of VASP (input_set, incar, "
            "maker), or GpawSettings (functional, plane_wave_cutoff, …).",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1, help="Structures to label, rare elements first.", show_default="all"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice.")] = 0,
    processes: Annotated[
        int, typer.Option(min=1, help="GPAW calculations at a time on this machine.")
    ] = 1,
    root: Root = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit to the LaunchPad of a cluster.")
    ] = False,
    config: Configuration = None,
) -> None:
    """Label structures by DFT; finished calculations are not repeated."""
    from nextrung.adapters.cluster.config_files import find_configuration
    from nextrung.adapters.files.structures import (
        read_material_ids,
        read_structures,
        store_structure,
    )
    from nextrung.cli.labels.engines import make_gpaw, make_vasp
    from nextrung.compute.labelling import choose_structures

    if config is not None and not submit:
        raise InputError("-c: expected --submit beside it")
    if engine is Engine.VASP and functional is not None:
        raise InputError("--functional: expected --engine gpaw beside it")
    if engine is Engine.GPAW and input_set is not None:
        raise InputError("--input-set: expected --engine vasp, got gpaw")
    chosen: LabelEngine = (
        make_vasp(settings, input_set)
        if engine is Engine.VASP
        else make_gpaw(settings, functional, processes)
    )
    folder = find_configuration(config) if submit else None
    if folder is not None:
        require_shared_root()
    read = read_structures(structures)
    if folder is None:
        chosen.validate_machine(read.values())
    elements = [set(structure.atomic_numbers) for structure in read.values()]
    order = choose_structures(elements, count or len(read), seed)
    names = [list(read)[index] for index in order]
    store = open_run(root, NAME) if folder is None else open_cluster_store(config)
    files = {name: store_structure(read[name]) for name in names}
    chosen.material_ids.update(read_material_ids(structures))
    with closing(store):
        _run(chosen, files, store, folder=folder)


def _run(
    engine: LabelEngine,
    files: dict[str, Artifact],
    store: JobStore,
    *,
    folder: Path | None,
) -> None:
    """Calculate what the store has no document of, or submit it."""
    finished = engine.find_finished(files, store)
    waiting = {name: file for name, file in files.items() if name not in finished}
    n_failed = sum(error is not None for error in finished.values())
    failed = f", {n_failed} failed" if n_failed else ""
    console.print(
        f"{len(finished) - n_failed} of {len(files)} are labelled already{failed}"
    )
    if waiting and folder is not None:
        _submit(engine, waiting, folder)
        return
    if waiting:
        engine.calculate(waiting, store)
        done = engine.find_finished(waiting, store)
        n_done = sum(error is None for error in done.values())
        console.print(f"{n_done} labelled, {len(waiting) - n_done} failed")
        finished |= done
    lost = {name: "" for name in files if name not in finished}
    errors = {name: error for name, error in finished.items() if error is not None}
    if folder is None and (lost or errors):
        _report_failures(lost | errors)


def _report_failures(errors: dict[str, str]) -> None:
    """Print the structures without a label, with what GPAW said."""
    unexplained = [name for name, error in errors.items() if not error]
    if unexplained:
        console.print(f"failed: {', '.join(unexplained)}", soft_wrap=True)
    for name, error in errors.items():
        if error:
            console.print(f"failed: {name}: {error}", soft_wrap=True)
    raise typer.Exit(1)


def _submit(engine: LabelEngine, files: dict[str, Artifact], folder: Path) -> None:
    """Submit the calculations to the LaunchPad."""
    submit_flow(engine.make(files), NAME, folder)
