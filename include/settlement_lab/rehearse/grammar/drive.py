"""The clock of the grammar's rehearsal: day after day, and the auditor after every step.

A day: the lender's payers pay, the bank lives through it and tells what it likes, and in the morning the day is
settled, stage by stage in the order of the DAG: in time or a day late, once or twice, before the day before it, with
another run of the same day coming in between, dry first, asked in words that there are not, or in two processes of the
operating system at once. Now and then a holiday near the present is declared or withdrawn. Then the bank takes what
lies in its folder, is heard, and people end breaks. At the end come quiet days: the bank is honest, tells all that it
has kept back, and people answer everything that is left.

The same seed plays the same rehearsal, but for which of two processes is first: nothing else in it looks at the clock
of the machine. Whichever is first, the auditor asks the same.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from settlement.domain.days import BankCalendar
from settlement.domain.errors import Displaced, NotYet, Refused, RequestRefused
from settlement.ports.days import AirflowRun, DayRun, RunRequest
from settlement.ports.services import Services
from settlement.stages import (
    approve,
    asked,
    close,
    compute,
    extract,
    open_day,
    reconcile,
    report,
)

from settlement_lab.rehearse import drive, worker
from settlement_lab.rehearse.drive import BEGIN, Summary, Violated, Worker, environ
from settlement_lab.rehearse.grammar import words
from settlement_lab.rehearse.grammar.audit import Auditor
from settlement_lab.rehearse.grammar.bank import Bank
from settlement_lab.rehearse.grammar.operator import Operator
from settlement_lab.rehearse.kept import keeping
from settlement_lab.rehearse.lender import SEOUL, Lender
from settlement_lab.rehearse.worker import STAGES, Order
from settlement_lab.servers import bank as demo_bank
from settlement_lab.servers import embedded

MOST_QUIET_DAYS = 14
"""In so many days without anything new everything has to come to rest."""

OPENING = 60_000
"""What stands on the account in the beginning: little, so that a payout of money that is not there is seen."""

NEEDED = OPENING
"""What the platform pays in when quiet days begin, for what the lender believed in and never came."""

POLICY = (
    drive.POLICY
    + """[matching.tolerance]
KRW = 10
"""
)

WRONG_CONFS: Sequence[Mapping[str, Any]] = (
    {"dryrun": True},
    {"dry_run": "true"},
    {"settlement-date": "2026-01-05"},
    {"settlement_date": "05.01.2026"},
    {"transfer": 0},
    {"Reason": "month end"},
)
"""What people write into a run's conf and mean something by."""


CHANCES: dict[str, float] = {
    "hearings before the run": 0.3,
    "holidays declared or withdrawn": 0.06,
    "runs asked wrongly": 0.1,
    "dry runs": 0.05,
    "days settled late": 0.12,
    "days settled twice": 0.15,
    "days crossed by the one before": 0.4,
    "runs beside another": 0.12,
    "runs in two processes": 0.06,
    "receipts late at the source": 0.1,
}
"""By what the clock does: how often it does, of the times that it can."""


class PayersOfSharedAccounts(Lender):
    """The lender, some of whose loans have one virtual account each, into which every payer of the loan pays."""

    SHARED = ("L0", "L1")

    def reference_at_bank(self, loan: str, reference: str) -> str:
        """Return the number of the loan's virtual account where it has one, and tell the bank's payers."""
        if loan not in self.SHARED:
            return reference
        assert isinstance(self.bank, Bank)
        self.bank.known_as[reference] = f"VA-9001-{loan}"
        return self.bank.known_as[reference]


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
        checks_duplicates = seed % 2 == 0
        core_url = server.url(core, user=embedded.READER)
        values = _environment(core_url, books_url, drop, pickup, checks_duplicates=checks_duplicates)
        values |= {"SETTLEMENT_POLICY": str(policy), "SETTLEMENT_SNAPSHOTS": str(home / "snapshots")}
        stack.enter_context(environ(values))
        lenders = stack.enter_context(psycopg.connect(server.url(core, user="lending_core", driver="postgresql")))
        reading = stack.enter_context(
            psycopg.connect(server.url(books, user="settlement", driver="postgresql"), autocommit=True)
        )
        services = stack.enter_context(keeping(stack.enter_context(wiring.services())))
        chances = [Random(4 * seed + number) for number in range(4)]  # noqa: S311 - a story, not a secret
        before = demo_bank.CALENDAR.previous_business_day(BEGIN)
        bank = Bank(
            random=chances[0],
            drop=drop,
            pickup=pickup,
            today=before,
            balance=OPENING,
            checks_duplicates=checks_duplicates,
        )
        channel = DirectoryBank(drop, pickup, checks_duplicates=checks_duplicates, settle_seconds=0)
        rehearsal = _Rehearsal(
            random=chances[1],
            bank=bank,
            lender=PayersOfSharedAccounts(random=chances[2], core=lenders, bank=bank),
            people=Operator(random=chances[3], bank=bank, books=reading),
            auditor=Auditor(books=reading, bank=bank),
            services=replace(services, bank=channel, is_now_set=True),
            summary=Summary(seed=seed),
            environment=values,
            home=home,
        )
        for process in rehearsal.processes:
            stack.callback(process.end)
        yield rehearsal


