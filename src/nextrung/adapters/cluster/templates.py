"""Configuration folders of clusters from the templates of the package."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path

import yaml

from nextrung.adapters.cluster.config_files import LAUNCHPAD_FILE, SECRET_FILES
from nextrung.adapters.files.yaml_records import load_yaml, validate_record
from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import InputError
from nextrung.schemas.cluster.machine import Site

_PACKAGE = Path(__file__).parents[2]
#: One folder of templates per kind of cluster: in the installed package, or in the
#: checkout that an editable installation runs from.
TEMPLATES = next(
    folder
    for root in (_PACKAGE, _PACKAGE.parents[1])
    if (folder := root / "launchpad_configs").is_dir()
)

#: Placeholder of a value in a template, such as ``<host>``.
PLACEHOLDER = re.compile(r"<([a-z_]+)>")

#: File of the passwords for ``docker compose``.
COMPOSE_FILE = ".env"

#: File of the values that filled the templates.
SITE_FILE = "site.yaml"


def write_configuration(folder: Path, site: Site, *, password: str) -> list[Path]:
    """Write the files of a configuration folder; keep existing files.

    Parameters
    ----------
    folder : Path
        The configuration folder.
    site : Site
        Values of the placeholders.
    password : str
        Password of MongoDB; only the owner can read files that contain it.

    Returns
    -------
    list of Path
        Files that were written.

    Raises
    ------
    InputError
        If the password has invalid characters, or the folder cannot be created.
    """
    contents = _render(folder, site, password)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"expected a folder that can be created, got {error}"
        ) from error
    missing = [name for name in contents if not (folder / name).exists()]
    return [_write(folder / name, contents[name]) for name in missing]


def read_site(folder: Path) -> tuple[Site, str] | None:
    """Read the values that filled the templates of a configuration folder.

    Parameters
    ----------
    folder : Path
        The configuration folder.

    Returns
    -------
    tuple of Site and str, or None
        The values, and the password of MongoDB; None where the folder has no files.
    """
    if not (folder / SITE_FILE).is_file():
        return None
    site = validate_record(Site, load_yaml(folder / SITE_FILE, "site file"), SITE_FILE)
    launchpad = load_yaml(folder / LAUNCHPAD_FILE, "LaunchPad file")
    return site, str(launchpad.get("password", ""))


def find_outdated(folder: Path, site: Site, *, password: str) -> list[Path]:
    """Find the files of a configuration folder that other values would change.

    Parameters
    ----------
    folder : Path
        The configuration folder.
    site : Site
        The other values.
    password : str
        Password of MongoDB.

    Returns
    -------
    list of Path
        Existing files whose templates give another content than they did; changes by
        hand do not count. All files, where the folder does not say how it was filled.
    """
    before = read_site(folder)
    old = {} if before is None else _render(folder, *before)
    new = _render(folder, site, password)
    return [
        folder / name
        for name, content in new.items()
        if (folder / name).exists() and old.get(name) != content
    ]


def replace_configuration(folder: Path, site: Site, *, password: str) -> list[Path]:
    """Write the files of a configuration folder anew that other values change.

    Parameters
    ----------
    folder : Path
        The configuration folder.
    site : Site
        The other values.
    password : str
        Password of MongoDB.

    Returns
    -------
    list of Path
        Files that were replaced; changes by hand in them are lost.
    """
    contents = _render(folder, site, password)
    outdated = find_outdated(folder, site, password=password)
    return [_write(file, contents[str(file.relative_to(folder))]) for file in outdated]


def _render(folder: Path, site: Site, password: str) -> dict[str, str]:
    """Fill in the templates; contents by name of the file, that of the values last."""
    if not password or not password.isprintable() or "'" in password:
        raise InputError(
            "expected a password of printable characters without single quotes"
        )
    values = {name: str(value) for name, value in site.model_dump().items()}
    values["password"] = json.dumps(password, ensure_ascii=False)
    templates = TEMPLATES / site.cluster
    contents = {
        str(file.relative_to(templates)): PLACEHOLDER.sub(
            lambda found: values[found[1]], file.read_text()
        )
        for file in sorted(templates.rglob("*"))
        if file.is_file()
    }
    contents[COMPOSE_FILE] = (
        f"MONGO_PASSWORD='{password}'\n"
        f"MONGO_ROOT_PASSWORD='{_choose_root_password(folder)}'\n"
    )
    kept = site.model_dump(mode="json", exclude={"node_cpus"})
    contents[SITE_FILE] = (
        "# Options of `nextrung init`; `nextrung init DIR --overwrite` with others "
        "changes them.\n" + yaml.safe_dump(kept, sort_keys=False)
    )
    return contents


def _choose_root_password(folder: Path) -> str:
    """Return the administrator's password of the folder, or a new random one."""
    file = folder / COMPOSE_FILE
    written = file.read_text() if file.is_file() else ""
    found = re.search(r"^MONGO_ROOT_PASSWORD='(.*)'$", written, re.MULTILINE)
    return found[1] if found else secrets.token_urlsafe(24)


def _write(file: Path, content: str) -> Path:
    """Write a file; only the owner can read one that contains the password."""
    mode = 0o600 if file.name in SECRET_FILES else 0o644
    file.parent.mkdir(exist_ok=True)
    with atomic_write(file) as temporary:
        opened = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with os.fdopen(opened, "w") as stream:
            stream.write(content)
    return file
