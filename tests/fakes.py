"""The ports in memory: what the stages ask of the outside in plain dicts and lists, so that a decision needs no server.

Method: `Kept` is all that the books hold; its values are never changed, only replaced, so a copy of its dicts and lists
is a transaction, which takes the place of the original when its context ends well. What the database refuses raises
`Impossible`. `tests/adapters/test_fakes_agree.py` tells the same stories to these books and to PostgreSQL.

Left out is what no decision needs: frozen inputs, what a day came to, the proofs of the close, explanations, items in
transit, and the source's snapshots. A test that asks for one of them is told so.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from itertools import count
from types import MappingProxyType
from typing import Any, NoReturn

import pandas as pd
from settlement.domain import frames
from settlement.domain import policy as policies
from settlement.domain.alerts import routing
from settlement.domain.alerts.day import DayCompleted, DayEvent
from settlement.domain.alerts.event import AlertState, Event, Severity, summary_key
from settlement.domain.alerts.payload import Payload, fold, of_event
from settlement.domain.alerts.payouts import ApprovalNeeded, TakingBackNeeded
from settlement.domain.alerts.routing import AlertsPolicy, Language
from settlement.domain.alerts.watch import Resolved
from settlement.domain.bank import statement as statements
from settlement.domain.bank.matching import Subject, SubjectKind
from settlement.domain.bank.matching.model import About, Key
from settlement.domain.bank.messages import (
    FILE,
    Message,
    MessageState,
    Reading,
    Submission,
    SubmissionOutcome,
)
from settlement.domain.bank.statement import LineState, Statement, StatementLine
from settlement.domain.books import postings
from settlement.domain.books.accounts import (
    BORROWER_CREDIT,
    BORROWER_PAYABLE,
    CLIENT_BANK,
    INVESTOR_PAYABLE,
    OPENING_BALANCE,
    REPAYMENTS_UNALLOCATED,
    PayeeKind,
)
from settlement.domain.books.postings import Entry, JournalEntry
from settlement.domain.breaks import BreakState, Decision, Finding, Way, why_gone
from settlement.domain.days import BankCalendar, DayState, SettlementCalendar, Window
from settlement.domain.errors import Displaced, UnreadableMessage
from settlement.domain.payments import approval, evidence
from settlement.domain.payments import payouts as sums
from settlement.domain.payments.evidence import UNPAID, FactKind
from settlement.domain.payments.files import FileState
from settlement.domain.payments.gate import Objection
from settlement.domain.payments.refunds import RefundPart
from settlement.domain.payments.state import PayoutState
from settlement.domain.policy import Policy
from settlement.ports.approvals import AnsweredObjection, Question
from settlement.ports.bank import Debtor
from settlement.ports.bank_lines import KeptStatement, LineTotals, RefusedMessage, WaitingMessage
from settlement.ports.books import Books
from settlement.ports.breaks import Break, BreakEvent
from settlement.ports.close import Certificate
from settlement.ports.days import BackfillEnd, Day, DayRun, DayTotals, PayoutSum, Run, RunRequest
from settlement.ports.files import SentFile, Transmission
from settlement.ports.opening import OpeningItem, TakenOver
from settlement.ports.outbox import Alert, ConnectionTest, DeliveryReport
from settlement.ports.payouts import Uncredited, UnderWay
from settlement.ports.refunds import TakenRefund, UndoneRefund
from settlement.ports.services import Services

Row = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Impossible(Exception):
    """What is asked would make the books wrong; the database refuses the same."""


class LeftOut:
    """A part of a port that no decision needs, and that is therefore not kept in memory."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"{owner.__name__}.{name}"

    def __get__(self, instance: object, owner: type | None = None) -> NoReturn:
        raise LookupError(f"[{self.name}] is not kept in memory: tell this story on the real platform")


