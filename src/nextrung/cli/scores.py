"""Commands on scores: stability of entries, hulls of studies, scaling laws."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError
from rich.table import Table

from nextrung.cli.options import Configuration, StudyName, Where
from nextrung.cli.running import console, locate_study, validate_options
from nextrung.schemas.base import InputError
from nextrung.schemas.scaling_law import ScalingLawSettings, ScalingPoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.entries.computed_entries import ComputedEntry

    from nextrung.schemas.stability import StabilityDoc
    from nextrung.schemas.stability.table import LoadedStability

# Choices of a record whose module loads pymatgen.
CompetitorsName = Literal["other_compositions", "self"]

stability = typer.Typer(
    help="Score phase stability and plot hulls.", no_args_is_help=True
)
scaling = typer.Typer(help="Fit scaling laws of errors.", no_args_is_help=True)


@stability.command()
def score(
    entries_file: Annotated[
        Path,
        typer.Argument(
            metavar="ENTRIES.json", help="pymatgen entries, JSON, plain or compressed."
        ),
    ],
    *,
    competitors: Annotated[
        CompetitorsName,
        typer.Option(
            help="Entries an entry competes with: of other compositions, or all but "
            "itself."
        ),
    ] = "other_compositions",
) -> None:
    """Compute the decomposition energy of every entry of a file."""
    from nextrung.compute.stability import score_decomposition
    from nextrung.schemas.stability import Competitors

    entries = _read_entries(entries_file)
    records = score_decomposition(entries, Competitors(competitors))
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


@stability.command()
def plot(
    where: Where,
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="Chemical system, such as Li-Mn-O.")
    ],
    *,
    study: StudyName = None,
    config: Configuration = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="Model of the study to show; repeatable.",
            show_default="all",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="HTML file to write."),
    ] = Path("hull.html"),
) -> None:
    """Plot the convex hull of a chemical system, labels beside models, as HTML."""
    from nextrung.adapters.stores.studies import load_documents, load_study
    from nextrung.cli.outputs import validate_output
    from nextrung.reports.pages.hull import write_hull
    from nextrung.reports.sections.section import documents_of
    from nextrung.schemas.stability import StabilityDoc

    validate_output(output)
    store, name = locate_study(where, study, config)
    document = load_study(store, name)
    loaded = load_documents(store, document, ("stability",))
    scored = documents_of(loaded, "stability", StabilityDoc)
    write_hull(_choose_models(scored, models or tuple(scored)), system, output)
    console.print(f"hull: {output.resolve()}", soft_wrap=True)


@scaling.command()
def fit(
    points_file: Annotated[
        Path,
        typer.Argument(
            metavar="POINTS.csv",
            help="CSV: model, n_frames, n_materials, energy_mae (eV/atom), forces_mae "
            "(eV/Å).",
        ),
    ],
    *,
    fit_above: Annotated[
        int, typer.Option(help="Training frames up to which points are not fitted.")
    ] = 1000,
) -> None:
    """Fit power laws to errors against the number of training frames."""
    from nextrung.compute.scaling_law import score_scaling_law

    points = _read_points(points_file)
    models = tuple(dict.fromkeys(point.model for point in points))
    settings = validate_options(ScalingLawSettings, fit_above=fit_above, models=models)
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


def _choose_models(
    documents: Mapping[str, StabilityDoc], models: Sequence[str]
) -> dict[str, LoadedStability]:
    """Select the documents of some models, with rows, in the order of all."""
    from nextrung.adapters.files.stability_table import load_stability

    if not documents:
        raise InputError("expected a study with scored stability, got one without")
    for model in models:
        if model not in documents:
            nearest = get_close_matches(model, documents, 1, cutoff=0)[0]
            raise InputError(
                f"--model: expected one of {', '.join(documents)}, got {model}; did "
                f"you mean {nearest}?"
            )
    chosen = {model: found for model, found in documents.items() if model in models}
    return {model: load_stability(found) for model, found in chosen.items()}


def _read_entries(path: Path) -> list[ComputedEntry]:
    """Read a list of pymatgen entries."""
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.entries.computed_entries import ComputedEntry

    from nextrung.adapters.files.untrusted.msonable import decode_materials, load_plain

    entries = decode_materials(load_plain(path), path)
    if not isinstance(entries, list):
        raise InputError(f"expected a list of pymatgen entries in {path}")
    for index, entry in enumerate(entries):
        if not isinstance(entry, ComputedEntry | PDEntry):
            raise InputError(
                f"expected pymatgen entries in {path}, got {type(entry).__name__} at "
                f"index {index}"
            )
    return entries


def _read_points(path: Path) -> list[ScalingPoint]:
    """Read the points of a scaling law."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"expected points in {path}, got: {error}") from error
    rows = [(number, cells) for number, cells in enumerate(lines, 1) if cells]
    if len(rows) <= 1:
        raise InputError(f"expected a header and points in {path}, got none")
    (_, header), *rows = rows
    return [
        _read_point(header, cells, f"{path}, line {number}") for number, cells in rows
    ]


def _read_point(header: list[str], cells: list[str], where: str) -> ScalingPoint:
    """Read one point; an empty cell is a missing value."""
    if len(cells) != len(header):
        raise InputError(f"{where}: expected {len(header)} cells, got {len(cells)}")
    values = {name: cell or None for name, cell in zip(header, cells, strict=True)}
    try:
        return ScalingPoint.model_validate(values)
    except ValidationError as error:
        found = error.errors()[0]
        column = ".".join(map(str, found["loc"]))
        raise InputError(
            f"{where}: {column}: {found['msg']}, got {found['input']!r}"
        ) from error
