"""Commands on whole studies: preflight, run, results, report, status."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Annotated, Any

import typer
from jobflow import Job
from rich.tree import Tree

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.experimental_crystals import digest_crystals
from nextrung.adapters.files.study_yaml import read_study
from nextrung.adapters.sources.registry import list_source_files
from nextrung.adapters.stores.studies import load_documents, load_study
from nextrung.atomic_write import atomic_write
from nextrung.cli.running import (
    Name,
    Overrides,
    Root,
    console,
    count_jobs,
    locate_study,
    open_run,
    run_flow,
)
from nextrung.makers.preflight import PreflightMaker
from nextrung.makers.study import StudyMaker
from nextrung.reports.pages.comparison import write_comparison
from nextrung.reports.pages.figure_files import write_figures
from nextrung.reports.pages.model_card import write_model_card
from nextrung.reports.pages.page import write_report
from nextrung.reports.pages.preflight import write_preflight
from nextrung.reports.sections.preflight import preflight_table
from nextrung.reports.sections.table import results_table
from nextrung.schemas.base import InputError
from nextrung.schemas.preflight import PreflightDoc, Verdict
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

    from nextrung.schemas.study import StudyDoc, StudySettings

StudyFile = Annotated[Path, typer.Argument(help="Study file, YAML.")]


def run(
    study: StudyFile,
    *,
    root: Root = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the jobs and stop.")
    ] = False,
) -> None:
    """Run a whole study on this machine; a killed run continues where it was."""
    settings = read_study(study, overrides or ())
    flow = StudyMaker(settings).make()
    if dry_run:
        console.print(_draw(flow))
    _require_inputs(settings, study)
    if dry_run:
        return
    store = open_run(root, settings.name)
    run_flow(flow, store)
    document = load_study(store, settings.name)
    folder = MachineSettings().root
    _write_outputs(store, document, folder)
    console.print(results_table(document.results))
    console.print(f"labels: {document.results.labels}")
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def preflight(
    study: StudyFile,
    *,
    root: Root = None,
    overrides: Overrides = None,
) -> None:
    """Try a study out in minutes; exit code 1 where it is not worth running."""
    settings = read_study(study, overrides or ())
    flow = PreflightMaker(settings).make()
    _require_inputs(settings.model_copy(update={"density": None}), study)
    store = open_run(root, settings.name)
    run_flow(flow, store)
    judged = PreflightDoc.model_validate(store.get_output(flow.jobs[-1].uuid))
    folder = MachineSettings().root
    write_preflight(judged, settings.name, folder / "preflight.html")
    console.print(preflight_table(judged))
    go = judged.verdict is Verdict.GO
    console.print(
        f"{judged.verdict.upper()}: {judged.reason}",
        style="green" if go else "red",
        highlight=False,
    )
    console.print(f"report: {folder / 'preflight.html'}", soft_wrap=True)
    if not go:
        raise typer.Exit(1)


def report(
    where: Annotated[
        list[str],
        typer.Argument(help="Run folders, or names in the store of jobflow.yaml."),
    ],
    *,
    study: Name = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="HTML file to write.")
    ] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Folder for each figure: PDF, PNG, CSV.")
    ] = None,
) -> None:
    """Write the report of a study, or several studies side by side, as one file."""
    if len(where) > 1:
        located = [locate_study(place, study) for place in where]
        write_comparison([load_study(*place) for place in located], output)
    else:
        store, name = locate_study(where[0], study)
        document = load_study(store, name)
        documents = load_documents(store, document)
        write_report(document, documents, output)
        if figures is not None:
            write_figures(document, documents, figures)
    console.print(f"report: {output.resolve()}", soft_wrap=True)


def _require_inputs(settings: StudySettings, file: Path) -> None:
    """Refuse a study whose files are not there, before anything runs."""
    try:
        list_source_files(settings.dataset.source)
        if settings.density:
            digest_crystals(settings.density)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _write_outputs(store: JobStore, document: StudyDoc, folder: Path) -> None:
    """Write results, report, and every model with its card beside the store."""
    with atomic_write(folder / "results.json") as file:
        file.write_text(document.results.model_dump_json(indent=1) + "\n")
    documents: dict[str, Any] = load_documents(store, document)
    write_report(document, documents, folder / "report.html")
    for model in document.settings.models:
        made = documents[f"fine_tuning/{model}"]
        write_model_card(
            made,
            documents[f"evaluation/{model}"],
            folder / "models",
            stability=documents.get(f"stability/{model}"),
            density=documents.get(f"density/{model}"),
        )
        checkpoint = folder / "models" / f"{model}.pth.tar"
        copyfile(artifact_path(made.checkpoint), checkpoint)


def _draw(flow: Flow) -> Tree:
    """Draw the jobs of a flow, those planned while it runs left open."""
    tree = Tree(f"{flow.name}: {count_jobs(flow)} jobs before fan-out")
    for member in flow.jobs:
        if isinstance(member, Job):
            fans_out = member.output_schema is None
            tree.add(member.name + (" [dim]→ shards → merge[/]" if fans_out else ""))
        else:
            tree.add(_draw(member))
    return tree
