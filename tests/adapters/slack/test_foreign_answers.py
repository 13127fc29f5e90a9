"""Somebody stands between us and Slack and answers in its place: nothing is lost, doubled, or repeated to people."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from settlement.adapters.slack import client

from .alert_desk import DAY, Desk, WebSlack, completed, failed, text_of

WORDS = "Blocked by policy for kim@example.com"
HTML = f"<html><title>{WORDS}</title><form action='/login'></form></html>"


@dataclass
class Answer:
    """What is said in Slack's place to the next call of a method, after it was passed on to Slack or instead."""

    status: int
    body: str = HTML
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "chat.postMessage"
    is_passed_on: bool = False
    is_cut: bool = False


@dataclass
class Front:
    """A proxy before our own Slack."""

    url: str = ""
    slack_url: str = ""
    answers: list[Answer] = field(default_factory=list)
    is_shut: bool = False

    def next_answer(self, method: str) -> Answer | None:
        if self.is_shut:
            return Answer(403)
        found = next((answer for answer in self.answers if answer.method == method), None)
        if found is not None:
            self.answers.remove(found)
        return found


def handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(200, HTML.encode(), {"Content-Type": "text/html"})  # where a redirect leads to

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = front.next_answer(self.path.split("?")[0].rpartition("/")[2])
            if answer is None or answer.is_passed_on:
                kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if self.headers[name]}
                asked = urllib.request.Request(front.slack_url + self.path, data=body, method="POST", headers=kept)
                with urllib.request.urlopen(asked) as slacks:
                    said = slacks.read()
                if answer is None:
                    self.say(200, said, {"Content-Type": "application/json"})
                    return
            length = len(answer.body.encode()) + (1_000 if answer.is_cut else 0)
            self.say(answer.status, answer.body.encode(), answer.headers | {"Content-Length": str(length)})

        def say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def front() -> Iterator[Front]:
    """A proxy that passes on whatever it is not told to answer."""
    made = Front()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def behind(desk: Desk, front: Front) -> Desk:
    """A desk that reaches Slack through the proxy; its day stands in the channel already."""
    front.slack_url = desk.sink.url
    web = WebSlack(f"{front.url}/api/")
    desk.alerts._find_slack = lambda: web
    desk.tell(completed())
    return desk


def post(front: Front, answer: Answer) -> client.SlackError:
    """Post through the proxy that answers so; return what it was taken for."""
    front.answers = [answer]
    with pytest.raises(client.SlackError) as raised:
        WebSlack(f"{front.url}/api/").call("chat.postMessage", {"channel": "C0SETTLE", "text": "Hello"}, timeout=2.0)
    return raised.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (201, "http_201"),
        (202, "http_202"),
        (307, "http_307"),
        (308, "http_308"),
        (400, "http_400"),
        (401, "http_401"),
        (403, "http_403"),
        (404, "http_404"),
        (405, "http_405"),
        (407, "http_407"),
        (408, "http_408"),
        (413, "http_413"),
        (429, "http_429"),
        (451, "http_451"),
        (499, "http_499"),
        (500, "http_500"),
        (502, "http_502"),
        (503, "http_503"),
        (504, "http_504"),
        (511, "http_511"),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        HTML,
        "",
        '{"ok": true, "ts": "17',
        '{"error": "access_denied"}',
        '{"ok": false, "error": "Blocked by policy for kim@example.com"}',
        '{"ok": "false", "error": "invalid_auth"}',
        "null",
        "[]",
    ],
)
def test_whatever_is_not_slacks_own_json_may_have_been_posted(front: Front, status: int, code: str, body: str) -> None:
    error = post(front, Answer(status, body))
    assert (type(error), error.code) == (client.Unanswered, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (HTML, "not_an_answer"),
        ("", "not_an_answer"),
        ('{"ok": true, "ts": "17', "not_an_answer"),
        ('{"ok": true}', "not_an_answer"),
        ('{"ok": true, "ts": 17}', "not_an_answer"),
        ('{"ok": 1, "ts": "17.1"}', "not_an_answer"),
        ('{"status": "fine"}', "not_an_answer"),
        ('{"ok": false}', "not_an_answer"),
        ('{"ok": false, "error": ["invalid_auth"]}', "not_an_answer"),
        ("null", "not_an_answer"),
        ('["ok"]', "attribute_error"),
    ],
)
def test_a_200_that_is_not_slacks_may_have_been_posted(front: Front, body: str, code: str) -> None:
    error = post(front, Answer(200, body))
    assert (type(error), error.code) == (client.Unanswered, code)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_to_a_login_page_may_have_been_posted(front: Front, status: int) -> None:
    error = post(front, Answer(status, "", {"Location": f"{front.url}/login"}))
    assert (type(error), error.code) == (client.Unanswered, "not_an_answer")


