"""The rehearsal itself: day after day of one seed, with everything that can go wrong, and an auditor in the evening.

A day: the lender and its payers live through it, the bank's night passes, and in the morning the day is settled in
processes of their own, against the bank behind a proxy that misbehaves. Processes are killed, two runs of one day meet,
the bank has its moods, second persons say no or nothing. In between the reconciliation asks and hears. After every day
the auditor compares the books with the bank's own record. At the end come quiet days, in which all that can be cleared
must clear.

The same seed plays the same rehearsal: chance comes from the seed alone. What the clock of the machine decides (which
of two processes is first, whether an answer comes in time) may differ from replay to replay.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from settlement import wiring
from settlement.adapters.ledger import migrate
from settlement.domain.errors import Refused
from settlement.ports.days import TaskFailure
from settlement.stages import gate, inquire, notify

from settlement_lab.rehearse import worker
from settlement_lab.rehearse.audit import Auditor
from settlement_lab.rehearse.faults import FaultProxy
from settlement_lab.rehearse.lender import HELD_AT_OUR_BANK, SEOUL, Lender
from settlement_lab.rehearse.worker import Order
from settlement_lab.servers import bank as demo_bank
from settlement_lab.servers import embedded

BEGIN = date(2026, 1, 5)
QUIET_DAYS = 4
TRIES = 4
LEFT_IN_A_LEAN_NIGHT = 100_000
"""So much is on the bank account in a morning of insufficient funds: enough for some payments and not for others."""
PATIENCE_SECONDS = 120

POLICY = """name = "rehearsal"
[[fees]]
name = "platform_fee"
on = ["interest", "late_interest"]
rate_ppm = 80000
vat_ppm = 100000
[withholding.KRW]
unit = 10
local_ppm = 100000
[[withholding.KRW.rules]]
tax_class = "individual"
rate_ppm = 140000
[[withholding.KRW.rules]]
tax_class = "corporation"
rate_ppm = 250000
de_minimis = 1000
[[withholding.KRW.rules]]
tax_class = "lender"
rate_ppm = 0
[payouts.KRW]
minimum = 1000
maximum = 60000
max_per_file = 5
[approval]
limit.KRW = 400000
approvers = ["checker"]
"""

SENDING_FAULTS = ("drop_before", "drop_after", "drop_after", "error_before", "error_after", "duplicate", "truncate",
                  "refuse", "delay", "silent_before", "silent_after")  # fmt: skip
COLLECTING_FAULTS = (
    "drop_before",
    "drop_after",
    "error_before",
    "error_after",
    "duplicate",
    "truncate",
    "refuse",
    "delay",
)

MOODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("silent", {}),
    ("reject-file", {}),
    ("insufficient-funds", {}),
    ("return-later", {"days": 1, "reason": "AC04"}),
    ("return-later", {"days": 2, "reason": "MS03"}),
    ("statement-gap", {}),
)


Serve = Callable[[Connection, dict[str, str], Path], None]


class Violated(Exception):
    """The auditor found something, or the product failed in a way that nobody foresaw."""


@dataclass
class Summary:
    """What happened in a rehearsal, in numbers."""

    seed: int
    days: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    productions: Counter[str] = field(default_factory=Counter)
    """How often each production of the grammar was drawn."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "seed": self.seed,
            "days": self.days,
            "faults": dict(sorted(self.faults.items())),
            "productions": dict(sorted(self.productions.items())),
            "violations": self.violations,
        } | dict(sorted(self.counts.items()))


def rehearse(
    seed: int, days: int, *, home: Path, server: embedded.Server | None = None, serve: Serve = worker.serve
) -> Summary:
    """Play so many days of a seed in the folder `home` and return what happened; it stops at the first violation.

    `serve` is what runs in the processes; whoever plants a bug to see it caught puts his own there.
    """
    with ExitStack() as stack:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if server is None:
            server = stack.enter_context(embedded.running(home / "postgres", durable=False))
        return stack.enter_context(_rehearsal(seed, home, server, serve)).play(days)


