"""Errors of database drivers."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from nextrung.adapters.connections import (
    describe_connection_error,
    describe_server,
    redact_credentials,
)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("localhost:27017: refused", "localhost:27017: refused"),
        ("at mongodb://me:secret@db:1/a, got", "at mongodb://***@db:1/a, got"),
        ("mongodb+srv://me:se@cret/@db", "mongodb+srv://***@db"),
        (
            "mongodb://a:1@x,b:2@y/?password=secret&a=b",
            "mongodb://***@y/?password=***&a=b",
        ),
        ("mail me@db.org", "mail me@db.org"),
    ],
)
def test_users_and_passwords_of_uris_are_replaced(text: str, redacted: str) -> None:
    assert redact_credentials(text) == redacted


def test_a_server_is_described_without_a_password_that_is_not_encoded() -> None:
    assert describe_server("mongodb://me:se cr/e@t@db:1/a") == "mongodb://***@db:1/a"
    assert describe_server("db.example.org") == "db.example.org"


@pytest.mark.parametrize(
    "password",
    ["hidden", "/hidden", "hid/hidden", ":hidden", "?hidden", "%hidden", "@hidden"],
)
@pytest.mark.parametrize("rest", ["@127.0.0.1:1/db", "@127.0.0.1:port", "@[::1"])
def test_no_message_of_the_driver_quotes_the_password(password: str, rest: str) -> None:
    error: Exception | None = None
    client: MongoClient[dict[str, Any]]
    try:
        uri = f"mongodb://me:{password}{rest}"
        with MongoClient(uri, serverSelectionTimeoutMS=50) as client:
            client.admin.command("ping")
    except (PyMongoError, ValueError) as raised:
        error = raised

    assert error is not None
    described = describe_connection_error(error)
    assert "hidden" not in described
    assert "\n" not in described


def test_only_the_first_line_of_a_message_is_told() -> None:
    """Later lines of pydantic's quote the input, with its passwords."""
    assert describe_connection_error(ValueError("1 error\nfor x: secret")) == "1 error"


def test_an_error_without_message_is_described_by_its_type() -> None:
    assert describe_connection_error(KeyError()) == "KeyError"
