"""Alerts go through the Slack provider's hook and connection, outside Airflow too; e-mail through the SMTP one's."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from settlement_lab.slack import sink as slack_sink

from .alert_desk import Desk, failed

DELIVER = """
import sys, dataclasses, datetime, functools, json, sqlalchemy as sa
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.slack import SlackAlerts
from settlement.domain import policy
assert "airflow" not in sys.modules
asked = policy.parse(sys.argv[2].encode()).alerts
outbox = functools.partial(Outbox, alerts=asked)
alerts = SlackAlerts(sa.create_engine(sys.argv[1]), asked, outbox=outbox, timezone="Asia/Seoul")
report = alerts.deliver(now=datetime.datetime(2026, 2, 17, 4, 0, tzinfo=datetime.timezone.utc))
tested = alerts.test_connection() if "--test" in sys.argv else None
found = tested and {"ok": tested.ok, **dataclasses.asdict(tested)}
print(json.dumps([report.posted, report.mailed, report.pending, report.errors, "airflow" in sys.modules, found]))
"""

POLICY = """
name = "test"
[alerts]
language = "en"
email_to = ["ops@example.com"]
[[alerts.channels]]
id = "C0SETTLE"
"""


def deliver(desk: Desk, home: Path, *arguments: str, **connections: Any) -> tuple[list[Any], str]:
    """Deliver in a plain process with these connections; return what it printed and what it logged."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {"AIRFLOW_HOME": str(home)}
    environment |= {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
    url = desk.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", DELIVER, url, POLICY, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    *logged, printed = done.stdout.strip().splitlines()
    return json.loads(printed), "\n".join(logged)


def slack_connection(sink: slack_sink.Sink) -> dict[str, Any]:
    return {"conn_type": "slack", "password": "xoxb-test", "extra": {"base_url": sink.base_url, "timeout": 5}}


def test_a_plain_process_delivers_through_the_connection_in_its_environment(desk: Desk, tmp_path: Path) -> None:
    desk.record(failed())
    printed, _ = deliver(desk, tmp_path, "--test", settlement_slack=slack_connection(desk.sink))
    posted, _, pending, errors, _, found = printed
    assert (posted, pending, errors) == (2, 0, [])
    assert len(desk.shown_keys()) == 2
    assert (found["ok"], found["channels"]) == (True, {"C0SETTLE": "ok"})


def test_without_connection_one_warning_says_so_and_airflow_is_not_imported(desk: Desk, tmp_path: Path) -> None:
    desk.record(failed())
    (posted, _, pending, _, has_airflow, _), logged = deliver(desk, tmp_path)
    assert (posted, pending, has_airflow) == (0, 2, False)
    assert logged.count("settlement_slack") >= 1 and logged.count("alerts.not_configured") == 2  # Slack, and e-mail


def test_nothing_to_send_imports_nothing(desk: Desk, tmp_path: Path) -> None:
    (_, _, _, _, has_airflow, _), _ = deliver(desk, tmp_path, settlement_slack=slack_connection(desk.sink))
    assert not has_airflow


class Smtp(socketserver.StreamRequestHandler):
    """The few words of a mail server that takes everything."""

    received: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text.decode())
                self.received.append("".join(lines))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.mark.parametrize("code", ["invalid_auth"])
def test_what_slack_refuses_is_mailed_through_the_smtp_connection(desk: Desk, tmp_path: Path, code: str) -> None:
    received: list[str] = []
    server = socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), type("Kept", (Smtp,), {"received": received}), bind_and_activate=True
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        desk.record(failed())
        desk.fail({"how": code, "times": 99})
        smtp = {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": server.server_address[1],
            "extra": {"from_email": "settlement@example.com", "disable_ssl": True, "disable_tls": True},
        }
        (_, mailed, _, errors, _, _), _ = deliver(
            desk, tmp_path, settlement_slack=slack_connection(desk.sink), settlement_smtp=smtp
        )
    finally:
        server.shutdown()
        server.server_close()
    assert (mailed, errors) == (1, [code])
    (mail,) = received
    assert "To: ops@example.com" in mail and "Message-ID: <" in mail
