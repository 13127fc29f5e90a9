"""Random worlds through the real source and the real ledger, day after day, against the reference: what the reporting
views say is what the rules say, to the unit. No bank: these days compute and book and pay nothing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from settlement import wiring
from settlement.domain.days import BankCalendar, SettlementCalendar
from settlement.ports.days import DayRun, RunRequest
from settlement.ports.services import Services
from settlement.stages import close, compute, extract, month, open_day

from tests.reference import worlds
from tests.reference.player import comparable, differences
from tests.reference.reference import Reference
from tests.reference.world import Holding, Investor, Loan, Note, Receivable, Refund, Repayment, World

# The source as a company's views may show it: without keys that keep contradictions out.
RELATIONS = {
    Loan: ("loans", "loan_id text, currency text, disbursed_on date"),
    Investor: (
        "investors",
        "investor_id text, tax_class text, name text default '김하나', status text default 'active',"
        " payout_account text default '110-33', payout_bank text default '088'",
    ),
    Note: ("notes", "note_id text, loan_id text, principal bigint"),
    Holding: ("note_holdings", "note_id text, investor_id text, held_from date, held_until_exclusive date"),
    Receivable: (
        "receivables",
        "receivable_id text, loan_id text, installment_no integer, component text, due_on date, amount bigint",
    ),
    Repayment: (
        "repayments",
        "repayment_id text, loan_id text, received_at timestamptz, amount bigint, reverses_repayment_id text,"
        " bank_reference text",
    ),
    Refund: (
        "refunds",
        "refund_id text, loan_id text, currency text, amount bigint, requested_at timestamptz,"
        " payee_name text default '홍길동', payee_account text default '110-33', payee_bank text default '088'",
    ),
}


class StoryDays(BankCalendar):
    """The business days of a story's world."""

    __slots__ = ("_world",)

    _world: World

    def __init__(self, world: World) -> None:
        object.__setattr__(self, "_world", world)

    def is_business_day(self, on: date) -> bool:  # type: ignore[override]  # what a calendar remembers of its days, a story looks up
        return self._world.is_business_day(on)

    def why_closed(self, on: date) -> str | None:
        return None if self.is_business_day(on) else "closed"


