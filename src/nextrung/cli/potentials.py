"""Commands on potentials: fine-tune, evaluate, relax, density."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from monty.json import MontyEncoder
from rich.table import Table

from nextrung.adapters.curation.dataset import curate
from nextrung.adapters.files.experimental_crystals import read_crystals
from nextrung.adapters.files.frames import read_frames
from nextrung.adapters.files.structures import read_structure
from nextrung.cli.running import console
from nextrung.compute.density import score_densities, strain_lattice
from nextrung.compute.evaluation import score_predictions
from nextrung.potentials.atom_refs import move_atom_refs, prepare_start
from nextrung.potentials.registry import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.dataset import DatasetSettings, SplitSettings
from nextrung.schemas.density import EMBEDDED, DensitySettings
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.labels.curation import CurationSettings
from nextrung.schemas.labels.sources import AseSource, VaspSource
from nextrung.schemas.models import RECIPES, Model, Trained
from nextrung.schemas.relaxation import RelaxationEngine, RelaxationSettings

if TYPE_CHECKING:
    from nextrung.schemas.fine_tuning import EpochRecord
    from nextrung.schemas.frames import Frames

Labelled = Annotated[
    Path, typer.Argument(help="Frames file, folder of VASP runs, or extxyz file.")
]
Weights = Annotated[
    str, typer.Option("--model", help="Potential: a name or a checkpoint file.")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]


def evaluate(
    labelled: Labelled,
    *,
    model: Weights = "chgnet-r2scan",
    functional: Annotated[str, typer.Option(help="Of the labels.")] = "r2SCAN",
) -> None:
    """Compare the predictions of a potential with labels."""
    frames = _read_labelled(labelled, functional)
    predicted, errors = load_potential(model).predict_frames(frames)
    everything = np.full(len(frames), "all")
    scores = [
        score_predictions(
            frames.with_splits(splits), predicted, errors, splits=tuple(set(splits))
        ).metrics
        for splits in (everything, frames.splits)
        if all(splits)
    ]
    table = Table(
        "split", "frames", "failed", "E / meV/atom", "F / meV/Å", "S / GPa", "M / μ_B"
    )
    for metrics in scores:
        for split, found in metrics.items():
            table.add_row(
                split,
                str(found.n_frames),
                str(found.n_failed),
                _show(found.energy_mae, 1000, 1),
                _show(found.forces_mae, 1000, 1),
                _show(found.stress_mae, 1, 3),
                _show(found.magmoms_mae, 1, 4),
            )
    console.print(table)
    for index, reason in errors.items():
        console.print(f"{frames.frame_ids[index]}: {reason}", soft_wrap=True)


def fine_tune(
    frames_file: Annotated[Path, typer.Argument(help="Frames file with splits.")],
    *,
    method: Annotated[
        Model, typer.Option(help="How knowledge is carried over.")
    ] = Model.RESIDUAL_ATOM_REFS,
    source: Annotated[str, typer.Option(help="Source potential.")] = "chgnet-0.3.0",
    epochs: Annotated[int, typer.Option(help="Passes over the frames.")] = 50,
    batch_size: Annotated[int, typer.Option(help="Frames per step.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    output: Output = Path("fine_tuned.pth.tar"),
) -> None:
    """Re-reference and train a potential; plain chgnet loads what is written."""
    from nextrung.potentials.training.fine_tuning import (  # noqa: PLC0415 - loads Lightning
        fine_tune as train,
    )

    frames = read_frames(frames_file)
    settings = FineTuningSettings(epochs=epochs, batch_size=batch_size, seed=seed)
    recipe = RECIPES[method]
    if recipe.trained is Trained.NOTHING:
        raise InputError(f"--method: expected one that trains, got {method}")
    potential = load_potential(source)
    _, atom_refs = move_atom_refs(potential, frames, recipe.rereference)
    result = train(
        prepare_start(potential, recipe, atom_refs, seed=seed),
        frames,
        settings,
        trained=recipe.trained,
        workdir=output.with_name(output.name + ".state"),
        on_epoch=_print_epoch,
    )
    result.potential.save(output, name=method.value, functional=frames.functional)
    console.print(f"best epoch {result.best_epoch}: {output}", soft_wrap=True)


def relax(
    structures: Annotated[list[Path], typer.Argument(help="CIF, POSCAR, … files.")],
    *,
    model: Weights = "chgnet-r2scan",
    engine: Annotated[
        RelaxationEngine, typer.Option(help="Who moves the atoms.")
    ] = RelaxationEngine.BATCHED,
    fmax: Annotated[float, typer.Option(help="Force to reach in eV/Å.")] = 0.1,
    max_steps: Annotated[int, typer.Option(help="Steps to give up after.")] = 500,
    output: Output = Path("relaxed.json"),
) -> None:
    """Relax structures; a failure is a row with its reason."""
    loaded = [read_structure(file) for file in structures]
    settings = RelaxationSettings(engine=engine, fmax=fmax, max_steps=max_steps)
    records = load_potential(model).relax(loaded, settings)
    table = Table("structure", "status", "steps", "eV/atom", "fmax / eV/Å", "error")
    for file, structure, record in zip(structures, loaded, records, strict=True):
        per_atom = None if record.energy is None else record.energy / len(structure)
        table.add_row(
            file.name,
            record.status,
            str(record.n_steps),
            _show(per_atom, 1, 4),
            _show(record.fmax, 1, 3),
            record.error or "",
        )
    console.print(table)
    named = dict(zip(map(str, structures), records, strict=True))
    output.write_text(json.dumps(named, cls=MontyEncoder))


def density(
    *,
    model: Weights = "chgnet-r2scan",
    crystals: Annotated[
        str, typer.Option(help="Folder of CIFs of experimental crystals, or embedded.")
    ] = EMBEDDED,
) -> None:
    """Compare predicted densities with experiment."""
    settings = DensitySettings(source=crystals)
    measured = read_crystals(settings)
    strain = settings.linear_strain
    strained = [strain_lattice(crystal.structure, strain) for crystal in measured]
    relaxed = load_potential(model).relax(strained, settings.relaxation)
    score = score_densities(measured, relaxed)
    table = Table("crystal", "status", "measured", "predicted / g/cm³", "ratio")
    for row in score.rows:
        table.add_row(
            row.crystal_id,
            row.status,
            f"{row.experimental_density:.3f}",
            _show(row.predicted_density, 1, 3),
            _show(row.ratio, 1, 3),
        )
    console.print(table)
    console.print(f"MAE {_show(score.mae, 1, 3)} g/cm³, {score.n_failed} failed")


def _read_labelled(path: Path, functional: str) -> Frames:
    """Read labelled frames of any layout, duplicates kept."""
    if path.suffix == ".parquet":
        return read_frames(path)
    source = (
        VaspSource(paths=(str(path),))
        if path.is_dir()
        else AseSource(paths=(str(path),), functional=functional)
    )
    settings = DatasetSettings(
        source=source,
        curation=CurationSettings(functional=functional, duplicate_tolerances=()),
        split=SplitSettings(val=0, test=0),
    )
    frames = curate(settings).frames
    return replace(frames, splits=np.full(len(frames), ""))


def _print_epoch(epoch: EpochRecord) -> None:
    """Print one line per epoch."""
    errors = epoch.val
    console.print(
        f"epoch {epoch.epoch:3d}  validation "
        f"E {_show(errors.energy_mae, 1000, 1)} meV/atom  "
        f"F {_show(errors.forces_mae, 1000, 1)} meV/Å  [dim]{epoch.wall_time:.1f} s[/]"
    )


def _show(value: float | None, factor: float, digits: int) -> str:
    """Format a number, or say that there is none."""
    return "–" if value is None else f"{factor * value:.{digits}f}"
