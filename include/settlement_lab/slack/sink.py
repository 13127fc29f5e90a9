"""A Slack of our own on this machine: it takes what an app would send, keeps it, and shows what people would see.

It speaks the part of Slack's Web API that an app which posts needs, the way `slack_sdk` calls it: the form or the JSON
body, `ok` and `error`, cursors, metadata, threads, uploads in three steps. It refuses what Slack refuses
(https://docs.slack.dev/reference/block-kit/blocks, https://docs.slack.dev/reference/methods/chat.postMessage).

Everything is kept in one SQLite file of its folder, so a restart forgets nothing. `GET /` is the page for people,
`POST /_sink/faults` makes the next calls fail the way Slack fails.

Known limits: one workspace, one bot; every well-formed channel id exists; no rate limit of its own; no events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, quote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from settlement_lab.slack import limits, page

Arguments = Mapping[str, Any]
Answer = dict[str, Any]
Message = dict[str, Any]

CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{2,}")
BOT = {"user": "U0SETTLE", "bot_id": "B0SETTLE", "team": "T0LOCAL"}
HISTORY_DEFAULT, HISTORY_MOST = 100, 999
BODY_MOST = 64 * 1024 * 1024
KEPT = ("text", "blocks", "attachments", "metadata")
TOMBSTONE = {"subtype": "tombstone", "text": "This message was deleted."}

SCHEMA = """
create table if not exists messages (
  channel text not null, ts text not null, thread_ts text, broadcast integer not null, body text not null,
  primary key (channel, ts)
);
create table if not exists files (
  file_id text primary key, name text not null, length integer not null, title text, content blob
);
"""

MESSAGES = """
select channel, ts, thread_ts, broadcast, body,
  (select count(*) from messages r where r.channel = m.channel and r.thread_ts = m.ts),
  (select max(ts) from messages r where r.channel = m.channel and r.thread_ts = m.ts)
