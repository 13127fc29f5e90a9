"""Histories of random worlds: dates in any order, and again, under policies that change, beside the reference.

`play` runs a history through the real source and the real ledger and, after every run, holds the books against the
rules: the rows of every settled date and its revision, the balances, the breaks, and every earlier revision as it was
when it was the newest. Between runs investors and borrowers are paid what they are owed in won, people return refunds
that are not paid, repayments that were settled change or vanish at the source, and loans change their currency.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.domain.bank.messages import Message
from settlement.domain.errors import Refused
from settlement.domain.payments.state import PayoutState
from settlement.domain.policy import Policy
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import approve, close, gate, match, prepare, refunds, submit, take_back, take_in

from tests.reference import corrections, worlds
from tests.reference.player import differences
from tests.reference.reference import Reference
from tests.reference.world import Fact, Loan, Refund, Repayment
from tests.reference.worlds import Story
from tests.stages.spoken_bank import ACCOUNT, SEOUL, Entry, camt053
from tests.stages.test_random_worlds import Pipeline, expected

ROWS = ("allocations", "shares", "quarantine", "released", "refunds", "credits", "totals")

BREAKS = ("quarantined", "bad_reversal", "refund_exceeds_credit", "overpaid")
"""Breaks that follow from the rows; others follow from the source of today, which a run reads for its loans alone."""

REVISIONS = {
    "allocations": "select settlement_date, revision, repayment_id, receivable_id, currency, component, amount",
    "shares": "select settlement_date, revision, repayment_id, receivable_id, note_id, investor_id, currency,"
    " component, gross_amount, fee_amount, vat_amount, national_tax_amount, local_tax_amount, net_amount",
}
"""The views that tell of every revision, and what they say."""

OWED = ("investor_payable:", "borrower_payable:")

Sums = Counter[tuple[str, str]]
"""Amounts by account and currency, debits positive."""


def rows_of_revisions(pipeline: Pipeline, *, view: str, suffix: str) -> dict[tuple[date, int], list[Any]]:
    """Return what a view says, by settlement date and revision."""
    said: dict[tuple[date, int], list[Any]] = {}
    with pipeline.ledger.connect() as connection:
        for row in connection.execute(sa.text(f"{REVISIONS[view]} from reporting.{view}{suffix}")):
            said.setdefault((row[0], row[1]), []).append(tuple(row[2:]))
    return {at: sorted(rows) for at, rows in said.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A story, the dates that are run in their order, and the policy of each run."""

    story: Story
    order: Sequence[date]
    policies: Sequence[Policy]


def a_history(seed: int, *, again: int, often: float = 3.0, notes: int = 6, **sizes: Any) -> History:
    """Return the history of that seed: the dates of its story in any order and so many of them `again`, corrected."""
    story, rng = worlds.story(seed, notes=notes, **sizes), Random(seed)
    order = [*story.world.dates, *rng.choices(story.world.dates, k=again)]
    rng.shuffle(order)
    return History(
        story=corrections.corrected(story, seed, runs=len(order), often=often, notes=notes),
        order=order,
        policies=corrections.repriced(story, seed, runs=len(order)),
    )


class Bank:
    """A bank of words, which books on its next statement every payout that was handed to it."""

    def __init__(self, pipeline: Pipeline, *, since: date) -> None:
        self.pipeline = pipeline
        self.today = since
        self.closing = 0

    def now(self) -> datetime:
        """Return the small hours of the day after the newest statement."""
        return datetime.combine(self.today + timedelta(days=1), time(4), SEOUL)

    def pay(self, services: Services, day: DayRun) -> None:
        """Prepare, approve and hand over what is owed, and let the bank book it.

        Raises Refused: the money is not there.
        """
        for stage in (gate.wait_for_statement, prepare.prepare, approve.ask, submit.submit):
            stage(services, day, now=self.now())
        with self.pipeline.ledger.connect() as connection:
            sent = connection.execute(
                sa.text("select end_to_end_id, amount from ledger.payouts where state = 'submitted' order by 1")
            ).all()
        self.today += timedelta(days=1)
        opening, self.closing = self.closing, self.closing - sum(row.amount for row in sent)
        entries = [Entry(-row.amount, e2e=row.end_to_end_id) for row in sent]
        content = camt053(str(self.today), opening, self.closing, entries, name=f"S-{self.today}")
        with services.ledger.books() as books:
            message = Message.of(content.encode(), kind="camt.053", name=f"S-{self.today}")
            books.bank_lines.keep_message(message, direction="in", now=self.now())
        take_in.apply_new(services, now=self.now())
        match.match(services, now=self.now())


