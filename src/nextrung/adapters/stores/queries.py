"""Questions to the result collections, and their answers as files."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
from montydb.errors import MontyError
from pymongo.errors import PyMongoError

from nextrung.adapters.stores.collections import BUILDER_STATE, open_collection
from nextrung.schemas.base import InputError
from nextrung.schemas.stores.collections import KEYS, ROWS, Collection, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jobflow import JobStore
    from maggma.stores import MongoStore

#: Columns of a field, by the first type its annotation names.
_COLUMNS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


@dataclass(frozen=True)
class CollectionQuery:
    """What is asked of a result collection.

    Parameters
    ----------
    collection : Collection
        Which one.
    criteria : mapping
        Mongo-style query.
    fields : sequence of str
        Fields of the answer, in order; empty for all.
    sort : sequence of str
        Fields to sort by, ``-`` before those that fall.
    limit : int
        Most rows of the answer; 0 for all.
    """

    collection: Collection
    criteria: Mapping[str, Any] = field(default_factory=dict)
    fields: Sequence[str] = ()
    sort: Sequence[str] = ()
    limit: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Fields of the answer: those asked for; or the key first, and then all."""
        known = dict.fromkeys((*KEYS[self.collection], *_fields(self.collection)))
        return tuple(self.fields or known)

    def for_study(self, study: str | None) -> CollectionQuery:
        """Ask the same of one study alone.

        Parameters
        ----------
        study : str or None
            Name of the study; None to ask of all.

        Returns
        -------
        CollectionQuery
            The narrower question.
        """
        if study is None:
            return self
        criteria = {"$and": [{"study": study}, dict(self.criteria)]}
        return replace(self, criteria=criteria)


def parse_query(
    collection: str,
    query: str = "{}",
    *,
    fields: str = "",
    sort: str = "",
    limit: int = 0,
) -> CollectionQuery:
    """Read a question as a person writes it, and check every name in it.

    MongoDB answers a misspelt field with nothing; here it is an error.

    Parameters
    ----------
    collection : str
        Name of a result collection.
    query : str
        Mongo-style query, JSON.
    fields : str
        Fields of the answer, separated by commas; empty for all.
    sort : str
        Fields to sort by, separated by commas, ``-`` before those that fall.
    limit : int
        Most rows of the answer; 0 for all.

    Returns
    -------
    CollectionQuery
        The question.

    Raises
    ------
    InputError
        If a name is not known, or the query is no JSON object.
    """
    asked = CollectionQuery(
        collection=_named(collection),
        criteria=_parse_criteria(query),
        fields=_split(fields),
        sort=_split(sort),
        limit=limit,
    )
    named = [*asked.fields, *(name.removeprefix("-") for name in asked.sort)]
    for name in (*named, *_names(asked.criteria)):
        _check(name, asked.collection)
    return asked


def answer(store: JobStore, request: CollectionQuery) -> list[dict[str, Any]]:
    """Ask a result collection.

    Parameters
    ----------
    store : JobStore
        Store beside whose documents the collection is.
    request : CollectionQuery
        What is asked.

    Returns
    -------
    list of dict
        Rows with the columns of the question.

    Raises
    ------
    InputError
        If the store cannot run the query.
    """
    order = {name.removeprefix("-"): _direction(name) for name in request.sort}
    with _asking(store, request) as target:
        found = list(
            target.query(
                dict(request.criteria),
                list(request.columns),
                sort=order or None,
                limit=request.limit,
            )
        )
    return [{name: row.get(name) for name in request.columns} for row in found]


def count_rows(store: JobStore, request: CollectionQuery) -> int:
    """Count the rows that a question is about, its limit aside.

    Parameters
    ----------
    store : JobStore
        Store beside whose documents the collection is.
    request : CollectionQuery
        What is asked.

    Returns
    -------
    int
        Number of rows.
    """
    with _asking(store, request) as target:
        count: int = target.count(dict(request.criteria))
    return count


def is_built(store: JobStore, study: str | None) -> bool:
    """Say whether the result collections hold anything of a study.

    Parameters
    ----------
    store : JobStore
        Store beside whose documents the collections are.
    study : str or None
        Name of the study; None for any.

    Returns
    -------
    bool
        Whether something was built.
    """
    with open_collection(store, BUILDER_STATE) as state:
        return bool(state.count({} if study is None else {"study": study}))


