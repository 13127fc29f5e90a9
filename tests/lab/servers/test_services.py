from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from settlement_lab.servers import services

USE_THE_SERVICES = """
import sys, time
from pathlib import Path
from settlement_lab.servers import services
with services.running(Path(sys.argv[1])) as endpoints:
    print(endpoints.to_json(), flush=True)
    time.sleep(120)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(home) in part for part in process.info["cmdline"] or []) and process.pid != os.getpid():
            found.append(process)
    return found


@contextmanager
def another_user(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], services.Endpoints]]:
    user = subprocess.Popen([sys.executable, "-c", USE_THE_SERVICES, str(home)], stdout=subprocess.PIPE)
    assert user.stdout is not None
    try:
        yield user, services.Endpoints.from_json(user.stdout.readline().decode())
    finally:
        user.kill()
        user.wait()
        user.stdout.close()


def test_the_connections_are_those_of_the_contract_and_every_service_answers(tmp_path: Path) -> None:
    with services.running(tmp_path) as endpoints:
        environment = endpoints.environment()
        core, ledger, the_bank, slack = (
            json.loads(environment[f"AIRFLOW_CONN_{name}"])
            for name in ("LENDING_CORE", "SETTLEMENT_DB", "SETTLEMENT_BANK", "SETTLEMENT_SLACK")
        )
        for connection, user in ((core, "settlement_reader"), (ledger, "settlement")):
            with psycopg.connect(connection["extra"]["url"].replace("+psycopg", "")) as database:
                assert database.execute("select current_user").fetchone() == (user,)
        assert the_bank["extra"] == {
            "debtor_account": "KR23MOCK0000000099",
            "debtor_name": "소울렌딩 투자금 예치계좌",
            "debtor_agent": "MOCKKRSE",
            "currency": "KRW",
        }
        state = httpx.get(f"http://{the_bank['host']}:{the_bank['port']}/_mock/state").json()
        assert state["clock"]["timezone"] == "Asia/Seoul"
        assert "2026-02-16" in state["clock"]["holidays"]
        headers = {"Authorization": f"Bearer {slack['password']}"}
        assert httpx.post(slack["extra"]["base_url"] + "auth.test", headers=headers).json()["ok"]
        assert (tmp_path / "endpoints.json").stat().st_mode & 0o077 == 0
    wait_until(lambda: not processes_of(tmp_path))
    assert not (tmp_path / "endpoints.json").exists()


def test_two_commands_share_the_services_of_a_home_and_the_last_one_stops_them(tmp_path: Path) -> None:
    with another_user(tmp_path) as (first, theirs):
        with services.running(tmp_path) as ours:
            assert ours == theirs
            first.kill()
            first.wait()
            time.sleep(1)
            assert httpx.get(f"{ours.slack_url}/_sink/health").json() == {"ok": True}
        wait_until(lambda: not processes_of(tmp_path))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_however_the_command_ends_no_process_stays_and_the_next_one_starts(tmp_path: Path, end: signal.Signals) -> None:
    with another_user(tmp_path) as (user, _):
        user.send_signal(end)
        user.wait()
        wait_until(lambda: not processes_of(tmp_path))
    with services.running(tmp_path) as endpoints:
        assert endpoints.bank.now().date() == date(2026, 2, 12)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's death signal is Linux's")
def test_a_killed_keeper_takes_its_services_with_it_and_the_next_one_starts(tmp_path: Path) -> None:
    with services.running(tmp_path):
        (keeper,) = (
            process for process in processes_of(tmp_path) if "settlement_lab.servers.keeper" in process.cmdline()
        )
        keeper.kill()
        wait_until(lambda: not processes_of(tmp_path))
    with services.running(tmp_path) as endpoints:
        assert httpx.get(f"{endpoints.slack_url}/_sink/health").json() == {"ok": True}


def test_two_homes_do_not_meet(tmp_path: Path) -> None:
    with services.running(tmp_path / "a") as one, services.running(tmp_path / "b") as other:
        assert one.bank.url != other.bank.url
        one.bank.advance_to(date(2026, 2, 13))
        assert other.bank.now().date() == date(2026, 2, 12)


def test_the_bank_opens_where_it_was_left_with_its_statements_and_credits(tmp_path: Path) -> None:
    with services.running(tmp_path) as endpoints:
        for _ in range(2):
            endpoints.bank.receive(reference="R1", amount=1_000, on=date(2026, 2, 12), payer="김하늘")
        endpoints.bank.advance_to(date(2026, 2, 13))
    with services.running(tmp_path) as endpoints:
        assert endpoints.bank.now().date() == date(2026, 2, 13)
        assert [credit["reference"] for credit in endpoints.bank.credits()] == ["R1"]
        (statement,) = endpoints.bank.statements()
        assert (statement["day"], statement["opening"], statement["closing"]) == ("2026-02-12", 50_000_000, 50_001_000)


def test_a_service_that_cannot_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "clock").write_text("yesterday")
    with pytest.raises(services.CannotStart, match="yesterday"), services.running(tmp_path):
        pass
    wait_until(lambda: not processes_of(tmp_path))
