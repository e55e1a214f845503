"""Command that tests the potential energy surface of a potential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from nextrung.cli.inputs import validate_potential
from nextrung.cli.options import Device, Potential, StageRoot
from nextrung.cli.running import console, use_device

if TYPE_CHECKING:
    from nextrung.schemas.physics import (
        ForgettingErrors,
        PhysicsRecord,
        PhysicsScore,
    )


def physics(
    *,
    model: Potential = "chgnet-r2scan",
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="Potential that the model was made from, to score the forgetting.",
            show_default="none",
        ),
    ] = None,
    crystals: Annotated[
        list[str] | None,
        typer.Option(
            "--crystal",
            metavar="ID",
            help="Crystal, such as 'Si diamond'; repeatable.",
            show_default="all",
        ),
    ] = None,
    tests: Annotated[
        list[str] | None,
        typer.Option(
            "--test",
            metavar="TEST",
            help="equation_of_state, elasticity, phonons, repulsion or "
            "molecular_dynamics; repeatable.",
            show_default="all",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Rows, one per crystal and measure: .csv, .json, .jsonl or .parquet.",
        ),
    ] = None,
    root: StageRoot = None,
    device: Device = "auto",
) -> None:
    """Test elasticity, phonons, repulsion and dynamics of simple crystals."""
    from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
    from nextrung.adapters.files.yaml_records import validate_record
    from nextrung.cli.outputs import PHYSICS, validate_output, write_physics
    from nextrung.potentials.physics.runner import require_physics
    from nextrung.schemas.physics import PhysicsSettings

    chosen = {"crystals": crystals or None, "tests": tests or None}
    given = {key: value for key, value in chosen.items() if value}
    settings = validate_record(PhysicsSettings, given, "physics")
    validate_output(output, PHYSICS)
    read_elastic_crystals(settings.crystals)
    require_physics(settings)
    use_device(device)
    for potential in (model, *([] if source is None else [source])):
        validate_potential(potential)
    score: PhysicsScore
    if root is None:
        from nextrung.cli.potentials import load
        from nextrung.makers.physics import score_potential

        score, forgetting = score_potential(
            load(model), settings, source=None if source is None else load(source)
        )
    else:
        from nextrung.cli.stages import StageRun

        document = StageRun(root, model).test_physics(settings, source)
        score, forgetting = document, document.forgetting
    _show_scores(score, forgetting)
    if output is not None:
        write_physics(output, score.rows)


def _show_scores(score: PhysicsScore, forgetting: ForgettingErrors | None) -> None:
    """Print every number with its range, and the deviation from the source."""
    from nextrung.reports.sections.physics import TITLES

    table = Table("crystal", "measure", "value", "experiment", "range", "", "error")
    for row in score.rows:
        table.add_row(
            row.crystal_id,
            f"{row.measure} / {TITLES[row.measure][1]}",
            _show(row.value),
            _show(row.experiment),
            _show_range(row),
            "pass" if row.passed else "fail",
            row.error or "",
        )
    console.print(table)
    console.print(
        f"{score.n_passed} of {score.n_values} passed, "
        f"{score.n_without_value} without a value"
    )
    if forgetting is not None:
        console.print(
            f"deviation from the source over {forgetting.n_structures} perturbed "
            f"structures of {forgetting.n_crystals} crystals: deformation energy "
            f"{_show(forgetting.deformation_energy_mae, 1000)} meV/atom, forces "
            f"{_show(forgetting.forces_mae, 1000)} meV/Å, stress "
            f"{_show(forgetting.stress_mae)} GPa",
            soft_wrap=True,
        )


def _show_range(row: PhysicsRecord) -> str:
    """Format the range in which a number passes."""
    if row.upper is None:
        return f"≥ {_show(row.lower)}"
    return f"{_show(row.lower)} to {_show(row.upper)}"


def _show(value: float | None, factor: float = 1) -> str:
    """Format a number with four digits; a dash for none."""
    return "–" if value is None else f"{factor * value:.4g}"
