"""Reader of YAML records; errors suggest the nearest known key."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from nextrung.schemas.base import InputError, Record, quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

#: Error type of pydantic for an unknown key.
UNKNOWN_KEY = "extra_forbidden"

#: Levels of values within values; the time that pyyaml takes grows with its square.
MAX_DEPTH = 100

#: Values that a file may expand to.
MAX_NODES = 1_000_000

#: Tag of ``<<``, which may occur beside the keys that it adds.
_MERGE = "tag:yaml.org,2002:merge"

_Record = TypeVar("_Record", bound=Record)


class _StrictLoader(yaml.SafeLoader):
    """Safe loader without repeated keys, of which YAML keeps the last, and cycles."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        """Compose a value, unless it is within too many others."""
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f"values nested more than {MAX_DEPTH} deep")
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_document(self, node: yaml.Node) -> Any:  # noqa: ANN401
        """Build a document, once the size that its aliases expand to is known."""
        if _count_nodes(node, {}) > MAX_NODES:
            raise yaml.YAMLError(f"aliases expand to more than {MAX_NODES:,} values")
        return super().construct_document(node)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[Any, Any]:
        """Build a mapping of unique keys."""
        keys = Counter(str(key.value) for key, _ in node.value if key.tag != _MERGE)
        for key, count in keys.items():
            if count > 1:
                raise yaml.YAMLError(
                    f"the key {key!r} {count} times in one mapping, "
                    f"line {node.start_mark.line + 1}"
                )
        built: dict[Any, Any] = super().construct_mapping(node, deep)
        return built


def _count_nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Count the values below a node, those of an alias every time."""
    if id(node) not in counted:
        counted[id(node)] = MAX_NODES + 1  # until it is known: an alias of itself
        below = [] if isinstance(node, yaml.ScalarNode) else node.value
        pairs = [each if isinstance(each, tuple) else (each,) for each in below]
        children = (_count_nodes(child, counted) for pair in pairs for child in pair)
        counted[id(node)] = 1 + sum(children)
    return counted[id(node)]


def parse_yaml(text: str) -> Any:  # noqa: ANN401
    """Parse YAML of plain values; a repeated key is an error.

    Parameters
    ----------
    text : str
        The YAML.

    Raises
    ------
    ValueError
        If it is invalid, nested too deeply, or has a repeated key or endless aliases.
    """
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(_describe_invalid_yaml(error)) from error


def load_yaml(path: Path, kind: str) -> dict[str, Any]:
    """Read a YAML mapping.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Kind of file for error messages.

    Raises
    ------
    InputError
        If the file is missing, not YAML, or not a mapping.
    """
    try:
        settings = parse_yaml(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"expected a {kind}, got no {path}") from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected YAML, got {reason}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: expected keys and values at the top level")
    return settings


def _describe_invalid_yaml(error: yaml.YAMLError) -> str:
    """Describe why a file is not YAML; quote no line, which may hold a password."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"


def validate_record(
    record: type[_Record], settings: dict[str, Any], path: Path | str
) -> _Record:
    """Validate the content of a file as a record.

    Parameters
    ----------
    record : type of Record
        Class of the record.
    settings : dict
        Keys and values of the file.
    path : Path or str
        File, or what else holds them, for error messages.

    Raises
    ------
    InputError
        If a key or value is invalid; an unknown key is reported first.
    """
    try:
        return record.model_validate(settings)
    except ValidationError as error:
        wrong = sorted(error.errors(), key=lambda wrong: wrong["type"] != UNKNOWN_KEY)
        raise InputError(f"{path}: {_describe_error(record, wrong[0])}") from error


def _describe_error(record: type[BaseModel], error: ErrorDetails) -> str:
    """Describe an invalid value, or an unknown key with the nearest known one."""
    where = ".".join(str(step) for step in error["loc"])
    if error["type"] != UNKNOWN_KEY:
        whole = isinstance(error["input"], dict)
        got = "" if whole else f", got {quote(error['input'])}"
        return f"{where}: {_lower(error['msg'])}{got}".removeprefix(": ")
    *parents, unknown = ("", *(str(step) for step in error["loc"]))
    known = list(_known_keys(record))
    siblings = [key for parent, key in known if parent in parents[-2:]]
    nearest = [
        match
        for keys in (siblings, [key for _, key in known])
        for match in get_close_matches(unknown, keys, 1, cutoff=0.5)
    ]
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{where}: unknown key{hint}"


def _lower(message: str) -> str:
    """Remove the prefix of a message of pydantic and its capital letter."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _known_keys(record: type[BaseModel], parent: str = "") -> Iterator[tuple[str, str]]:
    """List the keys of a record and its nested records, each with its parent key."""
    for name, entry in record.model_fields.items():
        yield parent, name
        for nested in _records(entry.annotation):
            yield from _known_keys(nested, name)


def _records(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    """List the record classes in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType, Annotated, tuple, list, dict}:
        for argument in get_args(annotation):
            yield from _records(argument)