def test_pages_that_no_sdk_can_read_may_have_been_posted(front: Front) -> None:
    in_gzip = post(front, Answer(200, "{}", {"Content-Type": "application/gzip"}))
    unheard_of = post(front, Answer(200, "{}", {"Content-Type": "application/json; charset=klingon"}))
    cut = post(front, Answer(200, '{"ok": true', is_cut=True))
    assert [(type(error), error.code) for error in (in_gzip, unheard_of, cut)] == [
        (client.Unanswered, "not_an_answer"),
        (client.Unanswered, "lookup_error"),
        (client.Unanswered, "incomplete_read"),
    ]


@pytest.mark.parametrize(
    ("answer", "is_slacks", "seconds", "code"),
    [
        (Answer(429, '{"ok": false, "error": "ratelimited"}', {"Retry-After": "30"}), True, 30.0, "ratelimited"),
        (Answer(429, '{"ok": false, "error": "ratelimited"}'), True, 1.0, "ratelimited"),
        (Answer(200, '{"ok": false, "error": "rate_limited"}'), True, 1.0, "ratelimited"),
        (Answer(429, HTML, {"Retry-After": "30"}), False, 30.0, "http_429"),
        (Answer(429, "", {"retry-after": "86400"}), False, 3600.0, "http_429"),
    ],
)
def test_who_says_how_long_to_wait_is_obeyed(
    front: Front, answer: Answer, is_slacks: bool, seconds: float, code: str
) -> None:
    error = post(front, answer)
    assert isinstance(error, client.Limited)
    assert (error.is_slacks, error.retry_after, error.code) == (is_slacks, seconds, code)


@pytest.mark.parametrize("said", ["soon", "-1", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_429_that_names_no_seconds_backs_off(front: Front, said: str) -> None:
    error = post(front, Answer(429, HTML, {"Retry-After": said}))
    assert (type(error), error.code) == (client.Unanswered, "http_429")


@pytest.mark.parametrize("code", ["invalid_auth", "message_not_found", "msg_too_long"])
@pytest.mark.parametrize("status", [200, 403])
def test_slacks_own_word_is_a_refusal(front: Front, status: int, code: str) -> None:
    error = post(front, Answer(status, f'{{"ok": false, "error": "{code}"}}'))
    assert (type(error), error.code) == (client.CallRefused, code)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(302, "", {"Location": "/login"}, method="F1"), "http_302"),
        (Answer(403, method="F1"), "http_403"),
        (Answer(503, method="F1"), "http_503"),
    ],
)
def test_the_bytes_of_a_file_arrive_only_with_a_200(front: Front, answer: Answer, code: str) -> None:
    front.answers = [answer]
    with pytest.raises(client.Unanswered) as raised:
        WebSlack(f"{front.url}/api/").upload(f"{front.url}/upload/F1", b"PK", timeout=2.0)
    assert raised.value.code == code


