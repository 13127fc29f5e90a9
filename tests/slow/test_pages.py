"""The operator's pages in a browser on a real Airflow, for three people: about twenty minutes on two cores.

Needs `chromium` (CHROMIUM names another one) and `npm`, which fetches playwright-core and axe-core into the test's own
folder. `SETTLEMENT_PICTURES` names a folder in which pictures of the pages are kept.

The demo is settled, then things go wrong that only a person can answer for: money comes that nobody knows, a borrower
asks for a refund to an account that is none. What a demo's bank does not do by itself (to be silent for days about a
payout), and what no day of it meets (an objection, a dead Slack), is written into the books.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from settlement_lab.servers import embedded, services

from . import up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4800)]
UI = Path(__file__).parent / "ui"
PACKAGES = ("playwright-core@1.65.1", "axe-core@4.14.1")
ODD_CREDITS = {"matched": 900, "booked": 700, "written off": 600, "of two": 6_000}
"""Won that come in on the 25th for nobody, once for each language: the second time one won more."""
SOURCE = """
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference, recorded_at) values
 ('P-L060-more', 'L060', '2026-02-24 12:00+09', 70000, 'REF-MORE', '2026-02-24 12:05+09'),
 ('P-ko', 'L001', '2026-02-25 12:00+09', 900, 'REF-ko', '2026-02-25 12:05+09'),
 ('P-en', 'L001', '2026-02-25 12:00+09', 901, 'REF-en', '2026-02-25 12:05+09');
insert into core.refunds (refund_id, loan_id, currency, amount, payee_name, payee_account, payee_bank, requested_at)
values
 ('F-ko', 'L060', 'KRW', 30000, '차주', '', null, '2026-02-24 13:00+09'),
 ('F-en', 'L060', 'KRW', 40000, '차주', '', null, '2026-02-24 13:00+09');
"""
SILENCE = """
set session_replication_role = replica;
create temporary view silent as
select min(payout_id) as payout_id, min(file_id) as file_id
  from ledger.payouts where settlement_date = '2026-02-24' and state = 'accepted';
update ledger.payout_files set settlement_date = '2026-02-23', created_at = '2026-02-23 21:00Z'
 where file_id = (select file_id from silent);
update ledger.transmissions set started_at = '2026-02-23 21:00Z', answered_at = '2026-02-23 21:01Z', outcome = 'unknown'
 where file_id = (select file_id from silent);
update ledger.payouts set state = 'unknown' where payout_id = (select payout_id from silent);
update ledger.days set state = 'failed' where settlement_date = '2026-02-24';
insert into ledger.objections
values ('2026-02-24', 'usual_totals', 'much more than on other days ' || now(), now(), 'run');
update ledger.alert_outbox set state = 'failed', last_error = 'channel_not_found'
 where alert_id = (select max(alert_id) from ledger.alert_outbox where state = 'delivered' and event <> 'thread');
update ledger.alert_outbox set severity = 'critical', repeat_at = now() + interval '1 day', resolved_at = null
 where alert_id = (select max(alert_id) from ledger.alert_outbox where state = 'delivered' and kind = 'reply');
