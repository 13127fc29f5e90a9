"""The clock of the grammar's rehearsal: day after day in this process, and the auditor after every step.

A day: the lender's payers pay, the bank lives through it and tells what it likes, and in the morning the day is
settled, stage by stage in the order of the DAG: in time or a day late, once or twice, or with another run of the same
day coming in between. Then the bank takes what lies in its folder, is heard, and people end breaks. At the end come
quiet days: the bank is honest, tells all that it has kept back, and people answer everything that is left.

The same seed plays the same rehearsal: nothing in it looks at the clock of the machine.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from settlement import wiring
from settlement.adapters.bank.channels.folders import DirectoryBank
from settlement.adapters.ledger import migrate
from settlement.domain.errors import Displaced, Refused
from settlement.ports.days import DayRun, RunRequest
from settlement.ports.services import Services
from settlement.stages import (
    approve,
    close,
    compute,
    extract,
    gate,
    inquire,
    match,
    open_day,
    prepare,
    prove,
    reconcile,
    report,
    submit,
    take_in,
)

from settlement_lab.rehearse.drive import BEGIN, POLICY, Summary, Violated, environ
from settlement_lab.rehearse.grammar import words
from settlement_lab.rehearse.grammar.audit import Auditor
from settlement_lab.rehearse.grammar.bank import Bank
from settlement_lab.rehearse.grammar.operator import Operator
from settlement_lab.rehearse.lender import SEOUL, Lender
from settlement_lab.servers import bank as demo_bank
from settlement_lab.servers import embedded

MOST_QUIET_DAYS = 14
"""In so many days without anything new everything has to come to rest."""

OPENING = 60_000
"""What stands on the account in the beginning: little, so that a payout of money that is not there is seen."""

NEEDED = OPENING
"""What the platform pays in when quiet days begin, for what the lender believed in and never came."""


def rehearse(seed: int, days: int, *, home: Path, server: embedded.Server | None = None) -> Summary:
    """Play so many days of a seed in the folder `home` and return what happened; it stops at the first violation."""
    with ExitStack() as stack:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if server is None:
            server = stack.enter_context(embedded.running(home / "postgres", durable=False))
        return stack.enter_context(_rehearsal(seed, home, server)).play(days)


@contextmanager
def _rehearsal(seed: int, home: Path, server: embedded.Server) -> Iterator[_Rehearsal]:
    core, books = f"grammar_core_{seed}", f"grammar_books_{seed}"
    with ExitStack() as stack:
        for name, owner, template in ((core, "lending_core", "lending_core"), (books, "settlement", "template1")):
            server.drop_database(name)
            server.create_database(name, owner=owner, template=template)
            stack.callback(server.drop_database, name)
        books_url = server.url(books, user="settlement")
        migrate.migrate(books_url)
        drop, pickup, policy = home / "drop", home / "pickup", home / "policy.toml"
        for folder in (drop, pickup):
            folder.mkdir()
        policy.write_text(POLICY, encoding="utf-8")
        values = _environment(server.url(core, user=embedded.READER), books_url, drop, pickup)
        values |= {"SETTLEMENT_POLICY": str(policy), "SETTLEMENT_SNAPSHOTS": str(home / "snapshots")}
        stack.enter_context(environ(values))
        lenders = stack.enter_context(psycopg.connect(server.url(core, user="lending_core", driver="postgresql")))
        reading = stack.enter_context(
            psycopg.connect(server.url(books, user="settlement", driver="postgresql"), autocommit=True)
        )
        services = stack.enter_context(wiring.services())
        chances = [Random(4 * seed + number) for number in range(4)]  # noqa: S311 - a story, not a secret
        before = demo_bank.CALENDAR.previous_business_day(BEGIN)
        bank = Bank(random=chances[0], drop=drop, pickup=pickup, today=before, balance=OPENING)
        yield _Rehearsal(
            random=chances[1],
            bank=bank,
            lender=Lender(random=chances[2], core=lenders, bank=bank),
            people=Operator(random=chances[3], bank=bank, books=reading),
            auditor=Auditor(books=reading, bank=bank),
            services=replace(services, bank=DirectoryBank(drop, pickup, settle_seconds=0), is_now_set=True),
            summary=Summary(seed=seed),
        )


def _environment(core_url: str, books_url: str, drop: Path, pickup: Path) -> dict[str, str]:
    account = {
        "debtor_account": demo_bank.DEBTOR_ACCOUNT,
        "debtor_name": demo_bank.DEBTOR_NAME,
        "debtor_agent": demo_bank.DEBTOR_AGENT,
        "currency": demo_bank.CURRENCY,
        "drop": str(drop),
        "pickup": str(pickup),
        "statement_columns": words.COLUMNS,
    }
    connections = {
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": core_url}},
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": books_url}},
        "SETTLEMENT_BANK": {"conn_type": "http", "extra": account},
    }
    return {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}


@dataclass
class _Rehearsal:
    random: Random
    bank: Bank
    lender: Lender
    people: Operator
    auditor: Auditor
    services: Services
    summary: Summary
    is_quiet: bool = False
    unsettled: list[date] = field(default_factory=list)
    """The days that are still to be settled: of a run that was late, or refused."""

    def play(self, days: int) -> Summary:
        """Play so many settlement dates and the quiet ones after them."""
        self.count = self.summary.counts
        self.summary.productions, self.people.count = self.bank.drawn, self.count
        self.lender.begin(BEGIN)
        on, since = BEGIN, BEGIN - timedelta(days=1)
        try:
            for number in range(days + MOST_QUIET_DAYS):
                if number == days:
                    self.is_quiet = self.bank.is_honest = True
                    self.bank.book("account:fee_income", NEEDED, after=1, text="paid in by the platform")
                is_at_rest = self._day(on, since)
                self.summary.days += 1
                if is_at_rest and number > days:
                    break
                on, since = demo_bank.CALENDAR.next_business_day(on), on
            self._audit("the end", is_proven=True, is_last=True)
            broken = close.verify(self.services)
            if broken:
                raise Violated(f"verify at the end: {broken}")
        except Violated as violated:
            self.summary.violations.append(str(violated))
        except Exception as unforeseen:
            traceback.print_exc()
            said = f"the product fell on day {self.summary.days + 1}: {type(unforeseen).__name__}: {unforeseen}"
            self.summary.violations.append(said)
        return self.summary

    # ------------------------------------------------------------------------------------------------------ a day

    def _day(self, on: date, since: date) -> bool:
        """Live through a day and settle it; True: the bank has no more to say, and people have no more to do."""
        if not self.is_quiet:
            self.lender.live_through(on, since)
        self.bank.live_through(on)
        self.bank.deliver()
        morning = datetime.combine(on + timedelta(days=1), time(6), SEOUL)
        if self._is(0.3):
            self._hear(on, morning - timedelta(hours=1))
        self.unsettled.append(on)
        if self._is(0.12):
            self.count["days settled late"] += 1
        else:
            self._settle_all(morning)
        self.bank.collect()
        self.bank.deliver()
        self._hear(on, morning + timedelta(hours=2))
        is_last = self.is_quiet and not self.bank.has_more_to_say
        ended = self.people.work(self.services, now=morning + timedelta(hours=3), is_last=is_last)
        if ended:
            self._audit("people")
            self._hear(on, morning + timedelta(hours=4))
        return is_last and not ended and not self.unsettled

    def _settle_all(self, morning: datetime) -> None:
        for place, on in enumerate(list(self.unsettled)):
            now = morning + timedelta(minutes=20 * place)
            if self._settle(on, now, run_id=f"scheduled-{on}-{now:%m%d}"):
                self.unsettled.remove(on)
                if self._is(0.15):
                    self.count["days settled twice"] += 1
                    self._settle(on, now + timedelta(minutes=5), run_id=f"again-{on}-{now:%m%d}")

    def _is(self, chance: float) -> bool:
        """Tell whether something happens that has a chance; nothing does in quiet days."""
        return self.random.random() < chance and not self.is_quiet

    # ----------------------------------------------------------------------------------------------------- a run

    def _settle(self, on: date, now: datetime, *, run_id: str, is_met: bool = True) -> bool:
        """Settle a day; True: it ran to its end. Now and then another run of it comes in between, and displaces it."""
        meets_at = self.random.randrange(len(STAGES)) if is_met and self._is(0.12) else None
        request = RunRequest(settlement_date=on, run_id=run_id, triggered_by="maker", reason="rehearsal")
        try:
            day = open_day.open_day(self.services, request, now=now)
            self._audit("open_day")
            place = 0
            while place < len(STAGES):
                if place == meets_at:
                    self.count["runs beside another"] += 1
                    self._settle(on, now + timedelta(minutes=1), run_id=f"{run_id}-beside", is_met=False)
                name, stage = STAGES[place]
                try:
                    self._go(stage, day, now=now)
                except Refused as refused:
                    self._audit(name)
                    if isinstance(refused, Displaced) or not self._answered(on, now):
                        raise
                    place = FIRST_OF_PAYING
                    continue
                self._audit(name, is_proven=name == "prove")
                place += 1
        except Displaced:
            self.count["runs displaced"] += 1
        except Refused:
            self.count["runs refused"] += 1
        else:
            return True
        return False

    def _go(self, stage: Callable[..., Any], day: DayRun, *, now: datetime) -> None:
        said = stage(self.services, day, now=now)
        if stage is approve.ask and said["needed"]:
            is_approved = self.is_quiet or self.random.random() < 0.9
            approve.decide(self.services, day, approved=is_approved, by="checker", now=now)

    def _answered(self, on: date, now: datetime) -> bool:
        return self.people.answer_for_objections(self.services, on, now=now)

    # ------------------------------------------------------------------------------------------- between the days

    def _hear(self, on: date, now: datetime) -> None:
        reconcile.take_in_everything(self.services, as_of=on, now=now)
        self._audit("reconcile", is_proven=True)

    def _audit(self, step: str, **asked: bool) -> None:
        found = self.auditor.violations(**asked)
        self.count["audits"] += 1
        if found:
            raise Violated(f"after [{step}] on day {self.summary.days + 1}: " + "; ".join(found[:5]))


STAGES: Sequence[tuple[str, Callable[..., dict[str, Any]]]] = (
    ("freeze_inputs", extract.freeze_inputs),
    ("distribute", compute.distribute),
    ("take_in", gate.wait_for_statement),
    ("prepare", prepare.prepare),
    ("approval", approve.ask),
    ("submit", submit.submit),
    ("answers", inquire.hear_answers),
    ("statement", take_in.for_day),
    ("match", match.for_day),
    ("prove", prove.prove),
    ("report", report.report),
)
"""What a day's run does, in the order of the DAG."""

FIRST_OF_PAYING = [name for name, _ in STAGES].index("take_in")
"""Where a run goes on from, once somebody has answered for what spoke against paying."""
