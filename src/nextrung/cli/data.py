"""Commands on data: build and inspect a data set, fit atomic references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nextrung.adapters.dataset import curate, write_dataset
from nextrung.adapters.frames import read_frames
from nextrung.adapters.study_files import read_study
from nextrung.compute.atom_refs import fit_atom_refs, fit_shift, rereference
from nextrung.potentials.potential import load_potential
from nextrung.schemas.models import Rereference

console = Console()
dataset = typer.Typer(help="Build and inspect data sets.", no_args_is_help=True)
atom_refs = typer.Typer(help="Fit atomic reference energies.", no_args_is_help=True)

FramesFile = Annotated[Path, typer.Argument(help="Frames file, Parquet.")]


@dataset.command()
def build(
    study: Annotated[Path, typer.Argument(help="Study file, YAML.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write to.")
    ] = Path("dataset"),
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Replace a setting.", metavar="KEY=VALUE"),
    ] = None,
) -> None:
    """Curate the frames of a study: frames, rejections and materials as Parquet."""
    settings = read_study(study, overrides or ()).dataset
    curated = curate(settings)
    write_dataset(curated, settings, output)
    console.print(
        f"{len(curated.frames)} frames of {len(curated.materials)} materials kept, "
        f"{len(curated.rejections)} rejected: {output}",
        soft_wrap=True,
    )


@dataset.command()
def info(frames_file: FramesFile) -> None:
    """Count the frames and materials of a frames file."""
    frames = read_frames(frames_file)
    table = Table("split", "materials", "frames", "atoms", title=frames.functional)
    for split in dict.fromkeys(frames.splits.tolist()):
        part = frames.split(split)
        counts = len(set(part.material_ids)), len(part), int(part.n_atoms.sum())
        table.add_row(split or "–", *map(str, counts))
    console.print(table)


@atom_refs.command()
def fit(
    frames_file: FramesFile,
    *,
    kind: Annotated[
        Rereference, typer.Option(help="How the references are moved.")
    ] = Rereference.REFIT,
    source: Annotated[
        str, typer.Option(help="Source potential: a name or a checkpoint.")
    ] = "chgnet-0.3.0",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Checkpoint to write.")
    ] = None,
) -> None:
    """Move atomic references to the labels; write the re-referenced potential."""
    frames = read_frames(frames_file)
    potential = load_potential(source)
    fitted = None
    if kind is Rereference.REFIT:
        fitted = fit_atom_refs(frames)
    elif kind is Rereference.RESIDUAL:
        fitted = fit_shift(frames, potential.label(frames, "e")[0].energies)
    moved = rereference(kind, potential.atom_refs, fitted)
    table = Table("element", "before / eV", "after / eV")
    for symbol, energy in moved.items():
        before = potential.atom_refs.get(symbol)
        table.add_row(symbol, "–" if before is None else f"{before:.4f}", f"{energy:.4f}")
    console.print(table)
    if output is not None:
        potential.with_atom_refs(moved).save(output, functional=frames.functional)
        console.print(f"potential: {output}", soft_wrap=True)
