"""Command that compares potentials with experiment and with labelled frames."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.inputs import validate_potential
from nextrung.cli.options import Configuration, Device, StageRoot
from nextrung.cli.running import console, open_cluster_store, open_run, use_device
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobflow import Flow, JobStore

    from nextrung.schemas.benchmark import BenchmarkSettings
    from nextrung.schemas.dataset import DatasetSettings


def benchmark(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Potentials: names of `nextrung models`, or checkpoint files.",
        ),
    ],
    *,
    frames: Annotated[
        Path | None,
        typer.Option(
            "--frames",
            metavar="FILE",
            help="Labelled frames to score besides: frames file, folder of VASP runs "
            "or extxyz file.",
            show_default="none",
        ),
    ] = None,
    functional: Annotated[
        str, typer.Option(help="Functional of the labels of VASP runs or extxyz.")
    ] = "r2SCAN",
    properties: Annotated[
        list[str] | None,
        typer.Option(
            "--property",
            metavar="PROPERTY",
            help="lattice_parameter, density, bulk_modulus or formation_enthalpy; "
            "repeatable.",
            show_default="all",
        ),
    ] = None,
    crystals: Annotated[
        list[str] | None,
        typer.Option(
            "--crystal",
            metavar="ID",
            help="Crystal, such as 'MgO rocksalt'; repeatable.",
            show_default="all",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="HTML file to write; the results are beside it as .json.",
        ),
    ] = Path("benchmark.html"),
    root: StageRoot = None,
    submit: Annotated[
        bool,
        typer.Option(
            "--submit",
            help="Submit to the LaunchPad of a cluster; once the jobs have finished, "
            "the same command writes the page.",
        ),
    ] = False,
    config: Configuration = None,
    device: Device = "auto",
) -> None:
    """Compare potentials with measured properties of simple crystals."""
    from nextrung.adapters.cluster.config_files import find_configuration
    from nextrung.adapters.files.crystals.benchmark_facts import read_benchmark
    from nextrung.adapters.files.yaml_records import validate_record
    from nextrung.cli.cluster import require_shared_root
    from nextrung.cli.outputs import validate_output
    from nextrung.schemas.benchmark import BenchmarkSettings

    chosen = {"properties": properties or None, "crystals": crystals or None}
    given = {key: value for key, value in chosen.items() if value}
    settings = validate_record(BenchmarkSettings, given, "benchmark")
    read_benchmark(settings)
    validate_output(output, (".html",))
    if config is not None and not submit:
        raise InputError("-c: expected --submit beside it")
    if submit and root is not None:
        raise InputError("--root: expected no --submit beside it")
    use_device(device)
    names = _resolve(models)

    if submit:
        folder = find_configuration(config)
        require_shared_root()
        flow = _make_flow(names, settings, _find_labels(frames, functional))
        with closing(open_cluster_store(config)) as store:
            _submit(flow, store, folder=folder, output=output)
    elif root is not None:
        with closing(open_run(root, root.name)) as store:
            flow = _make_flow(names, settings, _find_labels(frames, functional))
            _run(flow, store, output)
    else:
        with TemporaryDirectory(prefix="nextrung-") as scratch:
            labels = _read_labels(frames, functional, Path(scratch))
            with closing(open_run(Path(scratch), "benchmark")) as store:
                _run(_make_flow(names, settings, labels), store, output)


def _resolve(models: Sequence[str]) -> list[str]:
    """Check every potential; files get absolute paths."""
    for model in models:
        validate_potential(model)
    names = [
        str(Path(model).resolve()) if Path(model).is_file() else model
        for model in models
    ]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"expected every potential once, got {name} twice")
    return names


def _find_labels(frames: Path | None, functional: str) -> Path | DatasetSettings | None:
    """Find labelled frames: a frames file, or how others are read."""
    from nextrung.cli.potentials import choose_source

    if frames is None:
        return None
    if not frames.exists():
        raise InputError(f"--frames: expected a file or a folder, got no {frames}")
    return choose_source(frames, functional)


def _read_labels(frames: Path | None, functional: str, scratch: Path) -> Path | None:
    """Read labelled frames before anything is computed; return their frames file."""
    from nextrung.adapters.files.frames import write_frames
    from nextrung.cli.potentials import read_labels

    source = _find_labels(frames, functional)
    if source is None:
        return None
    labelled = read_labels(source)
    if isinstance(source, Path):
        return source
    write_frames(labelled, scratch / "frames.parquet", {})
    return scratch / "frames.parquet"


def _make_flow(
    names: Sequence[str],
    settings: BenchmarkSettings,
    labels: Path | DatasetSettings | None,
) -> Flow:
    """Make one job per potential, and one that reads labelled frames, if any."""
    from nextrung.cli.stages import read_frames_file
    from nextrung.makers.benchmark import make_benchmark_flow
    from nextrung.makers.dataset import DatasetMaker

    dataset = None
    if isinstance(labels, Path):
        dataset = read_frames_file(labels)
    elif labels is not None:
        dataset = DatasetMaker(settings=labels).make()
    return make_benchmark_flow(names, settings, dataset)


def _run(flow: Flow, store: JobStore, output: Path) -> None:
    """Run the jobs here, and write the results of those that finish."""
    from nextrung.cli.running import run_flow

    try:
        run_flow(flow, store)
    finally:
        _write(flow, store, output)


def _submit(flow: Flow, store: JobStore, *, folder: Path, output: Path) -> None:
    """Submit the jobs, or write their results where all have finished."""
    from nextrung.adapters.stores.job_store import find_finished
    from nextrung.cli.cluster import submit_flow
    from nextrung.makers.benchmark import NAME

    if set(flow.job_uuids) <= find_finished(store, flow.job_uuids).keys():
        _write(flow, store, output)
    else:
        submit_flow(flow, NAME, folder)


def _write(flow: Flow, store: JobStore, output: Path) -> None:
    """Print the results of finished jobs, and write them as a page and as JSON."""
    from nextrung.adapters.stores.job_store import find_finished
    from nextrung.atomic_write import atomic_write
    from nextrung.compute.intervals import compare_benchmarks
    from nextrung.reports.pages.benchmark import write_benchmark
    from nextrung.reports.sections.benchmark.table import terminal_results
    from nextrung.schemas.benchmark import BenchmarkDoc, BenchmarkResults

    finished = find_finished(store, flow.job_uuids)
    documents = [
        BenchmarkDoc.model_validate(store.get_output(reference.uuid, load=True))
        for reference in flow.output
        if reference.uuid in finished
    ]
    if not documents:
        return
    results = BenchmarkResults(
        models=documents, comparison=compare_benchmarks(documents)
    )
    console.print(terminal_results(results))
    write_benchmark(results, output)
    rows = output.with_suffix(".json")
    with atomic_write(rows) as file:
        file.write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    console.print(f"report: {output.resolve()}", soft_wrap=True)
    console.print(f"results: {rows.resolve()}", soft_wrap=True)
