"""Embedded store whose queries decode only the documents that may match.

MontyDB reads and decodes every document of a collection for each query and each write,
arrays included. Here SQLite first selects the documents whose bytes contain the texts
that the criteria ask for; MontyDB then applies the criteria to these alone.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from sqlite3 import OperationalError, connect
from typing import TYPE_CHECKING, Any

from maggma.stores import MontyStore
from montydb.storage.sqlite import SQLITE_RECORD_TABLE, SQLiteKVEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Bytes of which a document contains at least one.
Alternatives = list[bytes]

#: Most alternatives that are searched for; with more, all documents are decoded.
MAX_ALTERNATIVES = 200

_NEEDLES: ContextVar[Sequence[Alternatives]] = ContextVar("needles", default=())


class EmbeddedStore(MontyStore):  # type: ignore[misc]
    """Store of MontyDB in SQLite files; collections are those of ``MontyStore``."""

    def connect(self, force_reset: bool = False) -> None:  # noqa: FBT001, FBT002 - as in maggma
        """Connect as ``MontyStore.connect`` does.

        Parameters
        ----------
        force_reset : bool
            Whether to connect again where the store is connected.
        """
        super().connect(force_reset)
        storage = self._coll.database.client._storage  # noqa: SLF001 - not configurable
        storage._conn = _SearchingEngine(storage._config)  # noqa: SLF001

    def query(
        self,
        criteria: Mapping[str, Any] | None = None,
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> Iterator[dict[str, Any]]:
        """Find documents as ``MontyStore.query`` does.

        Parameters
        ----------
        criteria : mapping, optional
            Mongo-style query.
        *arguments, **options : object
            Properties, sort, skip and limit.
        """
        with _searching(criteria):
            found = list(super().query(criteria, *arguments, **options))
        yield from found

    def count(
        self,
        criteria: Mapping[str, Any] | None = None,
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> int:
        """Count documents as ``MontyStore.count`` does.

        Parameters
        ----------
        criteria : mapping, optional
            Mongo-style query.
        *arguments, **options : object
            Hint.
        """
        with _searching(criteria):
            counted: int = super().count(criteria, *arguments, **options)
        return counted

    def count_rows(self) -> int:
        """Count all documents without decoding them; none before the first is written.

        Returns
        -------
        int
            Number of documents in the file.
        """
        file = Path(self.database_path) / self.database_name / self.collection_name
        try:
            with closing(
                connect(f"file:{file}.collection?mode=ro", uri=True)
            ) as opened:
                sql = f"SELECT COUNT(*) FROM [{SQLITE_RECORD_TABLE}]"  # noqa: S608 - a constant
                return int(opened.execute(sql).fetchone()[0])
        except OperationalError:
            return 0

    def update(
        self,
        docs: list[dict[str, Any]] | dict[str, Any],
        key: Any = None,  # noqa: ANN401
    ) -> None:
        """Write documents as ``MontyStore.update`` does.

        Parameters
        ----------
        docs : dict or list of dict
            The documents.
        key : str or list of str, optional
            Fields that identify a document.
        """
        names = key or self.key
        for document in docs if isinstance(docs, list) else [docs]:
            fields = names if isinstance(names, list) else [names]
            with _searching({name: document[name] for name in fields}):
                super().update(document, key)

    def remove_docs(self, criteria: Mapping[str, Any]) -> None:
        """Remove documents as ``MontyStore.remove_docs`` does.

        Parameters
        ----------
        criteria : mapping
            Mongo-style query.
        """
        with _searching(criteria):
            super().remove_docs(criteria)


class _SearchingEngine(SQLiteKVEngine):  # type: ignore[misc]
    """Access to the SQLite files of collections, with a search before the decoding."""

    def read_all(self, db_file: str, limit: int) -> Any:  # noqa: ANN401
        """Read the documents that contain the bytes that are searched for."""
        needles = _NEEDLES.get()
        if not needles or not Path(db_file).is_file():
            return super().read_all(db_file, limit)
        where = " AND ".join(
            "(" + " OR ".join(["instr(v, ?)"] * len(each)) + ")" for each in needles
        )
        sql = f"SELECT v FROM [{SQLITE_RECORD_TABLE}] WHERE {where}"  # noqa: S608 - constants
        searched = [needle for each in needles for needle in each]
        with self._connect(db_file) as connection:
            return connection.execute(sql, searched).fetchall()

    def read_all_keys(self, db_file: str) -> Any:  # noqa: ANN401, ARG002
        """Return no keys: those of new documents are unique, and SQLite checks them."""
        return []


@contextmanager
def _searching(criteria: Mapping[str, Any] | None) -> Iterator[None]:
    """Search for the texts in criteria in all that is read in the context."""
    token = _NEEDLES.set(list_needles(criteria or {}))
    try:
        yield
    finally:
        _NEEDLES.reset(token)


def list_needles(criteria: Mapping[str, Any]) -> list[Alternatives]:
    """List the bytes that every document contains that matches criteria.

    BSON holds texts as UTF-8, and names of fields with a zero byte after them.

    Parameters
    ----------
    criteria : mapping
        Mongo-style query.

    Returns
    -------
    list of list of bytes
        Of each inner list, a document contains at least one; conditions other than
        equality of texts and existence of fields restrict nothing.
    """
    needles: list[Alternatives] = []
    for field, condition in criteria.items():
        if field == "$and":
            needles += [each for part in condition for each in list_needles(part)]
        elif field == "$or":
            needles += _join_alternatives([list_needles(part) for part in condition])
        elif not field.startswith("$"):
            needles += _list_of_field(field, condition)
    return [each for each in needles if 0 < len(each) <= MAX_ALTERNATIVES]


def _list_of_field(field: str, condition: Any) -> list[Alternatives]:  # noqa: ANN401
    """List the bytes of one condition."""
    if isinstance(condition, str):
        return [[condition.encode()]]
    if not isinstance(condition, dict):
        return []
    needles: list[Alternatives] = []
    equal, among = condition.get("$eq"), condition.get("$in")
    if isinstance(equal, str):
        needles.append([equal.encode()])
    if isinstance(among, list) and all(isinstance(text, str) for text in among):
        needles.append([text.encode() for text in among])
    if condition.get("$exists") is True:
        needles.append([field.rpartition(".")[2].encode() + b"\0"])
    return needles


def _join_alternatives(parts: list[list[Alternatives]]) -> list[Alternatives]:
    """Join parts of which one has to match; nothing where one is not restricted."""
    if not all(parts):
        return []
    narrowest = (min(part, key=_breadth) for part in parts)
    return [[needle for each in narrowest for needle in each]]


def _breadth(alternatives: Alternatives) -> tuple[int, int]:
    """Return how little alternatives restrict: their number, less their length."""
    return len(alternatives), -min(map(len, alternatives))
