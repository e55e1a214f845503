"""The command that examines a cluster: doctor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from nextrung.adapters.cluster.checks.launchpad import check_launchpad
from nextrung.adapters.cluster.checks.machine import check_machine
from nextrung.adapters.cluster.checks.queue import check_queue
from nextrung.adapters.cluster.checks.store import check_store
from nextrung.adapters.cluster.config_files import find_configuration
from nextrung.adapters.cluster.launchpad import open_launchpad
from nextrung.adapters.stores.job_store import (
    CONFIG_VARIABLE,
    close_store,
    open_configured_store,
)
from nextrung.cli.cluster import Configuration
from nextrung.cli.running import console, opened
from nextrung.makers.jobs.fingerprints import DECISIVE_PACKAGES
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How findings are marked.
COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def doctor(*, config: Configuration = None) -> None:
    """Examine this machine, its store and its LaunchPad; say what to do."""
    folder = find_configuration(config)
    levels: list[Level] = []
    for finding in _examine(folder):
        levels.append(finding.level)
        colour = COLOURS[finding.level]
        mark = f"[{colour}]{finding.level:4}[/]"
        advice = f" → {finding.advice}" if finding.advice else ""
        line = escape(f"{finding.subject}: {finding.found}{advice}")
        console.print(f"{mark} {line}", soft_wrap=True, highlight=False)
    if Level.FAIL in levels:
        raise typer.Exit(1)


def _examine(folder: Path) -> Iterator[Finding]:
    """Look at everything, each thing even where another fails."""
    yield from check_machine(folder)
    yield from check_queue(folder)
    yield from _examine_store(folder)
    yield from _examine_launchpad(folder)


def _examine_store(folder: Path) -> Iterator[Finding]:
    """Look at the store that jobs will use: that of the environment."""
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


def _examine_launchpad(folder: Path) -> Iterator[Finding]:
    """Look at the LaunchPad of the configuration folder."""
    try:
        launchpad = open_launchpad(folder)
    except InputError as error:
        yield make_finding("LaunchPad", Level.FAIL, str(error), "is the server there?")
        return
    opened.callback(launchpad.connection.close)
    yield from check_launchpad(launchpad, folder)
