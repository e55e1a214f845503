"""Commands that re-reference and train potentials: atom-refs fit, fine-tune."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from nextrung.atomic_write import atomic_write
from nextrung.cli.options import Device, FramesFile, Source, StageRoot
from nextrung.cli.potentials import load
from nextrung.cli.running import console, use_device, validate_options
from nextrung.schemas.atom_refs import AtomRefSettings, UnseenElements
from nextrung.schemas.fine_tuning import EpochRecord, FineTuningSettings, Precision
from nextrung.schemas.models import RECIPES, Model, Rereference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.atom_refs import AtomRefFit

atom_refs = typer.Typer(help="Fit atomic reference energies.", no_args_is_help=True)

#: Models that are trained.
Method = Literal[
    "scratch",
    "trainable_atom_refs",
    "frozen_atom_refs",
    "refitted_atom_refs",
    "residual_atom_refs",
]

_TRAINING = FineTuningSettings()


@atom_refs.command()
def fit(
    frames_file: FramesFile,
    *,
    kind: Annotated[
        Rereference,
        typer.Option(
            help="refit total energies, fit the residual of the source, or keep (none)."
        ),
    ] = Rereference.REFIT,
    unseen_elements: Annotated[
        UnseenElements,
        typer.Option(
            help="Elements of the source without a frame: no reference (error), or "
            "the shift of similar elements (prior, with --kind residual)."
        ),
    ] = UnseenElements.ERROR,
    source: Source = "chgnet-0.3.0",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Checkpoint to write."),
    ] = None,
    root: StageRoot = None,
    device: Device = "auto",
) -> None:
    """Fit atomic references to labels, and write the re-referenced potential."""
    from nextrung.adapters.files.frames import read_frames
    from nextrung.cli.outputs import validate_output
    from nextrung.potentials.atom_refs import move_atom_refs, require_atom_refs

    settings = validate_options(
        AtomRefSettings, kind=kind, unseen_elements=unseen_elements
    )
    validate_output(output)
    use_device(device)
    frames = read_frames(frames_file)
    potential = load(source)
    if kind is Rereference.REFIT:
        require_atom_refs(potential)
    if root is None:
        fitted, moved = move_atom_refs(
            potential, frames, kind, unseen_elements=unseen_elements
        )
    else:
        from nextrung.cli.stages import StageRun

        made = StageRun(root, source).fit_atom_refs(frames_file, settings)
        fitted, moved = made.fit, made.atom_refs
    _print_atom_refs(potential.atom_refs, moved, fitted)
    if output is not None:
        prior_errors = None if fitted is None else fitted.prior_errors
        potential.with_atom_refs(moved, prior_errors).save(
            output, functional=frames.functional
        )
        console.print(f"potential: {output}", soft_wrap=True)


def _print_atom_refs(
    previous: Mapping[str, float], moved: Mapping[str, float], fitted: AtomRefFit | None
) -> None:
    """Print references, with their standard errors where they were estimated."""
    posterior = None if fitted is None else fitted.posterior
    errors = {} if posterior is None else posterior.standard_errors
    table = Table("element", "before / eV", "after / eV", "standard error / eV", "from")
    for symbol, energy in moved.items():
        before, error = previous.get(symbol), errors.get(symbol)
        from_prior = posterior is not None and symbol in posterior.unseen
        table.add_row(
            symbol,
            "–" if before is None else f"{before:.4f}",
            f"{energy:.4f}",
            "–" if error is None else f"{error:.4f}",
            "prior" if from_prior else "source" if fitted is None else "labels",
        )
    console.print(table)
    if posterior is not None:
        console.print(
            f"left-out materials: MAE {1000 * posterior.left_out_mae:,.1f} meV/atom, "
            f"{posterior.left_out_coverage:.0%} of {posterior.n_materials:,} within "
            "their 90 % interval"
        )


def fine_tune(
    frames_file: FramesFile,
    *,
    method: Annotated[
        Method, typer.Option(help="Which references and weights are trained.")
    ] = "residual_atom_refs",
    source: Source = "chgnet-0.3.0",
    epochs: Annotated[
        int, typer.Option(help="Passes over the training frames.")
    ] = _TRAINING.epochs,
    batch_size: Annotated[
        int, typer.Option(help="Frames per optimiser step.")
    ] = _TRAINING.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of the first step.")
    ] = _TRAINING.learning_rate,
    final_learning_rate: Annotated[
        float, typer.Option(help="Learning rate of the last step, along a cosine.")
    ] = _TRAINING.final_learning_rate,
    precision: Annotated[
        Precision, typer.Option(help="Floating-point precision of a training step.")
    ] = _TRAINING.precision,
    n_train_frames: Annotated[
        int | None, typer.Option(help="Training frames to use.", show_default="all")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of weights, subset and shuffling.")
    ] = _TRAINING.seed,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Checkpoint to write.",
            show_default="fine_tuned, with the suffix of the architecture",
        ),
    ] = None,
    root: StageRoot = None,
    device: Device = "auto",
) -> None:
    """Re-reference and train a potential; its own package loads the checkpoint."""
    from nextrung.cli.outputs import validate_output

    settings = validate_options(
        FineTuningSettings,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        final_learning_rate=final_learning_rate,
        precision=precision,
        n_train_frames=n_train_frames,
        seed=seed,
    )
    use_device(device)
    if output is None:
        output = Path(f"fine_tuned{load(source).backend.suffix}")
    validate_output(output)
    if root is None:
        chosen = Model(method)
        _train(frames_file, chosen, source, settings=settings, output=output)
        return
    from nextrung.adapters.files.artifacts import artifact_path
    from nextrung.cli.stages import StageRun

    made = StageRun(root, source).fine_tune(frames_file, Model(method), settings)
    with atomic_write(output) as temporary:
        copyfile(artifact_path(made.checkpoint), temporary)
    console.print(f"best epoch {made.best_epoch}: {output}", soft_wrap=True)


def _train(
    frames_file: Path,
    method: Model,
    source: str,
    *,
    settings: FineTuningSettings,
    output: Path,
) -> None:
    """Train in this process; an unfinished training leaves its state by the output."""
    from nextrung.adapters.files.frames import read_frames
    from nextrung.potentials.atom_refs import (
        move_atom_refs,
        prepare_start,
        validate_recipe,
    )
    from nextrung.potentials.training.fine_tuning import fine_tune as train

    frames, potential = read_frames(frames_file), load(source)
    recipe = RECIPES[method]
    validate_recipe(potential, recipe)
    _, atom_refs = move_atom_refs(potential, frames, recipe.rereference)
    result = train(
        prepare_start(potential, recipe, atom_refs, seed=settings.seed),
        frames,
        settings,
        recipe=recipe,
        workdir=output.with_name(output.name + ".state"),
        on_epoch=_print_epoch,
    )
    result.potential.save(output, name=method.value, functional=frames.functional)
    console.print(f"best epoch {result.best_epoch}: {output}", soft_wrap=True)


def _print_epoch(epoch: EpochRecord) -> None:
    """Print the validation errors of an epoch as one line."""
    from nextrung.makers.fine_tuning import describe_epoch

    console.print(
        f"epoch {epoch.epoch:3d}  validation {describe_epoch(epoch)}  "
        f"{epoch.wall_time:.1f} s"
    )
