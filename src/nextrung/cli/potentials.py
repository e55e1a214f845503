"""Commands on potentials and what they predict: models, evaluate, relax, density."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from nextrung.cli.inputs import choose_folder_source, validate_potential
from nextrung.cli.options import AsJson, Device, Potential, StageRoot
from nextrung.cli.running import (
    console,
    describe_counts,
    describe_files,
    use_device,
    validate_options,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextrung.potentials.potential import Potential as LoadedPotential
    from nextrung.schemas.dataset import DatasetSettings
    from nextrung.schemas.density import DensityScore, DensitySettings
    from nextrung.schemas.evaluation import EvaluationScore, EvaluationSettings
    from nextrung.schemas.frames import Frames

# Choices of records whose modules load pymatgen.
Engine = Literal["batched", "ase"]
Cell = Literal["full", "fixed_volume", "fixed"]


def evaluate(
    labelled: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Frames file, folder of VASP runs or GPAW labels, or extxyz file.",
        ),
    ],
    *,
    model: Potential = "chgnet-r2scan",
    functional: Annotated[
        str, typer.Option(help="Functional of the labels of VASP runs or extxyz.")
    ] = "r2SCAN",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Predictions beside labels, .extxyz; or rows of errors per frame: "
            ".csv, .json, .jsonl, .parquet.",
        ),
    ] = None,
    root: StageRoot = None,
    device: Device = "auto",
) -> None:
    """Compare the predictions of a potential with labels."""
    from nextrung.adapters.files.structure_files import write_predictions
    from nextrung.cli.outputs import EVALUATIONS, validate_output, write_evaluation

    validate_output(output, EVALUATIONS)
    use_device(device)
    validate_potential(model)
    source = choose_source(labelled, functional)
    score: EvaluationScore | None = None
    if root is not None:
        from nextrung.cli.stages import StageRun

        score = StageRun(root, model).evaluate(source, _choose_splits(source))
    wants_predictions = output is not None and output.suffix == ".extxyz"
    if score is None or wants_predictions:
        from nextrung.makers.evaluation import score_frames

        frames = read_labels(source)
        scored, predicted, errors = score_frames(
            frames, load(model), _choose_splits(source)
        )
        score = score or scored
    _show_scores(score)
    if output is not None and wants_predictions:
        write_predictions(output, frames, predicted=predicted, errors=errors)
    elif output is not None:
        write_evaluation(output, score)


def relax(
    structures: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="CIF, POSCAR, … files.")
    ],
    *,
    model: Potential = "chgnet-r2scan",
    engine: Annotated[
        Engine,
        typer.Option(
            help="Relaxation engine: batched (default) or ase.", show_default=False
        ),
    ] = "batched",
    fmax: Annotated[
        float, typer.Option(help="Largest force at convergence, eV/Å.")
    ] = 0.1,
    max_steps: Annotated[
        int, typer.Option(help="Optimiser steps after which to give up.")
    ] = 500,
    cell: Annotated[
        Cell, typer.Option(help="Degrees of freedom of the cell that relax.")
    ] = "full",
    fix_symmetry: Annotated[
        bool, typer.Option("--fix-symmetry", help="Keep the initial space group.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Relaxed structures: .extxyz, .cif (one data block each) or a name "
            "without suffix for a folder of CIFs; whole records: .json or .parquet; "
            "rows without structures: .csv.",
        ),
    ] = None,
    root: StageRoot = None,
    device: Device = "auto",
) -> None:
    """Relax structures; a failure is a row with its reason."""
    from nextrung.adapters.files.structures import read_structure
    from nextrung.cli.outputs import RELAXATIONS, validate_output, write_relaxations
    from nextrung.makers.jobs.models import relax_in_workers
    from nextrung.schemas.relaxation import RelaxationSettings

    settings = validate_options(
        RelaxationSettings,
        engine=engine,
        fmax=fmax,
        max_steps=max_steps,
        cell=cell,
        fix_symmetry=fix_symmetry,
    )
    validate_output(output, RELAXATIONS)
    use_device(device)
    validate_potential(model)
    names = _name_structures(structures)
    initial = [read_structure(file) for file in structures]
    if root is None:
        ended = relax_in_workers(model, initial, settings)
        records = dict(zip(names, ended, strict=True))
    else:
        from nextrung.cli.stages import StageRun

        given = dict(zip(names, initial, strict=True))
        records = StageRun(root, model).relax(given, settings)
    table = Table(
        "structure", "status", "steps", "eV/atom", "fmax / eV/Å", "error or note"
    )
    for structure, (name, record) in zip(initial, records.items(), strict=True):
        per_atom = None if record.energy is None else record.energy / len(structure)
        table.add_row(
            name,
            record.status,
            str(record.n_steps),
            _show(per_atom, 1, 4),
            _show(record.fmax, 1, 3),
            record.error or record.note or "",
        )
    console.print(table)
    if output is not None:
        write_relaxations(output, records)


def density(
    *,
    model: Potential = "chgnet-r2scan",
    crystals: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Folder of CIFs of measured crystals; `embedded` for those of the "
            "package.",
        ),
    ] = "embedded",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Rows, one per crystal: .csv, .json, .jsonl or .parquet.",
        ),
    ] = None,
    root: StageRoot = None,
    device: Device = "auto",
) -> None:
    """Compare predicted densities with those of measured crystals."""
    from nextrung.cli.outputs import DENSITIES, validate_output, write_densities
    from nextrung.schemas.density import DensitySettings

    settings = DensitySettings(source=crystals)
    validate_output(output, DENSITIES)
    use_device(device)
    validate_potential(model)
    score: DensityScore
    if root is None:
        score = _score_densities(model, settings)
    else:
        from nextrung.cli.stages import StageRun

        score = StageRun(root, model).score_densities(settings)
    table = Table(
        "crystal", "status", "measured", "predicted / g/cm³", "ratio", "error"
    )
    for row in score.rows:
        table.add_row(
            row.crystal_id,
            row.status,
            _show(row.experimental_density, 1, 3),
            _show(row.predicted_density, 1, 3),
            _show(row.ratio, 1, 3),
            row.error or "",
        )
    console.print(table)
    console.print(f"MAE {_show(score.mae, 1, 3)} g/cm³, {score.n_failed} failed")
    if output is not None:
        write_densities(output, score.rows)


def models(*, as_json: AsJson = False) -> None:
    """List the potentials that can be loaded, and the extras that bring others."""
    import json

    rows = list(_describe_models())
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("name", "family", "functional", "elements", "does", "installed")
    for row in rows:
        elements = row["elements"]
        extra = f"pip install 'nextrung[{row['extra']}]'"
        table.add_row(
            row["name"],
            row["family"],
            row["functional"] or "of the file",
            "–" if elements is None else str(len(elements)),
            row["does"],
            "yes" if row["installed"] else extra,
        )
    console.print(table)


def load(name: str) -> LoadedPotential:
    """Load a potential on the device of this machine."""
    from nextrung.potentials.registry import load_potential
    from nextrung.settings import MachineSettings

    return load_potential(name, MachineSettings().device)


def _describe_models() -> Iterator[dict[str, Any]]:
    """Describe the named models, and how files and factories are named."""
    from nextrung.potentials.catalogue import FAMILIES, MODELS
    from nextrung.potentials.registry import load_potential

    named = [(model.name, model.family, model.functional) for model in MODELS]
    patterns = [(f.pattern, f, None) for f in FAMILIES if f.pattern is not None]
    for name, family, functional in (*named, *patterns):
        installed = family.is_installed
        loadable = installed and functional is not None
        yield {
            "name": name,
            "family": family.name,
            "functional": functional,
            "elements": sorted(load_potential(name, "cpu").elements)
            if loadable
            else None,
            "does": family.abilities,
            "extra": family.extra,
            "installed": installed,
        }


def choose_source(labelled: Path, functional: str) -> Path | DatasetSettings:
    """Choose how labels are read: all that are of the functional, however bad."""
    from nextrung.schemas.dataset import DatasetSettings, SplitSettings
    from nextrung.schemas.labels.curation import (
        CurationSettings,
        EnergyScaleSettings,
        Label,
    )
    from nextrung.schemas.labels.sources import AseSource

    if labelled.suffix == ".parquet":
        return labelled
    paths = (str(labelled.resolve()),)
    return DatasetSettings(
        source=choose_folder_source(labelled)
        if labelled.is_dir()
        else AseSource(paths=paths, functional=functional),
        curation=CurationSettings(
            functional=functional,
            energy_scale=EnergyScaleSettings(potentials={}),
            primary_task=None,
            energy_window=None,
            required_labels=(Label.ENERGY,),
            duplicate_tolerances=(),
        ),
        split=SplitSettings(val=0, test=0),
    )


def _choose_splits(source: Path | DatasetSettings) -> EvaluationSettings:
    """Score all frames together, and those of a frames file by split too."""
    from nextrung.schemas.evaluation import EvaluationSettings

    if isinstance(source, Path):
        return EvaluationSettings(splits=("all", "train", "val", "test"))
    return EvaluationSettings(splits=("all",))


def read_labels(source: Path | DatasetSettings) -> Frames:
    """Read labelled frames; print how many were left out, by rule."""
    from nextrung.adapters.curation.dataset import curate
    from nextrung.adapters.files.frames import read_frames

    if isinstance(source, Path):
        return read_frames(source)
    with TemporaryDirectory(prefix="nextrung-") as folder:
        if not os.environ.get("NEXTRUNG_ROOT"):  # curation keeps its parts on disk
            os.environ["NEXTRUNG_ROOT"] = folder
        curated = curate(source)
        frames = curated.frames
        describe_files(curated.files)
        describe_counts(curated.n_seen, len(frames), curated.n_rejected)
        return frames


def _score_densities(model: str, settings: DensitySettings) -> DensityScore:
    """Relax strained crystals and score their densities, storing nothing."""
    from nextrung.adapters.files.crystals.experimental_crystals import read_crystals
    from nextrung.compute.density import score_densities, strain_lattice
    from nextrung.makers.jobs.models import relax_in_workers
    from nextrung.schemas.density import ExperimentalCrystal

    measured = read_crystals(settings)
    strain = settings.linear_strain
    strained = [
        strain_lattice(crystal.structure, strain)
        for crystal in measured
        if isinstance(crystal, ExperimentalCrystal)
    ]
    relaxed = relax_in_workers(model, strained, settings.relaxation)
    return score_densities(measured, relaxed)


def _name_structures(files: list[Path]) -> list[str]:
    """Name structures by their files, with folders where file names repeat."""
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"expected every structure once, got {repeated} twice")
    return names


def _show_scores(score: EvaluationScore) -> None:
    """Print the errors of every split with frames, and the failed frames."""
    table = Table(
        "split", "frames", "failed", "E / meV/atom", "F / meV/Å", "S / GPa", "M / μ_B"
    )
    for split, found in score.metrics.items():
        if split != "all" and not found.n_frames + found.n_failed:
            continue
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
    for failure in score.failures:
        for frame_id in failure.frame_ids:
            console.print(f"{frame_id}: {failure.reason}", soft_wrap=True)


def _show(value: float | None, factor: float, digits: int) -> str:
    """Format a number; a dash for none."""
    return "–" if value is None else f"{factor * value:.{digits}f}"
