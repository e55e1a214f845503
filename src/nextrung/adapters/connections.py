"""Connections to database servers: their timeout, and errors without credentials."""

from __future__ import annotations

import re
from typing import Any

#: Longest time in ms that a command waits for a server; workers wait longer, as their
#: configuration says.
TIMEOUT = 10_000

#: User and password of a URI, up to the last ``@`` of a word or quoted text.
_USERINFO = re.compile(r"://[^\s'\"]*@")

#: Options of a URI that hold a secret, such as ``tlsCertificateKeyFilePassword``.
_SECRET_OPTION = re.compile(
    r"((?:password|token|secret)\w*[=:])[^&,\s'\"]+", re.IGNORECASE
)

#: What drivers quote of a URI that they cannot parse may be part of its password.
_QUOTED = re.compile(r"(['\"]).*\1")


def limit_timeout(options: dict[str, Any]) -> None:
    """Limit the time that a connection waits for its server to that of commands.

    Parameters
    ----------
    options : dict
        Options of a ``MongoClient``, changed in place.
    """
    chosen = options.get("serverSelectionTimeoutMS", TIMEOUT)
    options["serverSelectionTimeoutMS"] = min(chosen, TIMEOUT)


def redact_credentials(text: str) -> str:
    """Replace users and passwords of URIs in a text by ``***``.

    Parameters
    ----------
    text : str
        Any text, such as the message of a driver or the URI of a server.

    Returns
    -------
    str
        The text; hosts, ports and databases are kept.
    """
    return _SECRET_OPTION.sub(r"\1***", _USERINFO.sub("://***@", text))


def describe_server(host: object) -> str:
    """Describe the server of a configuration, which may be named by a URI.

    Parameters
    ----------
    host : object
        Host or URI; its user and password are dropped, also where they are not
        percent-encoded as URIs require.

    Returns
    -------
    str
        The host; a URI without credentials.
    """
    scheme, separator, rest = str(host).rpartition("@")
    if not separator:
        return redact_credentials(rest)
    return redact_credentials(f"{scheme.partition('://')[0]}://***@{rest}")


def describe_connection_error(error: BaseException) -> str:
    """Describe the error of a database driver in one line.

    Parameters
    ----------
    error : BaseException
        Any exception of pymongo, maggma, FireWorks or monty.

    Returns
    -------
    str
        The first line of its message without credentials and description of the
        topology; its type where it has no message.
    """
    message = next(iter(str(error).strip().splitlines()), "").partition(", Timeout:")[0]
    if "URI" in type(error).__name__:
        message = _QUOTED.sub("***", message)
    return redact_credentials(message) or type(error).__name__
