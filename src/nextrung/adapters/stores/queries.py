"""Queries on the result collections."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from montydb.errors import MontyError
from pymongo.errors import PyMongoError

from nextrung.adapters.stores.collections import BUILDER_STATE, open_collection
from nextrung.schemas.base import InputError, quote
from nextrung.schemas.stores.collections import KEYS, ROWS, Collection, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobflow import JobStore
    from maggma.stores import MongoStore


@dataclass(frozen=True)
class CollectionQuery:
    """Query on a result collection.

    Parameters
    ----------
    collection : Collection
        The collection.
    criteria : mapping
        Mongo-style criteria.
    fields : sequence of str
        Fields of the rows, in order; empty for all.
    sort : sequence of str
        Fields to sort by, with a leading ``-`` for descending order.
    limit : int
        Maximum number of rows; 0 for all.
    """

    collection: Collection
    criteria: Mapping[str, Any] = field(default_factory=dict)
    fields: Sequence[str] = ()
    sort: Sequence[str] = ()
    limit: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Fields of the rows: those selected, or all, with the key first."""
        known = dict.fromkeys((*KEYS[self.collection], *_fields(self.collection)))
        return tuple(self.fields or known)

    def for_study(self, study: str | None) -> CollectionQuery:
        """Restrict the query to one study.

        Parameters
        ----------
        study : str or None
            Name of the study; None for all.
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
    """Parse the options of a command, and validate all names in them.

    MongoDB would return no rows for a misspelt field.

    Parameters
    ----------
    collection : str
        Name of a result collection.
    query : str
        Mongo-style criteria, JSON.
    fields : str
        Fields of the rows, separated by commas; empty for all.
    sort : str
        Fields to sort by, separated by commas, with a leading ``-`` for descending.
    limit : int
        Maximum number of rows; 0 for all.

    Raises
    ------
    InputError
        If a name is not known, or the criteria are not a JSON object.
    """
    parsed = CollectionQuery(
        collection=_parse_collection(collection),
        criteria=_parse_criteria(query),
        fields=_split(fields),
        sort=_split(sort),
        limit=limit,
    )
    sorted_by = [name.removeprefix("-") for name in parsed.sort]
    for name in (*parsed.fields, *sorted_by, *_list_names(parsed.criteria)):
        _validate_field(name, parsed.collection)
    return parsed


def run_query(store: JobStore, query: CollectionQuery) -> list[dict[str, Any]]:
    """Run a query and return its rows, with the columns of the query.

    Parameters
    ----------
    store : JobStore
        Store whose database has the collection.
    query : CollectionQuery
        The query.

    Raises
    ------
    InputError
        If the store rejects the criteria.
    """
    order = {n.removeprefix("-"): -1 if n[0] == "-" else 1 for n in query.sort}
    with _open(store, query) as target:
        found = list(
            target.query(
                dict(query.criteria),
                list(query.columns),
                sort=order or None,
                limit=query.limit,
            )
        )
    return [{name: row.get(name) for name in query.columns} for row in found]


def count_rows(store: JobStore, query: CollectionQuery) -> int:
    """Count the rows that match a query, without its limit.

    Parameters
    ----------
    store : JobStore
        Store whose database has the collection.
    query : CollectionQuery
        The query.
    """
    with _open(store, query) as target:
        count: int = target.count(dict(query.criteria))
    return count


def is_built(store: JobStore, study: str | None) -> bool:
    """Check whether the result collections have rows of a study.

    Parameters
    ----------
    store : JobStore
        Store whose database has the collections.
    study : str or None
        Name of the study; None for any.
    """
    with open_collection(store, BUILDER_STATE) as state:
        return bool(state.count({} if study is None else {"study": study}))


@contextmanager
def _open(store: JobStore, query: CollectionQuery) -> Iterator[MongoStore]:
    """Open the collection of a query; describe in one line why a query fails."""
    try:
        with open_collection(store, query.collection.value) as target:
            yield target
    except (PyMongoError, MontyError, TypeError, ValueError, re.error) as error:
        reason = str(error).partition(", full error")[0]
        raise InputError(f"--query: expected a Mongo query, got: {reason}") from error


def _parse_collection(name: str) -> Collection:
    """Find a collection by its name."""
    try:
        return Collection(name)
    except ValueError as error:
        known = ", ".join(Collection)
        raise InputError(
            f"--collection: expected one of {known}, got {name}"
        ) from error


def _parse_criteria(query: str) -> dict[str, Any]:
    """Parse criteria."""
    try:
        criteria = json.loads(query)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"--query: expected JSON such as "
            f'{{"status": "max_steps"}}, got {quote(query)}: {error}'
        ) from error
    if not isinstance(criteria, dict):
        raise InputError(f"--query: expected a JSON object, got {query!r}")
    return criteria


def _split(names: str) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _list_names(criteria: object) -> Iterator[str]:
    """List the fields in criteria, including those within logical operators."""
    if isinstance(criteria, list):
        for part in criteria:
            yield from _list_names(part)
    elif isinstance(criteria, dict):
        for key, value in criteria.items():
            if key in {"$and", "$or", "$nor"}:
                yield from _list_names(value)
            elif not key.startswith("$"):
                yield key.partition(".")[0]


def _validate_field(name: str, collection: Collection) -> None:
    """Reject a field that the rows of a collection lack; suggest the nearest."""
    known = _fields(collection)
    if name in known:
        return
    nearest = get_close_matches(name, known, 1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(known)}"
    raise InputError(f"{collection} has no field {name}; {hint}")


def _fields(collection: Collection) -> tuple[str, ...]:
    """List the fields of a collection, then those that all collections share."""
    own = [
        name for name in ROWS[collection].model_fields if name not in Row.model_fields
    ]
    return (*own, *Row.model_fields)
