"""The command that checks a cluster: doctor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from nextrung.cli.options import Configuration
from nextrung.cli.running import console, opened
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Colour of each level of a finding.
COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def doctor(*, config: Configuration = None) -> None:
    """Check this machine, its job store, LaunchPad and queue; advise what to mend.

    One line per check; exit code 1 where a check failed.
    """
    from nextrung.adapters.cluster.config_files import find_configuration

    folder = find_configuration(config)
    levels: list[Level] = []
    for finding in _check_all(folder):
        levels.append(finding.level)
        colour = COLOURS[finding.level]
        mark = f"[{colour}]{finding.level:4}[/]"
        advice = f" → {finding.advice}" if finding.advice else ""
        line = escape(f"{finding.subject}: {finding.found}{advice}")
        console.print(f"{mark} {line}", soft_wrap=True, highlight=False)
    if Level.FAIL in levels:
        raise typer.Exit(1)


def _check_all(folder: Path) -> Iterator[Finding]:
    """Run every check, also after one has failed."""
    from nextrung.adapters.cluster.checks.machine import check_machine
    from nextrung.adapters.cluster.checks.queue import check_queue

    yield from check_machine(folder)
    yield from check_queue(folder)
    yield from _check_store(folder)
    yield from _check_launchpad(folder)


def _check_store(folder: Path) -> Iterator[Finding]:
    """Check the job store that the environment names."""
    from nextrung.adapters.cluster.checks.store import check_store
    from nextrung.adapters.stores.job_store import (
        CONFIG_VARIABLE,
        close_store,
        open_configured_store,
    )
    from nextrung.makers.jobs.fingerprints import DECISIVE_PACKAGES

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
    yield from check_store(store, DECISIVE_PACKAGES)


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
