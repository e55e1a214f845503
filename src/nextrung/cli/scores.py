"""Commands that score tables: stability of entries, scaling laws of errors."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from monty.serialization import loadfn
from pydantic import ValidationError
from rich.table import Table

from nextrung.cli.running import console
from nextrung.compute.scaling_law import score_scaling_law
from nextrung.compute.stability import score_decomposition
from nextrung.schemas.base import InputError
from nextrung.schemas.scaling_law import ScalingLawSettings, ScalingPoint
from nextrung.schemas.stability import Competitors

if TYPE_CHECKING:
    from pymatgen.entries.computed_entries import ComputedEntry

stability = typer.Typer(help="Score phase stability.", no_args_is_help=True)
scaling = typer.Typer(help="Fit scaling laws.", no_args_is_help=True)


@stability.command()
def score(
    entries_file: Annotated[
        Path, typer.Argument(help="pymatgen entries, JSON, plain or compressed.")
    ],
    *,
    competitors: Annotated[
        Competitors, typer.Option(help="Entries an entry competes with.")
    ] = Competitors.OTHER_COMPOSITIONS,
) -> None:
    """Decomposition energy of every entry of a file."""
    records = score_decomposition(_read_entries(entries_file), competitors)
    table = Table("entry", "formula", "E_decomp / meV/atom", "products", "error")
    for record in records:
        energy = record.decomposition_energy_per_atom
        table.add_row(
            record.entry_id,
            record.formula,
            "–" if energy is None else f"{1000 * energy:.1f}",
            " + ".join(phase.formula for phase in record.competing_phases),
            record.error or "",
        )
    console.print(table)


@scaling.command()
def fit(
    points_file: Annotated[
        Path,
        typer.Argument(
            help="CSV: model, n_frames, n_materials, energy_mae, forces_mae."
        ),
    ],
    *,
    fit_above: Annotated[int, typer.Option(help="Fit only larger sizes.")] = 1000,
) -> None:
    """Fit power laws to errors against numbers of training frames."""
    points = _read_points(points_file)
    models = tuple(dict.fromkeys(point.model for point in points))
    settings = ScalingLawSettings(fit_above=fit_above, models=models)
    scores = score_scaling_law(points, settings)
    table = Table("error", "model", "slope", "R²", "points", "note")
    for name, scaled in scores.laws.items():
        for model, law in scaled.laws.items():
            table.add_row(
                name,
                model,
                "–" if law.slope is None else f"{law.slope:.3f}",
                "–" if law.r_squared is None else f"{law.r_squared:.3f}",
                str(law.n_points),
                law.error or "",
            )
    console.print(table)


def _read_entries(path: Path) -> list[ComputedEntry]:
    """Read a list of pymatgen entries."""
    try:
        entries = loadfn(path)
    except (OSError, ValueError) as error:
        raise InputError(f"expected pymatgen entries in {path}, met {error}") from error
    if not isinstance(entries, list) or not all(hasattr(e, "energy") for e in entries):
        raise InputError(f"expected a list of pymatgen entries in {path}")
    return entries


def _read_points(path: Path) -> list[ScalingPoint]:
    """Read the points of a scaling law."""
    try:
        with path.open(newline="") as file:
            return [ScalingPoint.model_validate(row) for row in csv.DictReader(file)]
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"expected points in {path}, met: {reason}") from error