@dataclass(slots=True)
class Play:
    """A history as far as it was played, by the rules and by the books."""

    pipeline: Pipeline
    reference: Reference
    bank: Bank
    rng: Random
    paid: Sums = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    """How often each thing happened that a history is to have."""

    # --- what is owed and paid, by the rules -----------------------------------------------------------------

    def balances(self) -> Sums:
        """Return what stands on each account once what was paid is booked."""
        sums: Sums = Counter(self.reference.balances())
        for (account, currency), amount in self.paid.items():
            sums[account, currency] += amount
            sums["client_bank", currency] -= amount
        return Counter({of: amount for of, amount in sums.items() if amount})

    def payable(self) -> Sums:
        """Return what can be paid: owed in won to somebody whom the source names. Owed is positive here."""
        facts = self.reference.world.seen(self.reference.runs - 1)
        payees = {f"{OWED[0]}{id}" for id in facts.investors} | {f"{OWED[1]}{id}" for id in facts.refunds}
        balances = self.balances().items()
        return Counter({of: -amount for of, amount in balances if amount < 0 and of[1] == "KRW" and of[0] in payees})

    def overdrawn(self) -> Sums:
        return Counter({of: amount for of, amount in self.balances().items() if amount > 0 and of[0].startswith(OWED)})

    # --- between runs ----------------------------------------------------------------------------------------

    def disturb(self) -> None:
        """Let the source say otherwise, from the next run on, what was settled, and give a loan another currency."""
        world, number = self.reference.world, self.reference.runs
        settled = {id for books in self.reference.books.values() for id in books.settled}
        chosen: dict[int, list[Fact]] = {}
        for place, fact in enumerate(world.facts):
            if fact.from_run > number or fact.until_run is not None:
                continue
            row, ended = fact.row, replace(fact, until_run=number)
            if isinstance(row, Repayment) and row.repayment_id in settled and self.rng.random() < 0.03:
                other = [Fact(replace(row, amount=row.amount + 1), number)] if self.rng.random() < 0.5 else []
                chosen[place] = [ended, *other]
                self.met["a settled repayment changes" if other else "a settled repayment vanishes"] += 1
            if isinstance(row, Loan) and row.currency in ("KRW", "EUR") and self.rng.random() < 0.03:
                books = self.reference.books.get(row.loan_id)
                if (
                    books is None
                    or books.settled_in() != row.currency
                    or any(not q.released_on for q in books.quarantine)
                ):
                    continue
                other_currency = replace(row, currency={"KRW": "EUR", "EUR": "KRW"}[row.currency])
                mended = self.rng.choice([number + 1, number + 2, None])
                back = [Fact(row, mended)] if mended else []
                chosen[place] = [ended, Fact(other_currency, number, mended), *back]
                self.met["a loan changes its currency"] += 1
        facts = [new for place, fact in enumerate(world.facts) for new in chosen.get(place, [fact])]
        facts = [fact for fact in facts if fact.until_run is None or fact.from_run < fact.until_run]
        self.reference.world = replace(world, facts=tuple(facts))
        self.pipeline.story = replace(self.pipeline.story, world=self.reference.world)

    def return_refunds(self) -> None:
        """Let a person return some of the refunds that are owed."""
        owed = sorted((account, amount) for (account, _), amount in self.balances().items() if amount < 0)
        for account, amount in owed:
            if account.startswith(OWED[1]) and self.rng.random() < 0.5:
                refund_id = account.removeprefix(OWED[1])
                with self.pipeline.services() as services:
                    said = refunds.undo(services, refund_id, reason="no account", by="ops", now=self.bank.now())
                assert said["undone_amount"] == -amount, refund_id
                self.reference.return_refund(refund_id, -amount)
                self.met["a refund is returned"] += 1

    # --- a run -----------------------------------------------------------------------------------------------

    def run(self, on: date, policy: Policy, *, is_paying: bool) -> None:
        """Settle the date by the rules and by the books, with a second person's word where paid money goes back."""
        pipeline, was, is_again = self.pipeline, self.overdrawn(), on in self.reference.revisions
        self.reference.run(on, policy)
        pipeline.story = replace(pipeline.story, policy=policy)
        pipeline.show(pipeline.story.world)
        taken_back: Counter[str] = Counter()
        for (account, currency), amount in self.overdrawn().items():
            taken_back[currency] += max(0, amount - was[account, currency])
        wanted = {currency: amount for currency, amount in taken_back.items() if amount}
        with pipeline.services() as services:
            try:
                day = pipeline.distribute(services, on, now=self.bank.now(), transfer=is_paying)
                asked = {}
            except Refused as refused:
                if "needs a second person's approval" not in str(refused):
                    raise
                asked = take_back.approve(services, on, by="checker", now=self.bank.now())["taken_back"]
                self.met["paid money is taken back"] += 1
                day = pipeline.distribute(services, on, now=self.bank.now(), transfer=is_paying)
            assert not is_again or asked == wanted, "a second person is asked about exactly what is taken back"
            if is_paying:
                self.pay(services, day)

    def pay(self, services: Services, day: DayRun) -> None:
        assert self.pipeline.balances() == self.balances(), "before anything is paid"
        payable = self.payable()
        there_is = self.balances()["receipts_in_transit", "KRW"] + self.balances()["client_bank", "KRW"]
        if payable and sum(payable.values()) > there_is:
            with pytest.raises(Refused, match="one investor is never paid from another's money"):
                self.bank.pay(services, day)
            self.met["the money is not there"] += 1
            return
        self.bank.pay(services, day)
        self.paid += payable
        self.met["payouts"] += len(payable)
        with self.pipeline.ledger.connect() as connection:
            states = connection.execute(sa.text("select distinct state from ledger.payouts")).scalars().all()
        assert set(states) <= {PayoutState.BOOKED.value}

    # --- what is held against what ---------------------------------------------------------------------------

    def compare(self, at: str, on: date) -> None:
        """Hold the books against the rules: every settled date, the balances and the breaks."""
        reference, pipeline = self.reference, self.pipeline
        rows = [fact.row for fact in reference.world.facts]
        loan_of = {row.repayment_id: row.loan_id for row in rows if isinstance(row, Repayment)}
        loan_of |= {row.refund_id: row.loan_id for row in rows if isinstance(row, Refund)}
        for settled in sorted(reference.revisions):
            wanted = {name: rows for name, rows in expected(reference, settled, loan_of).items() if name in ROWS}
            found = differences(wanted, pipeline.said(settled))
            assert not found, "\n".join([f"{at}: on {settled}", *found[:40]])
        assert pipeline.balances() == self.balances(), at
        with pipeline.ledger.connect() as connection:
            days = connection.execute(sa.text("select settlement_date, revision from ledger.days where revision > 0"))
            assert {row.settlement_date: row.revision for row in days} == reference.revisions, at
            changed = connection.execute(
                sa.text("select subject_id from ledger.breaks where cause = 'source_changed' and state = 'open'")
            )
            source_changed = set(changed.scalars())
        there = reference.world.seen(reference.runs - 1).loans.keys() - reference.waiting  # others are an orphan's
        open_now, by_the_rules = (
            {
                of: amount
                for of, amount in breaks.items()
                if of[0] == "orphan_repayment" or (of[0] in BREAKS and loan_of.get(of[1], of[1]) in there)
            }
            for breaks in (pipeline.said(on)["breaks"], reference.breaks)
        )
        missing, more = (
            sorted(by_the_rules.items() - open_now.items()),
            sorted(open_now.items() - by_the_rules.items()),
        )
        assert (missing, more) == ([], []), f"{at}: breaks only by the rules {missing}, only by the engine {more}"
        if reference.is_newest_for_the_first_time:
            assert source_changed == reference.source_changed(), at
            self.met["a changed source is told"] += len(source_changed)
        with pipeline.services() as services:
            assert close.verify(services) == [], at


