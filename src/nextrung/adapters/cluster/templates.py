"""Configuration folders of clusters from the templates of the package."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from nextrung.schemas.cluster.machine import Cluster, Site

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

#: File of the password for ``docker compose``.
SECRET_FILE = ".env"  # noqa: S105 - a file name


def write_configuration(
    folder: Path, cluster: Cluster, site: Site, *, password: str
) -> list[Path]:
    """Write the files of a configuration folder; keep existing files.

    Parameters
    ----------
    folder : Path
        The configuration folder.
    cluster : Cluster
        Kind of cluster.
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
    if not password or not password.isprintable() or "'" in password:
        raise InputError(
            "expected a password of printable characters without single quotes"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"expected a folder that can be created, got {error}"
        ) from error
    values = {name: str(value) for name, value in site.model_dump().items()}
    values["password"] = json.dumps(password, ensure_ascii=False)
    templates = TEMPLATES / cluster
    files = {
        str(file.relative_to(templates)): file.read_text()
        for file in sorted(templates.rglob("*"))
        if file.is_file()
    }
    files[SECRET_FILE] = f"MONGO_PASSWORD='{password}'\n"
    return [
        folder / name
        for name, content in files.items()
        if _write_new(folder / name, content, values)
    ]


def _write_new(file: Path, content: str, values: dict[str, str]) -> bool:
    """Fill in a template unless the file exists; only the owner can read secrets."""
    secret = "<password>" in content or file.name == SECRET_FILE
    filled = content
    if file.name != SECRET_FILE:
        filled = PLACEHOLDER.sub(lambda found: values[found[1]], content)
    file.parent.mkdir(exist_ok=True)
    try:
        opened = os.open(
            file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if secret else 0o644
        )
    except FileExistsError:
        return False
    with os.fdopen(opened, "w") as stream:
        stream.write(filled)
    return True
