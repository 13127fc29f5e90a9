"""One seeded world lived through by one checkout: its lender, its bank and its payees, day after day.

The rows of the source come from the random worlds that the arithmetic is tested with: quarantined loans, reversals,
late and contradicting rows. What the bank sees of them is added here from the same seed: receipts that never came, came
twice or came in another amount, payees without an account or with one that is closed, and nights in which the bank is
in a mood. Chance never depends on what the product does, so both checkouts live through the same.

Method, for each date: the source shows what this run sees; the bank hears of the receipts up to the date; its clock
moves to the next morning; `daily_settlement` runs. Now and then the date is settled once more after the source has
changed. After the last date the bank's days pass twice, and `bank_reconciliation` hears it out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from benchmarks.same import lab, leaving
from benchmarks.same.checkout import TEMPLATE, Airflow

LOANS = 20
MORNING = clock_time(6)
SEOUL = ZoneInfo("Asia/Seoul")

# The source as a company's views may show it: without keys, which would keep contradictions out.
SCHEMA = """
create schema core;
create table core.loans (loan_id text, currency text, disbursed_on date);
create table core.investors (investor_id text, name text, tax_class text, status text, payout_account text,
                             payout_bank text);
create table core.notes (note_id text, loan_id text, principal bigint);
create table core.note_holdings (note_id text, investor_id text, held_from date, held_until_exclusive date);
create table core.receivables (receivable_id text, loan_id text, installment_no integer, component text, due_on date,
                               amount bigint, recorded_at timestamptz default '2026-01-01');
create table core.repayments (repayment_id text, loan_id text, received_at timestamptz, amount bigint,
                              bank_reference text, reverses_repayment_id text,
                              recorded_at timestamptz default '2026-01-01');