from messages m
"""


class Refused(Exception):
    """A call that Slack would answer with `ok: false`."""

    def __init__(self, error: str, *details: str) -> None:
        super().__init__(error)
        self.error, self.details = error, details


class Store:
    """What the workspace remembers, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.executescript(SCHEMA)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file; what was answered is on disk already."""
        with self._lock:
            self._connection.close()

    def post(self, channel: str, body: Message, *, thread_ts: str | None, broadcast: bool) -> str:
        """Keep a new message and return its `ts`, which is unique in its channel and grows."""
        with self._lock, self._connection:
            (newest,) = self._connection.execute(
                "select max(ts) from messages where channel = ?", (channel,)
            ).fetchone()
            ts = max(f"{time.time():.6f}", _after(newest) if newest else "")
            self._connection.execute(
                "insert into messages values (?, ?, ?, ?, ?)",
                (channel, ts, thread_ts if thread_ts != ts else None, broadcast, json.dumps(body)),
            )
        return ts

    def edit(self, channel: str, ts: str, changes: Message) -> Message | None:
        """Change a message and return it; None if there is no such message."""
        with self._lock, self._connection:
            found = self._connection.execute(
                "select body from messages where channel = ? and ts = ?", (channel, ts)
            ).fetchone()
            if found is None or json.loads(found[0]) == TOMBSTONE:
                return None
            edited = {"user": BOT["user"], "ts": f"{time.time():.6f}"}
            body = {**json.loads(found[0]), **changes, "edited": edited}
            self._connection.execute(
                "update messages set body = ? where channel = ? and ts = ?", (json.dumps(body), channel, ts)
            )
        return self.message(channel, ts)

    def delete(self, channel: str, ts: str) -> None:
        """Delete a message as a person does: above replies a tombstone is left in its place."""
        with self._lock, self._connection:
            if len(self.thread(channel, ts)) > 1:
                self._connection.execute(
                    "update messages set body = ? where channel = ? and ts = ?", (json.dumps(TOMBSTONE), channel, ts)
                )
            else:
                self._connection.execute("delete from messages where channel = ? and ts = ?", (channel, ts))

    def message(self, channel: str, ts: str) -> Message | None:
        """Return one message as Slack shows it."""
        return next(iter(self._messages("channel = ? and ts = ?", channel, ts)), None)

    def top_level(self, channel: str) -> list[Message]:
        """Return what the channel itself shows, oldest first: roots and broadcast replies."""
        return self._messages("channel = ? and (thread_ts is null or broadcast)", channel)

    def thread(self, channel: str, ts: str) -> list[Message]:
        """Return a root and its replies, oldest first."""
        return self._messages("channel = ? and ? in (ts, thread_ts)", channel, ts)

    def channels(self) -> list[str]:
        """Return the ids of the channels in which anything was said."""
        with self._lock:
            rows = self._connection.execute("select distinct channel from messages order by channel").fetchall()
        return [channel for (channel,) in rows]

    def announce_file(self, name: str, length: int) -> str:
        """Make a place for a file that will be uploaded and return its id."""
        with self._lock, self._connection:
            (files,) = self._connection.execute("select count(*) from files").fetchone()
            file_id = f"F{files + 1:08d}"
            self._connection.execute(
                "insert into files (file_id, name, length) values (?, ?, ?)", (file_id, name, length)
            )
        return file_id

    def upload(self, file_id: str, content: bytes) -> bool:
        """Take a file's bytes; False if nobody announced it or its length is another."""
        with self._lock, self._connection:
            query = "update files set content = ? where file_id = ? and length = ?"
            return self._connection.execute(query, (content, file_id, len(content))).rowcount == 1

    def complete_file(self, file_id: str, title: str | None) -> Message | None:
        """Give an uploaded file its title and return it; None if it was not uploaded."""
        with self._lock, self._connection:
            found = self._connection.execute(
                "select name, length from files where file_id = ? and content is not null", (file_id,)
            ).fetchone()
            if found is None:
                return None
            name, length = found
            self._connection.execute("update files set title = ? where file_id = ?", (title or name, file_id))
        return {"id": file_id, "name": name, "title": title or name, "size": length}

    def content(self, file_id: str) -> tuple[str, bytes] | None:
        """Return a file's name and bytes."""
        with self._lock:
            query = "select name, content from files where file_id = ? and content is not null"
            return cast("tuple[str, bytes] | None", self._connection.execute(query, (file_id,)).fetchone())

    def _messages(self, condition: str, *parameters: str) -> list[Message]:
        with self._lock:
            rows = self._connection.execute(f"{MESSAGES} where {condition} order by ts", parameters).fetchall()
        return [_as_slack_shows(*row) for row in rows]


def _as_slack_shows(
    channel: str, ts: str, thread_ts: str | None, broadcast: int, body: str, replies: int, latest_reply: str | None
) -> Message:
    message: Message = {"type": "message", **BOT, "ts": ts, **json.loads(body)}
    if thread_ts:
        message["thread_ts"] = thread_ts
    if thread_ts and broadcast:
        message["subtype"] = "thread_broadcast"
    if replies:
        message |= {"thread_ts": ts, "reply_count": replies, "latest_reply": latest_reply}
    return message


def _after(ts: str) -> str:
    seconds, micros = ts.split(".")
    return f"{int(seconds) + (int(micros) + 1) // 1_000_000}.{(int(micros) + 1) % 1_000_000:06d}"


# The methods of the Web API, by name.


def auth_test(sink: Sink, _arguments: Arguments) -> Answer:
    return {
        "url": f"{sink.url}/",
        "team": "Settlement (this machine)",
        "team_id": BOT["team"],
        "user": "settlement",
        "user_id": BOT["user"],
        "bot_id": BOT["bot_id"],
    }


def chat_post_message(sink: Sink, arguments: Arguments) -> Answer:
    channel = _channel(arguments)
    body = _body(arguments)
    if not any(body.get(key) for key in ("text", "blocks", "attachments")):
        raise Refused("no_text")
    body.setdefault("text", "")
    broadcast = _flag(arguments, "reply_broadcast")
    ts = sink.store.post(channel, body, thread_ts=arguments.get("thread_ts"), broadcast=broadcast)
    return {"channel": channel, "ts": ts, "message": sink.store.message(channel, ts)}


