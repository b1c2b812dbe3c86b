"""A receiver of webhooks on this machine, for tests: what comes in, and answers as told."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One request: its headers by lower-case name, its body, and its path with the query."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    path: str = "/"

    @property
    def data(self) -> dict[str, Any]:
        """What the message's system would read."""
        return json.loads(self.body)["data"]

    @property
    def content(self) -> bytes:
        """The e-mail in it."""
        return base64.b64decode(self.data["content"])


@dataclass(frozen=True)
class Answer:
    """What a receiver says; `hang_up`: nothing, after it has read the request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hang_up: bool = False
    body: bytes = b""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: the package's own
        """Who was killed hangs up: that is no news. Anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Receiver:
    """Serves on a free port until it is closed; requests in the order of their arrival.

    Parameters
    ----------
    answer
        The answer to each request.
    """

    def __init__(self, answer: Callable[[Received], Answer]) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                receiver.connections += 1
                super().setup()

            def do_GET(self) -> None:  # the library's name
                self.do_POST()

            def do_POST(self) -> None:  # the library's name
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                received = Received(
                    {k.lower(): v for k, v in self.headers.items()}, body, self.path
                )
                receiver.requests.append(received)
                said = answer(received)
                if said.hang_up:
                    self.close_connection = True
                    return
                self.send_response(said.status)
                for name, value in {"Content-Length": str(len(said.body)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = _Server((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}/hook?shop=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
