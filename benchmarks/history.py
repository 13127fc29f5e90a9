"""A lender with a past: so many settled dates before the one that is measured, in the source and in the books.

Loans pay once a month: of 20 cohorts one pays on each business day, and the measured date is that of the first cohort,
however long the past is. Every loan has the same life of 26 instalments in the source: what grows is what was settled,
and nothing else. The past is made in the server as each date would have left it (`history.sql`), not by settling it: in
minutes, not days. Each fiftieth loan paid too much once, so that something is held on it all the while.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import sqlalchemy as sa
import structlog
from settlement import config, wiring
from settlement.domain.days import SettlementCalendar
from settlement.ports.days import DayRun
from settlement.stages import extract
from settlement.stages import restate as stages_restate

from benchmarks import world
from benchmarks.day import NOW

COHORTS = 20
MOST_NOTES_EACH = 5_000
"""One loan in so many has the most notes of all; a multiple of the cohorts."""
INSTALMENTS = 26
DISBURSED_ON = "2024-06-03"
STATEMENTS = Path(__file__).with_name("history.sql").read_text(encoding="utf-8").split(";\n")

LENDER = """
create table public.lender_loans (
  loan_id text primary key, cohort integer, place integer, interest bigint, principal bigint, holds boolean);
create table public.lender_notes (
  note_id text, loan_id text, investor_id text, cohort integer, interest bigint, principal bigint)
"""
INDEXES = """
create index on core.repayments (received_at);
create index on core.repayments (loan_id);
create index on core.receivables (loan_id);
create index on core.notes (loan_id)
"""
RECEIVABLES = """
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)
select kind || loan_id || '-' || lpad(number::text, 2, '0'), loan_id, number,
       case kind when 'RI' then 'interest' else 'principal' end,
       (%(dates)s::date[])[(cohort + %(days)s) %% %(cohorts)s + 1 + (number - 1) * %(cohorts)s],
       case kind when 'RI' then interest else principal end
  from public.lender_loans, generate_series(1, %(instalments)s) as number, (values ('RI'), ('RP')) as kinds (kind)
 order by loan_id, number
"""
REPAYMENTS = """
insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)
select 'P' || loan_id || '-' || lpad(number::text, 2, '0'), loan_id,
       until - interval '12 hours' + place * interval '1 second',
       interest + principal + case when holds and number = 1 then 1000 else 0 end, 'B' || loan_id || '-' || number
  from unnest(%(until)s::timestamptz[]) with ordinality as days (until, day)
  join public.lender_loans on cohort = (%(cohorts)s * %(instalments)s + day - 1 - %(days)s) %% %(cohorts)s,
       lateral (select (day - 1) / %(cohorts)s + 1 as number) of_cohort
 order by until, place
"""
SUMS = """
insert into ledger.balances (account, currency, amount)
select account, currency, sum(amount) from ledger.postings group by account, currency;
insert into ledger.balances (account, currency, amount)
select 'borrower_credit:' || loan_id, currency, -sum(amount) from ledger.credits group by loan_id, currency;
insert into ledger.windows_taken (window_on, receipts, digest)
select window_on, count(*),
       sum(ledger.number_of_receipt(repayment_id, loan_id, amount, received_at, reverses_repayment_id))
  from ledger.repayments group by window_on;
