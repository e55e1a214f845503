"""Commands on data: build and describe a data set, fit atomic references."""

from __future__ import annotations

import typer
from rich.table import Table

from nextrung.cli.options import (
    Device,
    FramesFile,
    Overrides,
    Root,
    StudyFile,
)
from nextrung.cli.running import console, open_run, run_flow, use_device

dataset = typer.Typer(help="Build and describe data sets.", no_args_is_help=True)


@dataset.command()
def build(
    study: StudyFile,
    *,
    root: Root = None,
    overrides: Overrides = None,
    device: Device = "auto",
) -> None:
    """Curate the frames of a study; a later run of the study uses them."""
    from jobflow import Flow

    from nextrung.adapters.files.artifacts import artifact_path
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.makers.dataset import DatasetMaker
    from nextrung.schemas.dataset import DatasetDoc

    settings = read_study(study, overrides or ())
    use_device(device)
    store = open_run(root, settings.name)
    job = DatasetMaker(settings=settings.dataset).make()
    run_flow(Flow(job), store)
    document = DatasetDoc.model_validate(store.get_output(job.uuid))
    table = Table("rule", "rejected", title=document.labels)
    for rule, count in document.n_rejected.items():
        table.add_row(rule, str(count))
    console.print(table)
    console.print(f"{document.n_frames} frames of {document.n_materials} materials")
    for artifact in (document.frames, document.materials, document.rejections):
        console.print(str(artifact_path(artifact)), soft_wrap=True)


@dataset.command()
def info(frames_file: FramesFile) -> None:
    """Count the frames and materials of a frames file."""
    from nextrung.adapters.files.frames import read_frames

    frames = read_frames(frames_file)
    table = Table("split", "materials", "frames", "atoms", title=frames.functional)
    for split in dict.fromkeys(frames.splits.tolist()):
        part = frames.split(split)
        counts = len(set(part.material_ids)), len(part), int(part.n_atoms.sum())
        table.add_row(split or "–", *map(str, counts))
    console.print(table)
