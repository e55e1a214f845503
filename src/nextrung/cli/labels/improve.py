"""The command that labels structures in rounds until a target error: improve."""

from __future__ import annotations

import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.cluster import require_shared_root, submit_flow
from nextrung.cli.inputs import validate_labels, validate_submission
from nextrung.cli.options import Configuration, Device, Overrides, Root, StudyFile
from nextrung.cli.running import (
    console,
    count_jobs,
    locate_study,
    open_run,
    use_device,
    validate_options,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.improvement import (
    GpawLabels,
    ImprovementSettings,
    PotentialLabels,
    Strategy,
    VaspLabels,
)

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

    from nextrung.makers.improvement.flow import ImprovementMaker
    from nextrung.schemas.base import Artifact
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.improvement import ImprovementDoc, LabelEngine
    from nextrung.schemas.models import Model, NamedRecipe
    from nextrung.schemas.study import StudySettings


def improve(
    study: StudyFile,
    *,
    pool: Annotated[
        Path,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Structures to choose from: a CIF, POSCAR, … or frames file, or a "
            "folder of them.",
        ),
    ],
    engine: Annotated[
        str,
        typer.Option(
            metavar="gpaw|vasp|POTENTIAL",
            help="Code that calculates labels, or potential that predicts them.",
        ),
    ],
    budget: Annotated[int, typer.Option(min=1, help="Most labels of all rounds.")],
    batch: Annotated[int, typer.Option(min=1, help="Labels per round.")] = 8,
    target: Annotated[
        float, typer.Option(help="Energy MAE in eV/atom at which the loop ends.")
    ] = 0.02,
    strategy: Annotated[
        Strategy, typer.Option(help="How structures are chosen.")
    ] = Strategy.EXPECTED_GAIN,
    recipe: Annotated[
        str, typer.Option(help="Model of the study that is trained each round.")
    ] = "residual_atom_refs",
    committee: Annotated[
        int, typer.Option(min=1, help="Trainings per round, on successive seeds.")
    ] = 3,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file of GpawSettings or LabelSettings, as of `nextrung label`.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of trainings and of random choice.")
    ] = 0,
    beside: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Run folder of another loop to compare with."),
    ] = None,
    root: Root = None,
    overrides: Overrides = None,
    device: Device = "auto",
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit to the LaunchPad of a cluster.")
    ] = False,
    config: Configuration = None,
) -> None:
    """Label structures in rounds until a target error; a killed run continues.

    Each round trains a committee on the study's data and the labels so far, scores it
    on the held-out split, and chooses the structures to label next.
    """
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.adapters.stores.studies import load_improvement
    from nextrung.cli.labels.engines import GpawEngine, VaspEngine
    from nextrung.makers.improvement.flow import ImprovementMaker

    if config is not None and not submit:
        raise InputError("-c: expected --submit beside it")
    read = read_study(study, overrides or ())
    choices = validate_options(
        ImprovementSettings,
        engine=_choose_engine(engine, settings, read),
        budget=budget,
        batch=batch,
        target=target,
        strategy=strategy,
        model=_find_model(read, recipe),
        seeds=tuple(range(seed, seed + committee)),
        seed=seed,
    )
    _validate_held_out(read, choices, study)
    structures = _read_pool(pool)
    use_device(device)
    validate_labels(read, study)
    _validate_engine(read, choices, study)
    maker = ImprovementMaker(settings=choices, study=read)
    if submit:
        validate_submission(read, study)
        _submit(maker, structures, config)
        return
    other = None
    if beside is not None:
        other = load_improvement(locate_study(str(beside))[0])
    calculations = choices.engine
    if isinstance(calculations, GpawLabels):
        GpawEngine(settings=calculations.calculation, n_processes=1).validate_machine(
            structures.to_structures()
        )
    elif isinstance(calculations, VaspLabels):
        VaspEngine(settings=calculations.calculation).validate_machine(())
    store = open_run(root, read.name)
    with closing(store):
        document = _run(maker.make(_store_pool(structures)), store)
    _write(document, other)


def _choose_engine(name: str, path: Path | None, study: StudySettings) -> LabelEngine:
    """Choose the engine by its name; any other name is that of a potential."""
    from nextrung.cli.labels.engines import make_gpaw, make_vasp

    match name:
        case "gpaw":
            functional = None if path else study.dataset.curation.functional
            return GpawLabels(calculation=make_gpaw(path, functional, 1).settings)
        case "vasp":
            return VaspLabels(calculation=make_vasp(path, None).settings)
        case _:
            if path is not None:
                raise InputError("--settings: expected --engine gpaw or vasp beside it")
            return PotentialLabels(potential=name)


def _find_model(study: StudySettings, name: str) -> Model | NamedRecipe:
    """Find a model of the study, or of the table, by its name."""
    from nextrung.schemas.models import Model

    named: dict[str, Model | NamedRecipe] = {str(model): model for model in Model}
    named |= {str(model): model for model in study.models}
    if name not in named or name == Model.SOURCE:
        known = ", ".join(each for each in named if each != Model.SOURCE)
        raise InputError(f"--recipe: expected one of {known}, got {name!r}")
    return named[name]


