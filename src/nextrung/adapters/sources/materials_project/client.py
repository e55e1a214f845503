"""HTTP client of the Materials Project with retries and a cache of pages on disk."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import orjson
from requests import RequestException, Session
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import MaxRetryError, ProtocolError

from nextrung.atomic_write import atomic_write
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests import PreparedRequest, Response

#: Environment variable of the API key, which no study and no document contains.
KEY_VARIABLE, KEY_HEADER = "MP_API_KEY", "X-API-KEY"

#: Timeout of a connection and of a read in s.
TIMEOUT = 60.0

#: Documents of a page.
PAGE_SIZE = 1000

#: HTTP status codes of a rejected key.
FORBIDDEN = {401, 403}

#: Requests of a page, and the longest wait between two in s.
MAX_ATTEMPTS, MAX_WAIT = 7, 120

#: Retries after failed connections and temporary errors of the server.
RETRIES = Retry(
    total=MAX_ATTEMPTS - 1,
    status_forcelist={408, 425, 429, 500, 502, 503, 504},
    backoff_factor=1.0,
    backoff_max=MAX_WAIT,
    retry_after_max=MAX_WAIT,
    raise_on_status=False,
)


@dataclass(frozen=True)
class PagedApi:
    """A server with the interface of the Materials Project.

    Parameters
    ----------
    endpoint : str
        Address, such as ``https://api.materialsproject.org``.
    cache : Path
        Folder of pages that were fetched before.
    """

    endpoint: str
    cache: Path

    def fetch_documents(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Fetch all documents that match a query, page by page.

        Parameters
        ----------
        path : str
            Path below the endpoint, such as ``materials/tasks/``.
        **parameters : str
            The query.

        Raises
        ------
        InputError
            If the server does not respond, has another layout, or rejects the key or
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
        """Fetch the version of the database, such as ``2025_09_25``; never cached.

        Raises
        ------
        InputError
            If the server does not respond or gives no version.
        """
        body = _fetch(f"{self.endpoint.rstrip('/')}/heartbeat", _check_heartbeat)
        version: str = orjson.loads(body)["db_version"]
        return version

    def _load(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        """Read a page from the cache, or fetch and cache it.

        The file name holds the hashes of the request and of the response.
        """
        query = urlencode(sorted(parameters.items()))
        url = f"{self.endpoint.rstrip('/')}/{path}?{query}"
        request = _hash(url.encode())
        folder = self.cache / request[:2]
        for cached in folder.glob(f"{request}-*.json"):
            body = cached.read_bytes()
            if cached.stem == f"{request}-{_hash(body)}":
                return _check_page(body)
            cached.unlink()
        body = _fetch(url, _check_page)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{request}-{_hash(body)}.json") as file:
            file.write_bytes(body)
        return _check_page(body)


class _Session(Session):
    """Session that sends the API key to the endpoint only."""

    def rebuild_auth(
        self,
        prepared_request: PreparedRequest,
        response: Response,  # noqa: ARG002
    ) -> None:
        """Drop the API key from a redirected request."""
        prepared_request.headers.pop(KEY_HEADER, None)


def _fetch(url: str, check: Callable[[bytes], object]) -> bytes:
    """Fetch a body; retry where the connection, the server or the body fails."""
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise InputError(f"expected a key in ${KEY_VARIABLE}, got it unset")
    adapter = HTTPAdapter(max_retries=RETRIES)
    with _Session() as session:
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.headers.update({"Accept": "application/json", KEY_HEADER: key})
        try:
            while True:
                with session.get(url, timeout=TIMEOUT, stream=True) as response:
                    _check_status(response.status_code, url)
                    retries = response.raw.retries or RETRIES
                    try:
                        check(response.content)
                    except (RequestException, ValueError, TypeError) as error:
                        failure = ProtocolError(_describe(error))
                        adapter.max_retries = retries.increment("GET", error=failure)
                    else:
                        return response.content
                adapter.max_retries.sleep()
        except (RequestException, MaxRetryError) as error:
            raise InputError(_describe_failure(url, _describe(error))) from error


def _check_status(status: int, url: str) -> None:
    """Raise for a status that no retry improves, or that no retry has improved."""
    if status in FORBIDDEN:
        raise InputError(
            f"expected {_shorten(url)} to take the key in ${KEY_VARIABLE}, got HTTP "
            f"{status}"
        )
    if status in RETRIES.status_forcelist:
        raise InputError(_describe_failure(url, f"HTTP {status}"))
    if status >= HTTPStatus.BAD_REQUEST:
        raise InputError(
            f"expected {_shorten(url)} to take the query, got HTTP {status}"
        )


def _describe_failure(url: str, reason: str) -> str:
    """Describe in one line that all attempts failed."""
    return (
        f"expected {_shorten(url)} to respond, got {reason} the last of {MAX_ATTEMPTS} "
        "times; pages fetched before are kept"
    )


def _describe(error: Exception) -> str:
    """Describe the first cause of a failed request in one line, without the query."""
    cause = getattr(error, "reason", None) or next(iter(error.args), None)
    if isinstance(cause, Exception):
        return _describe(cause)
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_page(body: bytes) -> dict[str, Any]:
    """Parse a page; raise where its layout is another."""
    page = orjson.loads(body)
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise TypeError("no list of documents as `data`")
    meta = page.get("meta")
    if not isinstance(meta, dict) or not isinstance(meta.get("total_doc"), int):
        raise TypeError("no number of documents as `meta.total_doc`")
    if not all(isinstance(document, dict) for document in page["data"]):
        raise TypeError("a value that is not a document in `data`")
    return page


def _check_heartbeat(body: bytes) -> None:
    """Raise where a response has no version of the database."""
    page = orjson.loads(body)
    if not isinstance(page, dict) or not isinstance(page.get("db_version"), str):
        raise TypeError("no `db_version`")


def _hash(content: bytes) -> str:
    """Hash bytes to 32 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:32]


def _shorten(url: str) -> str:
    """Remove the query from an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
