"""Pages of the site on study files, made from the records that validate them."""

from __future__ import annotations

import html
import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from mkdocs.structure.files import File
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from nextrung.schemas.study import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from pydantic.fields import FieldInfo

WORKFLOWS = Path(__file__).parents[2] / "workflows"

#: How YAML ends a document of a single value.
END_OF_SCALAR = "...\n"

#: Words for the types of JSON schema.
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
}

#: How limits of JSON schema are written.
_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "pattern": "that matches `{}`",
}

_KEYS_INTRODUCTION = """# Keys of a study file

Every key that a study file may have, read out of the records that validate it. A key
that is left out has its default; an unknown key is an error that names the nearest one.
`--set training.epochs=5` on the command line sets a key by its dotted name. Whole files
are on the page [Studies](studies.md).
"""

_STUDIES_INTRODUCTION = """# Studies

The study files that come with nextrung, in the folder `workflows`. Each runs with
`nextrung run workflows/NAME.yaml`; their keys are explained [here](study.md).
"""


@dataclass(frozen=True)
class Section:
    """One record of a study file.

    Parameters
    ----------
    path : str
        Dotted key of the record, empty for the whole file.
    kind : str
        Value of `kind` where the key has a choice of records, otherwise empty.
    record : type of BaseModel
        The record.
    """

    path: str
    kind: str
    record: type[BaseModel]

    @property
    def title(self) -> str:
        """Heading of the section."""
        if not self.path:
            return "The whole file"
        return f"`{self.path}`" + (f", kind `{self.kind}`" if self.kind else "")

    @property
    def anchor(self) -> str:
        """Name that links lead to."""
        path = self.path.replace("[]", "").replace(".", "-")
        return "-".join(filter(None, (path or "study", self.kind)))

    @property
    def label(self) -> str:
        """Name in the table of contents, which shows the level by itself."""
        return self.kind or self.path.rpartition(".")[2] or self.title

    @property
    def link(self) -> str:
        """Link to the section, from the same page."""
        return f"[`{self.kind or self.path}`](#{self.anchor})"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site.

    Parameters
    ----------
    files : Files
        Files of the site.
    config : MkDocsConfig
        Configuration of the site.

    Returns
    -------
    Files
        The same, with two more pages.
    """
    for uri, content in (
        ("reference/study.md", write_keys()),
        ("reference/studies.md", write_studies()),
    ):
        files.append(File.generated(config, uri, content=content))
    return files


def write_keys() -> str:
    """Write the page on the keys of a study file.

    Returns
    -------
    str
        Markdown.
    """
    sections = list(walk(StudySettings))
    links = {section.record: section.link for section in sections}
    written = [_write_section(section, links) for section in sections]
    return "\n".join([_KEYS_INTRODUCTION, *written])


def walk(record: type[BaseModel], path: str = "", kind: str = "") -> Iterator[Section]:
    """Visit a record and those below it, each once.

    Parameters
    ----------
    record : type of BaseModel
        Where to start.
    path : str
        Its dotted key.
    kind : str
        Its `kind`, where there is a choice.

    Yields
    ------
    Section
        Records in the order of the keys.
    """
    seen: set[type[BaseModel]] = set()
    waiting = [Section(path, kind, record)]
    while waiting:
        section = waiting.pop(0)
        if section.record in seen:
            continue
        seen.add(section.record)
        yield section
        waiting[:0] = [
            below
            for name, field in section.record.model_fields.items()
            for below in _list_below(section, name, field)
        ]


def _list_below(section: Section, name: str, field: FieldInfo) -> Iterator[Section]:
    """List the records that a key may hold."""
    repeated = "[]" if _find_schema(section.record, name).get("type") == "array" else ""
    path = ".".join(filter(None, (section.path, name))) + repeated
    for record in find_records(field.annotation):
        kind = record.model_fields.get("kind")
        yield Section(path, kind.default if kind else "", record)


def find_records(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401
    """Find the records in the type of a key.

    Parameters
    ----------
    annotation : type
        Type of a field.

    Returns
    -------
    list of type of BaseModel
        Records, in their order.
    """
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in find_records(part)]


def _find_schema(record: type[BaseModel], name: str) -> dict[str, Any]:
    """Find the JSON schema of a key."""
    schema: dict[str, Any] = record.model_json_schema()["properties"][name]
    return schema


def _write_section(section: Section, links: Mapping[type[BaseModel], str]) -> str:
    """Write heading, summary and table of one record."""
    level = "#" * min(4, 2 + section.path.count("."))
    summary = inspect.getdoc(section.record) or ""
    label = f'data-toc-label="{section.label}"'
    lines = [
        f"{level} {section.title} {{ #{section.anchor} {label} }}",
        "",
        summary.partition("\n\n")[0],
        "",
        "| key | type | default | what it is |",
        "|---|---|---|---|",
    ]
    definitions = section.record.model_json_schema().get("$defs", {})
    for name, field in section.record.model_fields.items():
        schema = _find_schema(section.record, name)
        records = find_records(field.annotation)
        found = [links[record] for record in records]
        cells = (
            f"`{name}`",
            _describe_record_key(schema, [*_list_names(schema, definitions), *found])
            if found
            else _describe_type(schema, definitions),
            _describe_default(field),
            field.description or "Selects this section.",
        )
        lines.append(f"| {' | '.join(map(_escape, cells))} |")
    return "\n".join([*lines, ""])


def _escape(cell: str) -> str:
    """Keep a bar from ending the cell of a table."""
    return cell.replace("|", "\\|")


def _list_names(
    schema: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """List the names that the items of a list may have in place of a record."""
    parts = schema.get("items", {}).get("oneOf", ())
    found = [definitions[part["$ref"].rpartition("/")[2]] for part in parts]
    return [_describe_type(each, definitions) for each in found if "enum" in each]


def _describe_record_key(schema: Mapping[str, Any], links: list[str]) -> str:
    """Describe a key that holds records."""
    nullable = {"type": "null"} in schema.get("anyOf", ())
    text = " or ".join(links)
    if schema.get("type") == "array":
        text = f"list of {text}"
    return f"{text}, or `null`" if nullable else text


def _describe_type(
    schema: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]
) -> str:
    """Describe the values that a key may have, from its JSON schema."""
    match schema:
        case {"$ref": reference}:
            found = definitions[reference.rpartition("/")[2]]
            text = _describe_type(found, definitions)
        case {"enum": values}:
            text = ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            text = f"`{value}`"
        case {"anyOf": parts}:
            text = " or ".join(_describe_type(part, definitions) for part in parts)
        case {"type": "array", "items": items}:
            text = f"list of {_describe_type(items, definitions)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            text = f"keys with values: {_describe_type(values, definitions)}"
        case {"type": "object"}:
            text = "keys and values"
        case _:
            limits = (
                w.format(schema[key]) for key, w in _LIMITS.items() if key in schema
            )
            text = " ".join((_TYPES.get(schema.get("type", ""), "any value"), *limits))
    return text


def _describe_default(field: FieldInfo) -> str:
    """Write the default of a key as YAML."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
        if not value:
            return "its defaults"
    text = yaml.safe_dump(
        to_jsonable_python(value),
        default_flow_style=True,
        allow_unicode=True,
        width=math.inf,
    )
    return f"`{text.removesuffix(END_OF_SCALAR).strip()}`"


def write_studies() -> str:
    """Write the page of the study files that come with nextrung.

    Returns
    -------
    str
        Markdown.
    """
    parts = [_STUDIES_INTRODUCTION]
    for path in sorted(WORKFLOWS.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        description = yaml.safe_load(text)["description"]
        parts += [
            f"## {path.stem} {{ #{path.stem} }}",
            html.escape(description, quote=False),
            f'```yaml title="workflows/{path.name}"\n{text}```',
        ]
    return "\n\n".join(parts) + "\n"