update ledger.books_version set version = (select count(*) from ledger.days);
select setval('ledger.entries_entry_id_seq', (select coalesce(max(entry_id), 0) + 1 from ledger.entries));
drop table public.lender_notes, public.lender_loans
"""

SECOND_LOAN = "select loan_id from core.repayments order by received_at, repayment_id limit 1 offset 1"
CORRECTED = """
update core.receivables set amount = amount + 100
 where receivable_id = (select receivable_id from core.receivables
                         where loan_id = %s and component = 'interest' order by due_on limit 1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The settlement dates of a lender before `world.ON`, oldest first, and how long it took to make them."""

    dates: tuple[date, ...]
    seconds: float


def load(core_url: str, ledger_url: str, shares: int, days: int, *, seed: int = 20260310) -> Past:
    """Write a lender that has so many shares a date, and so many settled dates, as a superuser of both databases."""
    start = time.perf_counter()
    calendar = wiring.calendar_of(wiring.load_policy())
    dates = _dates(calendar, days)
    random = np.random.default_rng(seed)
    notes_of = world.notes_of_loans(random, COHORTS * shares // 2)
    loans, notes, investors = len(notes_of), int(notes_of.sum()), max(10, shares // 5)
    loan = np.repeat(np.arange(loans), notes_of)
    principal = world.principal_of(random, loan, loans)
    holder = (investors * random.random(notes) ** 2).astype(np.int64)
    interest, repaid = principal // 120, principal // 40
    first = np.cumsum(notes_of) - notes_of
    cohort = (np.arange(loans) + np.arange(loans) // MOST_NOTES_EACH) % COHORTS  # so that each has some of the largest
    loan_ids, note_ids, investor_ids = (world.ids(*of) for of in (("L", loans), ("N", notes), ("I", investors)))
    of_loans = {
        "loan_id": loan_ids,
        "cohort": cohort,
        "place": np.arange(loans) // COHORTS + 1,
        "interest": np.add.reduceat(interest, first),
        "principal": np.add.reduceat(repaid, first),
        "holds": np.arange(loans) // COHORTS % 50 == 0,
    }
    until = [calendar.window(on).until_at_exclusive for on in dates]
    with psycopg.connect(core_url.replace("+psycopg", "")) as core:
        core.execute("set session_replication_role = replica")
        core.execute(LENDER)
        world.copy(core, "public.lender_loans", **of_loans)
        disbursed_on = [DISBURSED_ON] * loans
        world.copy(core, "core.loans", loan_id=loan_ids, currency=["KRW"] * loans, disbursed_on=disbursed_on)
        world.write_investors(core, random, investors)
        world.copy(core, "core.notes", note_id=note_ids, loan_id=loan_ids.take(loan), principal=principal)
        world.copy(
            core,
            "core.note_holdings",
            note_id=note_ids,
            investor_id=investor_ids.take(holder),
            held_from=[DISBURSED_ON] * notes,
        )
        named = {"cohorts": COHORTS, "instalments": INSTALMENTS, "dates": dates, "days": days}
        core.execute(RECEIVABLES, named)
        core.execute(REPAYMENTS, named | {"until": until[: days + 1]})
        core.execute("drop table public.lender_notes, public.lender_loans")
        core.execute(INDEXES)
    engine = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with engine.begin() as books:
        books.exec_driver_sql("set session_replication_role = replica")
        books.exec_driver_sql("set local work_mem = '256MB'")
        books.exec_driver_sql(LENDER)
        raw: Any = books.connection.driver_connection
        world.copy(raw, "public.lender_loans", **of_loans)
        world.copy(
            raw,
            "public.lender_notes",
            note_id=note_ids,
            loan_id=loan_ids.take(loan),
            investor_id=investor_ids.take(holder),
            cohort=cohort[loan],
            interest=interest,
            principal=repaid,
        )
        books.exec_driver_sql("create index on public.lender_notes (cohort)")
        books.exec_driver_sql("analyze public.lender_loans, public.lender_notes")
    for place, on in enumerate(dates[:days]):
        with engine.begin() as books:
            books.exec_driver_sql("set session_replication_role = replica")
            books.exec_driver_sql("set local work_mem = '256MB'")
            _settled(books, calendar, on, place, cohort=(place - days) % COHORTS, entries=2 * loans)
    with engine.begin() as books:
        books.exec_driver_sql("set session_replication_role = replica")
        books.exec_driver_sql("set local work_mem = '256MB'")
        for statement in SUMS.split(";\n"):
            books.exec_driver_sql(statement)
    engine.dispose()
    for url in (core_url, ledger_url):
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")
    return Past(dates=tuple(dates[:days]), seconds=time.perf_counter() - start)


def _settled(
    books: sa.Connection, calendar: SettlementCalendar, on: date, place: int, *, cohort: int, entries: int
) -> None:
    window = calendar.window(on)
    named = {
        "on": on,
        "from": window.from_at,
        "until": window.until_at_exclusive,
        "cohort": cohort,
        "number": place // COHORTS + 1,
        "entries": place * entries,
    }
    leaf = f"{on:%Y%m%d}_1"
    for statement in STATEMENTS:
        if statement.strip():
            text = sa.text(statement.format(shares=f"ledger.shares_{leaf}", postings=f"ledger.postings_{leaf}"))
            books.execute(text, {name: value for name, value in named.items() if name in text.compile().params})


def _dates(calendar: SettlementCalendar, days: int) -> list[date]:
    """Return the business days of all instalments: so many, the measured one, and the rest of the loans' lives."""
    before = calendar.days_between(world.ON - timedelta(days=2 * days + 30), world.ON)
    after = calendar.days_between(world.ON, world.ON + timedelta(days=2 * COHORTS * INSTALMENTS))
    return [*before[len(before) - 1 - days : -1], *after][: COHORTS * INSTALMENTS]


def read_as_of(core_url: str, ledger_url: str, home: Path, dates: dict[str, date]) -> dict[str, float]:
    """Return the seconds that it takes to read where the measured date's loans stood before each of these dates."""
    _use(core_url, ledger_url, home)
    with wiring.services() as services, services.core.snapshot() as source:
        window = services.calendar.window(world.ON)
        loans = source.loans(sorted({*source.received([window])["loan_id"]}))
        facts = extract.facts_of(source, loans)
        found: dict[str, float] = {}
        for name, on in dates.items():
            with services.ledger.books(read_only=True) as books:
                start = time.perf_counter()
                books.inputs.see(on, facts)
                books.inputs.credit_loans(on)
                found[name] = time.perf_counter() - start
    return found


def restate(
    core_url: str, ledger_url: str, home: Path, *, administrator: str, since: dict[str, date]
) -> dict[str, float]:
    """Return the seconds that it takes to run a corrected loan again on every settled date from each of these on.

    The loan is the second that ever paid (on the first something is held): the interest of its first instalment is 100
    more by now, so that every payment since then is applied otherwise. Nothing of it is kept in the books.
    """
    with psycopg.connect(administrator.replace("+psycopg", "")) as core:
        ((loan,),) = core.execute(SECOND_LOAN).fetchall()
        core.execute(CORRECTED, [loan])
    _use(core_url, ledger_url, home)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output may be JSON
    found: dict[str, float] = {}
    with wiring.services() as services:
        for name, on in since.items():
            day = DayRun(settlement_date=on, revision=1, run_id="bench", dry_run=True)
            with services.ledger.books(day=day, posting=True, is_kept=False) as books:
                dates = [settled for settled in books.days.settled() if settled >= on]
                start = time.perf_counter()
                books.replays.lift([loan], since=on)
                stages_restate.replay(services, books, day, [loan], dates=dates, now=NOW)
                found[name] = time.perf_counter() - start
    return found


def _use(core_url: str, ledger_url: str, home: Path) -> None:
    os.environ |= {
        "SETTLEMENT_POLICY": str(config.DEFAULT_POLICY),
        "SETTLEMENT_SNAPSHOTS": str(home / "snapshots"),
        "AIRFLOW_CONN_LENDING_CORE": json.dumps({"conn_type": "generic", "extra": {"url": core_url}}),
        "AIRFLOW_CONN_SETTLEMENT_DB": json.dumps({"conn_type": "generic", "extra": {"url": ledger_url}}),
    }