def _environment(core_url: str, books_url: str, drop: Path, pickup: Path, *, checks_duplicates: bool) -> dict[str, str]:
    account = {
        "debtor_account": demo_bank.DEBTOR_ACCOUNT,
        "debtor_name": demo_bank.DEBTOR_NAME,
        "debtor_agent": demo_bank.DEBTOR_AGENT,
        "currency": demo_bank.CURRENCY,
        "drop": str(drop),
        "pickup": str(pickup),
        "duplicate_check": checks_duplicates,
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
    environment: Mapping[str, str]
    home: Path
    is_quiet: bool = False
    unsettled: list[date] = field(default_factory=list)
    """The days that are still to be settled: of a run that was late, or refused."""
    overrides: dict[date, bool] = field(default_factory=dict)
    """Days on which banks work, or not, against the calendar."""

    def __post_init__(self) -> None:
        log = self.home / "rehearsal.log"
        self.processes = [Worker(worker.serve, dict(self.environment), log) for _ in range(2)]

    @property
    def calendar(self) -> BankCalendar:
        """Return the calendar as it is by now."""
        return self.services.calendar.calendar

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
                on, since = self.calendar.next_business_day(on), on
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
            self.lender.live_through(
                on, since - timedelta(days=3) if self._is("receipts late at the source") else since
            )
        self.bank.live_through(on)
        self.bank.deliver()
        morning = datetime.combine(on + timedelta(days=1), time(6), SEOUL)
        if self._is("hearings before the run"):
            self._hear(on, morning - timedelta(hours=1))
        self.unsettled.append(on)
        if self._is("holidays declared or withdrawn"):
            self._change_the_calendar(on)
        if self._is("runs asked wrongly"):
            self._ask_wrongly(on, morning)
        if self._is("dry runs"):
            self._run_dry(on, morning)
        if not self._is("days settled late"):
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
        if self.unsettled and self._is("runs in two processes"):
            self._settle_in_two_processes(morning)
        elif len(self.unsettled) > 1 and self._is("days crossed by the one before"):
            before, on = self.unsettled[-2:]
            meets = (JUST_FROZEN, before)
            if self._settle(on, morning, run_id=f"crossed-{on}-{morning:%m%d}", meets=meets):
                self.unsettled.remove(on)
        for place, on in enumerate(list(self.unsettled)):
            now = morning + timedelta(minutes=20 * (place + 1))
            if self._settle(on, now, run_id=f"scheduled-{on}-{now:%m%d}"):
                self.unsettled.remove(on)
                again = now + timedelta(minutes=5)
                if self._is("days settled twice") and not self._settle(on, again, run_id=f"again-{on}-{now:%m%d}"):
                    self.unsettled = sorted([*self.unsettled, on])

    def _settle_in_two_processes(self, now: datetime) -> None:
        """Let two processes work at once: on one date, on two, in one run, or beside the reconciliation."""
        how = self.random.choice(["two runs of a date", "one run twice", "the reconciliation beside", "two dates"])
        self.count[f"processes: {how}"] += 1
        on = self.unsettled[0]
        first = Order(now=now, progress=self.home / "progress_1", settlement_date=on, run_id=f"process-{on}-{now:%m%d}")
        second = replace(first, progress=self.home / "progress_2")
        if how == "two runs of a date":
            second = replace(second, run_id=f"{first.run_id}-beside")
        elif how == "the reconciliation beside":
            second = replace(second, settlement_date=None)
        elif how == "two dates" and len(self.unsettled) > 1:
            other = self.unsettled[1]
            second = replace(second, settlement_date=other, run_id=f"process-{other}-{now:%m%d}")
        orders = (first, second)
        for process, order in zip(self.processes, orders, strict=True):
            process.give(order)
        statuses = [process.outcome() for process in self.processes]
        if worker.BROKEN in statuses:
            raise Violated(f"the product failed in a process as nobody foresaw; see {self.home / 'rehearsal.log'}")
        self._audit("two processes")
        ended = list(zip((order.settlement_date for order in orders), statuses, strict=True))
        left = {on for on, status in ended if status != worker.DONE}
        self.unsettled = [on for on in self.unsettled if on in left or on not in {settled for settled, _ in ended}]

    def _ask_wrongly(self, on: date, now: datetime) -> None:
        """Trigger a run in words that there are not: it has to be refused, and nothing done."""
        conf = {"settlement_date": on.isoformat()} | dict(self.random.choice(WRONG_CONFS))
        params = {"settlement_date": None, "dry_run": False, "transfer": True, "reason": None} | conf
        run = AirflowRun(run_id=f"asked-{on}", run_type="manual", triggered_at=now, conf=conf, params=params)
        try:
            request = asked.request_of(run, calendar=self.services.calendar, now=now)
        except RequestRefused:
            return
        raise Violated(f"a run that was asked {conf} on day {self.summary.days + 1} would do {request}")

    def _run_dry(self, on: date, now: datetime) -> None:
        """Run a day dry: it may say whatever it likes, and changes nothing."""
        before = self.auditor.everything(), sorted(self.bank.drop.iterdir())
        request = RunRequest(settlement_date=on, run_id=f"dry-{on}", triggered_by="maker", dry_run=True)
        try:
            day = open_day.open_day(self.services, request, now=now)
            extract.freeze_inputs(self.services, day, now=now)
            computed = compute.distribute(self.services, day, now=now)
            for _, stage in STAGES[FIRST_OF_PAYING:-1]:
                stage(self.services, day, now=now)
            report.report(self.services, day, computed=computed, now=now)
        except Refused:
            self.count["dry runs refused"] += 1
        if (self.auditor.everything(), sorted(self.bank.drop.iterdir())) != before:
            raise Violated(f"a dry run of [{on}] changed the books or left a file, on day {self.summary.days + 1}")

    def _change_the_calendar(self, on: date) -> None:
        """Declare or withdraw a holiday near the present; what becomes one is settled no more, unless it is booked."""
        day = on + timedelta(days=self.random.randint(-3, 6))
        if day.weekday() > FRIDAY or day <= BEGIN:
            return
        self.overrides[day] = not self.calendar.is_business_day(day)
        self.count[f"holidays {'withdrawn' if self.overrides[day] else 'declared'}"] += 1
        said = "".join(
            f"[[calendar.overrides]]\ndate = {when}\nbusiness = {str(is_open).lower()}\nreason = 'announced'\n"
            for when, is_open in sorted(self.overrides.items())
        )
        (self.home / "policy.toml").write_text(POLICY + said, encoding="utf-8")
        policy = wiring.load_policy()
        self.services = replace(self.services, policy=policy, calendar=wiring.calendar_of(policy))
        self.bank.calendar = self.calendar
        for process in self.processes:
            process.end()  # its next order finds the new policy
        if self.overrides[day] and day <= on:
            self.unsettled = sorted({*self.unsettled, day})
        with self.services.ledger.books(read_only=True) as books:
            booked = books.days.settled()
        self.unsettled = [due for due in self.unsettled if self.calendar.is_business_day(due) or due in booked]

    def _is(self, what: str) -> bool:
        """Tell whether something happens that has a chance, and count it; nothing does in quiet days."""
        happens = self.random.random() < CHANCES[what] and not self.is_quiet
        self.count[what] += happens
        return happens

    # ----------------------------------------------------------------------------------------------------- a run

    def _settle(
        self, on: date, now: datetime, *, run_id: str, is_met: bool = True, meets: tuple[int, date] | None = None
    ) -> bool:
        """Settle a day; True: it ran to its end. Now and then another run of it comes in between, and displaces it.

        `meets` says at which place the run of which day comes in between, instead.
        """
        if meets is None and is_met and self._is("runs beside another"):
            meets = self.random.randrange(len(STAGES)), on
        request = RunRequest(settlement_date=on, run_id=run_id, triggered_by="maker", reason="rehearsal")
        try:
            day = open_day.open_day(self.services, request, now=now)
            self._audit("open_day")
            place = 0
            while place < len(STAGES):
                if meets and place == meets[0]:
                    (_, other), meets = meets, None
                    is_done = self._settle(other, now + timedelta(minutes=1), run_id=f"{run_id}-beside", is_met=False)
                    if is_done and other != on:
                        self.unsettled.remove(other)
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
        except NotYet:
            self.count["runs that wait"] += 1
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


FIRST_OF_PAYING = [name for name, _ in STAGES].index("take_in")
"""Where a run goes on from, once somebody has answered for what spoke against paying."""

JUST_FROZEN = [name for name, _ in STAGES].index("distribute")
"""Where a run has read its inputs and not computed."""

FRIDAY = 4