"""
NOT_PAID = "select count(*) from ledger.payouts where settlement_date = '2026-02-24' and state <> 'accepted'"
REASON = '전화 <b onclick="x">phone</b> {}'
LEFT = {
    "select kind, target, amount, requested_by, decided_by from ledger.break_decisions order by decision_id": [
        ("match", "receipt:P-ko", 900, "maker", "maker"),
        ("book", "bank_interest", 700, "maker", "maker"),
        ("write_off", "difference", 600, "checker", "checker"),
        ("book", "bank_interest", 6_000, "maker", "checker"),
        ("answer", "answered", 0, "maker", "maker"),
        ("match", "receipt:P-en", 901, "maker", "maker"),
        ("book", "bank_interest", 701, "maker", "maker"),
        ("write_off", "difference", 601, "checker", "checker"),
        ("book", "bank_interest", 6_001, "maker", "checker"),
        ("answer", "answered", 0, "maker", "maker"),
    ],
    "select overridden_by, reason from ledger.objections order by raised_at": [
        ("checker", REASON.format("ko")),
        ("checker", REASON.format("en")),
    ],
    "select name, uploaded_by, reason from ledger.uploads order by name desc": [
        ("ko.xml", "maker", REASON.format("ko")),
        ("en.xml", "maker", REASON.format("en")),
    ],
    "select count(*) from ledger.payouts where settlement_date = '2026-02-24' and state = 'rejected'": [(2,)],
    "select payee_id from ledger.holds where payee_kind = 'borrower'": [],
    "select count(*) from ledger.alert_outbox where state = 'failed'": [(0,)],
}
"""What is in the books after it, by the question that is asked of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """A demo with Airflow on it, a folder in which `node` finds its packages, and the demo's own books and bank."""

    demo: up.Up
    folder: Path
    endpoints: services.Endpoints

    def node(self, script: str, *arguments: str) -> list[str]:
        """Run a script that prints a line for each thing that is wrong; return these."""
        command = ["node", str(UI / script), self.demo.airflow, *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def books(self, statement: str) -> list[tuple[Any, ...]]:
        url = self.endpoints.postgres.url("settlement_db", user=embedded.SUPERUSER, driver="postgresql")
        with psycopg.connect(url, autocommit=True) as books:
            result = books.execute(statement)
            return result.fetchall() if result.description else []


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    command = [sys.executable, "-m", "settlement.cli", "demo", "--home", str(folder / "home")]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    subprocess.run(["npm", "install", "--silent", *PACKAGES], cwd=folder, check=True)
    with services.running(folder / "home") as endpoints:
        url = endpoints.postgres.lending_core_owner_url.replace("+psycopg", "")
        with psycopg.connect(url) as source:
            source.execute(SOURCE)
        endpoints.bank.receive(reference="REF-MORE", amount=70_000, on=date(2026, 2, 25), payer="차주")
        for more, language in enumerate(("ko", "en")):
            for name, amount in ODD_CREDITS.items():
                named = f"{name} {language}"
                endpoints.bank.receive(reference=named, amount=amount + more, on=date(2026, 2, 25), payer="?")
        with up.running(folder) as demo:
            up.wait_until(lambda: waits_for_approval(demo), 600)
            yield Pages(demo=demo, folder=folder, endpoints=endpoints)


def waits_for_approval(demo: up.Up) -> bool:
    with httpx.Client(base_url=demo.airflow, trust_env=False, timeout=300) as client:
        login = {"username": "viewer", "password": demo.passwords["viewer"]}
        token = client.post("/auth/token", json=login).json()["access_token"]
        page = client.get("/settlement/gate", headers={"Authorization": f"Bearer {token}"})
    return "required_actions" in page.text


def test_three_people_walk_every_page_in_both_languages_and_nothing_is_wrong(pages: Pages) -> None:
    axe, wrong = str(pages.folder / "node_modules" / "axe-core" / "axe.min.js"), {}
    kept = [os.environ["SETTLEMENT_PICTURES"]] if "SETTLEMENT_PICTURES" in os.environ else []
    for user, password in pages.demo.passwords.items():
        wrong[user] = pages.node("pages.mjs", user, password, axe, *(kept if user == "maker" else []))
    assert wrong == {"viewer": [], "maker": [], "checker": []}


def test_two_people_do_in_both_languages_whatever_a_person_can_do_and_each_is_done_once(pages: Pages) -> None:
    passwords = [pages.demo.passwords[user] for user in ("maker", "checker", "viewer")]
    assert pages.node("approve.mjs", "checker", passwords[1]) == []
    up.wait_until(lambda: pages.books(NOT_PAID) == [(0,)], 600)
    for language in ("ko", "en"):
        pages.books(SILENCE)
        message = pages.folder / f"{language}.xml"
        message.write_text(f"<{language} is no statement")
        assert pages.node("acts.mjs", language, str(message), *passwords) == []
    assert {question: pages.books(question) for question in LEFT} == LEFT
