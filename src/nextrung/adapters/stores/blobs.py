"""Arrays of documents in the additional stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobflow import JobStore


def find_arrays(store: JobStore, uuid: str, index: int) -> dict[str, list[str]]:
    """Find the arrays that the stored document of a job refers to.

    Parameters
    ----------
    store : JobStore
        A connected store.
    uuid : str
        Job of the document.
    index : int
        Index of the job.

    Returns
    -------
    dict of str to list of str
        Ids of the arrays, by additional store; empty where there is no document.
    """
    where = {"uuid": uuid, "index": index}
    found = store.query_one(where, ["output"], load=False)
    arrays: dict[str, list[str]] = {}
    for pointer in _list_pointers(found and found.get("output")):
        arrays.setdefault(pointer["store"], []).append(pointer["blob_uuid"])
    return arrays


def remove_arrays(store: JobStore, arrays: Mapping[str, list[str]]) -> None:
    """Remove arrays from the additional stores.

    Parameters
    ----------
    store : JobStore
        A connected store.
    arrays : mapping of str to list of str
        Ids of the arrays, by additional store.
    """
    for name, blobs in arrays.items():
        additional = store.additional_stores[name]  # type: ignore[has-type]
        additional.remove_docs({"blob_uuid": {"$in": blobs}})


def _list_pointers(value: Any) -> Iterator[dict[str, str]]:  # noqa: ANN401
    """List the references to arrays in a document."""
    if isinstance(value, list):
        for item in value:
            yield from _list_pointers(item)
    elif isinstance(value, dict):
        if "blob_uuid" in value:
            yield value
            return
        for item in value.values():
            yield from _list_pointers(item)