@pytest.mark.parametrize("is_posted", [True, False])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "not_an_answer"),
        (403, "http_403"),
        (404, "http_404"),
        (407, "http_407"),
        (408, "http_408"),
        (413, "http_413"),
        (429, "http_429"),
        (499, "http_499"),
        (502, "http_502"),
    ],
)
def test_after_a_foreign_answer_the_message_is_looked_for(
    behind: Desk, front: Front, status: int, code: str, is_posted: bool
) -> None:
    front.answers = [Answer(status, is_passed_on=is_posted)]
    assert behind.tell(failed()).errors == [code]
    assert (behind.row("task.failed").state, behind.row("task.failed").last_error) == ("pending", code)
    behind.end_backoff()
    report = behind.deliver()
    assert (report.found, report.posted) == ((1, 0) if is_posted else (0, 1))
    assert behind.shown_keys() == ["2026-02-16:summary", "2026-02-16:failed:scheduled__2026-02-17:transfer.submit:-1:1"]
    assert behind.mailbox.mails == []


def test_an_answer_cut_short_after_the_message_was_posted_is_looked_for(behind: Desk, front: Front) -> None:
    front.answers = [Answer(200, '{"ok": true, "ts": "17', is_passed_on=True, is_cut=True)]
    assert behind.tell(failed()).errors == ["incomplete_read"]
    behind.end_backoff()
    assert (behind.deliver().found, len(behind.shown_keys())) == (1, 2)


@pytest.mark.parametrize("said", [HTML, '{"ok": true}', '{"ok": true, "messages": null}'])
def test_a_look_that_somebody_else_answers_has_seen_nothing(behind: Desk, front: Front, said: str) -> None:
    front.answers = [Answer(504, is_passed_on=True)]
    behind.tell(failed())
    front.answers = [Answer(200, said, method="conversations.replies")]
    behind.end_backoff()
    report = behind.deliver()
    assert (report.errors, report.posted) == (["not_an_answer"], 0)
    behind.end_backoff()
    assert (behind.deliver().found, len(behind.shown_keys())) == (1, 2)


def test_a_proxy_that_asks_to_slow_down_is_obeyed_and_the_message_looked_for(behind: Desk, front: Front) -> None:
    front.answers = [Answer(429, HTML, {"Retry-After": "1"}, is_passed_on=True)]
    report = behind.tell(failed())
    assert (report.errors, report.found, report.posted) == (["http_429"], 1, 0)
    assert len(behind.shown_keys()) == 2


def test_an_edit_that_somebody_else_answers_is_made_again(behind: Desk, front: Front) -> None:
    front.answers = [Answer(408, method="chat.update", is_passed_on=True)]
    assert behind.tell(completed(controls_passed=11)).errors == ["http_408"]
    behind.end_backoff()
    report = behind.deliver()
    assert (report.edited, report.posted) == (1, 0)


def test_what_a_proxy_says_reaches_nobody(behind: Desk, front: Front) -> None:
    front.is_shut = True
    behind.tell(failed())
    behind.pass_time(minutes=6)
    behind.end_backoff()
    assert behind.deliver().mailed == 1
    (mail,) = behind.mailbox.mails
    assert "http_403" in mail["body"]
    front.is_shut = False
    behind.end_backoff()
    behind.deliver()
    root, (reply,) = behind.thread()
    with behind.engine.connect() as connection:
        attempts = connection.exec_driver_sql(
            "select error from ledger.alert_attempts where error is not null"
        ).scalars()
        assert set(attempts) == {"http_403"}
    told = mail["subject"] + mail["body"] + text_of(root) + text_of(reply)
    assert "policy" not in told and "kim@example.com" not in told


def test_a_file_whose_bytes_somebody_else_took_is_sent_anew(behind: Desk) -> None:
    with behind.engine.begin() as connection:
        behind.outbox(connection).attach(
            settlement_date=DAY, key="sheets:1", name="day.xlsx", title="Day", content=b"PK\x03\x04", now=behind.now
        )
    behind.fail({"how": "file_not_found", "method": "files.completeUploadExternal"})
    assert behind.deliver().errors == ["file_not_found"]
    behind.end_backoff()
    behind.deliver()
    _, (reply,) = behind.thread()
    assert reply["files"][0]["name"] == "day.xlsx"
