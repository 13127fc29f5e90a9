"""A Slack that misbehaves on purpose, as a process of its own: `python faulty_slack.py PORT SEED`.

It keeps messages in memory and fails a few per cent of the calls, by its seed: 429 with Retry-After, 500, 503,
`internal_error` before and after posting, an answer that comes too late or is cut short, a connection reset before and
after posting, a proxy that answers in Slack's place before and after posting, and minutes (here: seconds) in which
nothing gets through. `GET /state` returns what people would see, and what it did. `POST /delete` is a person who
deletes a root: its replies stand below a tombstone from then on, and Slack takes more of them without a word.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

FAULTS = {
    "ratelimited": 0.02,
    "http_500": 0.005,
    "http_503": 0.005,
    "internal_error_before": 0.005,
    "internal_error_after": 0.01,
    "late_answer": 0.003,
    "late_request": 0.002,
    "reset_before": 0.005,
    "reset_after": 0.01,
    "cut_after": 0.005,
    "proxy_before": 0.02,
    "proxy_after": 0.02,
}
# What a proxy answers with. It is a redirect that leads to its login page, or this in its own words.
PROXY_STATUSES = (200, 302, 307, 403, 404, 407, 408, 413, 429, 499, 502, 504)
PROXY_BODIES = (b"<html>Sign in to go on</html>", b"", b'{"ok": true, "ts": "17', b'{"ok": true}', b'{"message": "no"}')
LATE_SECONDS = 1.5
DOWN_EVERY_SECONDS, DOWN_SECONDS = 25.0, 6.0


class Workspace:
    """What is said, by channel and ts, and the dice."""

    def __init__(self, seed: int) -> None:
        self.lock = threading.Lock()
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        self.by_thread: dict[tuple[str, str], list[str]] = {}
        self.dice = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.begun = time.monotonic()
        self.last_ts = 0.0
        self.deleted: set[tuple[str, str]] = set()

    def fault(self) -> str | None:
        with self.lock:
            if (time.monotonic() - self.begun) % DOWN_EVERY_SECONDS > DOWN_EVERY_SECONDS - DOWN_SECONDS:
                self.counts["down"] += 1
                return "down"
            roll = self.dice.random()
            for name, share in FAULTS.items():
                roll -= share
                if roll < 0:
                    self.counts[name] += 1
                    return name
        return None

    def proxy(self) -> tuple[int, bytes]:
        """Return what the proxy says this time."""
        with self.lock:
            return self.dice.choice(PROXY_STATUSES), self.dice.choice(PROXY_BODIES)

    def delete_a_root(self) -> None:
        """Delete a root that still stands."""
        with self.lock:
            roots = [
                (channel, ts)
                for channel, by_ts in self.messages.items()
                for ts, message in by_ts.items()
                if message["thread_ts"] is None
            ]
            if roots:
                channel, ts = self.dice.choice(roots)
                del self.messages[channel][ts]
                self.by_thread[channel, ""].remove(ts)
                self.deleted.add((channel, ts))
                self.counts["deleted"] += 1

    def answer(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.counts[method] += 1
            channel = self.messages.setdefault(given["channel"], {})
            if method == "chat.postMessage":
                self.last_ts = max(time.time(), self.last_ts + 0.000001)
                ts = f"{self.last_ts:.6f}"
                channel[ts] = {
                    "ts": ts,
                    "thread_ts": given.get("thread_ts"),
                    "metadata": given["metadata"],
                    "text": given["text"],
                }
                self.by_thread.setdefault((given["channel"], given.get("thread_ts") or ""), []).append(ts)
                return {"ok": True, "ts": ts}
            if method == "chat.update":
                if given["ts"] not in channel:
                    return {"ok": False, "error": "message_not_found"}
                channel[given["ts"]]["text"] = given["text"]
                return {"ok": True, "ts": given["ts"]}
            thread = given["ts"] if method == "conversations.replies" else ""
            replies = self.by_thread.get((given["channel"], thread), [])
            above = [channel[thread]] if thread in channel else []
            if (given["channel"], thread) in self.deleted:
                if not replies:
                    return {"ok": False, "error": "thread_not_found"}
                above = [{"ts": thread, "subtype": "tombstone"}]
            found = [ts for ts in replies if float(ts) > float(given.get("oldest", 0))]
            start, limit = int(given.get("cursor") or 0), int(given["limit"])
            cursor = str(start + limit) if start + limit < len(found) else ""
            return {
                "ok": True,
                "messages": above + [channel[ts] for ts in found[start : start + limit]],
                "response_metadata": {"next_cursor": cursor},
            }


class Handler(BaseHTTPRequestHandler):
    """One call."""

    workspace: Workspace
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/login":
            self.send(200, PROXY_BODIES[0])
            return
        with self.workspace.lock:
            state = {"messages": self.workspace.messages, "counts": self.workspace.counts}
            self.send(200, json.dumps(state).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/delete":
            self.workspace.delete_a_root()
            self.send(200, b"{}")
            return
        method = self.path.removeprefix("/api/")
        if self.headers.get("Content-Type", "").startswith("application/json"):
            given = json.loads(body)
        else:
            given = {key: values[-1] for key, values in parse_qs(body.decode()).items()}
        fault = self.workspace.fault()
        if fault in ("down", "reset_before"):
            self.reset()
        elif fault == "ratelimited":
            self.send(429, b'{"ok": false, "error": "ratelimited"}', {"Retry-After": "1"})
        elif fault in ("http_500", "http_503"):
            self.send(int(fault[-3:]), b"upstream connect error")
        elif fault == "internal_error_before":
            self.send(200, b'{"ok": false, "error": "internal_error"}')
        elif fault == "proxy_before":
            self.send(*self.workspace.proxy(), {"Location": "/login"})
        else:
            if fault == "late_request":
                time.sleep(LATE_SECONDS)
            answer = self.workspace.answer(method, given)
            if fault == "internal_error_after":
                self.send(200, b'{"ok": false, "error": "internal_error"}')
            elif fault == "reset_after":
                self.reset()
            elif fault == "proxy_after":
                self.send(*self.workspace.proxy(), {"Location": "/login"})
            elif fault == "cut_after":
                said = json.dumps(answer).encode()
                self.send(200, said[: len(said) // 2], {"Content-Length": str(len(said))})
                self.reset()
            else:
                if fault == "late_answer":
                    time.sleep(LATE_SECONDS)
                self.send(200, json.dumps(answer).encode())

    def reset(self) -> None:
        self.close_connection = True
        self.connection.close()

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in {**usual, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # whoever asked has gone


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


if __name__ == "__main__":
    Handler.workspace = Workspace(int(sys.argv[2]))
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
