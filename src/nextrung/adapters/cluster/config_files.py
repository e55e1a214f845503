"""Configuration folder of a cluster: LaunchPad, machine and worker files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nextrung.adapters.files.yaml_records import load_yaml, validate_record
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Machine

#: Environment variable of the configuration folder.
FOLDER_VARIABLE = "NEXTRUNG_CONFIG"

#: Names of the files of a configuration folder.
MACHINE_FILE = "machine.yaml"
LAUNCHPAD_FILE = "my_launchpad.yaml"
WORKER_FILE = "my_fworker.yaml"

#: Files of a configuration folder that contain passwords.
SECRET_FILES = (LAUNCHPAD_FILE, "jobflow.yaml", ".env")


def find_configuration(folder: Path | None = None) -> Path:
    """Find the configuration folder of this machine, as an absolute path.

    Parameters
    ----------
    folder : Path, optional
        The folder; that of ``NEXTRUNG_CONFIG`` by default.

    Raises
    ------
    InputError
        If no folder is given, or it has no ``my_launchpad.yaml``.
    """
    default = os.environ.get(FOLDER_VARIABLE)
    if folder is None and not default:
        raise InputError(
            f"expected -c DIR or ${FOLDER_VARIABLE} to name the folder of "
            f"{LAUNCHPAD_FILE}, got neither: `nextrung init DIR` creates one"
        )
    found = (folder or Path(str(default))).expanduser().resolve()
    if not (found / LAUNCHPAD_FILE).is_file():
        raise InputError(f"expected {LAUNCHPAD_FILE} in {found}, got none")
    return found


def read_machine(folder: Path) -> Machine:
    """Read the machine file of a configuration folder, or return the defaults.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    file = folder / MACHINE_FILE
    if not file.is_file():
        return Machine()
    return validate_record(Machine, load_yaml(file, "machine file"), file)


def read_workers(folder: Path) -> dict[str, tuple[str, ...]]:
    """Read the categories that the workers of a configuration folder pull.

    Parameters
    ----------
    folder : Path
        The folder; worker files are in it and in its subfolders.

    Returns
    -------
    dict of str to tuple of str
        Categories by worker file; empty for a worker that pulls every job.
    """
    files = (*folder.glob(WORKER_FILE), *sorted(folder.glob(f"*/{WORKER_FILE}")))
    return {
        str(file.relative_to(folder)): _categories(load_yaml(file, "worker file"))
        for file in files
    }


def _categories(worker: dict[str, Any]) -> tuple[str, ...]:
    """List the categories of a worker: a string, a list, or missing."""
    category = worker.get("category") or ()
    return (category,) if isinstance(category, str) else tuple(category)