def chat_update(sink: Sink, arguments: Arguments) -> Answer:
    channel = _channel(arguments)
    body = _body(arguments)
    if not body:
        raise Refused("no_text")
    ts = str(arguments.get("ts", ""))
    message = sink.store.edit(channel, ts, body)
    if message is None:
        raise Refused("message_not_found")
    return {"channel": channel, "ts": ts, "text": message["text"], "message": message}


def chat_get_permalink(sink: Sink, arguments: Arguments) -> Answer:
    channel, ts = _channel(arguments), str(arguments.get("message_ts", ""))
    if sink.store.message(channel, ts) is None:
        raise Refused("message_not_found")
    return {"channel": channel, "permalink": f"{sink.url}/archives/{channel}/p{ts.replace('.', '')}"}


def conversations_history(sink: Sink, arguments: Arguments) -> Answer:
    newest_first = sink.store.top_level(_channel(arguments))[::-1]
    return _paged(newest_first, arguments)


def conversations_replies(sink: Sink, arguments: Arguments) -> Answer:
    thread = sink.store.thread(_channel(arguments), str(arguments.get("ts", "")))
    if not thread:
        raise Refused("thread_not_found")
    return _paged(thread, arguments)


def files_get_upload_url_external(sink: Sink, arguments: Arguments) -> Answer:
    name, length = arguments.get("filename"), str(arguments.get("length", ""))
    if not name or not length.isdigit() or int(length) == 0:
        raise Refused("invalid_arguments", "[ERROR] filename and a length above 0 are required")
    file_id = sink.store.announce_file(str(name), int(length))
    return {"upload_url": f"{sink.url}/upload/{file_id}", "file_id": file_id}


def files_complete_upload_external(sink: Sink, arguments: Arguments) -> Answer:
    wanted = _json_argument(arguments, "files", "invalid_arguments")
    if not isinstance(wanted, list) or not wanted:
        raise Refused("invalid_arguments", "[ERROR] files is a list of what was uploaded")
    channel = _channel(arguments, "channel_id") if arguments.get("channel_id") else None
    files = [sink.store.complete_file(str(item.get("id")), item.get("title")) for item in wanted]
    if any(file is None for file in files):
        raise Refused("file_not_found")
    if channel:
        body = {"text": str(arguments.get("initial_comment") or ""), "files": files, **_body(arguments)}
        sink.store.post(channel, body, thread_ts=arguments.get("thread_ts"), broadcast=False)
    return {"files": files}


METHODS: dict[str, Callable[[Sink, Arguments], Answer]] = {
    "auth.test": auth_test,
    "chat.getPermalink": chat_get_permalink,
    "chat.postMessage": chat_post_message,
    "chat.update": chat_update,
    "conversations.history": conversations_history,
    "conversations.replies": conversations_replies,
    "files.completeUploadExternal": files_complete_upload_external,
    "files.getUploadURLExternal": files_get_upload_url_external,
}


def _channel(arguments: Arguments, key: str = "channel") -> str:
    channel = str(arguments.get(key, ""))
    if not CHANNEL_ID.fullmatch(channel):
        raise Refused("channel_not_found")
    return channel


def _body(arguments: Arguments) -> Message:
    """Return what a message says, refused as Slack refuses it."""
    body: Message = {key: arguments[key] for key in KEPT if arguments.get(key) is not None}
    for key in ("blocks", "attachments", "metadata"):
        if key in body:
            body[key] = _json_argument(arguments, key, f"invalid_{key}_format")
    if not isinstance(body.get("blocks", []), list):
        raise Refused("invalid_blocks_format")
    if len(str(body.get("text", ""))) > limits.TEXT:
        raise Refused("msg_too_long")
    problems = limits.problems(body.get("blocks", []))
    if problems:
        raise Refused("invalid_blocks", *problems)
    if limits.characters(body.get("blocks", [])) > limits.ALL_BLOCKS:
        raise Refused("msg_blocks_too_long")
    metadata = body.get("metadata")
    if metadata is not None and not (isinstance(metadata, dict) and {"event_type", "event_payload"} <= set(metadata)):
        raise Refused("invalid_metadata_format")
    return body


