"""What the stages need of the outside, as Protocols, and the few records and refusals that they share with it.

The adapters behind these are chosen in `wiring`; a stage is handed a `Services` and knows nothing else of the world.
Money is whole minor units; instants are aware and in UTC; `settlement_date` is a date of the policy's calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:  # the callbacks of Airflow import this module, and frames would cost them seconds
    import pandas as pd

    from settlement.domain.alerts import DayCompleted, Language
    from settlement.domain.breaks import Decision, Finding
    from settlement.domain.day_report import DayReport
    from settlement.domain.days import SettlementCalendar
    from settlement.domain.frames import Inputs, Outcome
    from settlement.domain.gate import Contradiction, Objection
    from settlement.domain.matching import Match, OpenLine, Subject
    from settlement.domain.messages import Message, PaymentFile, Reading, Statement, Submission
    from settlement.domain.payouts import Hold, Payable, Payee, Payout, Place
    from settlement.domain.policy import Policy

# ------------------------------------------------------------------------------------------------------- refusals


class Refused(Exception):
    """The day stops here until a person does what the message says; trying again changes nothing."""


class Unavailable(Exception):
    """Something outside did not answer; the message names it. Trying again later may work."""


class NotYet(Exception):
    """What is needed has not come; ask again until [until]."""

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class Displaced(Refused):
    """Another run has opened this settlement date since: this one stops and writes nothing."""


class MissingConnection(Refused):
    """A connection that is needed is not configured; the message names it and how to set it."""


# -------------------------------------------------------------------------------------------------------- records


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a run was asked to do. Without a settlement date: the newest that can be settled."""

    settlement_date: date | None
    run_id: str
    run_type: str = "manual"
    triggered_by: str | None = None
    reason: str | None = None
    dry_run: bool = False
    transfer: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRun:
    """One run at one settlement date: what the tasks hand to each other. `revision` is the one this run works on."""

    settlement_date: date
    revision: int
    run_id: str
    backfill_id: str | None = None
    dry_run: bool = False
    transfer: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, for XCom."""
        return asdict(self) | {"settlement_date": self.settlement_date.isoformat()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the record that `to_json` wrote."""
        return cls(**{**value, "settlement_date": date.fromisoformat(value["settlement_date"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEnd:
    """A try of a task that ended badly, or a run that did: then without a task, unless Airflow says which it was."""

    settlement_date: date | None
    run_id: str
    run_type: str = "manual"
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0
    error: str
    next_try_at: datetime | None = None
    log_url: str | None = None

    @property
    def code(self) -> str:
        """What kind of end it was, by which failures are grouped: the kind of the exception."""
        return self.error.split(":", 1)[0][:60] or "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Debtor:
    """Our own account at the bank: where payouts come from and statements are about."""

    account: str
    name: str
    agent: str | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksView:
    """What the ledger knows before a run reads the source, so that the source is asked for the right rows.

    `settled` are the settlement dates before this one that were computed; `digests` the count and digest of what was
    taken of each window; `taken(windows)` the rows of them; `known(repayment_ids)` those that were ever taken;
    `currencies(loan_ids)` those in which money of a loan was settled, by loan; `retry` the quarantined repayments;
    `credit_loans` the loans on which money is held.
    """

    settled: Sequence[date]
    digests: Mapping[date, tuple[int, str]]
    taken: Callable[[Sequence[date]], pd.DataFrame]
    known: Callable[[Sequence[str]], Set[str]]
    currencies: Callable[[Sequence[str]], Mapping[str, str]]
    retry: Sequence[str]
    credit_loans: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The source's side of a day's inputs: frames as in `domain.frames`, without positions and states.

    `repayments` are all that the run takes; `originals` the rows that their reversals name; `changed` what the source
    says otherwise than when it was taken.
    """

    loans: pd.DataFrame
    notes: pd.DataFrame
    holdings: pd.DataFrame
    investors: pd.DataFrame
    receivables: pd.DataFrame
    repayments: pd.DataFrame
    originals: pd.DataFrame
    changed: list[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The frozen inputs of a revision: where they are, their hash, and the books they were frozen against."""

    input_sha256: str
    books_version: int


# -------------------------------------------------------------------------------------------------------- outside


class LendingCore(Protocol):
    """The source of facts, read in one repeatable-read snapshot and never written."""

    def facts(self, *, day: date, calendar: SettlementCalendar, view: BooksView) -> Facts:
        """Return what the source has for the day, of one moment."""

    def payees(self, investor_ids: Sequence[str]) -> dict[str, Payee]:
        """Return who is to be paid where, by investor; an investor the source lacks is missing."""

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these repayments came."""

    def receipts(
        self, *, references: Sequence[str], repayment_ids: Sequence[str], calendar: SettlementCalendar
    ) -> list[Subject]:
        """Return the receipts, as a statement line would show them, that carry one of the references or ids."""


class Snapshots(Protocol):
    """Frozen inputs, by settlement date and revision: same facts, same bytes."""

    def freeze(self, name: str, inputs: Inputs) -> str:
        """Keep the inputs under this name, whole or not at all, and return their SHA-256."""

    def load(self, name: str, *, input_sha256: str) -> Inputs:
        """Return the inputs kept under this name.

        :raises Refused: they are missing or their hash differs.
        """

    def table(self, name: str, table: str, *, input_sha256: str) -> pd.DataFrame:
        """Return one frame of the inputs kept under this name, proven with the others.

        :raises Refused: they are missing or their hash differs.
        """


class Inbox(Protocol):
    """Where messages lie for us: the bank's channel, or a folder in which people land statements."""

    def fetch(self) -> Iterable[Message]:
        """Return everything the bank has for us; may give again what it gave before.

        :raises Unavailable: the channel cannot be read.
        """

    def acknowledge(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Tell the channel that these are kept; return messages that came to light on the way and must be kept too."""

    def describe(self) -> str:
        """Return host and port, or folders, for messages to people; never a credential."""


class Bank(Inbox, Protocol):
    """The channel to the bank: files out, messages in. Sending the same bytes again is always safe."""

    def submit(self, file_id: str, content: bytes) -> Submission:
        """Hand the file over and return what is proven of it; never raises for what the network does."""


class Alerts(Protocol):
    """The outbox: events go in with the transaction that they tell of, and out to people afterwards."""

    def record(self, transaction: Any, event: Any, *, now: datetime) -> bool:
        """Write the event in this transaction; False: it is there already."""

    def attach(
        self,
        transaction: Any,
        *,
        settlement_date: date,
        key: str,
        name: str,
        title: str,
        content: bytes,
        now: datetime,
    ) -> bool:
        """Put a file into the day's thread in this transaction, once for each `key`; False: it is there already."""

    def deliver(self, *, now: datetime, limit_seconds: float | None = None) -> Any:
        """Send what is due. Never raises because Slack or mail does not answer."""

    def listing(
        self, *, settlement_date: date | None = None, state: str | None = None, limit: int = 200
    ) -> list[dict[str, Any]]:
        """Return alerts as in `reporting.alerts`, newest first."""

    def plain(self, day: DayCompleted, *, language: Language) -> str:
        """Return what the day's message in Slack would say now, as text for a terminal."""

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed alerts (all, or these) pending again; return how many."""

    def test_connection(self) -> dict[str, Any]:
        """Return what Slack says of the connection and its scopes; `ok` tells whether alerts would arrive."""


# ---------------------------------------------------------------------------------------------------------- books


class TellingBooks(Protocol):
    """What telling people of a failure needs of the books."""

    transaction: Any

    def day(self, settlement_date: date) -> Mapping[str, Any] | None: ...
    def set_state(self, settlement_date: date, state: str, *, now: datetime, failure: str | None = None) -> None: ...
    def end_run(self, day: DayRun, *, outcome: str, now: datetime) -> None: ...
    def join_backfill(self, *, now: datetime) -> str: ...
    def end_backfill(self, backfill_id: str, *, now: datetime) -> dict[str, Any]: ...
    def run(self, run_id: str) -> dict[str, Any] | None: ...
    def payout_sums(self, settlement_date: date) -> list[dict[str, Any]]: ...


class Books(TellingBooks, Protocol):
    """One transaction on the ledger. Everything in it is committed together when its context ends, or nothing is."""

    # days and their runs
    def open_day(self, request: RunRequest, *, settlement_date: date, now: datetime) -> DayRun: ...
    def hold_fence(self, day: DayRun) -> None: ...
    def note_controls(self, on: date, names: Sequence[str], *, is_held: bool, now: datetime) -> None: ...
    def controls_of(self, on: date) -> dict[str, bool]: ...
    def newest_day(self) -> date | None: ...
    def silent_backfills(self, *, since: datetime) -> list[str]: ...
    def open_days(self) -> list[date]: ...
    def day_totals(self, settlement_date: date) -> list[dict[str, Any]]: ...
    # what a run sees
    def view(self, day: date, calendar: SettlementCalendar) -> BooksView: ...
    def settled_later(self, day: date, loan_ids: Sequence[str]) -> list[tuple[date, str]]: ...
    def inputs(self, day: date, facts: Facts) -> Inputs: ...
    # what a run posts
    def frozen(self, day: DayRun) -> Frozen | None: ...
    def keep_frozen(self, day: DayRun, input_sha256: str, *, now: datetime) -> Frozen: ...
    def books_version(self) -> int: ...
    def is_computed(self, day: DayRun) -> bool: ...
    def post_outcome(
        self,
        day: DayRun,
        parts: Iterable[Outcome],
        *,
        arrivals: Callable[[pd.DataFrame], pd.DataFrame],
        policy: Policy,
        input_sha256: str,
        code_version: str,
        reason: str | None = None,
        now: datetime,
    ) -> str: ...
    # what is owed and paid
    def post(
        self,
        event: str,
        legs: Sequence[tuple[str, int]],
        *,
        settlement_date: date,
        currency: str,
        now: datetime,
        repayment_id: str | None = None,
        payout_id: str | None = None,
        line_id: str | None = None,
    ) -> None: ...
    def post_all(
        self, event: str, entries: Sequence[Mapping[str, Any]], *, settlement_date: date, now: datetime
    ) -> None: ...
    def payables(self) -> list[Payable]: ...
    def balance(self, account: str, currency: str) -> int: ...
    def balances(self, prefix: str) -> dict[tuple[str, str], int]: ...
    def refused_accounts(self) -> set[tuple[str, str, str]]: ...
    def in_transit(self) -> dict[str, int]: ...
    def places(self, day: DayRun) -> dict[tuple[str, str], list[Place]]: ...
    def stranded(self, *, before: date, prepared_before: datetime) -> list[dict[str, Any]]: ...
    def usual_totals(self, on: Sequence[date]) -> dict[str, list[int]]: ...
    def contradictions(self, investor_ids: Sequence[str]) -> list[Contradiction]: ...
    def object_to(self, day: DayRun, objections: Sequence[Objection], *, now: datetime) -> None: ...
    def objections(self, settlement_date: date) -> list[dict[str, Any]]: ...
    def override(self, settlement_date: date, *, said: Sequence[str], by: str, reason: str, now: datetime) -> int: ...
    def prepare(self, day: DayRun, payouts: Sequence[Payout], holds: Sequence[Hold], *, now: datetime) -> None: ...
    def holds(self) -> list[dict[str, Any]]: ...
    def has_paid(self, run_id: str) -> bool: ...
    def unknown_dates(self) -> set[date]: ...
    def payouts(self, settlement_date: date | None = None, states: Sequence[str] = ()) -> list[dict[str, Any]]: ...
    def shares_of(self, investor_id: str, on: date) -> list[dict[str, Any]]: ...
    def payouts_of(self, investor_id: str, on: date) -> list[dict[str, Any]]: ...
    def journal_of(self, investor_id: str, on: date) -> list[dict[str, Any]]: ...
    def payouts_by_end_to_end(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]: ...
    def payouts_in_file(self, file_id: str) -> list[dict[str, Any]]: ...
    def step(
        self,
        payout_ids: Sequence[str],
        to_state: str,
        *,
        cause: str,
        now: datetime,
        evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]] = ...,
    ) -> None: ...
    def note_booking(self, booked: Mapping[str, date]) -> None: ...
    def credit_back(
        self, payouts: Sequence[Mapping[str, Any]], *, event: str, settlement_date: date, now: datetime
    ) -> None: ...
    def refuse_accounts(self, refused: Sequence[tuple[Mapping[str, Any], str]], *, now: datetime) -> None: ...
    def keep_file(
        self, day: DayRun, file_id: str, content: bytes, payouts: Sequence[Mapping[str, Any]], *, now: datetime
    ) -> None: ...
    def files(self, settlement_date: date | None = None, states: Sequence[str] = ()) -> list[dict[str, Any]]: ...
    def file(self, file_id: str) -> dict[str, Any] | None: ...
    def mark_file(self, file_id: str, state: str, *, now: datetime) -> None: ...
    def note_report(self, file_id: str, message_id: str, *, is_duplicate: bool) -> None: ...
    def open_transmission(self, file_id: str, *, run_id: str | None, now: datetime) -> int: ...
    def close_transmission(self, file_id: str, number: int, answer: Submission, *, now: datetime) -> None: ...
    def transmissions(self, file_id: str) -> list[dict[str, Any]]: ...
    def request_approval(self, day: DayRun, request: Mapping[str, Any], *, now: datetime) -> None: ...
    def approval(self, approval_id: str) -> Mapping[str, Any] | None: ...
    def decide_approval(
        self, approval_id: str, *, decision: str, by: str, reason: str | None, now: datetime
    ) -> None: ...
    # what the bank said
    def keep_message(self, message: Message, *, direction: str, now: datetime) -> bool: ...
    def new_messages(self) -> list[Message]: ...
    def close_message(
        self,
        sha256: str,
        state: str,
        *,
        refusal: str | None = None,
        statement_id: str | None = None,
        difference: int | None = None,
    ) -> None: ...
    def refused_messages(self) -> list[dict[str, Any]]: ...
    def has_statement(self, statement: Statement) -> bool: ...
    def contradicts(self, statement: Statement) -> bool: ...
    def keep_statement(self, statement: Statement, sha256: str, *, now: datetime) -> None: ...
    def statements(self, account: str) -> list[dict[str, Any]]: ...
    def newest_statement(self, account: str) -> dict[str, Any] | None: ...
    def lines(self, states: Sequence[str]) -> list[OpenLine]: ...
    def match_totals(self, on: date) -> list[dict[str, Any]]: ...
    def matched_subjects(self, kinds: Sequence[str], ids: Sequence[str]) -> set[tuple[str, str]]: ...
    def unmatched_receipts(self) -> list[dict[str, Any]]: ...
    def keep_matches(self, matches: Sequence[Match], *, now: datetime, by: str = "settlement") -> None: ...
    def suspend(self, lines: Sequence[OpenLine], *, now: datetime) -> None: ...
    def follow_opening(self, account: str, currency: str, *, now: datetime) -> None: ...
    def in_transit_by_posting(self) -> dict[tuple[str, str], int]: ...
    def in_transit_by_item(self, *, is_whole: bool = False) -> dict[tuple[str, str], int]: ...
    def open_items(self) -> dict[str, Any]: ...
    # breaks
    def findings_of_books(self) -> list[Finding]: ...
    def sync_breaks(
        self,
        findings: Sequence[Finding],
        *,
        causes: Sequence[str],
        on: date,
        calendar: SettlementCalendar,
        now: datetime,
    ) -> dict[str, int]: ...
    def open_breaks(self) -> list[dict[str, Any]]: ...
    def break_history(self, break_id: int) -> list[dict[str, Any]]: ...
    def note_break(
        self,
        break_id: int,
        *,
        by: str,
        what: str,
        now: datetime,
        owner: str | None = None,
        due_on: date | None = None,
        comment: str | None = None,
    ) -> None: ...
    def close_break(self, break_id: int, *, state: str, how: str, by: str, on: date, now: datetime) -> None: ...
    def ask_decision(self, decision: Decision, *, now: datetime) -> None: ...
    def waiting_decision(self, break_id: int) -> Decision | None: ...
    def decide(self, break_id: int, *, by: str, now: datetime) -> None: ...
    # the close
    def revision(self, settlement_date: date) -> dict[str, Any] | None: ...
    def movements(self, *, on: date, before: date) -> list[dict[str, Any]]: ...
    def report_rows(self, name: str, on: date) -> list[dict[str, Any]]: ...
    def taxes(self, on: date, classes: Mapping[str, str]) -> list[dict[str, Any]]: ...
    def certificates(self) -> list[dict[str, Any]]: ...
    def certificate(self, settlement_date: date) -> dict[str, Any] | None: ...
    def newest_certificate(self) -> dict[str, Any] | None: ...
    def seal(self, number: int, *, since: Mapping[str, int]) -> dict[str, int]: ...
    def sealed(self, number: int) -> dict[str, dict[str, Any]]: ...
    def keep_certificate(self, number: int, *, on: date, revision: int, body: str, now: datetime) -> None: ...
    def sealed_rows(self, number: int) -> Iterator[tuple[str, str, list[str]]]: ...
    def broken_seals(self) -> list[str]: ...
    def broken_invariants(self) -> list[tuple[str, str]]: ...
    def unknown_seals(self) -> int: ...
    def differs_from(self, day: DayRun, outcome: Outcome) -> list[str]: ...


class Ledger(Protocol):
    """The settlement database."""

    def books(
        self,
        *,
        day: DayRun | None = None,
        settlement_date: date | None = None,
        posting: bool = False,
        read_only: bool = False,
    ) -> AbstractContextManager[Books]:
        """Open a transaction: takes the date's lock, checks that the day still belongs to this run, and with
        `posting` takes the lock under which everything is posted, so that postings never interleave."""


class TellingLedger(Protocol):
    """The settlement database, as far as telling people of a failure needs it."""

    def books(self, *, settlement_date: date | None = None) -> AbstractContextManager[TellingBooks]:
        """Open a transaction under the date's lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What telling people of a failure works with: a callback of Airflow needs no more, and imports no more."""

    policy: Policy
    calendar: SettlementCalendar
    ledger: TellingLedger
    alerts: Alerts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(Telling):
    """Everything a stage works with, chosen in `wiring`. A channel that is not configured is None."""

    ledger: Ledger
    core: LendingCore
    snapshots: Snapshots
    bank: Bank | None
    debtor: Debtor | None
    code_version: str
    write_file: Callable[[PaymentFile], bytes]
    write_report: Callable[[DayReport], bytes]
    read_message: Callable[[Message], Reading]
    is_now_set: bool = False
    landing: Inbox | None = None
