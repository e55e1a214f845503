"""Commands on clusters: submit, doctor."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from nextrung.cli.inputs import validate_submission
from nextrung.cli.options import Configuration, Overrides, Recompute, StudyFile
from nextrung.cli.running import (
    clean,
    console,
    locate_study,
    open_cluster_store,
    opened,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fireworks import LaunchPad, Workflow
    from jobflow import Flow

#: Packages that should have one version on all machines that fill a store, besides
#: those of the families of potentials.
COMPARED_PACKAGES = ("nextrung", "torch")

#: Colour of each level of a finding.
COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def submit(
    study: StudyFile,
    *,
    config: Configuration = None,
    overrides: Overrides = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label", metavar="KEY=VALUE", help="Label the workflow; repeatable."
        ),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(help="Priority of the jobs; workers pull the greatest first."),
    ] = None,
    recompute: Recompute = None,
) -> None:
    """Submit a whole study to the LaunchPad of a cluster."""
    from nextrung.adapters.cluster.config_files import find_configuration, read_machine
    from nextrung.adapters.cluster.launchpad import (
        find_finished_workflow,
        lock_study,
        open_launchpad,
    )
    from nextrung.adapters.files.paths import require_absolute_paths
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.makers.submission import make_workflow

    settings = read_study(study, overrides or ())
    require_absolute_paths(settings)
    validate_submission(settings, study)
    folder = find_configuration(config)
    machine = read_machine(folder)
    workflow = make_workflow(
        settings,
        machine,
        _read_labels(labels or ()),
        priority=priority,
        recompute=recompute or (),
    )
    launchpad = open_launchpad(folder)
    opened.callback(launchpad.connection.close)
    with lock_study(launchpad, settings.name):
        finished = None
        if not recompute:
            finished = find_finished_workflow(launchpad, workflow.metadata)
        if finished is None or (damage := _find_damage(folder, settings.name)):
            line = add_once(launchpad, workflow)
            line += f"; {damage}" if finished else ""
        else:
            line = (
                f"study {settings.name} is finished: workflow {finished.fw_id}, "
                f"{finished.n_done} jobs done: `nextrung results {settings.name}`; to "
                "compute a stage again: --recompute STAGE"
            )
    console.print(line, soft_wrap=True, markup=False)


def _find_damage(folder: Path, study: str) -> str:
    """Describe why a finished study has to run again; empty where it has not."""
    from nextrung.adapters.cluster.checks.artifacts import check_artifacts
    from nextrung.settings import MachineSettings

    root = MachineSettings().root
    if not root.is_absolute() or not root.is_dir():
        return ""  # artifacts are on a disk that this machine does not have
    try:
        findings = list(check_artifacts(open_cluster_store(folder), study))
    except InputError as error:
        return str(error)
    return next((each.found for each in findings if each.level is Level.FAIL), "")


def add_once(launchpad: LaunchPad, workflow: Workflow) -> str:
    """Add a workflow unless one of the same flow is active."""
    from nextrung.adapters.cluster.launchpad import (
        add_workflow,
        find_active_workflows,
        rerun_command,
    )

    study, flow = workflow.metadata["study"], workflow.metadata["flow"]
    active = find_active_workflows(launchpad, study)
    for found in active:
        if found.flow == flow:
            hint = f": `{rerun_command(study)}`" if found.state == "FIZZLED" else ""
            return (
                f"study {study} is already workflow {found.fw_id}, {found.state}, "
                f"{found.n_done} of {found.n_jobs} jobs done{hint}"
            )
    fw_id = add_workflow(launchpad, workflow)
    categories = Counter(job.spec["_category"] for job in workflow.fws)
    parts = ", ".join(f"{count} {name}" for name, count in sorted(categories.items()))
    others = ", ".join(f"{found.fw_id}" for found in active)
    note = f"; active with other settings: workflow {others}" if others else ""
    return (
        f"study {study} is workflow {fw_id}: {len(workflow.fws)} jobs before "
        f"fan-out ({parts}){note}"
    )


def submit_flow(flow: Flow, study: str, folder: Path) -> None:
    """Submit the jobs of a flow to the LaunchPad of a configuration folder."""
    from jobflow.managers.fireworks import flow_to_workflow

    from nextrung.adapters.cluster.config_files import read_machine
    from nextrung.adapters.cluster.launchpad import lock_study, open_launchpad
    from nextrung.makers.routing import route_flow

    route_flow(flow, read_machine(folder))
    metadata = {"study": study, "flow": flow.uuid}
    launchpad = open_launchpad(folder)
    with closing(launchpad.connection), lock_study(launchpad, study):
        done = add_once(launchpad, flow_to_workflow(flow, metadata=metadata))
    console.print(done, soft_wrap=True)


def require_shared_root() -> None:
    """Raise where the artifacts folder is no absolute path."""
    from nextrung.settings import MachineSettings

    root = MachineSettings().root
    if not root.is_absolute():
        raise InputError(
            "expected $NEXTRUNG_ROOT to be an absolute path that workers share, got "
            f"{root}"
        )


def _read_labels(labels: Sequence[str]) -> dict[str, str]:
    """Parse labels; their keys are field names of stored documents."""
    read: dict[str, str] = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            raise InputError(
                f"--label: expected KEY=VALUE with a key of letters, digits, dashes "
                f"and underscores, got {label!r}"
            )
        read[key] = value
    return read


def doctor(
    *,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="WHERE",
            help="Check the files of a study instead: run folder, or name on the "
            "cluster.",
        ),
    ] = None,
    warm: Annotated[
        bool,
        typer.Option(
            "--warm",
            help="Compile the code of numba instead, for the workers that share it.",
        ),
    ] = False,
    config: Configuration = None,
) -> None:
    """Check this machine, its job store, LaunchPad and queue; advise what to mend.

    One line per check; exit code 1 where a check failed.
    """
    from nextrung.adapters.cluster.config_files import find_configuration

    levels: list[Level] = []
    if warm:
        findings = _compile_functions()
    elif study is not None:
        findings = _check_artifacts(study, config)
    else:
        findings = _check_all(find_configuration(config))
    for finding in findings:
        levels.append(finding.level)
        colour = COLOURS[finding.level]
        advice = f" → {finding.advice}" if finding.advice else ""
        line = clean(f" {finding.subject}: {finding.found}{advice}")
        marked = Text.assemble((f"{finding.level:4}", colour), line)
        console.print(marked, soft_wrap=True)
    if Level.FAIL in levels:
        raise typer.Exit(1)


def _compile_functions() -> Iterator[Finding]:
    """Compile the code of numba."""
    from nextrung.adapters.cluster.checks.compilation import compile_functions

    yield compile_functions()


def _check_all(folder: Path) -> Iterator[Finding]:
    """Run every check, also after one has failed."""
    from nextrung.adapters.cluster.checks.machine import check_machine
    from nextrung.adapters.cluster.checks.queue import check_queue

    yield from check_machine(folder)
    yield from check_queue(folder)
    yield from _check_store(folder)
    yield from _check_launchpad(folder)


def _check_artifacts(where: str, config: Path | None) -> Iterator[Finding]:
    """Check the files of a study in a run folder or on the cluster."""
    from nextrung.adapters.cluster.checks.artifacts import check_artifacts

    store, study = locate_study(where, None, config)
    yield from check_artifacts(store, study)


def _check_store(folder: Path) -> Iterator[Finding]:
    """Check the job store that the environment names."""
    from nextrung.adapters.cluster.checks.store import check_store
    from nextrung.adapters.stores.job_store import (
        CONFIG_VARIABLE,
        close_store,
        open_configured_store,
    )
    from nextrung.potentials.catalogue import PACKAGES

    try:
        store = open_configured_store()
    except InputError as error:
        advice = f"source {folder}/env.sh; is the server there?"
        yield make_finding("store", Level.FAIL, str(error), advice)
        return
    opened.callback(close_store, store)
    named = Path(os.environ[CONFIG_VARIABLE]).resolve()
    if named.parent == folder:
        yield make_finding("store", Level.OK, f"{named} answers")
    else:
        advice = f"source {folder}/env.sh"
        yield make_finding("store", Level.WARN, f"{named}, not of {folder}", advice)
    yield from check_store(store, (*COMPARED_PACKAGES, *PACKAGES))


def _check_launchpad(folder: Path) -> Iterator[Finding]:
    """Check the LaunchPad of the configuration folder."""
    from nextrung.adapters.cluster.checks.launchpad import check_launchpad
    from nextrung.adapters.cluster.launchpad import open_launchpad

    try:
        launchpad = open_launchpad(folder)
    except InputError as error:
        yield make_finding("LaunchPad", Level.FAIL, str(error), "is the server there?")
        return
    opened.callback(launchpad.connection.close)
    yield from check_launchpad(launchpad, folder)
