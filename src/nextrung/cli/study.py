"""Commands on whole studies: preflight, run, report."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from nextrung.atomic_write import atomic_write
from nextrung.cli.inputs import validate_inputs, validate_labels
from nextrung.cli.options import (
    Configuration,
    Device,
    Overrides,
    Recompute,
    Root,
    StudyFile,
    StudyName,
)
from nextrung.cli.running import (
    console,
    count_jobs,
    locate_study,
    open_run,
    run_flow,
    use_device,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobflow import Flow, JobStore
    from rich.tree import Tree

    from nextrung.schemas.study import StudyDoc


#: Most improvement loops on a page.
PAIR = 2


def run(
    study: StudyFile,
    *,
    root: Root = None,
    overrides: Overrides = None,
    device: Device = "auto",
    recompute: Recompute = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the jobs and stop.")
    ] = False,
) -> None:
    """Run a whole study on this machine; a killed run continues where it stopped."""
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.makers.jobs.stored_documents import require_stages
    from nextrung.makers.study import StudyMaker
    from nextrung.reports.sections.table import results_table
    from nextrung.schemas.study import StudyDoc

    settings = read_study(study, overrides or ())
    use_device(device)
    validate_inputs(settings, study)
    flow = StudyMaker(settings).make()
    require_stages(flow, recompute or ())
    if dry_run:
        console.print(_draw(flow))
        return
    store = open_run(root, settings.name)
    with _recomputing(flow, recompute or ()):
        run_flow(flow, store)
    document = StudyDoc.model_validate(store.get_output(flow.output.uuid))
    page = _write_outputs(store, document)
    console.print(results_table(document.results))
    console.print(f"labels: {document.results.labels}")
    console.print(f"report: {page}", soft_wrap=True)


def preflight(
    study: StudyFile,
    *,
    root: Root = None,
    overrides: Overrides = None,
    device: Device = "auto",
) -> None:
    """Try a study out in minutes; exit code 1 where it is not worth running."""
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.makers.preflight import PreflightMaker
    from nextrung.reports.pages.preflight import write_preflight
    from nextrung.reports.sections.preflight import preflight_table
    from nextrung.schemas.preflight import PreflightDoc, Verdict
    from nextrung.settings import MachineSettings

    settings = read_study(study, overrides or ())
    use_device(device)
    validate_labels(settings, study)
    flow = PreflightMaker(settings).make()
    store = open_run(root, settings.name)
    run_flow(flow, store)
    tried = PreflightDoc.model_validate(store.get_output(flow.jobs[-1].uuid))
    page = MachineSettings().root / "preflight.html"
    write_preflight(tried, settings.name, page)
    console.print(preflight_table(tried))
    go = tried.verdict is Verdict.GO
    console.print(
        f"{tried.verdict.upper()}: {tried.reason}",
        style="green" if go else "red",
        highlight=False,
    )
    console.print(f"report: {page}", soft_wrap=True)
    if not go:
        raise typer.Exit(1)


def report(
    where: Annotated[
        list[str],
        typer.Argument(
            metavar="WHERE", help="Run folders, or names of studies on the cluster."
        ),
    ],
    *,
    study: StudyName = None,
    config: Configuration = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="HTML file to write."),
    ] = Path("report.html"),
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for each figure: PDF, PNG, CSV."),
    ] = None,
    improvement: Annotated[
        bool,
        typer.Option(
            "--improvement",
            help="Report the improvement loop of a study, a second one beside it.",
        ),
    ] = False,
) -> None:
    """Write the report of a study, or several studies side by side, as one file."""
    from nextrung.adapters.stores.studies import (
        load_documents,
        load_repeated_errors,
        load_study,
    )
    from nextrung.cli.outputs import validate_folder, validate_output
    from nextrung.reports.pages.comparison import write_comparison
    from nextrung.reports.pages.figure_files import write_figures
    from nextrung.reports.pages.page import write_report

    if figures is not None and len(where) > 1:
        raise InputError(f"--figures: expected one study, got {len(where)}")
    validate_output(output)
    validate_folder(figures, "--figures")
    located = [locate_study(place, study, config) for place in where]
    if improvement:
        _report_loops(located, output)
        return
    studies = [load_study(store, name) for store, name in located]
    if len(studies) > 1:
        stages = ("evaluation", "fine_tuning")
        documents = [
            load_documents(store, each, stages)
            for (store, _), each in zip(located, studies, strict=True)
        ]
        write_comparison(studies, output, documents)
    else:
        loaded = load_documents(located[0][0], studies[0])
        repeated = load_repeated_errors(located[0][0], studies[0])
        write_report(studies[0], loaded, output, repeated=repeated)
        if figures is not None:
            write_figures(studies[0], loaded, figures)
    console.print(f"report: {output.resolve()}", soft_wrap=True)


def _report_loops(located: Sequence[tuple[JobStore, str | None]], output: Path) -> None:
    """Write the page of a loop, with another one beside it where there are two."""
    from nextrung.adapters.stores.studies import load_improvement
    from nextrung.reports.pages.improvement import write_improvement

    if len(located) > PAIR:
        raise InputError(f"--improvement: expected one or two runs, got {len(located)}")
    loops = [load_improvement(store, name) for store, name in located]
    write_improvement(loops[0], output, beside=loops[1] if loops[1:] else None)
    console.print(f"report: {output.resolve()}", soft_wrap=True)


@contextmanager
def _recomputing(flow: Flow, stages: Sequence[str]) -> Iterator[None]:
    """Mark jobs to be computed again, also those of a run that was interrupted."""
    from nextrung.makers.jobs.stored_documents import mark_recomputed
    from nextrung.settings import MachineSettings

    pending = MachineSettings().root / "recompute.json"
    request = {"stages": list(stages), "token": uuid4().hex}
    if not stages and pending.is_file():
        request = json.loads(pending.read_text())
        console.print(f"still to recompute: {', '.join(request['stages'])}")
    mark_recomputed(flow, request["stages"], str(request["token"]))
    if request["stages"]:
        with atomic_write(pending) as file:
            file.write_text(json.dumps(request))
    yield
    pending.unlink(missing_ok=True)


def _write_outputs(store: JobStore, document: StudyDoc) -> Path:
    """Write results, models with their cards, and the report; return its path."""
    from nextrung.adapters.files.artifacts import artifact_path
    from nextrung.adapters.stores.studies import load_documents, load_repeated_errors
    from nextrung.reports.pages.model_card import describe_model, write_model_card
    from nextrung.reports.pages.page import write_report
    from nextrung.reports.sections.verdicts.evidence import read_evidence
    from nextrung.settings import MachineSettings

    folder = MachineSettings().root
    with atomic_write(folder / "results.json") as file:
        file.write_text(document.results.model_dump_json(indent=1) + "\n")
    documents: dict[str, Any] = load_documents(store, document)
    repeated = load_repeated_errors(store, document)
    write_report(document, documents, folder / "report.html", repeated=repeated)
    evidence = read_evidence(documents, document.results, repeated)
    for model in document.settings.recipes:
        made = documents[f"fine_tuning/{model}"]
        card = describe_model(
            made,
            documents[f"evaluation/{model}"],
            evidence=evidence,
            stability=documents.get(f"stability/{model}"),
            density=documents.get(f"density/{model}"),
            physics=documents.get(f"physics/{model}"),
        )
        write_model_card(card, folder / "models")
        checkpoint = folder / "models" / f"{model}{made.checkpoint.suffix}"
        copyfile(artifact_path(made.checkpoint), checkpoint)
    return folder / "report.html"


def _draw(flow: Flow) -> Tree:
    """Draw the jobs of a flow; those that plan others end in an arrow."""
    from jobflow import Job
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(f"{flow.name}: {count_jobs(flow)} jobs before fan-out")
    for member in flow.jobs:
        if isinstance(member, Job):
            fans_out = member.output_schema is None
            planned = (" → shards → merge", "dim") if fans_out else ""
            tree.add(Text.assemble(member.name, planned))
        else:
            tree.add(_draw(member))
    return tree
