"""Commands on whole studies: run, results, report, status."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from jobflow import Job
from rich.tree import Tree

from nextrung.adapters.results import load_documents, load_study
from nextrung.adapters.stores import find_documents
from nextrung.adapters.study_files import read_study
from nextrung.cli.running import (
    Name,
    Overrides,
    Root,
    Where,
    console,
    locate_study,
    open_run,
    run_flow,
)
from nextrung.makers.study import StudyMaker
from nextrung.reports.html import write_report
from nextrung.reports.table import results_table
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

    from nextrung.schemas.study import StudyDoc

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
        return
    store = open_run(root, settings.name)
    run_flow(flow, store)
    document = load_study(store, settings.name)
    folder = MachineSettings().root
    _write_outputs(store, document, folder)
    console.print(results_table(document.results))
    console.print(f"labels: {document.results.labels}")
    console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def results(
    where: Where,
    *,
    study: Name = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Show the results of a study."""
    document = load_study(*locate_study(where, study))
    if as_json:
        typer.echo(document.results.model_dump_json(indent=1))
    else:
        console.print(results_table(document.results))
        console.print(f"labels: {document.results.labels}")


def report(
    where: Where,
    study: Name = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="HTML file to write.")
    ] = Path("report.html"),
) -> None:
    """Write the report of a study as one HTML file."""
    store, name = locate_study(where, study)
    document = load_study(store, name)
    write_report(document, load_documents(store, document), output)
    console.print(f"report: {output.resolve()}", soft_wrap=True)


def status(where: Where) -> None:
    """Count the finished jobs of a store, by name."""
    store, name = locate_study(where, None)
    criteria = {} if name is None else {"metadata.study": name}
    names = Counter(found["name"] for found in find_documents(store, criteria))
    for job, count in names.items():
        console.print(f"{count:6d}  {job}")


def _write_outputs(store: JobStore, document: StudyDoc, folder: Path) -> None:
    """Write results and report beside the store."""
    results_file = folder / "results.json"
    results_file.write_text(document.results.model_dump_json(indent=1) + "\n")
    write_report(document, load_documents(store, document), folder / "report.html")


def _draw(flow: Flow) -> Tree:
    """Draw the jobs of a flow, those planned while it runs left open."""
    tree = Tree(f"{flow.name}: {len(flow.job_uuids)} jobs before fan-out")
    for member in flow.jobs:
        if isinstance(member, Job):
            fans_out = member.output_schema is None
            tree.add(member.name + (" [dim]→ shards → merge[/]" if fans_out else ""))
        else:
            tree.add(_draw(member))
    return tree
