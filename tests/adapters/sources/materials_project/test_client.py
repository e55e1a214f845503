from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.adapters.sources.materials_project.project_server import (
    KEY,
    ProjectServer,
    serve,
)

from nextrung.adapters.sources.materials_project import client
from nextrung.adapters.sources.materials_project.client import PagedApi
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "materials/tasks/"
DOCUMENTS = [{"task_id": f"t{index}", "x": index} for index in range(7)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectServer]:
    monkeypatch.setenv("MP_API_KEY", KEY)
    with serve(ProjectServer({f"/{PATH}": DOCUMENTS})) as server:
        yield server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits in s, which are skipped."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def api(server: ProjectServer, tmp_path: Path) -> PagedApi:
    return PagedApi(server.endpoint, tmp_path / "pages")


def fetch(api: PagedApi) -> list[object]:
    return [document["x"] for document in api.fetch_documents(PATH, _fields="x")]


def test_all_pages_are_fetched_in_order(
    api: PagedApi, server: ProjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 3)

    assert fetch(api) == list(range(7))
    assert len(server.requests) == 3


def test_a_server_may_have_smaller_pages(api: PagedApi, server: ProjectServer) -> None:
    server.page_size = 2

    assert fetch(api) == list(range(7))


def test_no_documents_are_a_valid_response(
    api: PagedApi, server: ProjectServer
) -> None:
    server.collections[f"/{PATH}"] = []

    assert fetch(api) == []


def test_a_cached_page_is_not_fetched_again(
    api: PagedApi, server: ProjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no key."""
    first = fetch(api)
    n_requests = len(server.requests)
    monkeypatch.delenv("MP_API_KEY")

    assert fetch(api) == first
    assert len(server.requests) == n_requests


def test_a_damaged_page_is_fetched_again(api: PagedApi, server: ProjectServer) -> None:
    first = fetch(api)
    (page,) = api.cache.rglob("*.json")
    page.write_bytes(page.read_bytes()[:-5])

    assert fetch(api) == first
    assert len(server.requests) == 2
    assert len(list(api.cache.rglob("*.*"))) == 1


@pytest.mark.parametrize(
    "failure",
    [
        *(429, 500, 502, 503),
        *("cut", "no JSON", "[]", '{"data": {}}', '{"data": []}'),
        *('{"data": [1], "meta": {"total_doc": 1}}', '{"data": [], "meta": []}'),
    ],
    ids=str,
)
def test_temporary_failures_are_retried(
    failure: object, api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [failure] * 3

    assert fetch(api) == list(range(7))
    assert waits == [2, 4]


def test_the_wait_that_a_server_requests_is_kept_up_to_a_limit(
    api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [{"Retry-After": "30"}, {"Retry-After": "9999"}]

    assert fetch(api) == list(range(7))
    assert waits == [30, 120]


def test_the_last_failed_attempt_is_a_one_line_error(
    api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [503] * 7

    with pytest.raises(
        InputError, match=r"expected .*tasks/ to respond, got HTTP 503 the last of 7 ti"
    ):
        fetch(api)

    assert waits == [2, 4, 8, 16, 32]
    assert len(server.requests) == 7


def test_an_interrupted_download_resumes_at_its_first_missing_page(
    api: PagedApi,
    server: ProjectServer,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 3)
    documents = api.fetch_documents(PATH, _fields="x")
    for _ in range(4):
        next(documents)
    server.failures = [500] * 7
    with pytest.raises(InputError, match="pages fetched before are kept"):
        list(documents)
    n_requests = len(server.requests)

    assert fetch(api) == list(range(7))
    assert len(server.requests) == n_requests + 1
    assert waits


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, r"to take the key in \$MP_API_KEY, got HTTP 403"),
        (401, r"to take the key in \$MP_API_KEY, got HTTP 401"),
        (422, "to take the query, got HTTP 422"),
        (404, "to take the query, got HTTP 404"),
    ],
)
def test_permanent_failures_are_not_retried(
    status: int, reason: str, api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [status]

    with pytest.raises(InputError, match=reason) as caught:
        fetch(api)

    assert waits == []
    assert KEY not in str(caught.value)


def test_a_missing_key_is_a_one_line_error(
    api: PagedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MP_API_KEY")

    with pytest.raises(InputError, match=r"a key in \$MP_API_KEY, got it unset"):
        fetch(api)


def test_a_refused_connection_is_a_one_line_error_without_the_key(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    api = PagedApi("http://127.0.0.1:9", tmp_path)

    with pytest.raises(
        InputError, match=r"heartbeat to respond, got .*refused"
    ) as caught:
        api.fetch_version()

    assert len(waits) == 5
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_version_is_never_cached(api: PagedApi, server: ProjectServer) -> None:
    assert api.fetch_version() == "2025_09_25"
    server.version = "2025_10_01"
    assert api.fetch_version() == "2025_10_01"


def test_a_heartbeat_without_a_version_is_fetched_again(
    api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = ['{"status": "OK"}'] * 2

    assert api.fetch_version() == "2025_09_25"
    assert waits == [2]


def test_a_redirect_does_not_receive_the_key(
    api: PagedApi, server: ProjectServer
) -> None:
    """The other server responds with 403 to a request without the key."""
    with serve(ProjectServer({})) as other:
        server.redirect = f"{other.endpoint}/heartbeat"

        with pytest.raises(InputError, match="got HTTP 403"):
            api.fetch_version()

        assert other.requests == ["/heartbeat"]
