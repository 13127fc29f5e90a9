"""A proxy in front of the bank that misbehaves as networks do, once for each fault that it is given.

Each request asks the plan for its fault. What a fault does is done to that request alone, and counted when it was done:

| fault | the request reaches the bank | the answer reaches the caller |
|---|---|---|
| `refuse` | no: the connection is closed before a byte is read | no |
| `drop_before` | no: read and thrown away | no: the connection closes |
| `drop_after` | yes | no: the connection closes |
| `silent_before`, `silent_after` | no; yes | no: nothing is said until the caller gives up |
| `error_before`, `error_after` | no; yes | 503 instead |
| `duplicate` | twice | the second one |
| `truncate` | yes | half of it |
| `delay` | yes, late | yes |
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = (
    "refuse",
    "drop_before",
    "drop_after",
    "silent_before",
    "silent_after",
    "error_before",
    "error_after",
    "duplicate",
    "truncate",
    "delay",
)

Plan = Callable[[str, str], str | None]
"""From method and path to the fault of this request, or None."""


def no_faults(_method: str, _path: str) -> str | None:
    """Let everything pass."""
    return None


class FaultProxy:
    """A running proxy in front of `target`; `injected` counts the faults by kind. Close it in the end."""

    def __init__(self, target: str, *, silence_seconds: float = 3.0, delay_seconds: float = 0.05) -> None:
        parts = urlsplit(target)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.silence_seconds = silence_seconds
        self.delay_seconds = delay_seconds
        self.plan: Plan = no_faults
        self.injected: Counter[str] = Counter()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.own_host, self.own_port = "127.0.0.1", int(self._server.server_address[1])
        self.url = f"http://{self.own_host}:{self.own_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the proxy."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Hand a request to the bank and return status, content type and body of its answer."""
        connection = HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type") or "application/octet-stream", answer.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: FaultProxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        proxy = self.server.proxy
        fault = proxy.plan(self.command, self.path)
        if fault:
            proxy.injected[fault] += 1
        self.close_connection = True
        body = b""
        if fault != "refuse":
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault in ("refuse", "drop_before"):
            return self._hang_up()
        if fault == "silent_before":
            return self._say_nothing()
        if fault == "error_before":
            return self._answer(503, "text/plain", b"the bank is busy")
        if fault == "delay":
            time.sleep(proxy.delay_seconds)
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() in ("content-type", "authorization", "accept")
        }
        try:
            if fault == "duplicate":
                proxy.forward(self.command, self.path, body, headers)
            status, kind, said = proxy.forward(self.command, self.path, body, headers)
        except OSError:
            return self._hang_up()
        if fault == "drop_after":
            return self._hang_up()
        if fault == "silent_after":
            return self._say_nothing()
        if fault == "error_after":
            return self._answer(503, "text/plain", b"the bank is busy")
        if fault == "truncate":
            return self._answer(status, kind, said[: len(said) // 2], length=len(said))
        return self._answer(status, kind, said)

    def _answer(self, status: int, kind: str, body: bytes, *, length: int | None = None) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

    def _say_nothing(self) -> None:
        with suppress(OSError):
            self.connection.settimeout(self.server.proxy.silence_seconds)
            self.connection.recv(1)  # ends when the caller gives up
        self._hang_up()

    def _hang_up(self) -> None:
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