@contextmanager
def _asking(store: JobStore, request: CollectionQuery) -> Iterator[MongoStore]:
    """Open a collection; say in one line why a query cannot be run."""
    try:
        with open_collection(store, request.collection.value) as target:
            yield target
    except (PyMongoError, MontyError, TypeError, ValueError) as error:
        reason = str(error).partition(", full error")[0]
        raise InputError(f"--query: expected a Mongo query, got: {reason}") from error


def _direction(name: str) -> int:
    """Read whether a field is to rise or to fall."""
    return -1 if name.startswith("-") else 1


def write_answer(
    rows: Sequence[Mapping[str, Any]], request: CollectionQuery, path: Path
) -> None:
    """Write rows as a file; its suffix says which kind.

    Parameters
    ----------
    rows : sequence of mapping
        Answer of the question.
    request : CollectionQuery
        What was asked.
    path : Path
        File to write: ``.csv``, ``.json``, ``.jsonl`` or ``.parquet``.

    Raises
    ------
    InputError
        If the suffix is of none of these, or the folder cannot be written to.
    """
    writers: dict[str, Callable[..., None]] = {
        ".csv": _write_csv,
        ".json": _write_json,
        ".jsonl": _write_lines,
        ".parquet": _write_parquet,
    }
    if path.suffix not in writers:
        known = ", ".join(writers)
        raise InputError(f"--output: expected a name that ends in {known}, got {path}")
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        writers[path.suffix](rows, request, unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise InputError(f"--output: cannot write {path}: {error.strerror}") from error


def _named(collection: str) -> Collection:
    """Find a collection by its name."""
    try:
        return Collection(collection)
    except ValueError as error:
        known = ", ".join(Collection)
        raise InputError(
            f"--collection: expected one of {known}, got {collection}"
        ) from error


def _parse_criteria(query: str) -> dict[str, Any]:
    """Read a query."""
    try:
        criteria = json.loads(query)
    except json.JSONDecodeError as error:
        raise InputError(
            f"--query: expected JSON such as "
            f'{{"status": "max_steps"}}, got {query!r}: {error}'
        ) from error
    if not isinstance(criteria, dict):
        raise InputError(f"--query: expected a JSON object, got {query!r}")
    return criteria


def _split(names: str) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _names(criteria: object) -> Iterator[str]:
    """List the fields a query names; what operators hold is looked through."""
    if isinstance(criteria, list):
        for part in criteria:
            yield from _names(part)
    elif isinstance(criteria, dict):
        for key, value in criteria.items():
            if key in {"$and", "$or", "$nor"}:
                yield from _names(value)
            elif not key.startswith("$"):
                yield key.partition(".")[0]


def _check(name: str, collection: Collection) -> None:
    """Refuse a field that no row of a collection has; name the nearest."""
    known = _fields(collection)
    if name in known:
        return
    nearest = get_close_matches(name, known, 1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(known)}"
    raise InputError(f"{collection} has no field {name}; {hint}")


def _fields(collection: Collection) -> tuple[str, ...]:
    """List the fields of a collection, its own before those of every row."""
    own = [
        name for name in ROWS[collection].model_fields if name not in Row.model_fields
    ]
    return (*own, *Row.model_fields)


def _write_csv(
    rows: Iterable[Mapping[str, Any]], request: CollectionQuery, path: Path
) -> None:
    """Write comma-separated values; lists are joined by spaces."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, request.columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    name: " ".join(value) if isinstance(value, list) else value
                    for name, value in row.items()
                }
            )


def _write_json(
    rows: Sequence[Mapping[str, Any]], _question: CollectionQuery, path: Path
) -> None:
    """Write one list of objects."""
    path.write_text(json.dumps(rows, indent=1) + "\n")


def _write_lines(
    rows: Iterable[Mapping[str, Any]], _question: CollectionQuery, path: Path
) -> None:
    """Write one object per line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _write_parquet(
    rows: Sequence[Mapping[str, Any]], request: CollectionQuery, path: Path
) -> None:
    """Write a table whose types follow from the fields, not from the rows."""
    known = ROWS[request.collection].model_fields
    schema = pa.schema(
        [(name, _column(known[name].annotation)) for name in request.columns]
    )
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path, compression="zstd")


def _column(annotation: Any) -> pa.DataType:  # noqa: ANN401 - any annotation
    """Choose the type of a column."""
    if get_origin(annotation) is tuple:
        return pa.list_(pa.string())
    kinds = [kind for kind in (annotation, *get_args(annotation)) if kind in _COLUMNS]
    return _COLUMNS[kinds[0]] if kinds else pa.string()
