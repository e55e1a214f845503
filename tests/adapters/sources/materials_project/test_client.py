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
    """Seconds that would have been waited."""
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
    assert len(server.asked) == 3


def test_a_server_may_have_smaller_pages(api: PagedApi, server: ProjectServer) -> None:
    server.page_size = 2

    assert fetch(api) == list(range(7))


def test_no_documents_are_an_answer(api: PagedApi, server: ProjectServer) -> None:
    server.collections[f"/{PATH}"] = []

    assert fetch(api) == []


def test_what_was_fetched_once_is_not_fetched_again(
    api: PagedApi, server: ProjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a key is needed."""
    first = fetch(api)
    n_asked = len(server.asked)
    monkeypatch.delenv("MP_API_KEY")

    assert fetch(api) == first
    assert len(server.asked) == n_asked


def test_a_damaged_page_is_fetched_again(api: PagedApi, server: ProjectServer) -> None:
    first = fetch(api)
    (page,) = api.cache.rglob("*.json")
    page.write_bytes(page.read_bytes()[:-5])

    assert fetch(api) == first
    assert len(server.asked) == 2
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
def test_what_may_pass_is_waited_for(
    failure: object, api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [failure] * 3

    assert fetch(api) == list(range(7))
    assert waits == [1, 2, 4]


def test_a_server_may_say_how_long_it_wants_to_be_left_alone(
    api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [{"Retry-After": "30"}, {"Retry-After": "9999"}]

    assert fetch(api) == list(range(7))
    assert waits == [30, 120]


def test_patience_ends_with_one_clear_line(
    api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [503] * 7

    with pytest.raises(
        InputError, match=r"expected .*tasks/ to answer, got HTTP 503 the last of 7 tim"
    ):
        fetch(api)

    assert waits == [1, 2, 4, 8, 16, 32]


def test_a_download_that_broke_off_goes_on_where_it_was(
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
    with pytest.raises(InputError, match="what was fetched before is kept"):
        list(documents)
    n_asked = len(server.asked)

    assert fetch(api) == list(range(7))
    assert len(server.asked) == n_asked + 1
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
def test_what_does_not_pass_is_not_waited_for(
    status: int, reason: str, api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = [status]

    with pytest.raises(InputError, match=reason) as caught:
        fetch(api)

    assert waits == []
    assert KEY not in str(caught.value)


def test_a_missing_key_is_one_clear_line(
    api: PagedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MP_API_KEY")

    with pytest.raises(InputError, match=r"a key in \$MP_API_KEY, got it unset"):
        fetch(api)


def test_nobody_there_is_one_clear_line(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MP_API_KEY", KEY)
    api = PagedApi("http://127.0.0.1:9", tmp_path)

    with pytest.raises(InputError, match=r"heartbeat to answer, got .*refused"):
        api.fetch_version()

    assert len(waits) == 6


def test_the_version_is_asked_for_each_time(
    api: PagedApi, server: ProjectServer
) -> None:
    assert api.fetch_version() == "2025_09_25"
    server.version = "2025_10_01"
    assert api.fetch_version() == "2025_10_01"


def test_a_heartbeat_without_a_version_is_waited_for(
    api: PagedApi, server: ProjectServer, waits: list[float]
) -> None:
    server.failures = ['{"status": "OK"}']

    assert api.fetch_version() == "2025_09_25"
    assert waits == [1]


def test_the_key_is_not_handed_on_to_another_server(
    api: PagedApi, server: ProjectServer
) -> None:
    """The other one answers 403 to whoever has no key."""
    with serve(ProjectServer({})) as other:
        server.redirect = f"{other.endpoint}/heartbeat"

        with pytest.raises(InputError, match="got HTTP 403"):
            api.fetch_version()

        assert other.asked == ["/heartbeat"]
