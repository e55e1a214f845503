"""Commands on data: build and describe a data set, fit atomic references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from nextrung.cli.inputs import (
    choose_folder_source,
    validate_labels,
    validate_potential,
)
from nextrung.cli.options import (
    AsJson,
    Device,
    FramesFile,
    Overrides,
    Potential,
    Root,
    StudyFile,
)
from nextrung.cli.running import (
    console,
    describe_files,
    open_run,
    run_flow,
    use_device,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.labels.identity import IdentitySummary, LabelAudit
    from nextrung.schemas.labels.sources import Source

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
    validate_labels(settings, study)
    store = open_run(root, settings.name)
    job = DatasetMaker(settings=settings.dataset).make()
    run_flow(Flow(job), store)
    document = DatasetDoc.model_validate(store.get_output(job.uuid))
    table = Table("frames or unreadable files", "number", title=document.labels)
    table.add_row("seen", str(document.n_seen), end_section=True)
    for rule, count in document.n_rejected.items():
        table.add_row(f"rejected: {rule}", str(count))
    table.add_row("kept", str(document.n_frames))
    console.print(table)
    describe_files(document.files)
    console.print(f"{document.n_frames} frames of {document.n_materials} materials")
    console.print(
        _describe_labels(
            {str(key): n for key, n in document.n_frames_by_label.items()},
            document.n_frames,
        )
    )
    _show_findings(document.identity)
    for artifact in (document.frames, document.materials, document.rejections):
        console.print(str(artifact_path(artifact)), soft_wrap=True)


@dataset.command()
def audit(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS", help="Folder of VASP runs or GPAW labels, or study file."
        ),
    ],
    *,
    overrides: Overrides = None,
    model: Potential = "chgnet-r2scan",
    as_json: AsJson = False,
    device: Device = "auto",
) -> None:
    """Tabulate how labels were calculated; find mixtures, outliers and duplicates."""
    from nextrung.adapters.curation.audit import audit_source
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.settings import MachineSettings

    if labels.is_dir():
        source: Source = choose_folder_source(labels)
    else:
        settings = read_study(labels, overrides or ())
        validate_labels(settings, labels)
        source = settings.dataset.source
    use_device(device)
    validate_potential(model)
    found = audit_source(source, model, device=MachineSettings().device)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _show_audit(found)


def _describe_labels(n_frames_by_label: Mapping[str, int], n_frames: int) -> str:
    """Describe how many frames have each label."""
    counts = (
        f"{label} {'all' if count == n_frames else count or 'none'}"
        for label, count in n_frames_by_label.items()
    )
    return f"labelled frames: {', '.join(counts)}"


def _show_audit(found: LabelAudit) -> None:
    """Print an audit as tables; findings that need a decision come last."""
    identities = Table("field", "value", "runs", "such as")
    for each in found.identities:
        identities.add_row(each.field, each.value, str(each.n_runs), each.example)
    console.print(identities)
    describe_files(found.files)
    console.print(f"{found.n_runs} runs of {found.n_frames} frames")
    for outlier in found.outliers:
        _print_finding(f"outlier: {outlier.run_id}: {outlier.reason}")
    _show_findings(found)
    if not (found.mixtures or found.outliers or found.same_crystals):
        console.print("no mixture, outlier or duplicate found")


def _show_findings(found: IdentitySummary) -> None:
    """Print mixtures, and materials that are the same crystal."""
    for mixture in found.mixtures:
        values = ", ".join(f"{v.value} ({v.n_runs})" for v in mixture.values)
        size = "no two runs share a composition"
        if mixture.energy_difference is not None:
            difference = 1000 * mixture.energy_difference
            size = f"{difference:.0f} meV/atom apart for {mixture.composition}"
        _print_finding(f"mixture: {mixture.field}: {values}; {size}")
    for names in found.same_crystals:
        _print_finding(f"same crystal: {', '.join(names)}")


def _print_finding(text: str) -> None:
    """Print one line, whatever names are in it."""
    console.print(text, soft_wrap=True, highlight=False)


@dataset.command()
def info(frames_file: FramesFile) -> None:
    """Count the frames and materials of a frames file."""
    from nextrung.adapters.files.frames import read_frames
    from nextrung.compute.curation.rules import count_frames_by_label

    frames = read_frames(frames_file)
    table = Table("split", "materials", "frames", "atoms", title=frames.functional)
    for split in dict.fromkeys(frames.splits.tolist()):
        part = frames.split(split)
        counts = len(set(part.material_ids)), len(part), int(part.n_atoms.sum())
        table.add_row(split or "–", *map(str, counts))
    console.print(table)
    console.print(_describe_labels(count_frames_by_label(frames), len(frames)))
