"""Input documents without their arrays.

jobflow resolves a reference by loading the whole document, arrays included, however
little of it a job reads. For the job that summarises a study this would be gigabytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jobflow import OutputReference
from pydantic import BaseModel

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from jobflow import JobStore

    from nextrung.schemas.base import TaskDoc


def resolve_without_arrays(value: Any, store: JobStore) -> Any:  # noqa: ANN401
    """Replace references by the documents they point to, without their arrays.

    Parameters
    ----------
    value : object
        Nested dictionaries, lists, references and plain values.
    store : JobStore
        Store of the documents.

    Returns
    -------
    object
        The same with documents in place of references; fields that lie in an
        additional store are empty.
    """
    if isinstance(value, OutputReference):
        return _load(value, store)
    if isinstance(value, dict):
        return {key: resolve_without_arrays(item, store) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(resolve_without_arrays(item, store) for item in value)
    return value


def _load(reference: OutputReference, store: JobStore) -> TaskDoc:
    """Load a document without its fields in additional stores."""
    output = _find_output(reference.uuid, store)
    while output["@class"] == OutputReference.__name__:  # the job was replaced
        output = _find_output(output["uuid"], store)
    schema = getattr(import_module(output["@module"]), output["@class"])
    empty = {
        name: _empty(schema, name)
        for name, value in output.items()
        if isinstance(value, dict) and "blob_uuid" in value
    }
    document: TaskDoc = schema.model_validate(output | empty)
    return document


def _find_output(uuid: str, store: JobStore) -> dict[str, Any]:
    """Find the newest output of a job."""
    newest = {"index": -1}
    found = store.query_one({"uuid": uuid}, ["output"], sort=newest, load=False)
    if not found or not found.get("output"):
        raise InputError(f"expected the document of job {uuid}, got none")
    output: dict[str, Any] = found["output"]
    return output


def _empty(schema: type[TaskDoc], name: str) -> list[Any] | dict[str, list[Any]]:
    """Return the empty value of a field: a list, or a mapping of empty columns."""
    kind = schema.model_fields[name].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {column: [] for column in kind.model_fields}
    return []
