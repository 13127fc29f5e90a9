"""A machine that does everything that can be done to people's money, in any order, and proves the books at each step.

Two loans, three investors, four dates. Facts come, late or not, and are corrected; dates are settled in any order and
again, some under another policy, and pay; a bank takes payouts, loses them, refuses, books and returns them, and may
say one thing and do another. It stands beside the reference engine, which plays the same facts and runs, and beside the
bank's own record of what it was told to pay.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from settlement.domain.bank.messages import Message, Submission, SubmissionOutcome
from settlement.domain.errors import Refused
from settlement.ports.bank import Debtor
from settlement.ports.days import RunRequest
from settlement.ports.services import Services
from settlement.stages import approve, close, compute, extract, open_day, reconcile, take_back
from settlement_lab.rehearse.worker import STAGES
from settlement_lab.servers import embedded

from tests.conftest import LendingCore
from tests.reference import worlds
from tests.reference.corrections import as_read
from tests.reference.player import differences
from tests.reference.reference import Reference
from tests.reference.world import (
    Fact,
    Holding,
    Investor,
    Loan,
    Note,
    Receivable,
    Refund,
    Repayment,
    Row,
    World,
)
from tests.reference.worlds import Story

from .any_order import BREAKS, ROWS
from .payout_stories import returned, status_report
from .spoken_bank import ACCOUNT, Entry, camt053
from .test_random_worlds import Pipeline, expected

SEOUL = ZoneInfo("Asia/Seoul")
DATES = tuple(date(2026, 3, day) for day in (9, 10, 11, 12))
BANK_DAYS = tuple(on for on in (date(2026, 3, 9) + timedelta(days=n) for n in range(13)) if on.weekday() < 5)
COMPUTED = "repayment_extracted", "repayment_distributed", "credit_applied", "refund_ordered", "repayment_reversed"
"""The events of which the reference knows; all others are the bank's, and people's."""
CUSTODY = ("client_bank", "receipts_in_transit", "payouts_in_transit", "suspense")
"""The accounts that statements move."""

NAMES = count(1)


def _at(on: date, hour: int) -> datetime:
    return datetime.combine(on, time(hour), SEOUL)


def _world(rows: Sequence[Row]) -> World:
    return World(tuple(map(Fact, rows)), DATES, lambda on: on.weekday() < 5)


def _same(books: Mapping[Any, int], rules: Mapping[Any, int]) -> None:
    """Hold what the books say against what the rules and the bank's record say."""
    only_books, only_rules = sorted(books.items() - rules.items()), sorted(rules.items() - books.items())
    assert (only_books, only_rules) == ([], []), f"only by the books {only_books}, only by the rules {only_rules}"


def first_rows() -> dict[tuple[str, ...], Row]:
    """Return a small platform: two loans of two notes each, an instalment or two, and three receipts."""
    rows: list[Row] = [
        *(
            Investor(investor_id=name, tax_class=kind)
            for name, kind in (("A", "individual"), ("B", "corporation"), ("C", "lender"))
        ),
        *(Loan(loan_id=name, currency="KRW", disbursed_on=date(2026, 1, 15)) for name in ("L1", "L2")),
    ]
    for note_id, loan_id, principal, holder in (
        ("N1", "L1", 60_000, "A"),
        ("N2", "L1", 40_001, "B"),
        ("N3", "L2", 50_000, "A"),
        ("N4", "L2", 30_000, "C"),
    ):
        rows.append(Note(note_id=note_id, loan_id=loan_id, principal=principal))
        rows.append(Holding(note_id=note_id, investor_id=holder, held_from=date(2026, 1, 15)))
    for number, (loan_id, installment_no, component, due_on, amount) in enumerate(
        (
            ("L1", 1, "interest", DATES[0], 10_000),
            ("L1", 1, "principal", DATES[0], 20_000),
            ("L1", 2, "interest", DATES[2], 5_000),
            ("L1", 2, "principal", DATES[2], 30_000),
            ("L2", 1, "cost", DATES[1], 900),
            ("L2", 1, "late_interest", DATES[1], 700),
            ("L2", 1, "interest", DATES[1], 3_333),
            ("L2", 1, "principal", DATES[1], 30_000),
        ),
        start=1,
    ):
        rows.append(
            Receivable(
                receivable_id=f"C{number}",
                loan_id=loan_id,
                installment_no=installment_no,
                component=component,
                due_on=due_on,
                amount=amount,
            )
        )
    for number, (loan_id, on, amount) in enumerate(
        (("L1", DATES[0], 33_000), ("L2", DATES[1], 30_000), ("L1", DATES[2], 24_000)), start=1
    ):
        rows.append(Repayment(repayment_id=f"R{number}", loan_id=loan_id, received_at=_at(on, 10), amount=amount))
    return {_key(row): row for row in rows}


