"""A server of a test's own, which takes what is sent to it."""

import threading
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TypeVar

Server = TypeVar("Server", bound=HTTPServer)


class Receiving(BaseHTTPRequestHandler):
    """One request with a body, of which nothing is said."""

    @abstractmethod
    def receive(self, body: bytes) -> int:
        """Take what was sent; return the status of the answer."""

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.receive(body))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving(server: Server) -> Iterator[Server]:
    """Let a server take what comes while the block lasts."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