# ------------------------------------------------------------------------------------------------ what the books hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """One entry of the journal, and the settlement date it is posted on."""

    made: JournalEntry
    settlement_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutStep:
    """One step that a payout took."""

    payout_id: str
    from_state: PayoutState
    to_state: PayoutState
    at: datetime
    cause: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that became known of a payout and is no statement line."""

    payout_id: str
    kind: FactKind
    source: str
    amount: int | None
    recorded_at: datetime
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question to a second person, and what else is kept of it."""

    question: Question
    settlement_date: date
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """A message of the bank, and what became of it."""

    message: Message
    recorded_at: datetime
    came_at: datetime
    state: MessageState
    refusal: str | None = None
    statement_id: str | None = None
    difference: int | None = None
    read_with: str = ""
    first_read_at: datetime | None = None
    read_as_of: datetime | None = None
    refused_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLine:
    """A statement line, and what became of it."""

    line: StatementLine
    statement_id: str
    state: LineState


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedPart:
    """The part of a line that pays a subject."""

    match_id: str
    line_id: str
    subject_kind: SubjectKind
    subject_id: str
    occurrence: int
    rule: str
    explanation: str
    matched_at: datetime

    @property
    def key(self) -> Key:
        """What tells its subject from every other."""
        return (self.subject_kind, self.subject_id, self.occurrence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One backfill, under way until it is ended."""

    started_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A row of the outbox: one event in one channel, with the thread that it stands in."""

    alert: Alert
    thread: str
    kind: str
    problem_key: str
    payload: Payload
    version: int = 1
    resolved_at: datetime | None = None


@dataclass(kw_only=True)
class Kept:
    """All that the books hold. Keys are ids; what a dict or list holds is replaced, never changed."""

    days: dict[date, Day] = field(default_factory=dict)
    windows: dict[date, Window] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    steps_before: dict[str, int] = field(default_factory=dict)
    controls: dict[tuple[date, str], bool] = field(default_factory=dict)
    totals: dict[date, tuple[DayTotals, ...]] = field(default_factory=dict)
    backfills: dict[str, Backfill] = field(default_factory=dict)
    entries: list[Posted] = field(default_factory=list)
    payouts: dict[str, Row] = field(default_factory=dict)
    steps: list[PayoutStep] = field(default_factory=list)
    facts: dict[tuple[str, FactKind, str], Fact] = field(default_factory=dict)
    holds: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    refused_accounts: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    refunds: dict[str, TakenRefund] = field(default_factory=dict)
    undone: list[tuple[Any, ...]] = field(default_factory=list)
    files: dict[str, SentFile] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    transmissions: dict[tuple[str, int], Transmission] = field(default_factory=dict)
    questions: dict[str, Asked] = field(default_factory=dict)
    objections: dict[tuple[date, str, str], AnsweredObjection] = field(default_factory=dict)
    messages: dict[str, KeptMessage] = field(default_factory=dict)
    uploads: dict[str, Message] = field(default_factory=dict)
    statements: dict[str, KeptStatement] = field(default_factory=dict)
    content_keys: dict[str, str] = field(default_factory=dict)
    lines: dict[str, KeptLine] = field(default_factory=dict)
    matches: list[MatchedPart] = field(default_factory=list)
    breaks: dict[int, Break] = field(default_factory=dict)
    break_events: list[tuple[int, BreakEvent]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    waiting: dict[int, Decision] = field(default_factory=dict)
    certificates: dict[int, Certificate] = field(default_factory=dict)
    alerts: dict[int, Told] = field(default_factory=dict)
    threads: list[tuple[str, str]] = field(default_factory=list)
    attached: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def copy(self) -> Kept:
        """Return the same in dicts and lists of its own."""
        return Kept(**{one.name: copy(getattr(self, one.name)) for one in fields(self)})


# ---------------------------------------------------------------------------------------------------- days and journal


class Backfills:
    """Which runs are one backfill."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def join(self, *, now: datetime) -> str:
        for backfill_id, found in self._kept.backfills.items():
            if found.ended_at is None:
                return backfill_id
        self._kept.backfills[backfill_id := str(len(self._kept.backfills) + 1)] = Backfill(started_at=now)
        return backfill_id

    def end(self, backfill_id: str, *, now: datetime) -> BackfillEnd:
        kept = self._kept
        found = kept.backfills[backfill_id]
        kept.backfills[backfill_id] = replace(found, ended_at=found.ended_at or now)
        runs = [run for run in kept.runs.values() if run.backfill_id == backfill_id]
        failed = [run for run in runs if run.outcome is None or run.outcome.startswith("failed")]
        changed = [run for run in runs if run not in failed and run.revision > 1 and run.outcome != "already_settled"]
        paid: Counter[str] = Counter()
        for run in runs:
            moved = {step.payout_id for step in kept.steps[kept.steps_before[run.run_id] :]}
            for row in kept.payouts.values():
                left = not (row["state"].is_unsent or row["state"].is_proven_unpaid)
                if row["run_id"] == run.run_id and row["payout_id"] in moved and left:
                    paid[row["currency"]] += row["amount"]
        return BackfillEnd(
            ok=len(runs) - len(failed) - len(changed),
            changed=len(changed),
            failed=len(failed),
            paid=dict(sorted(paid.items())),
        )

    def silent(self, *, since: datetime) -> list[str]:
        heard = {
            run.backfill_id
            for run in self._kept.runs.values()
            if max(run.started_at, run.ended_at or run.started_at) >= since
        }
        return [
            backfill_id
            for backfill_id, found in self._kept.backfills.items()
            if found.ended_at is None and found.started_at < since and backfill_id not in heard
        ]


class Days:
    """Settlement dates, their runs and which of them may write."""

    settled_since = LeftOut()

    def __init__(self, kept: Kept, backfills: Backfills) -> None:
        self._kept = kept
        self._backfills = backfills

    def open(self, request: RunRequest, *, settlement_date: date, now: datetime) -> DayRun:
        found = self.find(settlement_date)
        is_backfill = request.run_type == "backfill" and not request.dry_run
        day = DayRun(
            settlement_date=settlement_date,
            revision=max(1, found.revision) if found else 1,
            run_id=request.run_id,
            run_type=request.run_type,
            backfill_id=self._backfills.join(now=now) if is_backfill else None,
            dry_run=request.dry_run,
            transfer=request.transfer and not request.dry_run,
            clear_number=request.clear_number,
            kept_conf=request.kept_conf,
        )
        if request.dry_run:
            return day
        opened = found or Day(
            settlement_date=settlement_date,
            state=DayState.OPEN,
            revision=0,
            run_id=request.run_id,
            opened_at=now,
            settled_at=None,
            closed_at=None,
            failure=None,
        )
        went_on = DayState.COMPUTED if opened.revision else DayState.OPEN
        state = went_on if opened.state is DayState.FAILED else opened.state
        self._kept.days[settlement_date] = replace(opened, run_id=request.run_id, state=state, failure=None)
        self._kept.steps_before[request.run_id] = len(self._kept.steps)
        self._kept.runs[request.run_id] = Run(
            run_id=request.run_id,
            settlement_date=settlement_date,
            revision=day.revision,
            run_type=request.run_type,
            backfill_id=day.backfill_id,
            triggered_by=request.triggered_by,
            reason=request.reason,
            started_at=now,
            ended_at=None,
            outcome=None,
        )
        return day

    def hold_fence(self, day: DayRun) -> None:
        found = self.find(day.settlement_date)
        holder = found.run_id if found else None
        if holder != day.run_id:
            raise Displaced(f"Settlement date [{day.settlement_date}] belongs to run [{holder}], not to [{day.run_id}]")

    def find(self, settlement_date: date) -> Day | None:
        return self._kept.days.get(settlement_date)

    def set_state(self, settlement_date: date, state: DayState, *, now: datetime, failure: str | None = None) -> None:
        if found := self.find(settlement_date):
            self._kept.days[settlement_date] = replace(
                found,
                state=state,
                failure=failure,
                settled_at=found.settled_at or now if state.is_settled else found.settled_at,
                closed_at=found.closed_at or now if state is DayState.CLOSED else found.closed_at,
            )

    def run(self, run_id: str) -> Run | None:
        return self._kept.runs.get(run_id)

    def payout_sums(self, settlement_date: date | None) -> list[PayoutSum]:
        amounts: dict[tuple[str, PayoutState], list[int]] = defaultdict(list)
        for row in self._kept.payouts.values():
            if settlement_date in (None, row["settlement_date"]):
                amounts[row["currency"], row["state"]].append(row["amount"])
        return [
            PayoutSum(currency=currency, state=state, count=len(each), amount=sum(each))
            for (currency, state), each in sorted(amounts.items())
        ]

    def end_run(self, day: DayRun, *, outcome: str, now: datetime) -> None:
        if found := self.run(day.run_id):
            self._kept.runs[day.run_id] = replace(found, ended_at=now, outcome=outcome, revision=day.revision)

    def note_controls(self, on: date, names: Sequence[str], *, is_held: bool, now: datetime) -> None:
        self._kept.controls |= {(on, name): is_held for name in names}

    def controls_of(self, on: date) -> dict[str, bool]:
        return {name: is_held for (of, name), is_held in sorted(self._kept.controls.items()) if of == on}

    def newest(self) -> date | None:
        return max(self._kept.days, default=None)

    def settled(self) -> list[date]:
        return sorted(on for on, day in self._kept.days.items() if day.revision)

    def begun_before(self, settlement_date: date) -> list[date]:
        return sorted(on for on, day in self._kept.days.items() if not day.revision and on < settlement_date)

    def windows(self) -> dict[date, Window]:
        return dict(self._kept.windows)

    def keep_window(self, settlement_date: date, window: Window) -> None:
        self._kept.windows.setdefault(settlement_date, window)

    def is_newest(self, settlement_date: date) -> bool:
        return all(on <= settlement_date for on in self.settled())

    def unclosed(self) -> list[date]:
        return sorted(
            on for on, day in self._kept.days.items() if day.state.is_settled and day.state is not DayState.CLOSED
        )

    def totals(self, settlement_date: date) -> list[DayTotals]:
        return list(self._kept.totals.get(settlement_date, ()))


class Journal:
    """Entries, their postings and the balances that they come to."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def post(self, entry: JournalEntry, *, settlement_date: date, now: datetime) -> None:
        self.post_all([entry], settlement_date=settlement_date, now=now)

    def post_all(self, entries: Sequence[JournalEntry], *, settlement_date: date, now: datetime) -> None:
        for made in entries:
            legs = made.entry.legs
            if sum(amount for _, amount in legs):
                raise Impossible(f"Entry [{made.entry.event}] does not balance: {legs}")
            if made.reverses_entry_id is not None and self._is_reversed(made.reverses_entry_id):
                raise Impossible(f"Entry [{made.reverses_entry_id}] is reversed already")
            self._kept.entries.append(Posted(made=made, settlement_date=settlement_date))
            is_limited = made.entry.event in ("payout_prepared", "refund_undone")
            if is_limited and any(amount > 0 and self.balance(account, made.currency) > 0 for account, amount in legs):
                raise Impossible(f"Above the balance: {legs}")
        given_back = Counter(made.payout_id for _, made in self.standing(*GIVEN_BACK))
        if twice := [payout_id for payout_id, times in given_back.items() if times > 1]:
            raise Impossible(f"Payout [{twice[0]}] has given its money back before")

    def undo_write_offs(self, subject_ids: Sequence[str], *, settlement_date: date, now: datetime) -> None:
        made = [
            undone(number, written_off)
            for number, written_off in self.standing("written_off")
            if written_off.repayment_id in subject_ids or written_off.payout_id in subject_ids
        ]
        self.post_all(made, settlement_date=settlement_date, now=now)

    def standing(self, *events: str) -> list[tuple[int, JournalEntry]]:
        """Return the entries of these events that neither reverse one nor are reversed, with their numbers."""
        return [
            (number, posted.made)
            for number, posted in enumerate(self._kept.entries, start=1)
            if posted.made.entry.event in events
            and posted.made.reverses_entry_id is None
            and not self._is_reversed(number)
        ]

    def balance(self, account: str, currency: str) -> int:
        return self._sums()[account, currency]

    def balances(self, prefix: str) -> dict[tuple[str, str], int]:
        return {key: amount for key, amount in self._sums().items() if key[0].startswith(prefix) and amount}

    def _is_reversed(self, number: int) -> bool:
        return any(posted.made.reverses_entry_id == number for posted in self._kept.entries)

    def _sums(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for posted in self._kept.entries:
            for account, amount in posted.made.entry.legs:
                found[account, posted.made.currency] += amount
        return found


GIVEN_BACK = ("payout_rejected", "payout_returned")
"""The events of entries that give the money of a payout back."""


def undone(number: int, made: JournalEntry) -> JournalEntry:
    """Return the entry that reverses another."""
    return replace(made, entry=postings.undone(made.entry), reverses_entry_id=number)


# ------------------------------------------------------------------------------------------- payouts, files, approvals


class Payouts:
    """What is owed, what is prepared, and every step that a payout takes."""

    def __init__(self, kept: Kept, journal: Journal) -> None:
        self._kept = kept
        self._journal = journal

    def payables(self) -> pd.DataFrame:
        return frames.build(
            frames.PAYABLES,
            [
                (
                    kind.value,
                    payee_id := kind.payable.subject_of(account),
                    currency,
                    -amount,
                    self._attempt((kind.value, payee_id, currency)),
                )
                for kind in PayeeKind
                for (account, currency), amount in self._journal.balances(kind.payable.prefix).items()
                if amount < 0
            ],
        )

    def under_way(self) -> list[UnderWay]:
        unmatched = [kept.line for kept in self._kept.lines.values() if kept.state is not LineState.MATCHED]
        sums: Counter[tuple[str, date, datetime | None, bool]] = Counter()
        for row in self._kept.payouts.values():
            is_returned = row["state"] is PayoutState.RETURNED
            if not row["state"].is_final or (is_returned and row["booked_on"] is None):
                named = [-line.amount for line in unmatched if line.end_to_end_id == row["end_to_end_id"]]
                left = max(row["amount"] - sum(part for part in named if part * 2 > row["amount"]), 0)
                sums[row["currency"], row["settlement_date"], row["submitted_at"], is_returned] += left
        return [
            UnderWay(currency=currency, settlement_date=on, submitted_at=at, is_returned=is_returned, amount=amount)
            for (currency, on, at, is_returned), amount in sorted(
                sums.items(), key=lambda item: (*item[0][:2], item[0][2] is None, item[0][2] or 0, item[0][3])
            )
        ]

    def refused_accounts(self) -> pd.DataFrame:
        return frames.build(frames.REFUSED_ACCOUNTS, list(self._kept.refused_accounts))

    def slots(self, day: DayRun) -> pd.DataFrame:
        slots: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in self._kept.payouts.values():
            if (row["settlement_date"], row["revision"]) == (day.settlement_date, day.revision):
                slots[*_payee(row), row["chunk"]].append(row)
        return frames.build(
            frames.SLOTS,
            [
                (*key, max(row["attempt"] for row in rows), all(row["state"].is_proven_unpaid for row in rows))
                for key, rows in slots.items()
            ],
        )

    def stranded(self, *, before: date, prepared_before: datetime) -> pd.DataFrame:
        return _payouts(
            row
            for row in self._kept.payouts.values()
            if row["state"].is_unsent
            and row["settlement_date"] < before
            and (
                self._kept.days[row["settlement_date"]].state is DayState.FAILED
                or row["prepared_at"] <= prepared_before
            )
        )

    def usual_totals(self, on: Sequence[date]) -> dict[str, list[int]]:
        found: Counter[tuple[str, date]] = Counter()
        for row in self._kept.payouts.values():
            if row["settlement_date"] in on and not row["state"].is_proven_unpaid:
                found[row["currency"], row["settlement_date"]] += row["amount"]
        totals: dict[str, list[int]] = {}
        for (currency, _), amount in sorted(found.items(), reverse=True):
            totals.setdefault(currency, []).append(amount)
        return totals

    def prepare(
        self, day: DayRun, payouts: pd.DataFrame, holds: pd.DataFrame, *, booked_on: date, now: datetime
    ) -> None:
        frames.check(payouts, frames.NEW_PAYOUTS)
        frames.check(holds, frames.HOLDS)
        before = dict(self._kept.holds)
        self._kept.holds.clear()
        for kind, payee_id, currency, amount, reason in frames.rows(holds, *frames.HOLDS.column_names):
            held = before.get((kind, payee_id, currency))
            since = held["since"] if held and held["reason"] == reason else day.settlement_date
            self._kept.holds[kind, payee_id, currency] = {"amount": amount, "reason": reason, "since": since}
        names = frames.NEW_PAYOUTS.column_names
        of_day = {
            "settlement_date": day.settlement_date,
            "revision": day.revision,
            "state": PayoutState.PREPARED,
            "file_id": None,
            "bank_reason": None,
            "submitted_at": None,
            "booked_on": None,
            "prepared_at": now,
            "run_id": day.run_id,
        }
        for values in frames.rows(payouts, *names):
            row = dict(zip(names, values, strict=True)) | of_day
            if row["payout_id"] in self._kept.payouts:
                raise Impossible(f"Payout [{row['payout_id']}] is prepared already")
            living = [_place(other) for other in self._kept.payouts.values() if not other["state"].is_proven_unpaid]
            if row["attempt"] > 1 and _place(row) in living:
                raise Impossible(f"Payout [{row['payout_id']}] has a living attempt in its place")
            self._kept.payouts[row["payout_id"]] = row
        self._post(payouts, PayoutState.PREPARED, settlement_date=day.settlement_date, now=now)

    def holds(self) -> pd.DataFrame:
        return frames.build(
            frames.HOLDS, [(*key, held["amount"], held["reason"]) for key, held in sorted(self._kept.holds.items())]
        )

    def find(self, settlement_date: date | None = None, states: Sequence[PayoutState] = ()) -> pd.DataFrame:
        return _payouts(
            row
            for row in self._kept.payouts.values()
            if settlement_date in (None, row["settlement_date"]) and (not states or row["state"] in states)
        )

    def unknown_dates(self) -> set[date]:
        return {row["settlement_date"] for row in self._kept.payouts.values() if row["state"] is PayoutState.UNKNOWN}

    def by_end_to_end(self, ids: Sequence[str]) -> pd.DataFrame:
        return _payouts(row for row in self._kept.payouts.values() if row["end_to_end_id"] in ids)

    def in_file(self, file_id: str) -> pd.DataFrame:
        of_file = (row for row in self._kept.payouts.values() if row["file_id"] == file_id)
        return _payouts(of_file, by=("end_to_end_id",))

    def step(
        self,
        payout_ids: Sequence[str],
        to_state: PayoutState,
        *,
        cause: str,
        now: datetime,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NOTHING,
    ) -> None:
        for payout_id, said in zip(payout_ids, _each(evidence, len(payout_ids)), strict=True):
            row = self._kept.payouts[payout_id]
            if not row["state"].may_become(to_state):
                raise Impossible(f"Payout [{payout_id}] is [{row['state']}]: it cannot become [{to_state}]")
            known = _as_json(said)
            self._kept.steps.append(
                PayoutStep(
                    payout_id=payout_id,
                    from_state=row["state"],
                    to_state=to_state,
                    at=now,
                    cause=cause,
                    evidence=known,
                )
            )
            changes: Row = {"state": to_state, "bank_reason": known.get("bank_reason") or row["bank_reason"]}
            if to_state is PayoutState.SUBMITTED:
                changes["submitted_at"] = now
            if to_state is PayoutState.BOOKED:
                changes["booked_on"] = date.fromisoformat(known["booked_on"]) if "booked_on" in known else None
            self._kept.payouts[payout_id] = row | changes

    def note_booking(self, booked: Mapping[str, date]) -> None:
        for payout_id, on in booked.items():
            row = self._kept.payouts[payout_id]
            self._kept.payouts[payout_id] = row | {"booked_on": min(row["booked_on"] or on, on)}

    def keep_facts(
        self,
        payout_ids: Sequence[str],
        kind: FactKind,
        *,
        source: str,
        now: datetime,
        amounts: Sequence[int] | None = None,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NOTHING,
    ) -> None:
        of_each: Sequence[int | None] = amounts or [None] * len(payout_ids)
        for payout_id, amount, said in zip(payout_ids, of_each, _each(evidence, len(payout_ids)), strict=True):
            if payout_id not in self._kept.payouts:
                raise Impossible(f"There is no payout [{payout_id}]")
            fact = Fact(
                payout_id=payout_id, kind=kind, source=source, amount=amount, recorded_at=now, said=_as_json(said)
            )
            self._kept.facts.setdefault((payout_id, kind, source), fact)

    def evidence(self, payout_ids: Sequence[str]) -> pd.DataFrame:
        asked = [row for payout_id, row in sorted(self._kept.payouts.items()) if payout_id in payout_ids]
        return frames.build(frames.EVIDENCE, [self._known(row) for row in asked])

    def spoken_of(self, payout_ids: Sequence[str]) -> set[str]:
        return {fact.payout_id for fact in self._kept.facts.values()} & {*payout_ids}

    def credit_back(self, payouts: pd.DataFrame, *, state: PayoutState, settlement_date: date, now: datetime) -> None:
        self._post(payouts, state, settlement_date=settlement_date, now=now)

    def take_back(self, payouts: pd.DataFrame, *, settlement_date: date, now: datetime) -> None:
        ids = payouts["payout_id"].tolist()
        given_back = [(number, made) for number, made in self._journal.standing(*GIVEN_BACK) if made.payout_id in ids]
        made = [undone(number, given) for number, given in given_back]
        self._journal.post_all(made, settlement_date=settlement_date, now=now)

    def contradicted(self) -> pd.DataFrame:
        denied = {fact.payout_id for fact in self._facts(FactKind.REFUSED, FactKind.ABSENT)}
        rows = self._kept.payouts.values()
        is_paid = (row for row in rows if row["state"] is PayoutState.BOOKED and row["payout_id"] in denied)
        return _payouts(is_paid, by=("payout_id",))

    def uncredited(self) -> list[Uncredited]:
        written_off = {made.payout_id for _, made in self._journal.standing("written_off")}
        found = []
        for payout_id, row in sorted(self._kept.payouts.items()):
            owed = self._matched(payout_id, SubjectKind.PAYOUT) - self._matched(payout_id, SubjectKind.PAYOUT_RETURN)
            if row["state"] is not PayoutState.RETURNED or owed <= 0 or payout_id in written_off:
                continue
            announced = self._facts(FactKind.RETURN_ANNOUNCED, of=payout_id)
            found.append(
                Uncredited(
                    payout_id=payout_id,
                    currency=row["currency"],
                    amount=row["amount"] * owed,
                    booked_on=row["booked_on"],
                    announced_at=min((fact.recorded_at for fact in announced), default=None),
                )
            )
        return found

    def refuse_accounts(self, refused: Mapping[str, str], *, now: datetime) -> None:
        for payout_id, reason in refused.items():
            row = self._kept.payouts[payout_id]
            account = (row["payee_kind"], row["payee_id"], row["payee_account"], row["payee_bank"] or "")
            self._kept.refused_accounts.setdefault(account, reason)

    def has_paid(self, run_id: str) -> bool:
        run = self._kept.runs.get(run_id)
        if run is None:
            return False
        since = self._kept.steps[self._kept.steps_before[run_id] :]
        decided = {step.payout_id for step in since if step.from_state is PayoutState.PREPARED}
        return any(
            (row["run_id"], row["settlement_date"]) == (run_id, run.settlement_date)
            and (row["state"] is PayoutState.PREPARED or row["payout_id"] in decided)
            for row in self._kept.payouts.values()
        )

    def _attempt(self, payee: tuple[str, str, str]) -> int:
        """Return which attempt a payout would be: one more than what came back of the newest preparation."""
        mine = [row for row in self._kept.payouts.values() if _payee(row) == payee]
        newest = max(((row["prepared_at"], row["settlement_date"]) for row in mine), default=None)
        return 1 + max(
            (
                row["attempt"]
                for row in mine
                if (row["prepared_at"], row["settlement_date"]) == newest and row["state"].is_proven_unpaid
            ),
            default=0,
        )

    def _post(self, payouts: pd.DataFrame, state: PayoutState, *, settlement_date: date, now: datetime) -> None:
        entry = {
            PayoutState.PREPARED: postings.payout_prepared,
            PayoutState.REJECTED: postings.payout_rejected,
            PayoutState.RETURNED: postings.payout_returned,
        }[state]
        columns = ("payout_id", "payee_kind", "payee_id", "currency", "amount")
        for payout_id, kind, payee_id, currency, amount in frames.rows(payouts, *columns):
            made: Entry[int] = entry(PayeeKind(kind).payable(payee_id), amount)
            self._journal.post(
                JournalEntry(entry=made, currency=currency, payout_id=payout_id),
                settlement_date=settlement_date,
                now=now,
            )

    def _facts(self, *kinds: FactKind, of: str | None = None) -> list[Fact]:
        """Return the facts of these kinds, of one payout or of all, in the order in which they became known."""
        return [fact for fact in self._kept.facts.values() if fact.kind in kinds and of in (None, fact.payout_id)]

    def _matched(self, payout_id: str, kind: SubjectKind) -> int:
        """Return how many times a payout is matched as leaving, or as coming back."""
        return len({part.key for part in self._kept.matches if part.key[:2] == (kind, payout_id)})

    def _known(self, row: Row) -> Row:
        """Return what is known of a payout: a row of `EVIDENCE`."""
        payout_id, amount = row["payout_id"], row["amount"]
        lines = self._kept.lines
        parts = [part for part in self._kept.matches if part.subject_id == payout_id]
        open_lines = [
            kept.line
            for kept in lines.values()
            if kept.state is not LineState.MATCHED
            and not kept.line.is_charge
            and (kept.line.end_to_end_id, kept.line.currency) == (row["end_to_end_id"], row["currency"])
        ]
        open_debits = [line for line in open_lines if evidence.is_debit(line.amount, amount)]
        open_credits = [
            line for line in open_lines if evidence.is_credit(line.amount, amount, is_return=line.is_return)
        ]
        explained_debits = self._facts(FactKind.DEBIT_EXPLAINED, of=payout_id)
        explained_credits = self._facts(FactKind.CREDIT_EXPLAINED, of=payout_id)
        debits = open_debits + [lines[p.line_id].line for p in parts if p.subject_kind is SubjectKind.PAYOUT]
        debits += [lines[fact.source].line for fact in explained_debits]
        credits = open_credits + [lines[p.line_id].line for p in parts if p.subject_kind is SubjectKind.PAYOUT_RETURN]
        credits += [lines[fact.source].line for fact in explained_credits]
        matched_debits = self._matched(payout_id, SubjectKind.PAYOUT)
        matched_credits = self._matched(payout_id, SubjectKind.PAYOUT_RETURN)
        announced = self._facts(FactKind.RETURN_ANNOUNCED, of=payout_id)
        unpaid = self._facts(*UNPAID, of=payout_id)
        named = ("payout_id", "payee_kind", "payee_id", "settlement_date", "currency", "amount")
        return {name: row[name] for name in named} | {
            "state": row["state"].value,
            "submitted_at": row["submitted_at"],
            "debits": matched_debits + len(open_debits) + len(explained_debits),
            "credits": matched_credits + len(open_credits) + len(explained_credits),
            "explained_debits": len(explained_debits),
            "explained_credits": len(explained_credits),
            "matched_debits": matched_debits,
            "matched_credits": matched_credits,
            "is_return_announced": bool(announced),
            "is_unpaid": bool(unpaid),
            "booked_on": min((line.booking_date for line in debits), default=None),
            "debit_line": min((line.line_id for line in debits), default=None),
            "credit_line": max((line.line_id for line in credits), default=None),
            "credit_reason": max((line.reason for line in credits if line.reason), default=None),
            "return_said": json.dumps(announced[-1].said, ensure_ascii=False) if announced else None,
            "rejection_said": json.dumps(unpaid[-1].said, ensure_ascii=False) if unpaid else None,
        }


def _place(row: Row) -> tuple[Any, ...]:
    """Return the place of a payout, in which one lives at a time."""
    return (row["settlement_date"], row["revision"], *_payee(row), row["chunk"])


def _payee(row: Row) -> tuple[str, str, str]:
    """Return who is paid, and in which currency."""
    return row["payee_kind"], row["payee_id"], row["currency"]


def _payouts(rows: Iterable[Row], *, by: Sequence[str] = ("settlement_date", "payout_id")) -> pd.DataFrame:
    ordered = sorted(rows, key=lambda row: [row[name] for name in by])
    return frames.build(frames.PAYOUTS, ordered)


def _each(said: Mapping[str, Any] | Sequence[Mapping[str, Any]], count: int) -> Sequence[Mapping[str, Any]]:
    """Return what is said of each of so many payouts, where it is one for all or one for each."""
    return [said] * count if isinstance(said, Mapping) else said


def _as_json(said: Mapping[str, Any]) -> Row:
    """Return it as it comes back out of a column of JSON: short keys first."""
    known: Row = json.loads(json.dumps(dict(said), default=str))
    return dict(sorted(known.items(), key=lambda item: (len(item[0].encode()), item[0])))


class Opening:
    """What a lender was taken over with: in memory each of them began with nothing."""

    keep = LeftOut()
    sums = LeftOut()
    receipts = LeftOut()
    receipt_ids = LeftOut()
    loans_waiting = LeftOut()

    def find(self) -> TakenOver | None:
        return None

    def under_way(self) -> list[OpeningItem]:
        return []

    def suspended(self) -> dict[str, int]:
        return {}

    def booked(self, currency: str) -> int:
        return 0


class Refunds:
    """What runs took of held credits for borrowers, and what people returned to them."""

    waiting = LeftOut()
    undone = LeftOut()
    take_back = LeftOut()

    def __init__(self, kept: Kept, journal: Journal) -> None:
        self._kept = kept
        self._journal = journal

    def keep(self, taken: TakenRefund) -> None:
        """Keep a refund that a run has taken; the database does it when it takes what a day came to."""
        if taken.refund_id in self._kept.refunds:
            raise Impossible(f"Refund [{taken.refund_id}] is taken already")
        self._kept.refunds[taken.refund_id] = taken

    def find(self, refund_id: str) -> TakenRefund | None:
        return self._kept.refunds.get(refund_id)

    def parts(self, refund_id: str, *, on: date = date.max) -> list[RefundPart]:
        sums: Counter[str] = Counter()
        for _, made in self._journal.standing("refund_ordered", "refund_undone"):
            for account, amount in made.entry.legs:
                if account == BORROWER_PAYABLE(refund_id):
                    sums[made.repayment_id or ""] -= amount
        return [RefundPart(repayment_id=of, amount=amount) for of, amount in sums.items() if amount]

    def undo(
        self,
        refund: TakenRefund | UndoneRefund,
        parts: Sequence[RefundPart],
        *,
        after: date,
        settlement_date: date,
        reason: str,
        by: str,
        now: datetime,
    ) -> None:
        payable, credit = BORROWER_PAYABLE(refund.refund_id), BORROWER_CREDIT(refund.loan_id)
        made = [
            JournalEntry(
                entry=postings.refund_undone(part.amount, credit=credit, payable=payable),
                currency=refund.currency,
                repayment_id=part.repayment_id,
            )
            for part in parts
        ]
        self._journal.post_all(made, settlement_date=settlement_date, now=now)
        self._kept.undone.extend(
            (refund.refund_id, part.repayment_id, part.amount, after, by, reason) for part in parts
        )


class PaymentFiles:
    """Payment files, and every time that one was handed to the bank."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def keep(self, day: DayRun, file_id: str, content: bytes, payouts: pd.DataFrame, *, now: datetime) -> None:
        ((currency, amount),) = sums.totals(payouts).items()
        if file_id in self._kept.files:
            raise Impossible(f"File [{file_id}] is kept already")
        self._kept.files[file_id] = SentFile(
            file_id=file_id,
            settlement_date=day.settlement_date,
            currency=currency,
            payment_count=len(payouts),
            amount=amount,
            created_at=now,
            sent_at=None,
            state=FileState.PREPARED,
            rejections=(),
            duplicates=(),
        )
        self._kept.contents[file_id] = content
        for payout_id in payouts["payout_id"]:
            row = self._kept.payouts[payout_id]
            if row["file_id"] not in (None, file_id):
                raise Impossible(f"Payout [{payout_id}] stands in file [{row['file_id']}] for good")
            self._kept.payouts[payout_id] = row | {"file_id": file_id}

    def find(self, settlement_date: date | None = None, states: Sequence[FileState] = ()) -> list[SentFile]:
        found = [
            file
            for file in self._kept.files.values()
            if settlement_date in (None, file.settlement_date) and (not states or file.state in states)
        ]
        return sorted(found, key=lambda file: (file.created_at, file.file_id))

    def file(self, file_id: str) -> SentFile | None:
        return self._kept.files.get(file_id)

    def content(self, file_id: str) -> bytes:
        return self._kept.contents[file_id]

    def mark(self, file_id: str, state: FileState, *, now: datetime) -> None:
        file = self._kept.files.get(file_id)
        if file is not None and file.state is not FileState.REJECTED:
            sent_at = file.sent_at or now if state is FileState.SUBMITTED else file.sent_at
            self._kept.files[file_id] = replace(file, state=state, sent_at=sent_at)

    def note_report(self, file_id: str, message_id: str, *, is_duplicate: bool) -> None:
        file = self._kept.files.get(file_id)
        if file is None or message_id in file.rejections + file.duplicates:
            return
        if is_duplicate:
            self._kept.files[file_id] = replace(file, duplicates=(*file.duplicates, message_id))
        else:
            self._kept.files[file_id] = replace(file, rejections=(*file.rejections, message_id))

    def open_transmission(self, file_id: str, *, run_id: str | None, now: datetime) -> int:
        for row in self._kept.payouts.values():
            if row["file_id"] == file_id and not row["state"].is_unproven:
                raise Impossible(f"File [{file_id}] cannot leave: payout [{row['payout_id']}] is [{row['state']}]")
        number = len(self.transmissions(file_id)) + 1
        self._kept.transmissions[file_id, number] = Transmission(
            number=number, run_id=run_id, started_at=now, outcome=None, answered_at=None
        )
        return number

    def close_transmission(self, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
        opened = self._kept.transmissions[file_id, number]
        if opened.outcome is not None:
            raise Impossible(f"Transmission [{number}] of file [{file_id}] was answered before")
        self._kept.transmissions[file_id, number] = replace(opened, outcome=answer.outcome, answered_at=now)

    def transmissions(self, file_id: str) -> list[Transmission]:
        return [sent for (of, _), sent in sorted(self._kept.transmissions.items()) if of == file_id]


class Approvals:
    """What a second person decided about payouts, and what was said against paying."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def request(self, day: DayRun, question: Question, *, now: datetime) -> None:
        questions = self._kept.questions
        for approval_id, asked in questions.items():
            is_open = asked.settlement_date == day.settlement_date and asked.question.decision is None
            if is_open and approval_id != question.approval_id:
                superseded = replace(asked.question, decision=approval.Decision.SUPERSEDED)
                questions[approval_id] = replace(asked, question=superseded)
        before = questions.get(question.approval_id)
        if before is None or before.question.decision in (None, approval.Decision.SUPERSEDED):
            questions[question.approval_id] = Asked(question=question, settlement_date=day.settlement_date)

    def find(self, approval_id: str) -> Question | None:
        asked = self._kept.questions.get(approval_id)
        return asked.question if asked else None

    def decide(
        self, approval_id: str, *, decision: approval.Decision, by: str, reason: str | None, now: datetime
    ) -> None:
        asked = self._kept.questions.get(approval_id)
        if asked is not None and asked.question.decision is None:
            answered = replace(asked.question, decision=decision, decided_by=by)
            self._kept.questions[approval_id] = replace(asked, question=answered, by=by, reason=reason)

    def object_to(self, day: DayRun, objections: Sequence[Objection], *, now: datetime) -> None:
        for found in objections:
            self._kept.objections.setdefault(
                (day.settlement_date, found.control, found.said),
                AnsweredObjection(
                    settlement_date=day.settlement_date,
                    control=found.control,
                    said=found.said,
                    raised_at=now,
                    run_id=day.run_id,
                    overridden_by=None,
                    reason=None,
                    overridden_at=None,
                ),
            )

    def objections(self, settlement_date: date) -> list[AnsweredObjection]:
        of_day = [found for found in self._kept.objections.values() if found.settlement_date == settlement_date]
        return sorted(of_day, key=lambda found: (found.raised_at, found.control, found.said))

    def override(self, settlement_date: date, *, said: Sequence[str], by: str, reason: str, now: datetime) -> int:
        left = {
            key: found
            for key, found in self._kept.objections.items()
            if found.settlement_date == settlement_date and found.said in said and found.overridden_by is None
        }
        for key, found in left.items():
            self._kept.objections[key] = replace(found, overridden_by=by, reason=reason, overridden_at=now)
        return len(left)


# ------------------------------------------------------------------------------------------------- bank lines, breaks


def _may_be_of_page(kept: KeptStatement, statement: Statement) -> bool:
    return kept.page is None or statement.page is None or kept.page == statement.page


class BankLines:
    """Messages of the bank, statements, their lines, and what they were matched with."""

    def __init__(self, kept: Kept, journal: Journal) -> None:
        self._kept = kept
        self._journal = journal

    def keep_message(self, message: Message, *, direction: str, now: datetime) -> bool:
        came_at, known = min(now, message.written_at or now), self._kept.messages.get(message.sha256)
        if known is not None:
            if message.written_at:
                self._kept.messages[message.sha256] = replace(known, came_at=max(known.came_at, came_at))
            return False
        state = MessageState.NEW if direction == "in" else MessageState.APPLIED
        self._kept.messages[message.sha256] = KeptMessage(
            message=message, recorded_at=now, came_at=came_at, state=state
        )
        return True

    def upload(self, message: Message, *, by: str, reason: str, now: datetime) -> bool:
        if message.sha256 in self._kept.messages or message.sha256 in self._kept.uploads:
            return False
        self._kept.uploads[message.sha256] = replace(message, kind=FILE)
        return True

    def uploaded(self) -> list[Message]:
        return [message for sha256, message in self._kept.uploads.items() if sha256 not in self._kept.messages]

    def new_messages(self, *, read_with: str) -> list[WaitingMessage]:
        return [
            WaitingMessage(message=kept.message, came_at=kept.came_at, first_read_at=kept.first_read_at)
            for kept in self._messages(*MessageState)
            if self.is_new(kept.message.sha256, read_with=read_with)
        ]

    def is_new(self, sha256: str, *, read_with: str) -> bool:
        kept = self._kept.messages[sha256]
        is_unused = kept.state in (MessageState.FOREIGN, MessageState.REFUSED)
        if kept.state is MessageState.NEW or (is_unused and kept.read_with != read_with):
            return True
        if kept.read_as_of is None or kept.came_at <= kept.read_as_of:
            return False
        days = [self._day_of(found) for found in self._kept.statements.values() if found.is_last]
        is_part = any(
            found.sha256 == sha256 and self._day_of(found) not in days for found in self._kept.statements.values()
        )
        return kept.state is MessageState.REFUSED or is_part

    def _day_of(self, kept: KeptStatement) -> tuple[str, str, date]:
        return (kept.account, kept.currency, kept.business_date)

    def close_message(
        self,
        sha256: str,
        state: MessageState,
        *,
        read_with: str,
        now: datetime,
        refusal: str | None = None,
        statement_id: str | None = None,
        difference: int | None = None,
    ) -> None:
        kept = self._kept.messages[sha256]
        is_refused_now = state is MessageState.REFUSED and kept.refused_at is None
        self._kept.messages[sha256] = replace(
            kept,
            state=state,
            refusal=refusal,
            statement_id=statement_id,
            difference=difference,
            read_with=read_with,
            first_read_at=kept.first_read_at or now,
            read_as_of=min(kept.came_at, now),
            refused_at=(kept.recorded_at if kept.first_read_at is None else now) if is_refused_now else kept.refused_at,
        )

    def refused_messages(self) -> list[RefusedMessage]:
        return [
            RefusedMessage(
                sha256=kept.message.sha256,
                kind=kept.message.kind,
                name=kept.message.name,
                recorded_at=kept.refused_at or kept.recorded_at,
                refusal=kept.refusal,
                statement_id=kept.statement_id,
                difference=kept.difference,
            )
            for kept in self._messages(MessageState.REFUSED)
        ]

    def has_statement(self, statement: Statement) -> bool:
        return any(
            self._kept.content_keys[kept.statement_id] == statement.content_key and _may_be_of_page(kept, statement)
            for kept in self._kept.statements.values()
        )

    def contradicts(self, statement: Statement) -> bool:
        return any(
            (kept.account, kept.currency, kept.business_date, kept.bank_name, kept.page) == statement.identity
            and self._kept.content_keys[kept.statement_id] != statement.content_key
            for kept in self._kept.statements.values()
        )

    def lines_on(self, statement_ids: Sequence[str]) -> list[StatementLine]:
        return [kept.line for _, kept in sorted(self._kept.lines.items()) if kept.statement_id in statement_ids]

    def keep_statement(self, statement: Statement, sha256: str, *, now: datetime) -> None:
        if self.has_statement(statement):
            raise Impossible(f"Statement [{statement.statement_id}] is kept already")
        bank_name = statement.statement_id
        if bank_name in self._kept.statements:
            statement = statements.under_its_whole_name(statement)
        self._kept.statements[statement.statement_id] = KeptStatement(
            statement_id=statement.statement_id,
            bank_name=bank_name,
            page=statement.page,
            is_last=statement.is_last,
            sha256=sha256,
            account=statement.account,
            currency=statement.currency,
            sequence=statement.sequence,
            business_date=statement.business_date,
            opening=statement.opening,
            closing=statement.closing,
            line_count=len(statement.lines),
            applied_at=now,
        )
        self._kept.content_keys[statement.statement_id] = statement.content_key
        for line in statement.lines:
            kept = KeptLine(line=line, statement_id=statement.statement_id, state=LineState.OPEN)
            self._kept.lines[line.line_id] = kept

    def statements(self, account: str) -> list[KeptStatement]:
        found = [kept for kept in self._kept.statements.values() if kept.account == account]
        return statements.in_order(
            sorted(
                found,
                key=lambda kept: (
                    kept.business_date,
                    kept.sequence is not None,
                    kept.sequence or 0,
                    kept.page is not None,
                    kept.page or 0,
                ),
            )
        )

    def newest_statement(self, account: str) -> KeptStatement | None:
        found = self.statements(account)
        return found[-1] if found else None

    def lines(self, states: Sequence[LineState]) -> pd.DataFrame:
        rows = [
            {name: getattr(kept.line, name, None) for name in frames.OPEN_LINES.column_names}
            | {"is_suspended": kept.state is LineState.SUSPENDED}
            for _, kept in sorted(self._kept.lines.items())
            if kept.state in states
        ]
        return frames.build(frames.OPEN_LINES, rows)

    def match_totals(self, on: date) -> list[LineTotals]:
        of_date: dict[str, list[KeptLine]] = defaultdict(list)
        by_amount = {part.line_id for part in self._kept.matches if part.rule == "amount_and_date"}
        for kept in self._kept.lines.values():
            if self._kept.statements[kept.statement_id].business_date == on:
                of_date[kept.line.currency].append(kept)
        return [
            LineTotals(
                currency=currency,
                line_count=len(lines),
                matched_count=sum(kept.state is LineState.MATCHED for kept in lines),
                by_amount_count=sum(kept.line.line_id in by_amount for kept in lines),
                line_amount=sum(abs(kept.line.amount) for kept in lines),
                matched_amount=sum(abs(kept.line.amount) for kept in lines if kept.state is LineState.MATCHED),
            )
            for currency, lines in sorted(of_date.items())
        ]

    def matched_subjects(self, kinds: Sequence[str], ids: Sequence[str]) -> set[Key]:
        return {part.key for part in self._kept.matches if part.subject_kind in kinds and part.subject_id in ids}

    def receipts_shown_before(self, on: date) -> list[str]:
        early = {kept.statement_id for kept in self._kept.statements.values() if kept.business_date < on}
        lines = {line_id for line_id, line in self._kept.lines.items() if line.statement_id in early}
        return sorted(
            {
                part.subject_id
                for part in self._kept.matches
                if part.subject_kind == SubjectKind.RECEIPT and part.line_id in lines
            }
        )

    def keep_matches(self, matches: pd.DataFrame, *, now: datetime, by: str = "settlement") -> None:
        for row in self._rows(matches, frames.MATCHES):
            kind = SubjectKind(row["subject_kind"])
            part = MatchedPart(
                match_id=row["match_id"],
                line_id=row["line_id"],
                subject_kind=kind,
                subject_id=row["subject_id"],
                occurrence=row["occurrence"],
                rule=row["rule"],
                explanation=row["explanation"],
                matched_at=now,
            )
            self._refuse_second(part)
            self._kept.matches.append(part)
            self._mark(part.line_id, LineState.MATCHED)
            clears, about = kind.clears(part.subject_id), kind.about(part.subject_id)
            entry = postings.line_booked(
                clears, row["amount"], is_suspended=row["is_suspended"], is_written_off=part.rule == "written_off"
            )
            self._post(row, entry, about, now=now)
            if row["difference"]:
                self._post(row, postings.tolerance_booked(clears, row["difference"]), about, now=now)

    def suspend(self, lines: pd.DataFrame, *, now: datetime) -> None:
        for row in self._rows(lines, frames.OPEN_LINES):
            self._mark(row["line_id"], LineState.SUSPENDED)
            self._post(row, postings.line_suspended(row["amount"]), {}, now=now)

    def follow_opening(self, account: str, currency: str, *, now: datetime) -> None:
        first = self.statements(account)[0]
        difference = first.opening + self._journal.balance(OPENING_BALANCE.name, currency)
        if difference:
            made = JournalEntry(entry=postings.opening(difference), currency=currency)
            self._journal.post(made, settlement_date=first.business_date, now=now)

    def _messages(self, *states: MessageState) -> list[KeptMessage]:
        found = [kept for kept in self._kept.messages.values() if kept.state in states]
        return sorted(found, key=lambda kept: (kept.recorded_at, kept.message.sha256))

    def _refuse_second(self, part: MatchedPart) -> None:
        for other in self._kept.matches:
            is_of_it = other.line_id == part.line_id or (
                part.subject_kind is not SubjectKind.ACCOUNT and other.key == part.key
            )
            if is_of_it and other.match_id != part.match_id:
                raise Impossible(f"[{part.line_id}] and [{part.subject_kind} {part.subject_id}] are matched already")

    def _mark(self, line_id: str, state: LineState) -> None:
        self._kept.lines[line_id] = replace(self._kept.lines[line_id], state=state)

    def _post(self, line: Row, entry: Entry[int], about: About, *, now: datetime) -> None:
        made = JournalEntry(entry=entry, currency=line["currency"], line_id=line["line_id"], **about)
        self._journal.post(made, settlement_date=line["booking_date"], now=now)

    def _rows(self, frame: pd.DataFrame, spec: frames.Spec) -> Iterator[Row]:
        names = spec.column_names
        return (dict(zip(names, row, strict=True)) for row in frames.rows(frames.check(frame, spec), *names))


class Breaks:
    """What should agree and does not, and what people did about it."""

    def __init__(self, kept: Kept, journal: Journal) -> None:
        self._kept = kept
        self._journal = journal

    def found(self) -> list[Finding]:
        overdrawn = [
            Finding(
                cause=f"{kind}_overdrawn",
                subject_kind=kind.payable.of or "",
                subject_id=kind.payable.subject_of(account),
                currency=currency,
                amount=amount,
            )
            for kind in PayeeKind
            for (account, currency), amount in self._journal.balances(kind.payable.prefix).items()
            if amount > 0
        ]
        return overdrawn + [
            Finding(
                cause="late_return",
                subject_kind="payout",
                subject_id=row["payout_id"],
                currency=row["currency"],
                amount=row["amount"],
                evidence={"reason": row["bank_reason"], "returned_at": step.at},
            )
            for step in self._kept.steps
            if step.to_state is PayoutState.RETURNED and self._is_late(row := self._kept.payouts[step.payout_id], step)
        ]

    def sync(
        self,
        findings: Sequence[Finding],
        *,
        causes: Sequence[str],
        on: date,
        calendar: SettlementCalendar,
        now: datetime,
        sees: Set[tuple[str, str]] | None = None,
    ) -> dict[str, int]:
        answered = self.answered()
        wanted = {
            (found.cause, found.subject_kind, found.subject_id): found
            for found in findings
            if (found.cause, found.subject_kind, found.subject_id, found.amount) not in answered
        }
        present = {(b.cause, b.subject_kind, b.subject_id): b for b in self.open() if b.cause in causes}
        opened = [found for key, found in sorted(wanted.items()) if key not in present]
        gone = [b for key, b in present.items() if key not in wanted and (sees is None or key[1:] in sees)]
        for found in opened:
            break_id = len(self._kept.breaks) + 1
            self._kept.breaks[break_id] = Break(
                break_id=break_id,
                cause=found.cause,
                side=found.side,
                opened_on=on,
                age_business_days=0,
                currency=found.currency,
                amount=found.amount,
                subject_kind=found.subject_kind,
                subject_id=found.subject_id,
                evidence=_as_json(found.evidence),
                state=BreakState.OPEN,
                owner=None,
                comment=None,
                due_on=None,
                resolved_on=None,
                resolution=None,
            )
            self._tell(break_id, "opened", now=now)
        for b in present.values():
            age = max(len(calendar.calendar.days_between(b.opened_on + timedelta(days=1), on)), b.age_business_days)
            self._change(b.break_id, age_business_days=age)
        for b in gone:
            how = self._why_gone(b)
            self._change(b.break_id, state=BreakState.RESOLVED, resolved_on=max(on, b.opened_on), resolution=how)
            self._tell(b.break_id, f"resolved: {how}", now=now)
        for key in present.keys() & wanted.keys():
            self._change(present[key].break_id, amount=wanted[key].amount)
        return {"opened": len(opened), "resolved": len(gone), "open": len(wanted)}

    def answered(self) -> set[tuple[str, str, str, int | None]]:
        of = [self._kept.breaks[decision.break_id] for decision in self._kept.decisions if decision.kind is Way.ANSWER]
        return {(b.cause, b.subject_kind, b.subject_id, b.amount) for b in of}

    def open(self) -> list[Break]:
        return sorted(
            (b for b in self._kept.breaks.values() if b.state.is_open), key=lambda b: (b.opened_on, b.break_id)
        )

    def history(self, break_id: int) -> list[BreakEvent]:
        return [event for of, event in self._kept.break_events if of == break_id]

    def note(
        self,
        break_id: int,
        *,
        by: str,
        what: str,
        now: datetime,
        owner: str | None = None,
        due_on: date | None = None,
        comment: str | None = None,
    ) -> None:
        b = self._kept.breaks[break_id]
        self._change(
            break_id,
            owner=owner or b.owner,
            due_on=due_on or b.due_on,
            comment=comment or b.comment,
            state=BreakState.ASSIGNED if owner or b.owner else b.state,
        )
        self._tell(break_id, what, now=now, by=by)

    def close(self, break_id: int, *, state: BreakState, how: str, by: str, on: date, now: datetime) -> None:
        resolved_on = max(on, self._kept.breaks[break_id].opened_on)
        self._change(break_id, state=state, resolved_on=resolved_on, resolution=f"{how} ({by})")
        said = "written off" if state is BreakState.WRITTEN_OFF else "resolved"
        self._tell(break_id, f"{said}: {how}", now=now, by=by)

    def ask(self, decision: Decision, *, now: datetime) -> None:
        if decision.needs_second and decision.break_id in self._kept.waiting:
            raise Impossible(f"Break [{decision.break_id}] waits for a second person already")
        if decision.needs_second:
            self._kept.waiting[decision.break_id] = decision
        else:
            self._kept.decisions.append(decision)

    def waiting(self, break_id: int) -> Decision | None:
        return self._kept.waiting.get(break_id)

    def withdraw(self, break_id: int, *, now: datetime) -> None:
        self._kept.waiting.pop(break_id, None)

    def decide(self, break_id: int, *, by: str, now: datetime) -> None:
        asked = self._kept.waiting.pop(break_id, None)
        if asked is not None and asked.requested_by == by:
            raise Impossible(f"[{by}] asked about break [{break_id}]: a second person has to decide")
        if asked is not None:
            self._kept.decisions.append(asked)

    def _change(self, break_id: int, **changes: Any) -> None:
        self._kept.breaks[break_id] = replace(self._kept.breaks[break_id], **changes)

    def _tell(self, break_id: int, what: str, *, now: datetime, by: str = "settlement") -> None:
        self._kept.break_events.append((break_id, BreakEvent(at=now, by=by, what=what)))

    def _why_gone(self, gone: Break) -> str:
        if gone.subject_kind in ("line", "repayment", "payout"):
            is_line = gone.subject_kind == "line"
            parts = [
                part for part in self._kept.matches if (part.line_id if is_line else part.subject_id) == gone.subject_id
            ]
            if parts:
                part = max(parts, key=lambda part: part.matched_at)
                other = f"{part.subject_kind} {part.subject_id}" if is_line else part.line_id
                return f"matched with [{other}] by {part.rule}: {part.explanation}"
        if gone.subject_kind == "message":
            again = [
                kept
                for kept in self._kept.messages.values()
                if kept.message.sha256.startswith(gone.subject_id) and kept.state is not MessageState.REFUSED
            ]
            if again:
                return f"message [{again[0].message.name}] was read again and is {again[0].state}"
        return why_gone(gone.cause)

    def _is_late(self, row: Row, returned: PayoutStep) -> bool:
        """Tell whether a payout is back since after its day was closed, and was not paid out again since."""
        closed_at = self._kept.days[row["settlement_date"]].closed_at
        is_paid_again = any(
            _payee(later) == _payee(row) and later["prepared_at"] >= returned.at
            for later in self._kept.payouts.values()
        )
        is_back = row["state"] is PayoutState.RETURNED
        return is_back and closed_at is not None and closed_at < returned.at and not is_paid_again


class Close:
    """Which settlement dates are certified; what a certificate seals and proves is left out."""

    revision = LeftOut()
    revisions = LeftOut()
    changes = LeftOut()
    policy = LeftOut()
    movements = LeftOut()
    report_table = LeftOut()
    taxes = LeftOut()
    seal = LeftOut()
    sealed = LeftOut()
    sealed_rows = LeftOut()
    broken_seals = LeftOut()
    broken_invariants = LeftOut()
    computed = LeftOut()
    moved = LeftOut()
    differs_from = LeftOut()
    unknown_seals = LeftOut()

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def keep_certificate(self, number: int, *, on: date, revision: int, body: str, now: datetime) -> None:
        of_the_same = [
            found.number for found in self.certificates() if (found.settlement_date, found.revision) == (on, revision)
        ]
        if on not in self._kept.days or number in self._kept.certificates or of_the_same:
            raise Impossible(f"Certificate [{number}] of [{on}] in revision [{revision}] cannot be issued")
        self._kept.certificates[number] = Certificate(
            number=number,
            settlement_date=on,
            revision=revision,
            body=body,
            sha256=hashlib.sha256(body.encode()).hexdigest(),
            issued_at=now,
        )

    def certificates(self) -> list[Certificate]:
        return [found for _, found in sorted(self._kept.certificates.items())]

    def certified_until(self) -> date | None:
        return max((found.settlement_date for found in self.certificates()), default=None)

    def newest_certificate(self) -> Certificate | None:
        return next(reversed(self.certificates()), None)

    def certificate(self, settlement_date: date) -> Certificate | None:
        return next((c for c in reversed(self.certificates()) if c.settlement_date == settlement_date), None)


# -------------------------------------------------------------------------------------------------------------- outbox


class Outbox:
    """What people are told: one row per event and channel."""

    def __init__(self, kept: Kept, *, alerts: AlertsPolicy) -> None:
        self._kept = kept
        self._alerts = alerts

    def record(self, event: Event, *, now: datetime) -> bool:
        if isinstance(event, Resolved):
            key = event.dedupe_key.replace("resolved:", "", 1)
            return self._resolve([told for told in self._open() if _is_under(told, key)], now=now)
        channels = routing.recipients(event, self._alerts)
        if isinstance(event, DayEvent):
            channels += [channel for channel in self._channels_of(event.thread) if channel not in channels]
            if event.backfill_id:
                own = replace(event, backfill_id=None)
                for channel in self._channels_of(own.thread):
                    self._stand(own, channel, now=now)
        write = self._stand if event.standing else self._insert
        is_new = [write(event, channel, now=now) for channel in channels]
        if any(is_new):
            over = routing.closes(event)
            self._resolve(
                [
                    told
                    for told in self._open()
                    if told.alert.settlement_date == event.settlement_date and told.alert.event in over
                ],
                now=now,
            )
        return any(is_new)

    def is_told(self, event: Event) -> bool:
        wanted = (event.name, event.key)
        return any((told.alert.event, told.problem_key) == wanted for told in self._kept.alerts.values())

    def attach(self, *, settlement_date: date, key: str, name: str, title: str, content: bytes, now: datetime) -> bool:
        thread, dedupe_key = f"day:{settlement_date}", f"{settlement_date}:{key}"
        is_new = False
        for channel in self._channels_of(thread):
            if channel != routing.EMAIL and self._find(dedupe_key, channel) is None:
                self._write(
                    thread,
                    channel,
                    kind="file",
                    settlement_date=settlement_date,
                    event=DayCompleted.name,
                    severity=Severity.INFO,
                    dedupe_key=dedupe_key,
                    problem_key=key,
                    payload={},
                    now=now,
                )
                self._kept.attached[dedupe_key, channel] = content
                is_new = True
        return is_new

    def listing(
        self, *, settlement_date: date | None = None, state: AlertState | None = None, limit: int = 200
    ) -> list[Alert]:
        """Return the alerts of a date, or in a state, newest first."""
        found = [
            told.alert
            for told in self._kept.alerts.values()
            if told.alert.event != THREAD
            and settlement_date in (None, told.alert.settlement_date)
            and state in (None, told.alert.state)
        ]
        return found[::-1][:limit]

    def _insert(self, event: Event, channel: str, *, now: datetime) -> bool:
        """Write an ordinary event: a reply in its thread, or a message that stands alone."""
        is_root = event.opens_thread or event.thread == event.dedupe_key
        self._join_thread(event, channel, has_root=is_root, now=now)
        payload = of_event(event)
        again = ""
        if event.recurs:
            over = [t for t in self._of(channel) if t.resolved_at is not None and _is_under(t, event.dedupe_key)]
            again = f"#{len(over) + 1}" if over else ""
        said = [t for t in self._of(channel) if t.alert.event == event.name and t.alert.state != AlertState.SUPPRESSED]
        is_told = event.covered_by is not None and any(t.problem_key.startswith(event.covered_by) for t in said)
        vaguer = [t for t in said if event.covers is not None and t.problem_key.startswith(event.covers)]
        for told in vaguer:
            self._change(told, payload=payload, problem_key=event.key)
        is_new = self._write_event(
            event,
            channel,
            kind="root" if is_root else "reply",
            payload=payload,
            state=AlertState.SUPPRESSED
            if is_told or vaguer or routing.is_silent(event, channel)
            else AlertState.PENDING,
            again=again,
            now=now,
        )
        return is_new and not is_told

    def _stand(self, event: Event, channel: str, *, now: datetime) -> bool:
        """Write an event that edits a standing message, or be the first to write that message."""
        self._join_thread(event, channel, has_root=event.opens_thread, now=now)
        told = self._find(event.dedupe_key, channel)
        if told is None:
            payload = fold(self._shown(event.thread) if event.opens_thread else {}, event)
            return self._write_event(
                event, channel, kind="root" if event.opens_thread else "reply", payload=payload, now=now
            )
        folded = fold(told.payload, event)
        if folded == told.payload:
            return False
        alert = replace(told.alert, event=event.name, severity=event.severity)
        self._change(told, alert=alert, payload=folded, version=told.version + 1)
        return True

    def _resolve(self, problems: Sequence[Told], *, now: datetime) -> bool:
        for told in problems:
            self._change(told, resolved_at=now)
            is_of_backfill = told.thread.startswith("backfill:")
            resolved = Resolved(
                settlement_date=told.alert.settlement_date,
                backfill_id=told.thread.removeprefix("backfill:") if is_of_backfill else None,
                problem=told.problem_key,
                problem_event=told.alert.event,
                after_minutes=max(int((now - told.alert.created_at) / timedelta(minutes=1)), 0),
            )
            self._write_event(
                resolved, told.alert.channel, kind="reply", payload=of_event(resolved), thread=told.thread, now=now
            )
        return bool(problems)

    def _join_thread(self, event: Event, channel: str, *, has_root: bool, now: datetime) -> None:
        """Let the channel have the thread, with a root message that holds the place of one that is still to come."""
        if (event.thread, channel) not in self._kept.threads:
            self._kept.threads.append((event.thread, channel))
        if not has_root and not any(t.kind == "root" and t.thread == event.thread for t in self._of(channel)):
            self._write(
                event.thread,
                channel,
                kind="root",
                settlement_date=event.settlement_date,
                event=THREAD,
                severity=Severity.INFO,
                dedupe_key=summary_key(event.thread),
                problem_key="summary",
                payload=self._shown(event.thread),
                now=now,
            )

    def _write_event(
        self,
        event: Event,
        channel: str,
        *,
        kind: str,
        payload: Payload,
        now: datetime,
        state: AlertState = AlertState.PENDING,
        again: str = "",
        thread: str | None = None,
    ) -> bool:
        if self._find(event.dedupe_key + again, channel) is not None:
            return False
        self._write(
            thread or event.thread,
            channel,
            kind=kind,
            settlement_date=event.settlement_date,
            event=event.name,
            severity=event.severity,
            dedupe_key=event.dedupe_key + again,
            problem_key=event.key + again,
            payload=payload,
            state=state,
            now=now,
        )
        return True

    def _write(
        self,
        thread: str,
        channel: str,
        *,
        kind: str,
        settlement_date: date | None,
        event: str,
        severity: Severity,
        dedupe_key: str,
        problem_key: str,
        payload: Payload,
        now: datetime,
        state: AlertState = AlertState.PENDING,
    ) -> None:
        alert_id = len(self._kept.alerts) + 1
        alert = Alert(
            alert_id=alert_id,
            settlement_date=settlement_date,
            event=event,
            severity=severity,
            channel=channel,
            dedupe_key=dedupe_key,
            state=state,
            created_at=now,
            delivered_at=None,
            attempts=0,
            last_error=None,
        )
        self._kept.alerts[alert_id] = Told(
            alert=alert, thread=thread, kind=kind, problem_key=problem_key, payload=payload
        )

    def _open(self) -> list[Told]:
        """Return the problems that were told of and are not over."""
        return [
            told
            for told in self._kept.alerts.values()
            if told.kind == "reply"
            and told.resolved_at is None
            and told.alert.state != AlertState.SUPPRESSED
            and told.alert.event != Resolved.name
        ]

    def _of(self, channel: str) -> list[Told]:
        return [told for told in self._kept.alerts.values() if told.alert.channel == channel]

    def _find(self, dedupe_key: str, channel: str) -> Told | None:
        return next((told for told in self._of(channel) if told.alert.dedupe_key == dedupe_key), None)

    def _shown(self, thread: str) -> Payload:
        roots = [told for told in self._kept.alerts.values() if told.kind == "root" and told.thread == thread]
        return max(roots, key=lambda told: told.version).payload if roots else {}

    def _channels_of(self, thread: str) -> list[str]:
        return [channel for of, channel in self._kept.threads if of == thread]

    def _change(self, told: Told, **changes: Any) -> None:
        self._kept.alerts[told.alert.alert_id] = replace(told, **changes)


THREAD = "thread"
"""The event of a root message that only holds the place of a day that has not begun."""


def _is_under(told: Told, key: str) -> bool:
    """Tell whether an alert was told under a key, or under it with a number."""
    return told.alert.dedupe_key == key or told.alert.dedupe_key.startswith(f"{key}#")


# ------------------------------------------------------------------------------------------------------------ the books


class MemoryBooks:
    """One transaction on books in memory."""

    inputs = LeftOut()
    outcomes = LeftOut()
    replays = LeftOut()
    in_transit = LeftOut()
    explain = LeftOut()
    months = LeftOut()

    def __init__(self, kept: Kept, *, alerts: AlertsPolicy) -> None:
        self.opening = Opening()
        self.backfills = Backfills(kept)
        self.days = Days(kept, self.backfills)
        self.outbox = Outbox(kept, alerts=alerts)
        self.journal = Journal(kept)
        self.payouts = Payouts(kept, self.journal)
        self.refunds = Refunds(kept, self.journal)
        self.files = PaymentFiles(kept)
        self.approvals = Approvals(kept)
        self.bank_lines = BankLines(kept, self.journal)
        self.breaks = Breaks(kept, self.journal)
        self.close = Close(kept)


class MemoryLedger:
    """Books in memory, one transaction at a time."""

    def __init__(self, *, alerts: AlertsPolicy) -> None:
        self.kept = Kept()
        self._alerts = alerts
        self._is_open = False

    @contextmanager
    def books(
        self,
        *,
        day: DayRun | None = None,
        settlement_date: date | None = None,
        posting: bool = False,
        read_only: bool = False,
        is_kept: bool = True,
    ) -> Iterator[MemoryBooks]:
        """Open a transaction behind the fence; what it did is kept when its context ends well, if it is to be kept.

        Raises Displaced: the settlement date belongs to another run by now.
        Raises Impossible: another transaction is open, which would wait for this one, or one that only reads has
        written.
        """
        if self._is_open:
            raise Impossible("A transaction is open already: the second would wait for the first for ever")
        kept = self.kept.copy()
        books = MemoryBooks(kept, alerts=self._alerts)
        if day and not day.dry_run and not read_only:
            books.days.hold_fence(day)
        self._is_open = True
        try:
            yield books
        finally:
            self._is_open = False
        if read_only and kept != self.kept:
            raise Impossible("A transaction that only reads has written")
        if is_kept:
            self.kept = kept


# --------------------------------------------------------------------------------------------------------- the outside


class MemoryAlerts:
    """What would bring the outbox to people, where no way out is configured: alerts stay in it."""

    def __init__(self, ledger: MemoryLedger, *, alerts: AlertsPolicy) -> None:
        self._ledger = ledger
        self._alerts = alerts

    def deliver(self, *, now: datetime, limit_seconds: float | None = None) -> DeliveryReport:
        return DeliveryReport(pending=len(self.listing(state=AlertState.PENDING)))

    def listing(
        self, *, settlement_date: date | None = None, state: AlertState | None = None, limit: int = 200
    ) -> list[Alert]:
        outbox = Outbox(self._ledger.kept, alerts=self._alerts)
        return outbox.listing(settlement_date=settlement_date, state=state, limit=limit)

    def plain(self, day: DayCompleted, *, language: Language) -> str:
        return f"{day.settlement_date} {day.state}"

    def question(self, asked: ApprovalNeeded | TakingBackNeeded, *, open_for: timedelta) -> tuple[str, str]:
        if isinstance(asked, TakingBackNeeded):
            return f"take back {asked.taken_back}?", f"{asked.batch}, open for {open_for}"
        return f"pay {asked.count} payouts?", f"{asked.batch}, open for {open_for}"

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        return 0  # nothing is sent, so nothing fails

    def acknowledge(self, alert_id: int, *, by: str, now: datetime) -> bool:
        return False  # nothing is sent, so nobody is reminded

    def test_connection(self) -> ConnectionTest:
        return ConnectionTest(error="there is no Slack in memory")


class MemoryCore:
    """The lending core's payees, and its receipts as a statement would show them."""

    snapshot = LeftOut()

    def __init__(self) -> None:
        self.payee_rows: dict[str, Row] = {}
        self.received: dict[str, tuple[Subject, datetime]] = {}

    def payees(self, investor_ids: Sequence[str], refund_ids: Sequence[str]) -> pd.DataFrame:
        wanted = {"investor": investor_ids, "borrower": refund_ids}
        return frames.build(
            frames.PAYEES, [row for name, row in self.payee_rows.items() if name in wanted[row["payee_kind"]]]
        )

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        return {name: at for name, (_, at) in self.received.items() if name in repayment_ids}

    def receipts(
        self, *, references: Sequence[str], since: date, repayment_ids: Sequence[str], calendar: SettlementCalendar
    ) -> pd.DataFrame:
        opens_at = calendar.window(since).from_at
        found = [
            asdict(subject) | {"on": calendar.settlement_date_of(at)}
            for name, (subject, at) in self.received.items()
            if name in repayment_ids or (subject.reference in references and at >= opens_at)
        ]
        return frames.build(frames.SUBJECTS, found)

    def receive(self, repayment_id: str, amount: int, *, reference: str, at: datetime, undoes: bool = False) -> None:
        """Let a repayment of loan L1 have come in, or be undone."""
        subject = Subject(
            kind=SubjectKind.RECEIPT_UNDONE if undoes else SubjectKind.RECEIPT,
            subject_id=repayment_id,
            amount=-amount if undoes else amount,
            currency="KRW",
            reference=reference,
            group="L1",
        )
        self.received[repayment_id] = (subject, at)


class NoSnapshots:
    """The store of frozen inputs, which no decision needs."""

    freeze = LeftOut()
    load = LeftOut()
    table = LeftOut()


class MemoryBank:
    """A bank that takes each file id once, and says what a test lets it say.

    Where a test says what the next answers are, a file arrives with one that proves that the bank has read it.
    """

    checks_duplicates = True
    answers_later = False

    def __init__(self) -> None:
        self.answers: list[Submission] = []
        self.sent: list[tuple[str, bytes]] = []
        self._arrived: set[str] = set()
        self._mailbox: list[Message] = []
        self._readings: dict[str, Reading] = {}
        self._names = count(1)

    def submit(self, file_id: str, content: bytes) -> Submission:
        self.sent.append((file_id, content))
        outcome = SubmissionOutcome.DUPLICATE if file_id in self._arrived else SubmissionOutcome.RECEIVED
        said = self.answers.pop(0) if self.answers else Submission(outcome=outcome, text=f"the bank: {outcome}")
        if said.outcome not in (SubmissionOutcome.NOT_SENT, SubmissionOutcome.UNKNOWN):
            self._arrived.add(file_id)
        return said

    def fetch(self) -> list[Message]:
        return list(self._mailbox)

    def acknowledge(self, messages: Sequence[Message]) -> list[Message]:
        self._mailbox = [message for message in self._mailbox if message not in messages]
        return []

    def describe(self) -> str:
        return "the bank in memory"

    def says(self, reading: Reading | None) -> Message:
        """Put a message into the mailbox that reads so, or that nobody can read; each has bytes of its own."""
        message = Message.of(f"message {next(self._names)}".encode(), kind="memory")
        if reading is not None:
            self._readings[message.sha256] = reading
        self._mailbox.append(message)
        return message

    def gives_again(self, message: Message) -> None:
        """Put a message into the mailbox that was there before."""
        self._mailbox.append(message)

    def read(self, message: Message) -> Reading:
        """Return what a message says.

        Raises UnreadableMessage: nobody can read it.
        """
        if message.sha256 not in self._readings:
            raise UnreadableMessage(f"[{message.name}] says nothing")
        return self._readings[message.sha256]


# ----------------------------------------------------------------------------------------------------------- one world

ON = date(2026, 2, 12)
"""A Thursday; the next business day is the day after it."""

MORNING = datetime.fromisoformat("2026-02-13T06:00+09:00")

OWED = {"A": 43790, "B": 26736, "C": 17524}
"""What the worked day owes its investors, in won: 88 050 together."""

POLICY = Policy(
    name="in-memory",
    payouts={"KRW": policies.Payouts()},
    gate=policies.Gate(needs="ledger"),
    matching=policies.Matching(write_off_limit={"KRW": 1000}),
    alerts=policies.Alerts(language="en", channels=(policies.AlertChannel(id="C0SETTLE"),)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A settlement date on ports in memory: what a stage is given, and what a test looks into."""

    services: Services
    day: DayRun
    ledger: MemoryLedger
    bank: MemoryBank
    core: MemoryCore

    def states(self) -> list[tuple[str, int, str]]:
        """Return every payout as (investor, amount, state), in the order of their ids."""
        rows = [row for _, row in sorted(self.ledger.kept.payouts.items())]
        return [(row["payee_id"], row["amount"], row["state"].value) for row in rows]

    def owed(self) -> dict[str, int]:
        """Return what the books say that each investor is owed."""
        found = Journal(self.ledger.kept).balances(INVESTOR_PAYABLE.prefix)
        return {INVESTOR_PAYABLE.subject_of(account): -amount for (account, _), amount in sorted(found.items())}

    def owe(self, owed: Mapping[str, int]) -> None:
        """Let the day owe each investor so many won more, all of it at the bank; he has an account of his own."""
        for investor in owed:
            self.core.payee_rows[investor] = _payee_row(PayeeKind.INVESTOR, investor)
        with self.ledger.books(posting=True) as books:
            give(books, owed, now=MORNING)

    def order(self, refund_id: str, amount: int, *, loan_id: str = "L1", repayment_id: str = "R1") -> None:
        """Let a run have taken a refund of so many won, all of it at the bank; its borrower has an account."""
        self.core.payee_rows[refund_id] = _payee_row(PayeeKind.BORROWER, refund_id)
        with self.ledger.books(posting=True) as books:
            order(books, refund_id, amount, loan_id=loan_id, repayment_id=repayment_id, now=MORNING)
            taken = TakenRefund(refund_id=refund_id, settlement_date=ON, loan_id=loan_id, currency="KRW", amount=amount)
            books.refunds.keep(taken)

    def told(self) -> list[str]:
        """Return what each message tells people of, in the order in which the messages were begun."""
        return [alert.event for alert in reversed(self.services.alerts.listing())]


def a_day(
    *,
    owed: Mapping[str, int] = OWED,
    policy: Policy = POLICY,
    triggered_by: str | None = None,
    reason: str | None = None,
) -> World:
    """Return a world in which a run has opened a day that owes these investors so many won; nothing is prepared."""
    ledger, bank, core = MemoryLedger(alerts=policy.alerts), MemoryBank(), MemoryCore()
    services = Services(
        policy=policy,
        calendar=SettlementCalendar(calendar=BankCalendar("KR", ("public", "bank")), timezone=policy.timezone),
        ledger=ledger,
        alerts=MemoryAlerts(ledger, alerts=policy.alerts),
        core=core,
        snapshots=NoSnapshots(),
        bank=bank,
        debtor=Debtor(account="acc-ours", name="the platform", agent=None, currency="KRW"),
        code_version="in-memory",
        write_file=lambda file: f"{file.file_id}\n{file.payments.to_csv(index=False)}".encode(),
        write_report=lambda report: repr(report).encode(),
        read_message=bank.read,
    )
    request = RunRequest(settlement_date=ON, run_id="run-1", triggered_by=triggered_by, reason=reason)
    with ledger.books() as books:
        day = books.days.open(request, settlement_date=ON, now=MORNING)
    world = World(services=services, day=day, ledger=ledger, bank=bank, core=core)
    world.owe(owed)
    return world


def _payee_row(kind: PayeeKind, payee_id: str) -> Row:
    """Return whom the bank pays: a row of `PAYEES`."""
    named = {"payee_kind": kind.value, "payee_id": payee_id, "name": payee_id}
    return named | {"status": "active", "account": f"acc-{payee_id}"}


def order(books: Books, refund_id: str, amount: int, *, loan_id: str, repayment_id: str, now: datetime) -> None:
    """Let the books hold a credit of so many won, and let a refund take all of it."""
    credit, payable = BORROWER_CREDIT(loan_id), BORROWER_PAYABLE(refund_id)
    for entry in (
        Entry("opening", ((CLIENT_BANK.name, amount), (OPENING_BALANCE.name, -amount))),
        Entry("repayment_distributed", ((REPAYMENTS_UNALLOCATED.name, amount), (credit, -amount))),
        postings.refund_ordered(amount, credit=credit, payable=payable),
    ):
        made = JournalEntry(entry=entry, currency="KRW", repayment_id=repayment_id)
        books.journal.post(made, settlement_date=ON, now=now)


def give(books: Books, owed: Mapping[str, int], *, now: datetime) -> None:
    """Let the books owe each investor so many won more, received at the bank on the settlement date."""
    received = [(CLIENT_BANK.name, sum(owed.values())), (OPENING_BALANCE.name, -sum(owed.values()))]
    shares = [(INVESTOR_PAYABLE(investor), -amount) for investor, amount in owed.items()]
    unallocated = (REPAYMENTS_UNALLOCATED.name, sum(owed.values()))
    for entry in (
        Entry("opening", tuple(received)),
        Entry("repayment_distributed", (unallocated, *shares)),
    ):
        books.journal.post(JournalEntry(entry=entry, currency="KRW"), settlement_date=ON, now=now)