def _validate_held_out(
    study: StudySettings, settings: ImprovementSettings, file: Path
) -> None:
    """Check that the study holds frames out."""
    fraction = getattr(study.dataset.split, settings.split)
    if not fraction:
        raise InputError(
            f"{file}: dataset.split.{settings.split}: expected a held-out split, whose "
            f"error ends the loop, got {fraction:g} (--set "
            f"dataset.split.{settings.split}=0.1)"
        )


def _validate_engine(
    study: StudySettings, settings: ImprovementSettings, file: Path
) -> None:
    """Check that the labels of the engine can join those of the study."""
    from nextrung.adapters.sources.label_files import find_label_files, read_identity
    from nextrung.compute.curation.joined_labels import (
        summarise_identity,
        validate_same_labels,
    )
    from nextrung.makers.improvement.labels import describe_engine
    from nextrung.potentials.atom_refs import validate_recipe
    from nextrung.potentials.registry import load_potential
    from nextrung.schemas.labels.identity import IdentitySummary
    from nextrung.schemas.labels.sources import LabelFilesSource
    from nextrung.schemas.models import find_recipe

    try:
        identity = describe_engine(settings.engine)
    except InputError as error:
        raise InputError(
            f"--engine: expected gpaw, vasp or a potential: {error}"
        ) from (error)
    known, source = IdentitySummary(), study.dataset.source
    if isinstance(source, LabelFilesSource):
        labelled = find_label_files(source)[0]
        known = summarise_identity(read_identity(labelled), labelled.name)
    validate_same_labels(study.dataset, known, identity)
    try:
        validate_recipe(
            load_potential(study.source, "cpu"), find_recipe(settings.model)
        )
    except InputError as error:
        raise InputError(f"{file}: source: {error} (--recipe {settings.model})") from (
            error
        )


def _read_pool(path: Path) -> Frames:
    """Read the structures of a pool, with their materials."""
    from dataclasses import replace

    import numpy as np

    from nextrung.adapters.files.structures import read_material_ids, read_structures
    from nextrung.compute.curation.materials import validate_elements
    from nextrung.schemas.frames import Frames

    if not path.exists():
        raise InputError(f"--pool: expected a file or a folder, got none at {path}")
    files = [path]
    if path.is_dir():
        found = sorted(path.iterdir())
        files = [each for each in found if each.is_file() and each.name[0] != "."]
    read = read_structures(files)
    if not read:
        raise InputError(f"--pool: expected structures, got none in {path}")
    frames = Frames.from_structures(list(read.values()), list(read))
    validate_elements(frames)
    materials = {name: name for name in read} | read_material_ids(files)
    names = np.array([materials[name] for name in read], dtype=np.str_)
    return replace(frames, material_ids=names)


def _store_pool(structures: Frames) -> Artifact:
    """Store the structures of a pool as an artifact, so that no job holds them."""
    from nextrung.adapters.files.artifacts import store_artifact
    from nextrung.adapters.files.frames import write_frames
    from nextrung.adapters.files.staging import StagingFolder

    with StagingFolder() as folder:
        file = folder / "pool.parquet"
        write_frames(structures, file)
        return store_artifact(file, "pools")


def _submit(maker: ImprovementMaker, structures: Frames, config: Path | None) -> None:
    """Submit the loop to the LaunchPad."""
    from nextrung.adapters.cluster.config_files import find_configuration
    from nextrung.adapters.files.paths import require_absolute_paths

    folder = find_configuration(config)
    require_shared_root()
    require_absolute_paths(maker.study)
    submit_flow(maker.make(_store_pool(structures)), maker.study.name, folder)


def _run(flow: Flow, store: JobStore) -> ImprovementDoc:
    """Run the loop and show its progress; return its last document."""
    from jobflow import run_locally

    from nextrung.cli.progress import JobProgress
    from nextrung.schemas.improvement import ImprovementDoc
    from nextrung.settings import MachineSettings

    folder = MachineSettings().root / "calculations"
    folder.mkdir(exist_ok=True)
    with JobProgress(console, count_jobs(flow)) as progress, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some jobs are not connected")  # by intent
        run_locally(flow, store=store, log=False, create_folders=True, root_dir=folder)
    console.print(progress.summary)
    if progress.failures:
        raise progress.failures[0]
    return ImprovementDoc.model_validate(store.get_output(flow.output.uuid))


def _write(document: ImprovementDoc, other: ImprovementDoc | None) -> None:
    """Write the page of a loop and print its rounds."""
    from nextrung.reports.pages.improvement import write_improvement
    from nextrung.reports.sections.improvement import rounds_table
    from nextrung.settings import MachineSettings

    page = MachineSettings().root / "improvement.html"
    write_improvement(document, page, beside=other)
    console.print(rounds_table(document))
    console.print(f"{document.stop}: {document.reason}", soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True)