grant usage on schema core to public;
grant select on all tables in schema core to public;
"""
RELATIONS = ("loans", "investors", "notes", "note_holdings", "receivables", "repayments")

MOODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("reject-file", {}),
    ("insufficient-funds", {}),
    ("return-later", {"days": 1, "reason": "AC04"}),
    ("return-later", {"days": 1, "reason": "MS03"}),
    ("statement-gap", {}),
)


def play(seed: int, days: int, *, airflow: Airflow, server: lab.Postgres, folder: Path) -> leaving.Left:
    """Live through a world and return what left the house."""
    story = lab.story(seed, loans=LOANS, days=days)
    chance = Random(seed)
    with ExitStack() as stack:
        bank = stack.enter_context(lab.bank_running(folder / "bank", clock=f"{story.dates[0]}T{MORNING:%H:%M}"))
        slack = stack.enter_context(lab.slack_running(folder / "slack"))
        lab.empty_databases(server, template=TEMPLATE)
        policy = folder / "policy.toml"
        policy.write_text(_policy(story, chance), encoding="utf-8")
        airflow.environment = lab.connections(folder, server, bank, slack.url) | {"SETTLEMENT_POLICY": str(policy)}
        source = stack.enter_context(_source(server.lending_core_owner_url))
        lender = _Lender(seed=seed, story=story, bank=bank, source=source, chance=chance)
        lender.begin()
        store = lab.slack_store(folder / "slack")
        states: list[leaving.Row] = []
        messages: list[leaving.Row] = []
        for number, state in enumerate(_settle(lender, airflow), start=1):
            states.append({"run": number, "state": state})
            # A message is edited as its day goes on: what it said after each run counts, not only what it says now.
            messages += [row for row in leaving.of_slack(store)[leaving.MESSAGES] if row not in messages]
        left = leaving.of_databases(server.url("settlement_db", user="settlement", driver="postgresql"))
        left["runs of the DAGs"] = states
        left["payments at the bank"] = leaving.payments(bank)
        left |= leaving.of_slack(store) | {leaving.MESSAGES: messages}
    return left


def _settle(lender: _Lender, airflow: Airflow) -> Iterator[str]:
    chance = lender.chance
    for run, on in enumerate(lender.story.dates):
        lender.show(run)
        lender.tell_the_bank(on)
        with lender.night_after(on):
            yield airflow.run("daily_settlement", on, _now(on), settlement_date=str(on))
        if chance.random() < 0.25:
            lender.show(run + 1)
            yield airflow.run(
                "daily_settlement", on, _now(on) + timedelta(hours=1), settlement_date=str(on), reason="rows mended"
            )
    after = lender.story.dates[-1]
    for _ in range(2):
        after = lab.next_business_day(after)
        lender.bank.advance_to(after + timedelta(days=1))
        yield airflow.run("bank_reconciliation", after, _now(after))
    yield airflow.run("alert_delivery", after, _now(after))


def _now(on: date) -> datetime:
    """Return the instant at which a date is settled: past the end of its window in every zone of the worlds."""
    return datetime.combine(on + timedelta(days=1), MORNING, UTC)


@contextmanager
def _source(owner_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


@dataclass(kw_only=True)
class _Lender:
    """The lender, its payers and its payees."""

    seed: int
    story: lab.Story
    bank: lab.Bank
    source: psycopg.Connection[Any]
    chance: Random
    payees: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    missing: float = 0

    def begin(self) -> None:
        """Give every investor a payee, and the bank the accounts that it holds of them."""
        self.missing = self.chance.choice([0, 0, 0.03])
        known = {row["investor_id"]: None for row in self.story.everything("investors")}
        for number, investor_id in enumerate(known):
            self.payees[investor_id] = self._payee(number)

    def show(self, run: int) -> None:
        """Let the source be what the run of that number sees."""
        with self.source.transaction():
            for relation in RELATIONS:
                self.source.execute(sql.SQL("truncate {}").format(sql.Identifier("core", relation)))
            for relation, row in self.story.rows(run):
                if relation == "investors":
                    row |= self.payees[row["investor_id"]]
                elif relation == "repayments":
                    row["bank_reference"] = self._reference(row["repayment_id"])
                self.source.execute(
                    sql.SQL("insert into {} ({}) values ({})").format(
                        sql.Identifier("core", relation),
                        sql.SQL(", ").join(map(sql.Identifier, row)),
                        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
                    ),
                    list(row.values()),
                )

    def tell_the_bank(self, on: date) -> None:
        """Let the money that came up to a date stand on the account, with what goes wrong between payer and bank."""
        today = self.bank.now().date()
        currency = {row["loan_id"]: row["currency"] for row in self.story.everything("loans")}
        for row in self.story.everything("repayments"):
            received_on = row["received_at"].astimezone(SEOUL).date()
            repayment_id, is_won = row["repayment_id"], currency.get(row["loan_id"], "KRW") == "KRW"
            if row["reverses_repayment_id"] or received_on > on or repayment_id in self.told or not is_won:
                continue
            self.told.add(repayment_id)
            rng = Random(f"{self.seed}:{repayment_id}")
            if rng.random() < self.missing:
                continue
            amount = row["amount"] + (1 if rng.random() < 0.02 else 0)
            times = 2 if rng.random() < 0.02 else 1
            for time in range(times):
                said = self._reference(repayment_id) or f"UNNAMED-{len(self.told)}"
                self.bank.receive(
                    reference=said + "-AGAIN" * time, amount=amount, on=max(received_on, today), payer="차입자"
                )
        if self.chance.random() < 0.2:
            self.bank.receive(reference=f"STRANGER-{on}", amount=12_345, on=on, payer="누군가")

    @contextmanager
    def night_after(self, on: date) -> Iterator[None]:
        """Let the bank's days pass until the morning after, in which it may be in a mood."""
        mood, parameters = self.chance.choice(MOODS)
        is_moody = self.chance.random() < 0.25
        if is_moody and mood == "statement-gap":
            self.bank.change_account("PLATFORM", behaviour=mood)
        self.bank.advance_to(on + timedelta(days=1))
        if is_moody and mood != "statement-gap":
            self.bank.change_account("PLATFORM", behaviour=mood, parameters=parameters)
        try:
            yield
        finally:
            if is_moody:
                self.bank.change_account("PLATFORM", behaviour="accept", parameters={})

    def _payee(self, number: int) -> dict[str, Any]:
        chance = self.chance.random()
        account: str | None = f"110-20-{self.seed * 1_000 + number:06d}"
        bank: str | None = "088"
        if chance < 0.05:
            account = None
        elif chance < 0.5:
            account, bank = lab.account_number(f"MOCK{number + 1:010d}"), None
            behaviour = self.chance.choice(["accept"] * 7 + ["closed-account", "bad-bank-id", "return-later"])
            self.bank.open_account(f"PAYEE-{number}", account, owner=f"투자자 {number}", behaviour="accept")
            parameters = {"days": 1, "reason": "AC04"} if behaviour == "return-later" else {}
            self.bank.change_account(f"PAYEE-{number}", behaviour=behaviour, parameters=parameters)
        status = "frozen" if self.chance.random() < 0.05 else "active"
        return {"name": f"투자자 {number}", "status": status, "payout_account": account, "payout_bank": bank}

    def _reference(self, repayment_id: str) -> str | None:
        """Return what the bank calls a receipt; one in ten is called nothing that the lender knows."""
        rng = Random(f"{self.seed}:{repayment_id}:reference")
        return f"RCPT-{rng.randrange(10**9):09d}" if rng.random() < 0.9 else None


def _policy(story: lab.Story, chance: Random) -> str:
    """Return the policy file of a world: what its story says, and how money leaves, which the story leaves open."""
    largest = max((row["amount"] for row in story.everything("repayments")), default=1)
    return "\n".join(
        f"{json.dumps(key)} = {as_toml(value)}"
        for key, value in (
            story.policy
            | {
                "payouts": {
                    "KRW": {
                        "minimum": chance.choice([1, 1, 1_000]),
                        "maximum": chance.choice([10**17, max(1_000, largest // 3)]),
                        "max_per_file": chance.choice([10_000, 10_000, 4]),
                    }
                },
                "gate": {"needs": chance.choice(["statement", "statement", "ledger"])},
                "matching": {"tolerance": {"KRW": chance.choice([0, 5])}},
                "alerts": {
                    "language": chance.choice(["ko", "en"]),
                    "channels": [
                        {"id": "C0SETTLE", "severities": ["info", "warning", "critical"]},
                        {"id": "C0ONCALL", "severities": ["critical"], "language": "en"},
                    ],
                },
            }
        ).items()
    )


def as_toml(value: Any) -> str:
    """Return a value as TOML writes it in one line; what is None is left out of its table."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item is not None}
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(item)}" for key, item in kept.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
