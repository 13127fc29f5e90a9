from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rich.console import Console
from settlement.adapters.ledger.migrate import migrate
from settlement.domain import policy
from settlement.domain.errors import Refused
from settlement_lab.demo import airflow_home, run, story, world
from settlement_lab.servers import services

DAY = {
    "settlement_date": date(2026, 2, 12),
    "state": "closed",
    "revision": 1,
    "received_amount": 95_000,
    "distributed_amount": 88_050,
    "fee_amount": 880,
    "tax_amount": 1_070,
    "credit_amount": 5_000,
    "quarantined_amount": 0,
    "refunded_amount": 0,
    "paid_amount": 88_050,
    "break_count": 1,
}
MESSAGE = {"ts": "1770000000.000000", "text": "*정산 완료* &lt;2026-02-12&gt;"}
OUTCOME = run.DemoResult(
    days=[DAY],
    conversations={"C0SETTLE": [[MESSAGE, []]]},
    already_settled=["2026-02-12"],
    changed=False,
    seconds={"services": 1.5, "2026-02-12": 20.0},
    bank_booked={"E1": 88_050},
    ledger_booked={"E1": 88_050},
    closing_balance=50_006_950,
    investor="I001",
)


def shown(outcome: run.DemoResult, *, lang: str = "en") -> str:
    console = Console(width=run.NARROWEST, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    run._show(outcome, run.WORDS[lang], console, home=services.default_home())
    return console.export_text()


def test_the_policy_of_the_demo_holds_and_names_the_demo_s_dates(tmp_path: Path) -> None:
    loaded = policy.load(airflow_home.policy(tmp_path))
    assert (loaded.first_settlement_date, loaded.last_settlement_date) == (date(2026, 2, 12), date(2026, 2, 25))
    assert loaded.approval.limit == {"KRW": 38_000_000}
    assert airflow_home.policy(tmp_path).read_bytes() == airflow_home.policy(tmp_path).read_bytes()
    assert run._left(tmp_path) == (date(2026, 2, 24), date(2026, 2, 25))
    former = airflow_home.policy(tmp_path).read_text(encoding="utf-8").replace("= 2026-02-25", "= 2026-02-23")
    airflow_home.policy(tmp_path).write_text(former, encoding="utf-8")
    assert run._left(tmp_path) == (), "a home that was settled before these dates were left keeps its policy"


def test_a_new_home_speaks_the_language_that_was_asked_for_or_the_terminal_s_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert airflow_home.language(tmp_path) == "en"
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    assert airflow_home.language(tmp_path) == "ko"
    assert policy.load(airflow_home.policy(tmp_path, language="en")).alerts.language == "en"
    assert airflow_home.language(tmp_path) == "en"
    assert policy.load(airflow_home.policy(tmp_path, language="ko")).alerts.language == "en"


def test_another_airflow_of_this_machine_does_not_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_SMTP", "smtp://production")
    endpoints = services.Endpoints.from_json(
        json.dumps(
            {"home": str(tmp_path), "sockets": "/tmp/x", "bank": "http://127.0.0.1:1", "slack": "http://127.0.0.1:2"}
        )
    )
    environment = airflow_home.environment(endpoints)
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert "AIRFLOW_CONN_SETTLEMENT_SMTP" not in environment
    assert airflow_home.environment(endpoints) == environment
    assert (tmp_path / "airflow" / "keys.json").stat().st_mode & 0o077 == 0


def test_a_day_is_shown_with_amounts_that_add_up() -> None:
    (line,) = (line for line in shown(OUTCOME).splitlines() if line.strip().startswith("2026-02-12"))
    received, *parts, paid, breaks = (int(word.replace(",", "")) for word in line.split()[1:])
    assert received == sum(parts)
    assert (paid, breaks) == (88_050, 1)


def test_slack_is_shown_as_a_person_reads_it_and_the_next_command_names_an_investor() -> None:
    text = shown(OUTCOME)
    assert "정산 완료 <2026-02-12>" in text
    assert "settlement demo why I001 2026-02-12" in text


def facts(**breaks: Any) -> run._Facts:
    row = {"break_id": 1, "cause": "unknown_at_bank", "opened_on": date(2026, 2, 13), "resolved_on": None}
    days: dict[str, run.Row] = {day: {} for day in ("2026-02-13", "2026-02-19")}
    return run._Facts(days=days, breaks={1: row | breaks} if breaks else {}, fingerprint=())


def test_what_became_of_breaks_is_told_day_by_day_with_their_ages() -> None:
    moments = [
        facts(),
        facts(age_business_days=0),
        facts(age_business_days=1),
        facts(age_business_days=1),
        facts(age_business_days=3, resolved_on=date(2026, 2, 23)),
    ]
    days = ["2026-02-13", "2026-02-19", "2026-02-19", "2026-02-23"]
    told = [
        [(row["what"], row["age_business_days"], row["days"]) for row in before.news_of_breaks(after, day)]
        for before, after, day in zip(moments, moments[1:], days, strict=False)
    ]
    assert told == [[("opened", 0, 0)], [("older", 1, 6)], [], [("resolved", 3, 10)]]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_second_run_says_that_nothing_changed(lang: str) -> None:
    assert run.WORDS[lang]["nothing"] in shown(OUTCOME, lang=lang)
    assert run.WORDS[lang]["nothing"] not in shown(dataclasses.replace(OUTCOME, changed=True), lang=lang)


def test_a_bank_that_differs_from_the_ledger_is_said_loudly() -> None:
    differing = dataclasses.replace(OUTCOME, bank_booked={"E1": 88_051})
    assert not differing.agrees
    assert "THE BANK AND THE LEDGER DIFFER: bank 88,051, ledger 88,050" in shown(differing)


def test_both_languages_say_the_same_things() -> None:
    assert run.WORDS["ko"].keys() == run.WORDS["en"].keys()
    assert run.WORDS["ko"]["columns"].count(",") == run.WORDS["en"]["columns"].count(",")


def test_the_json_holds_the_days_and_their_totals() -> None:
    value = json.loads(run._as_json(OUTCOME))
    assert value["days"][0]["settlement_date"] == "2026-02-12"
    assert value["totals"]["received_amount"] == 95_000
    assert (value["changed"], value["bank_agrees"]) == (False, True)


def test_a_command_runs_on_the_demo_s_data_at_its_hour_and_only_where_a_demo_was_settled(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match="There is no settled demo in"):
        run.command(["status"], home=tmp_path)
    with services.running(tmp_path) as endpoints:
        migrate(endpoints.postgres.settlement_db_url)
        (tmp_path / run.SETTLED).touch()
        assert run.command(["status", "2026-02-12", "--lang", "en"], home=tmp_path) == 1
    assert capfd.readouterr().out.startswith("⚪ Settlement of 2026-02-12 (Thu) · not started")


def test_what_a_shell_reads_to_work_on_the_demo_is_for_its_owner_and_finds_the_commands(tmp_path: Path) -> None:
    with services.running(tmp_path) as endpoints:
        run._leave_environment(endpoints, run._environment(endpoints))
    path = tmp_path / "environment.sh"
    assert path.stat().st_mode & 0o777 == 0o600
    shell = subprocess.run(
        ["sh", "-c", f'PATH=/bin:/usr/bin; . "{path}"; command -v settlement; echo "$SETTLEMENT_NOW"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.splitlines() == [str(Path(sys.executable).with_name("settlement")), "2026-02-12T06:00:00+09:00"]


def test_the_morning_moves_with_the_bank_and_never_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETTLEMENT_NOW", "")
    lender = world.World()
    with services.running(tmp_path) as endpoints:
        first, second = world.SETTLEMENT_DATES[:2]
        mornings = []
        for day in (first, second, first):
            story.live_through(day, lender, endpoints)
            mornings.append(os.environ["SETTLEMENT_NOW"][:16])
        assert mornings == ["2026-02-13T06:00", "2026-02-14T06:00", "2026-02-14T06:00"]
        assert len(endpoints.bank.credits()) == 12


class Pages(BaseHTTPRequestHandler):
    """An API server of Airflow, as far as the demo asks it anything; its tasks end one after the other."""

    asked: ClassVar[list[str]] = []
    running: ClassVar[list[int]] = []
    read: ClassVar[list[tuple[str, ...]]] = []

    def do_POST(self) -> None:
        self._answer({"access_token": "t"})

    def do_PATCH(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(f"paused {said['is_paused']}")
        self._answer({})

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/api/v2/dags":
            self._answer({"dags": [{"dag_id": name} for name in self.read.pop(0)]})
        else:
            self._answer({"total_entries": self.running.pop(0)})

    def _answer(self, value: dict[str, Any]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_before_airflow_is_stopped_it_begins_nothing_more_and_what_runs_ends() -> None:
    Pages.asked, Pages.running = [], [2, 1, 0]
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        airflow_home.let_tasks_end(f"http://127.0.0.1:{server.server_port}", "secret")
        server.shutdown()
    looked = "/api/v2/dags/~/dagRuns/~/taskInstances?state=running&state=queued&limit=1"
    assert Pages.asked == ["paused True", looked, looked, looked]


def test_the_dags_begin_when_every_one_of_them_is_read() -> None:
    Pages.asked, Pages.read = [], [(), airflow_home.DAGS[:2], airflow_home.DAGS]
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        airflow_home.unpause(f"http://127.0.0.1:{server.server_port}", "secret")
        server.shutdown()
    assert Pages.asked == ["/api/v2/dags"] * 3 + ["paused False"]


def test_an_airflow_that_is_gone_is_not_waited_for() -> None:
    airflow_home.let_tasks_end("http://127.0.0.1:1", "secret")
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Pages.running = [1] * 9
        began = time.monotonic()
        airflow_home.let_tasks_end(f"http://127.0.0.1:{server.server_port}", "secret", seconds=1)
        server.shutdown()
    assert time.monotonic() - began < 3


def test_what_is_waited_for_is_said_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with run._waiting(run._console()) as wait:
        wait("starting Airflow, about a minute …")
    assert capsys.readouterr().out == "starting Airflow, about a minute …\n"