@contextmanager
def _rehearsal(seed: int, home: Path, server: embedded.Server, serve: Serve) -> Iterator[_Rehearsal]:
    core, books = f"rehearsal_core_{seed}", f"rehearsal_books_{seed}"
    with ExitStack() as stack:
        for name, owner, template in (
            (core, "lending_core", "lending_core"),
            (books, "settlement", "template1"),
        ):
            server.drop_database(name)
            server.create_database(name, owner=owner, template=template)
            stack.callback(server.drop_database, name)
        books_url = server.url(books, user="settlement")
        migrate.migrate(books_url)
        bank = stack.enter_context(demo_bank.running(home / f"bank_{seed}", clock=f"{BEGIN}T06:00"))
        proxy = FaultProxy(bank.url, silence_seconds=3.0)
        stack.callback(proxy.close)
        owner_url = server.url(core, user="lending_core", driver="postgresql")
        connection = stack.enter_context(psycopg.connect(owner_url))
        random = Random(seed)  # noqa: S311 - a story, not a secret
        policy = home / f"policy_{seed}.toml"
        policy.write_text(POLICY, encoding="utf-8")
        rehearsal = _Rehearsal(
            random=random,
            lender=Lender(random=Random(seed + 1), core=connection, bank=bank),  # noqa: S311
            bank=bank,
            proxy=proxy,
            auditor=Auditor(
                books=server.url(books, user="settlement", driver="postgresql"),
                bank_url=bank.url,
                account=demo_bank.DEBTOR_ACCOUNT,
            ),
            environment=_environment(server.url(core, user=embedded.READER), books_url, proxy, policy, home, seed),
            folder=home,
            serve=serve,
            summary=Summary(seed=seed),
        )
        stack.callback(rehearsal.worker.end)
        stack.callback(rehearsal.other.end)
        yield rehearsal


def _environment(
    core_url: str, books_url: str, proxy: FaultProxy, policy: Path, home: Path, seed: int
) -> dict[str, str]:
    account = {
        "debtor_account": demo_bank.DEBTOR_ACCOUNT,
        "debtor_name": demo_bank.DEBTOR_NAME,
        "debtor_agent": demo_bank.DEBTOR_AGENT,
        "currency": demo_bank.CURRENCY,
        "answer_seconds": 2,
    }
    connections = {
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": core_url}},
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": books_url}},
        "SETTLEMENT_BANK": {"conn_type": "http", "host": proxy.own_host, "port": proxy.own_port, "extra": account},
    }
    named = {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}
    return named | {"SETTLEMENT_POLICY": str(policy), "SETTLEMENT_SNAPSHOTS": str(home / f"snapshots_{seed}")}


