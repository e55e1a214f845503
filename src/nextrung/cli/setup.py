"""The command that sets a cluster up: init."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer

from nextrung.cli.running import console
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Cluster

#: Environment variable of the password of MongoDB.
PASSWORD_VARIABLE = "NEXTRUNG_MONGO_PASSWORD"  # noqa: S105 - a name


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Configuration folder to make.")
    ],
    *,
    cluster: Annotated[
        Cluster, typer.Option("--for", help="Kind of cluster.")
    ] = Cluster.SLURM,
    host: Annotated[str, typer.Option(help="Host of MongoDB.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port of MongoDB.")] = 27017,
    database: Annotated[
        str, typer.Option(help="Database of the job store.")
    ] = "nextrung",
    launchpad_database: Annotated[
        str | None,
        typer.Option(
            help="Database of the LaunchPad.", show_default="DATABASE_launchpad"
        ),
    ] = None,
    user: Annotated[str, typer.Option(help="User of MongoDB.")] = "nextrung",
    auth_database: Annotated[
        str, typer.Option(help="Database that authenticates the user.")
    ] = "admin",
    root: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Run folder of artifacts, on a shared disk."),
    ] = Path("runs"),
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of data sets.")
    ] = Path("data"),
    cpu_partition: Annotated[
        str, typer.Option(help="Slurm partition without GPUs.")
    ] = "cpu",
    gpu_partition: Annotated[
        str, typer.Option(help="Slurm partition with GPUs.")
    ] = "gpu",
    account: Annotated[str, typer.Option(help="Slurm account.")] = "null",
    gpus: Annotated[int, typer.Option(help="GPUs of a pilot job.")] = 1,
    cpus: Annotated[int, typer.Option(help="Cores per process of a pilot job.")] = 8,
    reset: Annotated[
        str | None,
        typer.Option(
            "--reset-launchpad",
            metavar="DATABASE",
            help="Delete all workflows of the LaunchPad in this database.",
        ),
    ] = None,
) -> None:
    """Write the configuration of a cluster; make the indexes of its databases.

    Files that exist are kept, so call it again once the MongoDB server runs. The
    password comes from $NEXTRUNG_MONGO_PASSWORD or is asked for.
    """
    from nextrung.adapters.cluster.templates import write_configuration
    from nextrung.adapters.files.yaml_records import validate_record
    from nextrung.schemas.cluster.machine import Site

    settings = {
        "host": host,
        "port": port,
        "database": database,
        "launchpad_database": launchpad_database or f"{database}_launchpad",
        "user": user,
        "auth_database": auth_database,
        "config": str(folder.resolve()),
        "root": str(root.resolve()),
        "data": str(data.resolve()),
        "environment": sys.prefix,
        "cpu_partition": cpu_partition,
        "gpu_partition": gpu_partition,
        "account": account,
        "gpus": gpus,
        "cpus": cpus,
    }
    site = validate_record(Site, settings, folder)
    if not (folder / "my_launchpad.yaml").exists():
        password = _ask_password(f"{user} at {host}")
        written = write_configuration(
            folder.resolve(), cluster, site, password=password
        )
        with suppress(OSError):  # the folder may be one of other machines
            root.mkdir(parents=True, exist_ok=True)
        console.print(f"{len(written)} files written in {folder}", soft_wrap=True)
    console.print(_prepare(folder.resolve(), reset), soft_wrap=True)


def _ask_password(whose: str) -> str:
    """Read the password from the environment or the terminal."""
    known = os.environ.get(PASSWORD_VARIABLE)
    if known:
        return known
    if not sys.stdin.isatty():
        raise InputError(
            f"expected the password of {whose} in ${PASSWORD_VARIABLE}, or a terminal "
            "to ask for it on, got neither"
        )
    password: str = typer.prompt(f"Password of {whose}", hide_input=True)
    return password


def _prepare(folder: Path, reset: str | None) -> str:
    """Make the indexes if the server answers; describe the next step."""
    from nextrung.adapters.cluster.config_files import FOLDER_VARIABLE
    from nextrung.adapters.cluster.launchpad import (
        open_launchpad,
        prepare_launchpad,
        reset_launchpad,
    )
    from nextrung.adapters.stores.job_store import make_indexes, open_store_file

    try:
        launchpad = open_launchpad(folder)
    except InputError as error:
        if reset is not None:
            raise
        return f"{error}\nstart it, then call `nextrung init {folder}` again"
    with closing(launchpad.connection):
        if reset is not None:
            reset_launchpad(launchpad, reset)
        prepared = prepare_launchpad(launchpad)
    store = open_store_file(folder / "jobflow.yaml")
    indexes = make_indexes(store)
    store.close()  # type: ignore[no-untyped-call]
    return (
        f"LaunchPad {launchpad.name} {'prepared' if prepared else 'is in use'}, "
        f"indexes on {', '.join(indexes)}\n"
        f"next: source {folder}/env.sh; nextrung doctor   (${FOLDER_VARIABLE} is set)"
    )
