"""The proxy does what each fault says, to one request, and counts it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from settlement_lab.rehearse.faults import FAULTS, FaultProxy

seen: list[bytes] = []


class _Bank(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.end_headers()
        self.wfile.write(b"taken, all of it")

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    seen.clear()
    bank = HTTPServer(("127.0.0.1", 0), _Bank)
    threading.Thread(target=bank.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    proxy = FaultProxy(f"http://127.0.0.1:{bank.server_address[1]}", silence_seconds=0.3)
    yield proxy
    proxy.close()
    bank.shutdown()
    bank.server_close()


@pytest.mark.parametrize(
    ("fault", "arrives", "answer"),
    [
        ("refuse", 0, None),
        ("drop_before", 0, None),
        ("drop_after", 1, None),
        ("silent_before", 0, None),
        ("silent_after", 1, None),
        ("error_before", 0, 503),
        ("error_after", 1, 503),
        ("duplicate", 2, 202),
        ("truncate", 1, None),
        ("delay", 1, 202),
    ],
)
def test_a_fault_does_what_it_says_once(proxy: FaultProxy, fault: str, arrives: int, answer: int | None) -> None:
    faults = [fault]
    proxy.plan = lambda _method, _path: faults.pop() if faults else None
    if answer is None:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{proxy.url}/payments", content=b"file", timeout=5, trust_env=False)
    else:
        assert httpx.post(f"{proxy.url}/payments", content=b"file", trust_env=False).status_code == answer
    assert seen == [b"file"] * arrives
    assert httpx.post(f"{proxy.url}/payments", content=b"next", trust_env=False).text == "taken, all of it"
    assert proxy.injected == {fault: 1}
    assert fault in FAULTS