def _json_argument(arguments: Arguments, key: str, error: str) -> Any:
    value = arguments.get(key)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Refused(error) from None


def _flag(arguments: Arguments, key: str) -> bool:
    return str(arguments.get(key, "")).lower() in ("true", "1")


def _paged(messages: list[Message], arguments: Arguments) -> Answer:
    """Return the page of messages that the arguments ask for; metadata only when asked for, as Slack does."""
    oldest, latest = str(arguments.get("oldest") or "0"), str(arguments.get("latest") or "9" * 12)
    inclusive = _flag(arguments, "inclusive")

    def wanted(ts: str) -> bool:
        moment = float(ts)
        return float(oldest) <= moment <= float(latest) and (inclusive or ts not in (oldest, latest))

    try:
        inside = [message for message in messages if wanted(message["ts"])]
        limit = min(int(arguments.get("limit") or HISTORY_DEFAULT), HISTORY_MOST)
        start = int(arguments.get("cursor") or 0)
    except ValueError:
        raise Refused("invalid_arguments") from None
    page = inside[start : start + limit]
    if not _flag(arguments, "include_all_metadata"):
        page = [{key: value for key, value in message.items() if key != "metadata"} for message in page]
    more = start + limit < len(inside)
    cursor = str(start + limit) if more else ""
    return {"messages": page, "has_more": more, "response_metadata": {"next_cursor": cursor}}


@dataclass(kw_only=True)
class Fault:
    """How a coming call shall fail.

    `how` is `rate_limited`, `server_error`, `hang`, `lost_request`, `lost_answer`, or the error code to answer.
    """

    how: str
    method: str = "*"
    times: int = 1
    seconds: float = 1


@dataclass(kw_only=True)
class Sink:
    """The running server: where it listens, what it keeps, and how the next calls shall fail."""

    url: str
    store: Store
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base_url(self) -> str:
        """Return what the Slack connection calls `base_url`."""
        return f"{self.url}/api/"

    def conversation(self, channel: str) -> list[tuple[Message, list[Message]]]:
        """Return a channel as people read it: its roots, oldest first, each with the replies of its thread."""
        roots = [message for message in self.store.top_level(channel) if message.get("subtype") != "thread_broadcast"]
        return [(root, self.store.thread(channel, root["ts"])[1:]) for root in roots]

    def conversations(self) -> dict[str, list[tuple[Message, list[Message]]]]:
        """Return every channel as people read it."""
        return {name: self.conversation(name) for name in self.store.channels()}

    def next_fault(self, method: str) -> Fault | None:
        """Take the next fault that is meant for a method."""
        with self.lock:
            for fault in self.faults:
                if fault.method in ("*", method) and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