@dataclass
class _Rehearsal:
    random: Random
    lender: Lender
    bank: demo_bank.Bank
    proxy: FaultProxy
    auditor: Auditor
    environment: dict[str, str]
    folder: Path
    serve: Serve
    summary: Summary
    is_quiet: bool = False
    lacking: int = 0
    """What the bank account lacks while the bank is in a mood of insufficient funds."""

    def __post_init__(self) -> None:
        log = self.folder / "rehearsal.log"
        self.worker, self.other = (Worker(self.serve, self.environment, log) for _ in range(2))
        self.count = self.summary.counts

    def play(self, days: int) -> Summary:
        """Play so many settlement dates and the quiet ones after them."""
        self.lender.begin(BEGIN)
        on, since = BEGIN, BEGIN - timedelta(days=1)
        try:
            for number in range(days + QUIET_DAYS):
                self.is_quiet = number >= days
                self._day(on, since)
                self.summary.days += 1
                on, since = demo_bank.CALENDAR.next_business_day(on), on
            self._hear_the_bank_out(on)
        except Violated as violated:
            self.summary.violations.append(str(violated))
        self.summary.faults = self.proxy.injected
        return self.summary

    # ------------------------------------------------------------------------------------------------------ a day

    def _day(self, on: date, since: date) -> None:
        self.proxy.plan = self._fault
        if not self.is_quiet:
            self.lender.live_through(on, since)
        self._night(on)
        morning = datetime.combine(on + timedelta(days=1), time(6), SEOUL)
        is_settled = self._settle(on, morning, run_id=f"scheduled-{on}")
        self._be_in_no_mood()
        self._reconcile(morning + timedelta(minutes=30))
        if not is_settled and (self.is_quiet or self.random.random() < 0.5):
            self.count["days run again"] += 1
            is_settled = self._settle(on, morning + timedelta(hours=1), run_id=f"again-{on}")
        self._clear_the_unknown(morning + timedelta(hours=2))
        self._reconcile(morning + timedelta(hours=3))
        self._audit(on, is_settled=is_settled)

    def _night(self, on: date) -> None:
        """Let the bank's days pass until the morning after; now and then it is in a mood."""
        mood, parameters = self.random.choice(MOODS)
        is_moody = not self.is_quiet and self.random.random() < 0.25
        if is_moody and mood == "statement-gap":
            self.count[f"bank {mood}"] += 1
            self.bank.change_account("PLATFORM", behaviour=mood)
        self.bank.advance_to(on + timedelta(days=1))
        if is_moody and mood != "statement-gap":
            self.count[f"bank {mood}"] += 1
            self.bank.change_account("PLATFORM", behaviour=mood, parameters=parameters)
            if mood == "insufficient-funds":
                self.lacking = self.bank.balance("PLATFORM") - LEFT_IN_A_LEAN_NIGHT
                self.bank.change_account("PLATFORM", balance=LEFT_IN_A_LEAN_NIGHT)
        elif is_moody:
            self._be_in_no_mood()
        if self.is_quiet:
            for number in range(HELD_AT_OUR_BANK):
                self.bank.change_account(f"INVESTOR-{number}", behaviour="accept")

    def _be_in_no_mood(self) -> None:
        self.bank.change_account("PLATFORM", behaviour="accept", parameters={})
        if self.lacking:
            self.bank.change_account("PLATFORM", balance=self.bank.balance("PLATFORM") + self.lacking)
            self.lacking = 0

    def _fault(self, method: str, path: str) -> str | None:
        if self.is_quiet:
            return None
        if path.startswith("/payments"):
            return self.random.choice(SENDING_FAULTS) if self.random.random() < 0.25 else None
        return self.random.choice(COLLECTING_FAULTS) if self.random.random() < 0.05 else None

    # ----------------------------------------------------------------------------------------------------- a run

    def _settle(self, on: date, now: datetime, *, run_id: str) -> bool:
        """Run the day as a scheduler does, kills, retries, second runs and people included; True: it ran to its end."""
        order = self._order(now, settlement_date=on, run_id=run_id, answer=self._answer(), kill_at=self._kill_at())
        if not self.is_quiet and self.random.random() < 0.2:
            self._let_two_runs_meet(order)
            order = replace(order, kill_at=0)
        tries = 0
        while True:
            status = self._run(order)
            at = order.progress.read_text()
            order = replace(order, first=at, kill_at=self._kill_at() if status == worker.KILLED else 0)
            if status == worker.DONE:
                return True
            if status == worker.WAITING:
                self.count["approvals unanswered"] += 1
                return False
            if status == worker.UNAVAILABLE and tries < TRIES:
                tries += 1
                order = replace(order, now=order.now + timedelta(minutes=2))
            elif status == worker.REFUSED and self._answer_for_it(on, order.now):
                order = replace(order, first="take_in")
            elif status != worker.KILLED or (not self.is_quiet and self.random.random() < 0.15):
                self._fail(on, order, at)  # a killed one too, now and then: its tries are over
                return False

    def _let_two_runs_meet(self, order: Order) -> None:
        """Start two at once: one run by two workers, a backfill beside the scheduled run, the reconciliation beside."""
        beside = self.random.choice(["twin", "backfill", "reconciliation"])
        self.count[f"runs beside a {beside}"] += 1
        other = replace(order, kill_at=0, progress=self.folder / "progress_of_the_other")
        if beside == "backfill":
            other = replace(other, run_id=f"{order.run_id}-beside")
        elif beside == "reconciliation":
            other = replace(other, settlement_date=None)
        self.worker.give(order)
        self.other.give(other)
        for at_work in (self.worker, self.other):
            self._await(at_work)

    def _answer(self) -> str:
        return "approve" if self.is_quiet else self.random.choice(["approve"] * 8 + ["reject", ""])

    def _kill_at(self) -> int:
        return self.random.randint(1, 90) if not self.is_quiet and self.random.random() < 0.3 else 0

    def _answer_for_it(self, on: date, now: datetime) -> bool:
        """Let a person answer for what was said against paying; False where nobody can, or nobody wants to."""
        if self.random.random() < 0.3:
            return False
        try:
            with self._services(now) as services:
                gate.override(services, on, by="operator", reason="rehearsed", now=now)
        except Refused:
            return False
        self.count["objections answered for"] += 1
        return True

    def _fail(self, on: date, order: Order, at: str) -> None:
        self.count["days failed"] += 1
        with self._services(order.now) as services:
            end = TaskFailure(settlement_date=on, run_id=order.run_id, task_id=at, try_number=TRIES, error="rehearsed")
            notify.task_failed(services, end, now=order.now)

    # ------------------------------------------------------------------------------------------- between the days

    def _reconcile(self, now: datetime) -> None:
        """Ask and hear the bank as the quarter-hourly reconciliation does; what fails is met again by the next."""
        self._run(self._order(now, kill_at=self._kill_at() // 3))

    def _clear_the_unknown(self, now: datetime) -> None:
        """Let a person ask the bank for files that no inquiry can clear, after two days."""
        with self._services(now) as services:
            for file in inquire.unknown_files(services):
                if file.sent_at is None or now - file.sent_at < timedelta(days=2):
                    continue
                with services.ledger.books(read_only=True) as books:
                    ids = set(books.payouts.in_file(file.file_id)["end_to_end_id"])
                if not ids & {payment["end_to_end_id"] for payment in self.bank.payments()}:
                    try:
                        inquire.declare_absent(services, file.file_id, by="operator", reason="asked the bank", now=now)
                    except Refused:
                        continue
                    self.count["files declared absent"] += 1

    def _hear_the_bank_out(self, on: date) -> None:
        """After the last day: let the bank book what it has, hear it, and audit once more."""
        after = on + timedelta(days=7)
        self.bank.advance_to(after)
        for hour in (6, 7):
            self._reconcile(datetime.combine(after, time(hour), SEOUL))
        self._audit(on, is_settled=True, is_heard_out=True)

    # -------------------------------------------------------------------------------------------------- processes

    def _order(self, now: datetime, **said: Any) -> Order:
        return Order(now=now, progress=self.folder / "progress", **said)

    def _run(self, order: Order) -> int:
        self.worker.give(order)
        return self._await(self.worker)

    def _await(self, at_work: Worker) -> int:
        status = at_work.outcome()
        if status == worker.KILLED:
            self.count["kills"] += 1
        elif status == worker.BROKEN:
            raise Violated(f"the product failed as nobody foresaw; see {at_work.log}")
        return status

    @contextmanager
    def _services(self, now: datetime) -> Iterator[Any]:
        with environ(self.environment | {"SETTLEMENT_NOW": now.isoformat()}), wiring.services() as services:
            yield services

    # ------------------------------------------------------------------------------------------------------ audit

    def _audit(self, on: date, *, is_settled: bool, is_heard_out: bool = False) -> None:
        found = self.auditor.violations(is_settled=is_settled, is_heard_out=is_heard_out)
        if found:
            raise Violated(f"after [{on}]: " + "; ".join(found[:5]))
        if is_heard_out:
            with psycopg.connect(self.auditor.books) as connection:
                for state, payouts in connection.execute("select state, count(*) from ledger.payouts group by 1"):
                    self.count[f"payouts {state}"] = payouts
                (self.count["unknowns resolved"],) = connection.execute(
                    "select count(*) from ledger.payout_history where from_state = 'unknown'"
                ).fetchone() or (0,)
                (self.count["transmissions"],) = connection.execute(
                    "select count(*) from ledger.transmissions"
                ).fetchone() or (0,)


class Worker:
    """A process that carries out orders, started anew after it was killed."""

    def __init__(self, serve: Serve, environment: dict[str, str], log: Path) -> None:
        self.serve = serve
        self.environment = environment
        self.log = log
        self.process: Any = None

    def give(self, order: Order) -> None:
        """Hand over an order."""
        if self.process is None:
            self.orders, theirs = worker.PROCESSES.Pipe()
            self.process = worker.PROCESSES.Process(
                target=self.serve, args=(theirs, self.environment, self.log), daemon=True
            )
            self.process.start()
            theirs.close()
        self.orders.send(order)

    def outcome(self) -> int:
        """Wait until the order is carried out, or its process dead, and return how it ended."""
        try:
            if not self.orders.poll(PATIENCE_SECONDS):
                self.process.kill()
                raise Violated(f"a process did not end in {PATIENCE_SECONDS} s; see {self.log}")
            return int(self.orders.recv())
        except EOFError:
            self.process.join()
            status = int(self.process.exitcode)
            self.process = None
            return status if status == worker.KILLED else worker.BROKEN

    def end(self) -> None:
        """End the process, whatever it does: it is made to be killed anywhere. The next order starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


@contextmanager
def environ(values: dict[str, str]) -> Iterator[None]:
    """Let the environment have these values meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