def kinds(history: History) -> set[str]:
    """Return what a history changes of the past, in words."""
    facts = history.story.world.facts
    changed = {type(fact.row).__name__.lower() for fact in facts if fact.until_run is not None}
    late = {type(fact.row).__name__.lower() for fact in facts if fact.from_run > 0}
    reversals = [f.from_run for f in facts if isinstance(f.row, Repayment) and f.row.reverses_repayment_id]
    return (
        {f"a changed {kind}" for kind in changed}
        | {f"a late {kind}" for kind in late & {"repayment", "refund"}}
        | ({"a late reversal"} if any(reversals) else set())
        | ({"a changed policy"} if len({policy.sha256 for policy in history.policies}) > 1 else set())
        | {fact.row.currency for fact in facts if isinstance(fact.row, Loan)}
    )


def play(pipeline: Pipeline, history: History) -> tuple[int, Counter[str]]:
    """Run the history and compare after every run; return how many shares its revisions have, and what happened."""
    story, order, policies = history.story, history.order, history.policies
    bank = Bank(pipeline, since=max(order) + timedelta(days=9))
    playing = Play(pipeline, Reference(story.world, policies[0]), bank, Random(f"between {story.seed}"))
    were: dict[str, dict[tuple[date, int], list[Any]]] = {view: {} for view in REVISIONS}
    for number, (on, policy) in enumerate(zip(order, policies, strict=True)):
        at = f"seed {story.seed}, run {number} of {on}, of {[str(each) for each in order]}"
        playing.disturb()
        playing.run(on, policy, is_paying=playing.rng.random() < 0.6)
        playing.return_refunds()
        playing.compare(at, on)
        for view, seen in were.items():
            newest = rows_of_revisions(pipeline, view=view, suffix="")
            every = rows_of_revisions(pipeline, view=view, suffix="_all_revisions")
            assert {of: every.get(of) for of in newest} == newest, f"{at}: {view} and its revisions"
            assert {of: every.get(of) for of in seen} == seen, f"{at}: {view} of earlier revisions"
            seen |= newest
    with pipeline.services() as services:
        dates = playing.reference.revisions
        assert [close.replay(services, on)["differs"] for on in dates] == [[]] * len(dates)
    return sum(len(rows) for rows in were["shares"].values()), playing.met


@pytest.fixture
def paying_pipeline(new_pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pipeline of a story, with a bank behind a pair of folders."""
    for name in ("drop", "pickup"):
        (tmp_path / name).mkdir()
    extra = {
        "debtor_account": ACCOUNT,
        "debtor_name": "Lender",
        "debtor_agent": "MOCKKRSE",
        "currency": "KRW",
        "drop": str(tmp_path / "drop"),
        "pickup": str(tmp_path / "pickup"),
    }
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps({"conn_type": "http", "extra": extra}))
    return new_pipeline