def application(sink: Sink) -> Starlette:
    """Return what the server answers: the Web API, uploads, the page, and the control paths of the tests."""

    async def call(request: Request) -> Response:
        method = request.path_params["method"]
        arguments = {**request.query_params, **_arguments(request, await request.body())}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or str(arguments.get("token", ""))
        fault = sink.next_fault(method)
        if fault is None or fault.how == "lost_answer":
            answer = JSONResponse(_answer(sink, method, token, arguments))
            return answer if fault is None else _broken_off(request)  # it happened, and nobody hears of it
        match fault.how:
            case "hang":
                await asyncio.sleep(fault.seconds)
                return JSONResponse(_answer(sink, method, token, arguments))
            case "rate_limited":
                headers = {"Retry-After": str(int(fault.seconds))}
                return JSONResponse({"ok": False, "error": "ratelimited"}, HTTPStatus.TOO_MANY_REQUESTS, headers)
            case "server_error":
                return PlainTextResponse("upstream connect error", HTTPStatus.SERVICE_UNAVAILABLE)
            case "lost_request":
                return _broken_off(request)
        return JSONResponse({"ok": False, "error": fault.how})

    async def upload(request: Request) -> Response:
        if int(request.headers.get("Content-Length") or 0) > BODY_MOST:
            return PlainTextResponse("too large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        content = await request.body()
        if not sink.store.upload(request.path_params["file_id"], content):
            return PlainTextResponse("length or id differs", HTTPStatus.BAD_REQUEST)
        return PlainTextResponse(f"OK - {len(content)}")

    async def file(request: Request) -> Response:
        found = sink.store.content(request.path_params["file_id"])
        if found is None:
            return PlainTextResponse("not found", HTTPStatus.NOT_FOUND)
        name, content = found
        disposition = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        return Response(content, headers=disposition, media_type="application/octet-stream")

    async def message(request: Request) -> Response:
        moment = request.path_params["moment"]
        return RedirectResponse(f"/#p{moment}" if moment.isdigit() else "/", HTTPStatus.FOUND)

    async def shown(_request: Request) -> Response:
        return HTMLResponse(page.render(sink.conversations()))

    async def conversations(_request: Request) -> Response:
        return JSONResponse(sink.conversations())

    async def faults(request: Request) -> Response:
        asked = [Fault(**fault) for fault in await request.json()]
        with sink.lock:
            sink.faults[:] = asked
        return JSONResponse({"ok": True})

    async def health(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    return Starlette(
        routes=[
            Route("/", shown),
            Route("/api/{method}", call, methods=["GET", "POST"]),
            Route("/upload/{file_id}", upload, methods=["POST"]),
            Route("/files/{file_id}", file),
            Route("/files/{file_id}/{name:path}", file),
            Route("/archives/{channel}/p{moment}", message),
            Route("/_sink/conversations", conversations),
            Route("/_sink/faults", faults, methods=["POST"]),
            Route("/_sink/health", health),
        ]
    )


def _arguments(request: Request, body: bytes) -> Arguments:
    if request.headers.get("Content-Type", "").startswith("application/json"):
        parsed = json.loads(body or b"{}")
        return parsed if isinstance(parsed, dict) else {}
    return {key: values[-1] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}


def _answer(sink: Sink, method: str, token: str, arguments: Arguments) -> Answer:
    try:
        if not token:
            raise Refused("not_authed")
        if not token.startswith("xoxb-"):
            raise Refused("invalid_auth")
        if method not in METHODS:
            raise Refused("unknown_method")
        return {"ok": True, **METHODS[method](sink, arguments)}
    except Refused as refusal:
        answer: Answer = {"ok": False, "error": refusal.error}
        if refusal.details:
            answer |= {"errors": refusal.details, "response_metadata": {"messages": refusal.details}}
        return answer


def _broken_off(request: Request) -> Response:
    """Close the connection before a byte of an answer; what is returned goes nowhere."""
    request.scope["break_off"]()
    return Response()


class _Http(H11Protocol):
    """HTTP as uvicorn speaks it, on connections that a handler can break off: a server that only answers has no way."""

    def handle_events(self) -> None:
        super().handle_events()
        if self.scope is not None:
            self.scope["break_off"] = self.transport.close  # type: ignore[typeddict-unknown-key]  # it is ours


class _Server(uvicorn.Server):
    """A server that ends as soon as it is told to: what it took is in the store, nobody waits for its last words."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.05)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


def _open(folder: Path, port: int) -> tuple[Sink, _Server, socket.socket]:
    """Open the folder's store and listen: from here on, who connects is answered as soon as the server runs."""
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    sink = Sink(url=f"http://127.0.0.1:{listener.getsockname()[1]}", store=Store(folder / "slack.sqlite"))
    config = uvicorn.Config(
        application(sink),
        http=_Http,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
    )
    return sink, _Server(config), listener


@contextmanager
def running(folder: Path, *, port: int = 0) -> Iterator[Sink]:
    """Run a sink in this process for as long as the block lasts."""
    sink, server, listener = _open(folder, port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.should_exit = True
        thread.join()
        sink.store.close()


def main() -> None:
    """Run a sink until it is told to end; its first line says where it listens."""
    parser = argparse.ArgumentParser(description="A Slack workspace of our own, on this machine")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    sink, server, listener = _open(given.folder, given.port)
    print(f"listening on {sink.url}/", flush=True)
    with closing(sink.store):
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
