"""The watch, on the real books and a Slack of our own: what did not happen is told, once, and resolved when it does."""

from __future__ import annotations

import json
import threading
import time
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from settlement.adapters import airflow_health
from settlement.adapters.ledger.books import PostgresLedger
from settlement.domain.days import BankCalendar, SettlementCalendar
from settlement.ports.days import RunRequest
from settlement.stages import watch

from .alert_desk import Desk

FRIDAY = date(2026, 2, 13)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 2, day, hour, minute, tzinfo=ZoneInfo("Asia/Seoul"))


@pytest.fixture
def services(desk: Desk) -> Any:
    calendar = SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank"), ()), timezone="Asia/Seoul")
    policy = SimpleNamespace(timezone="Asia/Seoul", deadlines=SimpleNamespace(settled_by="12:00"))
    return SimpleNamespace(
        alerts=desk.alerts,
        calendar=calendar,
        policy=policy,
        ledger=PostgresLedger(desk.engine, alerts=desk.policy),
        desk=desk,
    )


def look(services: Any, now: datetime, **settings: Any) -> list[str]:
    services.desk.now = now
    amiss = watch.look(services, now=now, **settings)
    services.desk.deliver()
    return [event.name for event in amiss]


def open_day(services: Any, on: date, now: datetime) -> None:
    request = RunRequest(settlement_date=on, run_id="scheduled__1", run_type="scheduled", triggered_by=None)
    with services.ledger.books(settlement_date=on) as books:
        books.days.open(request, settlement_date=on, now=now)


def set_state(services: Any, on: date, state: str, now: datetime) -> None:
    with services.ledger.books(settlement_date=on) as books:
        books.days.set_state(on, state, now=now)


def test_a_date_without_a_run_is_told_once_and_resolved_by_its_run(services: Any) -> None:
    desk: Desk = services.desk
    assert look(services, at(14, 6, 5)) == []
    for minute in (11, 12, 13):
        assert look(services, at(14, 6, minute), airflow=lambda: "scheduler_down") == ["run.absent"]
    assert desk.shown_keys() == ["2026-02-13:summary", "2026-02-13:absent"]
    open_day(services, FRIDAY, at(14, 6, 20))
    assert look(services, at(14, 6, 21)) == []
    assert desk.shown_keys()[2:] == ["2026-02-13:resolved:absent"]


def test_a_day_that_stands_still_is_at_risk_then_missed_then_over(services: Any) -> None:
    open_day(services, FRIDAY, at(14, 6))
    set_state(services, FRIDAY, "paying", at(14, 6, 5))
    assert look(services, at(14, 11, 10)) == ["deadline.risk"]
    assert look(services, at(14, 12, 1)) == ["deadline.missed"]
    set_state(services, FRIDAY, "settled", at(14, 12, 30))
    assert look(services, at(14, 12, 31)) == []
    heartbeat, *keys = sorted(services.desk.shown_keys(), key=lambda key: key != "2026-02-14:heartbeat")
    assert heartbeat == "2026-02-14:heartbeat"
    assert keys == [
        "2026-02-13:summary",
        "2026-02-13:risk",
        "2026-02-13:missed",
        "2026-02-13:resolved:risk",
        "2026-02-13:resolved:missed",
    ]


def test_one_look_returns_what_is_amiss_and_tells_of_it(services: Any) -> None:
    assert watch.once(services, now=at(14, 6, 5)) == []
    assert [event.name for event in watch.once(services, now=at(14, 6, 30))] == ["run.absent"]
    assert services.desk.shown_keys()[1] == "2026-02-13:absent"


class Stop(Exception):
    pass


def test_the_watch_survives_what_it_watches(services: Any) -> None:
    naps = 0

    def sleep(_: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 3:
            raise Stop

    def broken() -> str | None:
        raise ConnectionError

    with pytest.raises(Stop):
        watch.run(services, now=lambda: at(14, 7), airflow=broken, sleep=sleep)
    assert naps == 3


def test_from_event_to_slack_takes_seconds_with_the_watch_running(services: Any) -> None:
    """The median is measured over a minute's worth of events in tests/slow; here one must not take ten seconds."""
    from .alert_desk import failed

    stopped = threading.Event()

    def sleep(seconds: float) -> None:
        if stopped.wait(seconds):
            raise Stop

    def watching() -> None:
        with pytest.raises(Stop):
            watch.run(services, now=lambda: at(14, 6, 5), sleep=sleep)

    thread = threading.Thread(target=watching)
    thread.start()
    try:
        time.sleep(0.5)
        services.desk.record(failed())
        begun = time.monotonic()
        while len(services.desk.shown_keys()) < 2 and time.monotonic() - begun < 60:
            time.sleep(0.1)
        assert time.monotonic() - begun < 60  # and not with the DAG, every five minutes
    finally:
        stopped.set()
        thread.join()


def serve(health: bytes, pages: dict[str, Any] | None = None) -> HTTPServer:
    """Answer as Airflow does: its health to everybody, `pages` to the user of the token."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/monitor/health"):
                self.answer(200, health)
            elif self.headers["Authorization"] != "Bearer t0ken":
                self.answer(401, b"{}")
            else:
                page = (pages or {}).get(self.path.removeprefix("/api/v2/"))
                self.answer(404 if page is None else 200, json.dumps(page).encode())

        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if said == {"username": "watch", "password": "secret"}:
                self.answer(201, b'{"access_token": "t0ken"}')
            else:
                self.answer(401, b"{}")

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        ({"scheduler": {"status": "healthy"}, "dag_processor": {"status": "healthy"}}, None),
        ({"scheduler": {"status": "unhealthy"}, "dag_processor": {"status": "healthy"}}, "scheduler_down"),
        ({"scheduler": {"status": "healthy"}, "dag_processor": {"status": "unhealthy"}}, "dag_processor_down"),
        ({"scheduler": {"status": "healthy"}, "dag_processor": {"status": None}}, None),
        ([], None),
    ],
)
def test_airflow_says_itself_whether_it_is_well(health: Any, reason: str | None) -> None:
    server = serve(json.dumps(health).encode())
    try:
        assert airflow_health.reader(f"http://127.0.0.1:{server.server_port}/")() == reason
    finally:
        server.shutdown()
        server.server_close()


def test_an_airflow_that_does_not_answer_is_unreachable() -> None:
    server = serve(b"<html>")
    address = f"http://127.0.0.1:{server.server_port}"
    assert airflow_health.reader(address)() == "airflow_unreachable"
    server.shutdown()
    server.server_close()
    assert airflow_health.reader(address)() == "airflow_unreachable"
    assert airflow_health.reader(None)() is None


DAG = {"is_paused": False, "is_stale": False, "has_import_errors": False}


@pytest.mark.parametrize(
    ("dag", "import_errors", "reason"),
    [
        (DAG | {"is_paused": True}, 0, "dag_paused"),
        (DAG | {"has_import_errors": True}, 1, "dag_unparsable"),
        (None, 1, "dag_unparsable"),
        (None, 0, "dag_unknown"),
        (DAG, 0, "not_scheduled"),
    ],
)
def test_airflow_says_to_a_user_what_is_wrong_with_the_dag(dag: Any, import_errors: int, reason: str) -> None:
    pages = {"dags/daily_settlement": dag, "importErrors": {"total_entries": import_errors}}
    server = serve(b"{}", pages)
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert airflow_health.reader(address, login=("watch", "secret"))() == reason
        assert airflow_health.reader(address, login=("watch", "wrong"))() is None
    finally:
        server.shutdown()
        server.server_close()