def _key(row: Row) -> tuple[str, ...]:
    """Return the primary key of a row, behind the name of its kind."""
    if isinstance(row, Holding):
        return "Holding", row.note_id, row.held_from.isoformat()
    name = {Note: "note_id", Loan: "loan_id", Investor: "investor_id", Receivable: "receivable_id"}.get(type(row))
    return type(row).__name__, getattr(row, name or ("refund_id" if isinstance(row, Refund) else "repayment_id"))


@dataclass
class Payment:
    """One payment that the bank was told to make, and what it did with it. `account` is the ledger's own name of it."""

    end_to_end_id: str
    account: str
    amount: int
    file_id: str
    has_arrived: bool
    debits: int = 0
    credits: int = 0
    is_announced: bool = False
    is_refused: bool = False

    @property
    def is_paid(self) -> bool:
        """Whether the payee's balance is less by it: paid, or on its way."""
        if self.is_announced or 0 < self.debits <= self.credits:
            return False
        return self.debits > self.credits or not self.is_refused


@dataclass
class RecordingBank:
    """A bank in memory that keeps a record of its own. `network` is what becomes of the next files."""

    payments: dict[str, Payment] = field(default_factory=dict)
    network: str = "ok"
    days: list[date] = field(default_factory=lambda: list(BANK_DAYS))
    closing: int = 0
    shown: set[str] = field(default_factory=set)
    lines: list[Entry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    checks_duplicates = True
    answers_later = True

    def describe(self) -> str:
        return "the bank of the machine"

    def fetch(self) -> list[Message]:
        return list(self.messages)

    def acknowledge(self, messages: Sequence[Message]) -> list[Message]:
        self.messages = [message for message in self.messages if message not in messages]
        return []

    def submit(self, file_id: str, content: bytes) -> Submission:
        known = [payment for payment in self.payments.values() if payment.file_id == file_id]
        if any(payment.has_arrived for payment in known):
            return Submission(outcome=SubmissionOutcome.DUPLICATE, text="the file is here")
        for transfer in ElementTree.fromstring(content).findall(".//{*}CdtTrfTxInf"):
            told = Payment(
                end_to_end_id=transfer.findtext("{*}PmtId/{*}EndToEndId", ""),
                account=transfer.findtext("{*}CdtrAcct/{*}Id/{*}Othr/{*}Id", ""),
                amount=int(transfer.findtext("{*}Amt/{*}InstdAmt", "")),
                file_id=file_id,
                has_arrived=self.network != "lost",
            )
            former = self.payments.setdefault(told.end_to_end_id, told)
            assert (former.account, former.amount, former.file_id) == (told.account, told.amount, told.file_id)
            former.has_arrived = told.has_arrived
        outcome = SubmissionOutcome.RECEIVED if self.network == "ok" else SubmissionOutcome.UNKNOWN
        return Submission(outcome=outcome, text=f"the network is [{self.network}]")

    def say(self, content: str, kind: str) -> None:
        self.messages.append(Message.of(content.encode(), kind=kind, name=f"said-{next(NAMES)}"))

    def arrived(self) -> list[Payment]:
        return [payment for payment in self.payments.values() if payment.has_arrived]

    def statement(self, rows: Sequence[Row]) -> date | None:
        """Say the statement of the next day: the receipts that came by then, and what was done with payments."""
        if not self.days:
            return None
        on = self.days.pop(0)
        came = [
            row
            for row in rows
            if isinstance(row, Repayment)
            and row.repayment_id not in self.shown
            and row.received_at.astimezone(SEOUL).date() <= on
        ]
        self.shown |= {row.repayment_id for row in came}
        lines = [
            Entry(-row.amount if row.reverses_repayment_id else row.amount, ref=f"REF-{row.repayment_id}")
            for row in came
        ] + self.lines
        opening, self.closing, self.lines = self.closing, self.closing + sum(line.amount for line in lines), []
        self.say(camt053(on.isoformat(), opening, self.closing, lines, name=f"S-{on}"), "camt.053")
        for line in lines:
            if line.e2e:
                payment = self.payments[line.e2e]
                payment.debits += line.amount < 0
                payment.credits += line.amount > 0
        return on


class House(Pipeline):
    """A source, empty books and a bank of one example."""

    def __init__(self, name: str, story: Story, core_url: str, ledger_url: str, bank: RecordingBank) -> None:
        super().__init__(story, core_url, ledger_url)
        self.name, self.bank = name, bank
        self.debtor = Debtor(account=ACCOUNT, name="Lender", agent="MOCKKRSE", currency="KRW")
        payee = "alter table core.{0} drop {1}, add {1} text generated always as ('{2}' || {3}_id) stored"
        with self.core.begin() as connection:
            connection.exec_driver_sql(payee.format("investors", "name", "", "investor"))
            connection.exec_driver_sql(payee.format("investors", "payout_account", "investor_payable:", "investor"))
            connection.exec_driver_sql("alter table core.investors alter payout_bank set default 'MOCKKRSE'")
            connection.exec_driver_sql(payee.format("repayments", "bank_reference", "REF-", "repayment"))
            connection.exec_driver_sql(payee.format("refunds", "payee_name", "", "refund"))
            connection.exec_driver_sql(payee.format("refunds", "payee_account", "borrower_payable:", "refund"))
            connection.exec_driver_sql("alter table core.refunds alter payee_bank set default 'MOCKKRSE'")

    @contextmanager
    def services(self) -> Iterator[Services]:
        with super().services() as services:
            yield replace(services, bank=self.bank, debtor=self.debtor, is_now_set=True)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the settlement database."""
        with self.ledger.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(sql))]


@dataclass
class Houses:
    """Gives every example a house of its own: fresh, or a copy of one in which some days were played already."""

    server: embedded.Server
    core: LendingCore
    empty: str
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    played: dict[Any, MoneyMachine] = field(default_factory=dict)

    def begin(self, story: Story, *, like: House | None = None) -> House:
        """Begin a house with books of its own, empty or as they are in another one, and be in it from here on."""
        name = f"machine_{next(NAMES)}"
        self.server.create_database(name, owner="settlement", template=like.name if like else self.empty)
        if like:
            shutil.copytree(self.folder / like.name, self.folder / name)
        ledger_url = self.server.url(name, user="settlement")
        for of, url in {"LENDING_CORE": self.core.url, "SETTLEMENT_DB": ledger_url}.items():
            self.monkeypatch.setenv(f"AIRFLOW_CONN_{of}", json.dumps({"conn_type": "generic", "extra": {"url": url}}))
        self.monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(self.folder / name))
        return House(name, story, self.core.owner_url, ledger_url, deepcopy(like.bank) if like else RecordingBank())

    def end(self, house: House) -> None:
        self.server.drop_database(house.name)


@pytest.fixture
def houses(
    postgres: embedded.Server,
    lending_core: LendingCore,
    migrated_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Houses]:
    found = Houses(postgres, lending_core, migrated_template, tmp_path, monkeypatch)
    yield found
    for machine in found.played.values():
        found.end(machine.house)


ON = st.sampled_from(range(4)).map(DATES.__getitem__)
NUMBER = st.integers(0, 5)
LOANS = st.sampled_from(["L1", "L2"])
INVESTORS = st.sampled_from(["A", "B", "C"])
AMOUNTS = st.sampled_from([1, 1_000, 12_345, 60_000])
TERMS = (("hold", "statement", None), ("advance_principal", "statement", None), ("advance", "ledger", 20_000))
"""What becomes of money that nothing due wants, what the gate needs, and above which sum of payouts who is asked."""


class MoneyMachine(RuleBasedStateMachine):
    """Everything that happens to money; `houses` is set by who runs it."""

    houses: Houses
    house: House

    def __init__(self) -> None:
        super().__init__()
        self.facts = first_rows()
        self.now, self.runs, self.ids = _at(DATES[0] + timedelta(days=1), 6), 0, count(4)
        self.written: dict[str, set[str]] = {}
        self.is_proven, self.has_news = False, True

    @initialize(terms=st.sampled_from(TERMS), days=st.sampled_from([0, 2]))
    def begin(self, terms: tuple[str, str, int | None], days: int) -> None:
        """Begin on the first morning, or when some days were lived as usual."""
        if not days:
            self.move_in(*terms)
            return
        played = self.houses.played
        if (terms, days) not in played:
            first = type(self)()
            first.move_in(*terms)
            for _ in range(days):
                first.a_usual_day()
                first.the_books_are_right()
            played[terms, days] = first
        first = played[terms, days]
        kept = ("facts", "now", "runs", "ids", "written", "content", "reference")
        vars(self).update({name: deepcopy(vars(first)[name]) for name in kept})
        self.house = self.houses.begin(first.house.story, like=first.house)
        self.bank = self.house.bank

    def move_in(self, excess: str, needs: str, limit: int | None) -> None:
        """Begin with empty books, under a policy."""
        order = ["cost", "late_interest", "interest", "principal"]
        policy = worlds.kr_policy(
            gate={"needs": needs},
            approval={"limit": {"KRW": limit} if limit else {}, "approvers": ["checker"]},
            waterfall={"across": "component", "order": order, "excess": excess},
        )
        self.content = policy.model_dump(exclude_none=True)
        story = Story(0, _world(()), as_read(self.content))
        self.house = self.houses.begin(story)
        self.bank = self.house.bank
        self.reference = Reference(story.world, story.policy)

    def teardown(self) -> None:
        if hasattr(self, "house"):
            try:
                with self.house.services() as services:
                    replayed = {on: close.replay(services, on)["differs"] for on in self.reference.revisions}
                assert not any(replayed.values()), replayed
            finally:
                self.houses.end(self.house)

    # ------------------------------------------------------------------------------------------------------- facts

    def of(self, kind: type[Any]) -> list[Any]:
        return [row for row in self.facts.values() if type(row) is kind]

    def pick(self, kind: type[Any], number: int) -> Any:
        rows = self.of(kind)
        return rows[number % len(rows)]

    def add(self, row: Row) -> None:
        self.facts[_key(row)], self.has_news = row, True

    @rule(loan_id=LOANS, on=ON, amount=AMOUNTS)
    def receive(self, loan_id: str, on: date, amount: int) -> None:
        """Money of a borrower comes, or turns out to have come."""
        self.add(Repayment(repayment_id=f"R{next(self.ids)}", loan_id=loan_id, received_at=_at(on, 11), amount=amount))

    @rule(number=NUMBER, on=ON)
    def reverse(self, number: int, on: date) -> None:
        """A receipt is undone, as it came, before it or after it."""
        undone = {row.reverses_repayment_id for row in self.of(Repayment)}
        left = [row for row in self.of(Repayment) if not row.reverses_repayment_id and row.repayment_id not in undone]
        if left:
            row = left[number % len(left)]
            name = f"U{row.repayment_id}"
            self.add(replace(row, repayment_id=name, received_at=_at(on, 12), reverses_repayment_id=row.repayment_id))

    @rule(loan_id=LOANS, component=st.sampled_from(["interest", "principal", "cost"]), on=ON, amount=AMOUNTS)
    def owe(self, loan_id: str, component: str, on: date, amount: int) -> None:
        """Something falls due, or turns out to have fallen due."""
        name = f"C{next(self.ids)}0"
        self.add(
            Receivable(
                receivable_id=name, loan_id=loan_id, installment_no=1, component=component, due_on=on, amount=amount
            )
        )

    @rule(number=NUMBER, percent=st.sampled_from([0, 50, 110]))
    def correct_an_amount(self, number: int, percent: int) -> None:
        row = self.pick(Receivable, number)
        self.add(replace(row, amount=row.amount * percent // 100))

    @rule(number=NUMBER, on=ON)
    def correct_a_due_date(self, number: int, on: date) -> None:
        self.add(replace(self.pick(Receivable, number), due_on=on))

    @rule(number=NUMBER, component=st.sampled_from(["interest", "late_interest", "penalty"]))
    def correct_a_component(self, number: int, component: str) -> None:
        """What was owed was owed for something else, or for what no rule knows."""
        self.add(replace(self.pick(Receivable, number), component=component))

    @rule(number=NUMBER, on=ON, to=INVESTORS)
    def sell(self, number: int, on: date, to: str) -> None:
        """A note has another holder from a date on, as it turns out."""
        row = self.pick(Holding, number)
        if row.held_from < on < (row.held_until_exclusive or date.max):
            self.add(replace(row, held_until_exclusive=on))
            self.add(replace(row, investor_id=to, held_from=on))

    @rule(investor_id=INVESTORS, tax_class=st.sampled_from(["individual", "corporation", "lender", "ghost"]))
    def reclassify(self, investor_id: str, tax_class: str) -> None:
        """An investor's tax class was another one, or one that has no rule."""
        self.add(Investor(investor_id=investor_id, tax_class=tax_class))

    @rule(loan_id=LOANS, on=ON, amount=AMOUNTS)
    def ask_back(self, loan_id: str, on: date, amount: int) -> None:
        """A borrower asks for held money, which there may be or not."""
        name = f"F{next(self.ids)}"
        self.add(Refund(refund_id=name, loan_id=loan_id, currency="KRW", amount=amount, requested_at=_at(on, 9)))

    @rule(rate_ppm=st.sampled_from([0, 80_000, 200_000]))
    def charge(self, rate_ppm: int) -> None:
        """The policy has another fee."""
        self.has_news = True
        self.content |= {"fees": [fee | {"rate_ppm": rate_ppm} for fee in self.content["fees"]]}

    # ------------------------------------------------------------------------------------------------------ runs

    @precondition(lambda self: self.left())
    @rule()
    def a_usual_day(self) -> None:
        """The bank books what it has, and the next date is settled and paid."""
        self.a_day_at_the_bank(books=True)
        self.settle(on=self.left()[0], pays=True, second=True, network="ok")

    def left(self) -> list[date]:
        return [on for on in DATES if on not in self.reference.revisions]

    @precondition(lambda self: self.has_news)
    @rule(on=ON, pays=st.booleans(), second=st.booleans(), network=st.sampled_from(["ok", "lost", "unheard"]))
    def settle(self, on: date, pays: bool, second: bool, network: str) -> None:
        """Settle a date, or settle it again; a second person, where one is asked, says yes or no."""
        self.now = max(self.now + timedelta(minutes=20), _at(on + timedelta(days=1), 6))
        self.runs, self.is_proven, self.has_news = self.runs + 1, False, False
        world = _world(list(self.facts.values()))
        self.house.story = Story(0, world, as_read(self.content))
        self.house.show(world)
        self.bank.network = network
        with self.house.services() as services:
            request = RunRequest(
                settlement_date=on,
                run_id=f"run-{self.runs}",
                transfer=pays,
                reason="override: the machine",
                triggered_by="maker",
            )
            day = open_day.open_day(services, request, now=self.now)
            extract.freeze_inputs(services, day, now=self.now)
            shown = compute.show_restatement(services, on, now=self.now)
            is_settled, had = on in self.reference.revisions, self.overdrawn()
            try:
                said = compute.distribute(services, day, now=self.now)
            except Refused as refused:
                if "second person" not in str(refused):
                    raise
                assert shown["taken_back"]
                if not second:
                    reconcile.take_in_everything(services, now=self.now)
                    return
                approved = take_back.approve(services, on, by="checker", now=self.now)
                assert approved["taken_back"] == shown["taken_back"]
                said = compute.distribute(services, day, now=self.now)
            assert said.get("restated", {}) == shown["restated"]
            assert said.get("taken_back", {}) == shown["taken_back"]
            if is_settled:
                more = sum((Counter(self.overdrawn()) - Counter(had)).values())
                assert said.get("taken_back", {}) == ({"KRW": more} if more else {})
            self.reference.world = world
            self.reference.run(on, self.house.story.policy)
            self.pay(services, day, second=second)
            self.bank.network = "ok"
        self.compare(on)

    def pay(self, services: Services, day: Any, *, second: bool) -> None:
        """Do what is left of the day, as far as the gate lets it, and reconcile."""
        try:
            for name, stage in STAGES[2:]:
                said = stage(services, day, now=self.now)
                if name == "approval" and said["needed"]:
                    approve.decide(services, day, approved=second, by="checker", now=self.now)
        except Refused as refused:
            if "Nothing is paid for" not in str(refused):
                raise
            reconcile.take_in_everything(services, now=self.now)

    def compare(self, on: date) -> None:
        """Hold the rows of every date, and what is broken, against the rules."""
        loan_of = {row.repayment_id: row.loan_id for row in self.of(Repayment)}
        loan_of |= {row.refund_id: row.loan_id for row in self.of(Refund)}
        for settled in sorted(self.reference.revisions):
            wanted = {name: rows for name, rows in expected(self.reference, settled, loan_of).items() if name in ROWS}
            found = differences(wanted, self.house.said(settled))
            assert not found, "\n".join([f"on {settled}", *found])
        found_breaks = {of: amount for of, amount in self.house.said(on)["breaks"].items() if of[0] in BREAKS}
        _same(found_breaks, {of: amount for of, amount in self.reference.breaks.items() if of[0] in BREAKS})

    # --------------------------------------------------------------------------------------------------- the bank

    @rule(books=st.booleans())
    def a_day_at_the_bank(self, books: bool) -> None:
        """The bank books what it has, or waits with it, and sends the statement of its next day."""
        for payment in self.bank.arrived() if books else ():
            if not (payment.debits or payment.is_refused or payment.is_announced):
                self.book(payment, -payment.amount)
        self.has_news = True
        if on := self.bank.statement(list(self.facts.values())):
            self.now = max(self.now + timedelta(minutes=20), _at(on + timedelta(days=1), 5))
            self.is_proven = False
            with self.house.services() as services:
                reconcile.take_in_everything(services, now=self.now)

    @precondition(lambda self: hasattr(self, "bank") and self.bank.arrived())
    @rule(number=NUMBER, word=st.sampled_from(["accept", "refuse", "debit", "credit", "announce"]))
    def the_bank_says(self, number: int, word: str) -> None:
        """The bank says of a payment what it will, whatever it said of it before."""
        arrived, self.has_news = self.bank.arrived(), True
        payment = arrived[number % len(arrived)]
        e2e, name = payment.end_to_end_id, f"P-{next(NAMES)}"
        if word == "debit":
            self.book(payment, -payment.amount)
        elif word == "credit":
            self.book(payment, payment.amount)
        elif word == "announce":
            self.bank.say(returned(e2e, payment.amount), "pacs.004")
            payment.is_announced = True
        else:
            status = {"accept": ("ACCP", None), "refuse": ("RJCT", "AM04")}[word]
            self.bank.say(status_report(name, payment.file_id, {e2e: status}), "pain.002")
            payment.is_refused |= word == "refuse"

    def book(self, payment: Payment, amount: int) -> None:
        """Let the next statement show a payment leaving once, or coming back once after it left."""
        of_it = [line.amount for line in self.bank.lines if line.e2e == payment.end_to_end_id]
        debits = payment.debits + sum(line < 0 for line in of_it)
        credits = payment.credits + sum(line > 0 for line in of_it)
        if (amount < 0 and not debits) or (amount > 0 and credits < debits):
            self.bank.lines.append(Entry(amount, e2e=payment.end_to_end_id, reason="MS03" if amount > 0 else ""))

    # -------------------------------------------------------------------------------------------------- what holds

    @invariant()
    def the_books_are_right(self) -> None:
        """Prove them whenever they were touched since."""
        if not self.is_proven:
            self.balances_are_what_was_earned_less_what_was_paid()
            self.who_is_overdrawn_is_a_break()
            self.the_ledger_only_grew()
            with self.house.services() as services:
                assert close.verify(services) == []
            self.is_proven = True

    def balances_are_what_was_earned_less_what_was_paid(self) -> None:
        """By the rules, and by the bank's own record."""
        owned = Counter(
            self.reference.result(max(self.reference.revisions)).balances if self.reference.revisions else {}
        )
        for payment in self.bank.payments.values():
            owned[payment.account, "KRW"] += payment.amount * payment.is_paid
        _same(
            {of: amount for of, amount in self.house.balances().items() if amount and of[0] not in CUSTODY},
            {of: amount for of, amount in owned.items() if amount and of[0] not in CUSTODY},
        )

    def overdrawn(self) -> dict[str, int]:
        """Return by how much payees have had more than they own."""
        return {
            of.split(":")[1]: amount
            for (of, _), amount in self.house.balances().items()
            if of.startswith(("investor_payable:", "borrower_payable:")) and amount > 0
        }

    def who_is_overdrawn_is_a_break(self) -> None:
        told = self.house.rows(
            "select subject_id, amount from reporting.breaks where state = 'open'"
            " and cause in ('investor_overdrawn', 'borrower_overdrawn')"
        )
        _same(dict(told), self.overdrawn())

    def the_ledger_only_grew(self) -> None:
        for table in ("entries", "postings", "certificates"):
            rows = {row for (row,) in self.house.rows(f"select kept::text from ledger.{table} kept")}
            assert rows >= self.written.get(table, set()), f"{table} that are gone or changed"
            self.written[table] = rows
