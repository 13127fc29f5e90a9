"""A server that answers as it is told, down to the byte, and can also not answer at all."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

Answer = Callable[[socket.socket], None]


def saying(status: int, body: bytes = b"", *, length: int | None = None, is_framed: bool = True) -> Answer:
    """Answer with this body; [length] may lie about it, and without a frame the end of the connection is its end."""
    framing = f"Content-Length: {len(body) if length is None else length}\r\n" if is_framed else ""
    head = f"HTTP/1.1 {status} Said\r\nConnection: close\r\n{framing}\r\n".encode()
    return lambda connection: connection.sendall(head + body)


def silence(seconds: float) -> Answer:
    """Take the request and say nothing."""
    return lambda _connection: time.sleep(seconds)


def reset(connection: socket.socket) -> None:
    """Take the request and break the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def dripping(seconds: float) -> Answer:
    """Send a byte now and then, each soon enough for a time-out per byte."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 202 Said\r\nContent-Length: 1000\r\n\r\n")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection.sendall(b" ")
            time.sleep(0.05)

    return drip


def garbage(connection: socket.socket) -> None:
    """Answer something that is not HTTP."""
    connection.sendall(b"220 welcome to the wrong port\r\n")


@dataclass
class BadBank:
    """`script` maps the start of a request line to the answers it gets, one after the other, the last one for ever."""

    script: dict[str, list[Answer]]
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue

    def _answer(self, connection: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (chunk := connection.recv(65536)):
                return
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        request = head.split(b" HTTP/")[0].decode()
        self.requests.append(request)
        self.bodies.append(body)
        for start, answers in self.script.items():
            if request.startswith(start):
                (answers.pop(0) if len(answers) > 1 else answers[0])(connection)
                return
        saying(404)(connection)
