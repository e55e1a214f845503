"""Page of the site on the records of ``nextrung.schemas``, made from them."""

from __future__ import annotations

import inspect
from enum import Enum
from importlib import import_module
from pkgutil import walk_packages
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from mkdocs.structure.files import File
from pydantic import BaseModel

from nextrung import schemas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_INTRODUCTION = """# Records

What is chosen (`…Settings`), computed, and stored by jobs (`…Doc`), field by field with
its unit. Records are frozen and refuse unknown fields. The keys of a study file are
listed [by their path](study.md) as well.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated page to the site.

    Parameters
    ----------
    files : Files
        Files of the site.
    config : MkDocsConfig
        Configuration of the site.

    Returns
    -------
    Files
        The same, with one more page.
    """
    uri = "reference/records.md"
    files.append(File.generated(config, uri, content=write_records()))
    return files


def write_records() -> str:
    """Write the page on records and enumerations, module by module.

    Returns
    -------
    str
        Markdown.
    """
    parts = [_INTRODUCTION]
    for module in list_modules():
        found = list(list_records(module))
        if found:
            name = module.__name__.removeprefix(f"{schemas.__name__}.")
            parts += [f"## {name}", inspect.getdoc(module) or ""]
            parts += [_write(record) for record in found]
    return "\n\n".join(parts) + "\n"


def list_modules() -> list[ModuleType]:
    """List the modules of the records.

    Returns
    -------
    list of module
        Modules by name.
    """
    found = walk_packages(schemas.__path__, f"{schemas.__name__}.")
    return [import_module(module.name) for module in found]


def list_records(module: ModuleType) -> Iterator[type[BaseModel | Enum]]:
    """List the public records and enumerations that a module defines.

    Parameters
    ----------
    module : module
        A module of schemas.

    Yields
    ------
    type
        Classes in the order of the module.
    """
    for name, member in vars(module).items():
        if (
            inspect.isclass(member)
            and issubclass(member, BaseModel | Enum)
            and member.__module__ == module.__name__
            and not name.startswith("_")
        ):
            yield member


def _write(record: type[BaseModel | Enum]) -> str:
    """Write heading, summary and fields or values of one class."""
    anchor = f"{record.__module__}.{record.__name__}"
    lines = [f"### {record.__name__} {{ #{anchor} }}", "", inspect.getdoc(record) or ""]
    if issubclass(record, Enum):
        return "\n".join([*lines, "", ", ".join(f"`{m.value}`" for m in record)])
    rows = [
        f"| `{name}` | {_write_type(field.annotation)} | {field.description or ''} |"
        for name, field in record.model_fields.items()
    ]
    if rows:
        lines += ["", "| field | type | what it is |", "|---|---|---|", *rows]
    return "\n".join(lines)


def _write_type(annotation: Any) -> str:  # noqa: ANN401
    """Write the type of a field, with links to records."""
    origin, parts = get_origin(annotation), get_args(annotation)
    name = getattr(annotation, "__name__", str(annotation))
    module = getattr(annotation, "__module__", "")
    if origin is Annotated:
        text = _write_type(parts[0])
    elif origin is Literal:
        text = ", ".join(f"`{value}`" for value in parts)
    elif origin in {Union, UnionType}:
        text = " or ".join(map(_write_type, parts))
    elif origin is not None:
        listed = ", ".join(_write_type(part) for part in parts if part is not ...)
        text = f"{origin.__name__} of {listed}"
    elif module.startswith(f"{schemas.__name__}."):
        text = f"[{name}](#{module}.{name})"
    else:
        text = "None" if annotation is NoneType else str(name)
    return text