class Pipeline:
    """The stages extract and compute over two databases, for one story."""

    def __init__(self, story: worlds.Story, core_url: str, ledger_url: str) -> None:
        self.story = story
        self.core = sa.create_engine(core_url, poolclass=sa.NullPool)
        self.ledger = sa.create_engine(ledger_url, poolclass=sa.NullPool)
        self.runs = 0
        self.first: date | None = None
        with self.core.begin() as connection:
            connection.exec_driver_sql("drop schema core cascade; create schema core")
            for name, columns in RELATIONS.values():
                connection.exec_driver_sql(f"create table core.{name} ({columns})")
            connection.exec_driver_sql(
                "grant usage on schema core to public; grant select on all tables in schema core to public"
            )

    def show(self, world: World) -> None:
        """Let the source be what the next run sees."""
        with self.core.begin() as connection:
            for kind, (name, _) in RELATIONS.items():
                connection.exec_driver_sql(f"truncate core.{name}")
                names = ", ".join(field.name for field in fields(kind))
                cursor: Any = connection.connection.cursor()
                with cursor.copy(f"copy core.{name} ({names}) from stdin") as copy:
                    for row in world.rows(self.runs):
                        if type(row) is kind:
                            copy.write_row(astuple(row))
        self.runs += 1

    @contextmanager
    def services(self) -> Iterator[Services]:
        policy = self.story.policy
        calendar = SettlementCalendar(
            calendar=StoryDays(self.story.world),
            timezone=policy.timezone,
            cut_off=policy.cut_off,
            first=self.first,
        )
        with wiring.services() as services:
            yield replace(services, policy=policy, calendar=calendar)

    def run(self, on: date) -> None:
        self.show(self.story.world)
        now = datetime.combine(on + timedelta(days=2), datetime.min.time(), UTC)
        with self.services() as services:
            self.distribute(services, on, now=now)

    def distribute(self, services: Services, on: date, *, now: datetime, transfer: bool = False) -> DayRun:
        """Settle the date, or settle it again."""
        request = RunRequest(settlement_date=on, run_id=f"run-{self.runs}", transfer=transfer, reason="again")
        day = open_day.open_day(services, request, now=now)
        extract.freeze_inputs(services, day, now=now)
        compute.distribute(services, day, now=now)
        return day

    def months(self) -> list[dict[str, Any]]:
        """Return the months of the story; each proves that its shares, its days and the journal come to the same."""
        firsts = sorted({on.replace(day=1) for on in self.story.world.dates})
        with self.services() as services, services.ledger.books(read_only=True) as books:
            return [month.month(services, books, first) for first in firsts]

    def balances(self) -> dict[tuple[str, str], int]:
        """Return what stands on each account."""
        with self.ledger.connect() as connection:
            rows = connection.execute(sa.text("select account, currency, amount from reporting.balances"))
            return {(row.account, row.currency): row.amount for row in rows}

    def said(self, on: date) -> dict[str, Any]:
        """Return what the views say of the date, in the shape of the reference's `comparable`."""
        with self.ledger.connect() as connection:

            def rows(sql: str) -> list[tuple[Any, ...]]:
                return [tuple(row) for row in connection.execute(sa.text(sql), {"on": on})]

            postings = defaultdict(list)
            heads: dict[int, tuple[Any, ...]] = {}
            for entry_id, settled_on, event, repayment_id, currency, account, amount, undone in rows(
                "select entry_id, settlement_date, event, repayment_id, currency, account, amount, reverses_entry_id"
                " from reporting.journal"
            ):
                postings[entry_id].append((account, amount))
                heads[entry_id] = (settled_on, event, repayment_id, currency, undone)

            def flat(entry_id: int) -> tuple[Any, ...]:
                *head, undone = heads[entry_id]
                return (*head, frozenset(postings[entry_id]), flat(undone)[:5] if undone else None)

            credits = defaultdict(list)
            for loan_id, repayment_id, amount in rows(
                "select c.loan_id, c.repayment_id, sum(c.amount)::bigint from ledger.credit_changes c"
                " group by 1, 2 having sum(c.amount) <> 0"
                " order by min(c.settlement_date), (array_agg(c.position order by c.settlement_date, c.position))[1]"
            ):
                credits[loan_id].append((repayment_id, amount))
            return {
                "allocations": Counter(
                    rows(
                        "select repayment_id, receivable_id, currency, component, amount from reporting.allocations"
                        " where settlement_date = :on"
                    )
                ),
                "shares": Counter(
                    rows(
                        "select repayment_id, receivable_id, note_id, investor_id, currency, component, gross_amount,"
                        " fee_amount, vat_amount, national_tax_amount, local_tax_amount, net_amount"
                        " from reporting.shares where settlement_date = :on"
                    )
                ),
                "entries": Counter(flat(entry_id) for entry_id, head in heads.items() if head[0] == on),
                "quarantine": Counter(
                    rows(
                        "select loan_id, coalesce(repayment_id, evidence ->> 'refund_id'), currency, amount, rule"
                        " from reporting.quarantine where settlement_date = :on"
                    )
                ),
                "released": Counter(
                    row[0]
                    for row in rows(
                        "select coalesce(repayment_id, evidence ->> 'refund_id') from reporting.quarantine"
                        " where released_on = :on"
                    )
                ),
                "refunds": Counter(
                    row[0] for row in rows("select refund_id from ledger.standing_refunds where settlement_date = :on")
                ),
                "credits": dict(credits),
                "totals": {
                    row[0]: row[1:]
                    for row in rows(
                        "select currency, repayment_count, received_amount, distributed_amount, fee_amount, vat_amount,"
                        " national_tax_amount, local_tax_amount, cost_amount, credit_amount, quarantined_amount,"
                        " refunded_amount"
                        " from reporting.settlement_days where settlement_date = :on"
                    )
                    if any(row[1:])
                },
                "breaks": {
                    (row[0], row[1]): row[2]
                    for row in rows(
                        "select cause, subject_id, amount from reporting.breaks"
                        " where state = 'open' and cause <> 'source_changed'"
                    )
                },
            }


def expected(reference: Reference, on: date, loan_of: dict[str, str]) -> dict[str, Any]:
    entries_of = {loan_id: books.entries for loan_id, books in reference.books.items()}
    wanted = comparable(reference.result(on), loan_of, entries_of)
    # The views show neither: the outcome of each repayment, and the order of allocations.
    return {name: rows for name, rows in wanted.items() if name not in ("outcomes", "allocations in order")}


@pytest.fixture
def new_pipeline(lending_core: Any, settlement_db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, url in {"LENDING_CORE": lending_core.url, "SETTLEMENT_DB": settlement_db_url}.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps({"conn_type": "generic", "extra": {"url": url}}))
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "snapshots"))
    return lambda story: Pipeline(story, lending_core.owner_url, settlement_db_url)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow, id=f"{n}, 20 s") for n in range(2, 6))]
)
def test_the_views_say_what_the_rules_say(new_pipeline: Any, seed: int) -> None:
    story = worlds.story(seed, loans=25, days=6)
    pipeline, reference = new_pipeline(story), Reference(story.world, story.policy)
    loan_of = {f.row.repayment_id: f.row.loan_id for f in story.world.facts if isinstance(f.row, Repayment)}
    for on in story.world.dates:
        reference.run(on)
        pipeline.run(on)
        found = differences(expected(reference, on, loan_of), pipeline.said(on))
        assert not found, "\n".join([f"seed {seed} on {on}", *found[:40]])
    with pipeline.services() as services:
        assert close.verify(services) == [], f"seed {seed}: books that nobody touched"
    assert any(of_month["filing"] for of_month in pipeline.months())
