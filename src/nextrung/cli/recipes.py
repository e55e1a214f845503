"""Command that compares recipes of fine-tuning on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.inputs import validate_labels, validate_submission
from nextrung.cli.options import Configuration, Device, Overrides, Root, StudyFile
from nextrung.cli.running import (
    console,
    open_run,
    opened,
    run_flow,
    use_device,
    validate_options,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from nextrung.makers.recipes.comparison import RecipeComparisonMaker


def compare_recipes(
    study: StudyFile,
    *,
    folds: Annotated[
        int, typer.Option(help="Folds of the materials; each is tested once.")
    ] = 5,
    root: Root = None,
    overrides: Overrides = None,
    device: Device = "auto",
    submit: Annotated[
        bool, typer.Option("--submit", help="Submit to the LaunchPad of a cluster.")
    ] = False,
    config: Configuration = None,
) -> None:
    """Compare recipes by nested cross-validation, and recommend one for the data."""
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.makers.recipes.comparison import RecipeComparisonMaker, cross_validate
    from nextrung.reports.pages.recipe_comparison import (
        describe_choice,
        write_recipe_comparison,
    )
    from nextrung.schemas.recipe_comparison import (
        RecipeComparisonDoc,
        RecipeComparisonSettings,
    )
    from nextrung.settings import MachineSettings

    chosen = validate_options(RecipeComparisonSettings, folds=folds)
    settings = read_study(study, overrides or ())
    maker = RecipeComparisonMaker(settings, settings=chosen)
    crossed = cross_validate(settings, chosen)
    if submit:
        _submit(maker, study, config)
        return
    if config is not None:
        raise InputError("--config: expected --submit with it, got none")
    use_device(device)
    validate_labels(crossed, study)
    flow = maker.make()
    store = open_run(root, crossed.name)
    run_flow(flow, store)
    document = RecipeComparisonDoc.model_validate(store.get_output(flow.output.uuid))
    page = MachineSettings().root / "recipes.html"
    write_recipe_comparison(document, page)
    console.print(describe_choice(document), soft_wrap=True)
    console.print(f"report: {page}", soft_wrap=True)


def _submit(maker: RecipeComparisonMaker, study: Path, config: Path | None) -> None:
    """Submit a comparison to the LaunchPad; write its page where it is finished."""
    from nextrung.adapters.cluster.config_files import find_configuration, read_machine
    from nextrung.adapters.cluster.launchpad import lock_study, open_launchpad
    from nextrung.adapters.files.paths import require_absolute_paths
    from nextrung.cli.cluster import add_once
    from nextrung.makers.recipes.comparison import cross_validate
    from nextrung.makers.submission import make_workflow

    settings = cross_validate(maker.study, maker.settings)
    require_absolute_paths(settings)
    validate_submission(settings, study)
    folder = find_configuration(config)
    workflow = make_workflow(settings, read_machine(folder), {}, maker=maker)
    launchpad = open_launchpad(folder)
    opened.callback(launchpad.connection.close)
    with lock_study(launchpad, settings.name):
        console.print(add_once(launchpad, workflow), soft_wrap=True, markup=False)
