"""Local HTTP server with the interface of the Materials Project and set failures."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "key-of-a-test"

#: Parameters of a query that select documents, and the key of the document.
CHOICES = {
    "material_ids": "material_id",
    "chemsys": "chemsys",
    "thermo_types": "thermo_type",
    "task_ids": "task_id",
}


@dataclass
class ProjectServer:
    """Documents by path, requests so far, and failures to come.

    Parameters
    ----------
    collections : dict
        Documents by path.
    failures : list
        Responses to the next requests, in order: a status, the headers of a 429,
        ``cut`` for a truncated body, or a body.
    """

    collections: dict[str, list[dict[str, Any]]]
    failures: list[Any] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    version: str = "2025_09_25"
    page_size: int = 1000
    endpoint: str = ""
    redirect: str = ""

    def respond(self, path: str) -> dict[str, Any]:
        """Return the page of the documents that match a query."""
        url = urlsplit(path)
        query = {key: value[0] for key, value in parse_qs(url.query).items()}
        if url.path == "/heartbeat":
            return {"status": "OK", "db_version": self.version}
        documents = self.collections[url.path]
        for name, key in CHOICES.items():
            if name in query:
                chosen = query[name].split(",")
                documents = [d for d in documents if d[key] in chosen]
        start, limit = int(query["_skip"]), int(query["_limit"])
        page = documents[start : start + min(limit, self.page_size)]
        fields = query["_fields"].split(",")
        data = [{key: d[key] for key in fields if key in d} for d in page]
        return {"data": data, "meta": {"total_doc": len(documents)}}


class _Handler(BaseHTTPRequestHandler):
    """Responds for a :class:`ProjectServer`, or fails as set."""

    project: ProjectServer

    def do_GET(self) -> None:
        project = self.project
        project.requests.append(self.path)
        failure = project.failures.pop(0) if project.failures else None
        if self.headers["X-API-KEY"] != KEY:
            failure = 403
        if project.redirect:
            self._send(302, b"", {"Location": project.redirect})
        elif isinstance(failure, int):
            self._send(failure, b"{}")
        elif isinstance(failure, dict):
            self._send(429, b"{}", failure)
        elif failure == "cut":
            self._send(200, b'{"data": [', {"Content-Length": "1000"})
        elif failure is not None:
            self._send(200, failure.encode())
        else:
            self._send(200, json.dumps(project.respond(self.path)).encode())

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serve(project: ProjectServer) -> Iterator[ProjectServer]:
    """Serve on a free local port while the block runs."""
    handler = type("Handler", (_Handler,), {"project": project})
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    project.endpoint = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield project
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
