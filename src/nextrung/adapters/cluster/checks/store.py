"""Checks of the job store: writing, indexes and versions of its documents."""

from __future__ import annotations

import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from maggma.stores import MemoryStore

from nextrung.adapters.stores.insertion_order import SEQUENCE
from nextrung.adapters.stores.job_store import INDEXED_FIELDS
from nextrung.schemas.cluster.checks import Finding, Level, make_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobflow import JobStore


def check_store(store: JobStore, packages: Sequence[str]) -> Iterator[Finding]:
    """Check that a store can be written, its indexes, and versions in its documents.

    Parameters
    ----------
    store : JobStore
        A connected store.
    packages : sequence of str
        Packages whose versions are compared.
    """
    yield _write_and_remove(store)
    yield _check_indexes(store)
    yield _check_versions(store, packages)


def _write_and_remove(store: JobStore) -> Finding:
    """Write a document and an array, read them back, and remove both."""
    name = f"doctor-{uuid.uuid4()}"
    sample = {"uuid": name, "index": 1, "name": "doctor", "output": {"rows": [1, 2, 3]}}
    data = store.additional_stores["data"]  # type: ignore[has-type]
    try:
        store.update([sample], key=["uuid", "index"], save={"data": ["rows"]})
        read = store.get_output(name, load=True)
        store.remove_docs({"uuid": name})
        data.remove_docs({"job_uuid": name})
    except Exception as error:  # noqa: BLE001 - drivers raise any type
        reason = " ".join(str(error).split())
        advice = "give the user of jobflow.yaml the role readWrite"
        return make_finding("store writable", Level.FAIL, reason, advice)
    if read != sample["output"]:
        advice = "check the additional store `data` of jobflow.yaml"
        return make_finding(
            "store writable", Level.FAIL, f"arrays are read as {read}", advice
        )
    return make_finding(
        "store writable", Level.OK, "document and array written and read"
    )


def _check_indexes(store: JobStore) -> Finding:
    """List the indexes that are missing."""
    docs: Any = store.docs_store
    if isinstance(docs, MemoryStore):
        return make_finding("indexes", Level.OK, "embedded stores have none")
    indexes = docs._collection.index_information()  # noqa: SLF001 - maggma does not list indexes
    made = {next(iter(index["key"]))[0] for index in indexes.values()}
    missing = [field for field in INDEXED_FIELDS if field not in made]
    if missing:
        advice = "`nextrung init` on the configuration folder creates them"
        return make_finding(
            "indexes", Level.WARN, f"none on {', '.join(missing)}", advice
        )
    return make_finding("indexes", Level.OK, f"on {', '.join(INDEXED_FIELDS)}")


def _check_versions(store: JobStore, packages: Sequence[str]) -> Finding:
    """Compare installed versions with those of the newest document."""
    found = store.query_one(
        {"output.provenance.versions": {"$exists": True}},
        ["output.provenance.versions"],
        sort={SEQUENCE: -1},
    )
    if found is None:
        return make_finding("versions in the store", Level.OK, "no document yet")
    stored = found["output"]["provenance"]["versions"]
    differing = [
        f"{package} {stored[package]}, here {installed_version(package)}"
        for package in packages
        if package in stored and stored[package] != installed_version(package)
    ]
    if differing:
        advice = (
            "install the same on all nodes: documents of other versions stay in use"
        )
        got = f"the newest document has {'; '.join(differing)}"
        return make_finding("versions in the store", Level.WARN, got, advice)
    return make_finding("versions in the store", Level.OK, "those of this machine")


def installed_version(package: str) -> str:
    """Look up the version of a package; ``none`` where it is not installed.

    Parameters
    ----------
    package : str
        Name of the package.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
