"""Pages of documents over HTTP, asked for patiently and kept on disk."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import orjson

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Environment variable of the key; no study and no document holds it.
KEY_VARIABLE = "MP_API_KEY"

#: Times that a page is asked for, and the wait after the first in s; then it doubles.
MAX_ATTEMPTS, FIRST_WAIT, MAX_WAIT = 7, 1.0, 120.0

#: Silence in s after which a server is given up.
TIMEOUT = 60.0

#: Documents of a page.
PAGE_SIZE = 1000

#: Answers of a server that may be better later; 429 asks for patience.
PASSING = {408, 425, 429, 500, 502, 503, 504}

#: Answers that the key is not good for.
FORBIDDEN = {401, 403}


@dataclass(frozen=True)
class PagedApi:
    """A server of the Materials Project's kind.

    Parameters
    ----------
    endpoint : str
        Where it is, such as ``https://api.materialsproject.org``.
    cache : Path
        Folder of the pages that are there already.
    """

    endpoint: str
    cache: Path

    def fetch_documents(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Fetch all documents that a query matches, page by page.

        Parameters
        ----------
        path : str
            Path below the endpoint, such as ``materials/tasks/``.
        **parameters : str
            The query.

        Yields
        ------
        dict
            A document.

        Raises
        ------
        InputError
            If the server does not answer, has another layout, or refuses the key or
            the query.
        """
        n_documents = 0
        while True:
            window = {"_limit": str(PAGE_SIZE), "_skip": str(n_documents)}
            page = self._load(path, parameters | window)
            documents = page["data"]
            yield from documents
            n_documents += len(documents)
            if not documents or n_documents >= page["meta"]["total_doc"]:
                return

    def fetch_version(self) -> str:
        """Fetch the version of the database, which is not kept.

        Returns
        -------
        str
            A version such as ``2025_09_25``.

        Raises
        ------
        InputError
            If the server does not answer or does not say.
        """
        body = _fetch(f"{self.endpoint.rstrip('/')}/heartbeat", _check_heartbeat)
        version: str = orjson.loads(body)["db_version"]
        return version

    def _load(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        """Read a page that is kept, or fetch and keep it.

        A page is kept under the hashes of what was asked and of what was answered.
        """
        query = urlencode(sorted(parameters.items()))
        url = f"{self.endpoint.rstrip('/')}/{path}?{query}"
        asked = _hash(url.encode())
        folder = self.cache / asked[:2]
        for kept in folder.glob(f"{asked}-*.json"):
            body = kept.read_bytes()
            if kept.stem == f"{asked}-{_hash(body)}":
                return _check_page(body)
            kept.unlink()
        body = _fetch(url, _check_page)
        _keep(folder / f"{asked}-{_hash(body)}.json", body)
        return _check_page(body)


def _fetch(url: str, check: Callable[[bytes], object]) -> bytes:
    """Ask until the answer is whole, with longer and longer waits."""
    key, reason = os.environ.get(KEY_VARIABLE), ""
    if not key:
        raise InputError(f"expected a key in ${KEY_VARIABLE}, got it unset")
    for attempt in range(MAX_ATTEMPTS):
        asked_for = 0.0
        try:
            body = _ask(url, key)
            check(body)
        except HTTPError as error:
            with error:
                _refuse_for_good(error, url)
                reason, asked_for = f"HTTP {error.code}", _read_wait(error)
        except (OSError, HTTPException, ValueError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
        else:
            return body
        if attempt < MAX_ATTEMPTS - 1:
            time.sleep(min(max(FIRST_WAIT * 2**attempt, asked_for), MAX_WAIT))
    raise InputError(
        f"expected {_shorten(url)} to answer, got {reason} the last of {MAX_ATTEMPTS} "
        "times; what was fetched before is kept"
    )


def _ask(url: str, key: str) -> bytes:
    """Ask once; the key is not handed on to where the server may send us."""
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310
    request.add_unredirected_header("X-API-KEY", key)
    with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        body: bytes = response.read()
        return body


def _refuse_for_good(error: HTTPError, url: str) -> None:
    """Stop where asking again is no use."""
    if error.code in FORBIDDEN:
        raise InputError(
            f"expected {_shorten(url)} to take the key in ${KEY_VARIABLE}, got HTTP "
            f"{error.code}"
        ) from error
    if error.code not in PASSING:
        raise InputError(
            f"expected {_shorten(url)} to take the query, got HTTP {error.code}"
        ) from error


def _read_wait(error: HTTPError) -> float:
    """Read for how many seconds the server wants to be left alone."""
    said = error.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def _check_page(body: bytes) -> dict[str, Any]:
    """Parse a page; refuse another layout."""
    page = orjson.loads(body)
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise TypeError("no list of documents as `data`")
    meta = page.get("meta")
    if not isinstance(meta, dict) or not isinstance(meta.get("total_doc"), int):
        raise TypeError("no number of documents as `meta.total_doc`")
    if not all(isinstance(document, dict) for document in page["data"]):
        raise TypeError("something else among the documents")
    return page


def _check_heartbeat(body: bytes) -> None:
    """Refuse an answer without the version of the database."""
    answer = orjson.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("db_version"), str):
        raise TypeError("no `db_version`")


def _keep(path: Path, body: bytes) -> None:
    """Write a page whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(body)
    unfinished.replace(path)


def _hash(content: bytes) -> str:
    """Name bytes by their content."""
    return hashlib.sha256(content).hexdigest()[:32]


def _shorten(url: str) -> str:
    """Leave the query out of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
