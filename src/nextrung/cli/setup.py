"""The command that sets a cluster up: init."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nextrung.cli.running import console
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Cluster

if TYPE_CHECKING:
    from nextrung.schemas.cluster.machine import Site

#: Environment variable of the password of MongoDB.
PASSWORD_VARIABLE = "NEXTRUNG_MONGO_PASSWORD"  # noqa: S105 - a name


def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Configuration folder to make.")
    ],
    *,
    cluster: Annotated[
        Cluster, typer.Option("--for", help="Kind of cluster.")
    ] = Cluster.SLURM,
    host: Annotated[str, typer.Option(help="Host of MongoDB.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port of MongoDB.")] = 27017,
    bind: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="IPv4 address at which the MongoDB of docker-compose.yaml listens.",
        ),
    ] = "127.0.0.1",
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
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the files that other options would change."
        ),
    ] = False,
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

    Files that exist are kept, with a note on what other options would change; so call
    it again once the MongoDB server runs. The password comes from
    $NEXTRUNG_MONGO_PASSWORD or is asked for.
    """
    from nextrung.adapters.cluster.templates import read_site
    from nextrung.adapters.files.yaml_records import validate_record
    from nextrung.schemas.cluster.machine import Site

    settings = {
        "cluster": cluster,
        "host": host,
        "port": port,
        "bind": bind,
        "database": database,
        "launchpad_database": launchpad_database or f"{database}_launchpad",
        "user": user,
        "auth_database": auth_database,
        "root": str(root.resolve()),
        "data": str(data.resolve()),
        "cpu_partition": cpu_partition,
        "gpu_partition": gpu_partition,
        "account": account,
        "gpus": gpus,
        "cpus": cpus,
    }
    before = read_site(folder)
    if before is not None:
        chosen = {
            name: value
            for name, value in settings.items()
            if (source := context.get_parameter_source(name)) is not None
            and source.name == "COMMANDLINE"
        }
        if "database" in chosen:
            chosen.setdefault("launchpad_database", settings["launchpad_database"])
        settings = before[0].model_dump(exclude={"node_cpus"}) | chosen
        if settings["cluster"] != before[0].cluster:
            raise InputError(
                f"--for: expected {before[0].cluster}, the kind of {folder}, or "
                f"another folder, got {settings['cluster']}"
            )
    here = {"config": str(folder.resolve()), "environment": sys.prefix}
    site = validate_record(Site, settings | here, folder)
    if overwrite or not (folder / "my_launchpad.yaml").exists():
        _write_files(folder.resolve(), site, before and before[1])
        with suppress(OSError):  # the folder may be one of other machines
            Path(site.root).mkdir(parents=True, exist_ok=True)
    else:
        _describe_kept(folder.resolve(), site, before)
    console.print(_prepare(folder.resolve(), reset), soft_wrap=True)


def _write_files(folder: Path, site: Site, password: str | None) -> None:
    """Write the files that are missing, and replace those that the options change."""
    from nextrung.adapters.cluster.templates import (
        replace_configuration,
        write_configuration,
    )

    password = _ask_password(f"{site.user} at {site.host}", password)
    replaced = replace_configuration(folder, site, password=password)
    written = write_configuration(folder, site, password=password)
    console.print(f"{len(written)} files written in {folder}", soft_wrap=True)
    if replaced:
        names = ", ".join(str(file.relative_to(folder)) for file in replaced)
        console.print(f"{len(replaced)} files replaced: {names}", soft_wrap=True)


def _describe_kept(folder: Path, site: Site, before: tuple[Site, str] | None) -> None:
    """Print the options of this call that differ from those of the kept files."""
    if before is None:
        console.print(
            f"files of {folder} kept; they do not tell their options (no site.yaml): "
            "--overwrite replaces them all",
            soft_wrap=True,
        )
        return
    old, new = before[0].model_dump(), site.model_dump()
    differing = [
        f"{name} {old[name]}, not {value}"
        for name, value in new.items()
        if old[name] != value
    ]
    if os.environ.get(PASSWORD_VARIABLE, before[1]) != before[1]:
        differing.append(f"the password, not that of ${PASSWORD_VARIABLE}")
    if differing:
        console.print(
            f"files of {folder} kept, with {'; '.join(differing)}: --overwrite "
            "replaces what differs",
            soft_wrap=True,
        )


def _ask_password(whose: str, before: str | None) -> str:
    """Read the password from the environment or the terminal, or keep the old one."""
    known = os.environ.get(PASSWORD_VARIABLE)
    if known:
        return known
    if not sys.stdin.isatty():
        if before is not None:
            return before
        raise InputError(
            f"expected the password of {whose} in ${PASSWORD_VARIABLE}, or a terminal "
            "to ask for it on, got neither"
        )
    keep = "" if before is None else " (nothing: as before)"
    typed: str = typer.prompt(
        f"Password of {whose}{keep}",
        hide_input=True,
        default=before,
        show_default=False,
    )
    return typed


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
        return (
            f"{error}\nstart it, then call `nextrung init {folder}` again; with "
            "--overwrite to replace a wrong password or option"
        )
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
