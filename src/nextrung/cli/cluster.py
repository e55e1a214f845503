"""The command that submits studies to a LaunchPad: submit."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.options import Configuration, Overrides, StudyFile
from nextrung.cli.running import console, opened
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fireworks import LaunchPad, Workflow


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
) -> None:
    """Submit a whole study to the LaunchPad of a cluster."""
    from nextrung.adapters.cluster.config_files import find_configuration, read_machine
    from nextrung.adapters.cluster.launchpad import open_launchpad
    from nextrung.adapters.files.paths import require_absolute_paths
    from nextrung.adapters.files.study_yaml import read_study
    from nextrung.makers.submission import make_workflow

    settings = read_study(study, overrides or ())
    require_absolute_paths(settings)
    folder = find_configuration(config)
    machine = read_machine(folder)
    workflow = make_workflow(settings, machine, _read_labels(labels or ()))
    launchpad = open_launchpad(folder)
    opened.callback(launchpad.connection.close)
    console.print(add_once(launchpad, workflow), soft_wrap=True)


def add_once(launchpad: LaunchPad, workflow: Workflow) -> str:
    """Add a workflow unless one of the same flow is active."""
    from nextrung.adapters.cluster.launchpad import add_workflow, find_active_workflows

    study, flow = workflow.metadata["study"], workflow.metadata["flow"]
    active = find_active_workflows(launchpad, study)
    for found in active:
        if found.flow == flow:
            hint = ": `lpad rerun_fws -s FIZZLED`" if found.state == "FIZZLED" else ""
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
