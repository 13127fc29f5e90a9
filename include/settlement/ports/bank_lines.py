"""What the bank said, and what it was matched with. Amounts are whole minor units, credits of the bank positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.bank.matching.model import Key
    from settlement.domain.bank.messages import Message, MessageState
    from settlement.domain.bank.statement import LineState, Statement, StatementLine


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessage:
    """A message that waits to be read, or since `first_read_at` to be read again.

    It speaks of nothing that happened after it was read first. `came_at` is when it came last, or was written, if that
    is known to be before: so far may what it says of a day that goes on reach.
    """

    message: Message
    came_at: datetime
    first_read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMessage:
    """A message that could not be used, without its content; `difference` is what a statement does not explain.

    One that was foreign first counts as recorded when it was read again.
    """

    sha256: str
    kind: str
    name: str
    recorded_at: datetime
    refusal: str | None
    statement_id: str | None
    difference: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStatement:
    """One statement as the books keep it; `sha256` is the message's that brought it.

    `statement_id` is the bank's name for it, with more behind it where that name was used before (`bank_name`).
    """

    statement_id: str
    bank_name: str
    sha256: str
    account: str
    currency: str
    sequence: int | None
    business_date: date
    opening: int
    closing: int
    page: int | None
    is_last: bool
    line_count: int
    applied_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTotals:
    """How many lines a date's statements have in one currency, and how many are matched, with their absolute sums.

    `by_amount_count` of them are matched by the weakest rule, by amount and date alone.
    """

    currency: str
    line_count: int
    matched_count: int
    by_amount_count: int
    line_amount: int
    matched_amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedReceipt:
    """A receipt, or a receipt undone, that the books have taken and no statement line has shown yet."""

    repayment_id: str
    loan_id: str
    currency: str
    amount: int
    window_on: date
    received_at: datetime
    reverses_repayment_id: str | None

    @property
    def signed_amount(self) -> int:
        """What it brings to the bank: a receipt undone takes away."""
        return self.amount if self.reverses_repayment_id is None else -self.amount


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """One receipt, payout or line in suspense, and what of it stands in an account between us and the bank."""

    account: str
    subject_id: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItems:
    """What is open: the oldest items by name, and the number of the entry after which all others came."""

    named: tuple[OpenItem, ...]
    others_since: int


class BankLines(Protocol):
    """Messages of the bank, statements, their lines, and what they were matched with."""

    def keep_message(self, message: Message, *, direction: str, now: datetime) -> bool:
        """Keep a message as it travelled, `in` or `out`; False when these very bytes are kept already.

        Of a kept one that was written anew it is kept when that was.
        """
        ...

    def upload(self, message: Message, *, by: str, reason: str, now: datetime) -> bool:
        """Keep what somebody uploads until a run takes it in; False when these very bytes are here already."""
        ...

    def uploaded(self) -> list[Message]:
        """Return what was uploaded and is not kept as a message yet, oldest first."""
        ...

    def new_messages(self, *, read_with: str) -> list[WaitingMessage]:
        """Return the messages that wait, oldest first: those that nobody read, and those to be read again.

        `read_with` is all on which reading depends: what our account is called, and the reader. What was foreign or
        refused when it was read with something else is read again, once, some hundreds at a time; and so is what was
        refused or brought a part of a day, when it was written anew since.
        """
        ...

    def is_new(self, sha256: str, *, read_with: str) -> bool:
        """Tell whether a message still waits, and keep it so for whoever asks until the transaction ends."""
        ...

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
        """Say what became of a message when it was read with this: applied, refused and why, or of no account of ours.

        Of one that was read again it is kept beside what was said of it first, where it is something else.
        """

    def refused_messages(self) -> list[RefusedMessage]:
        """Return the messages that could not be used, oldest first."""
        ...

    def has_statement(self, statement: Statement) -> bool:
        """Tell whether a statement that says the same is kept already, whatever it is called; not as another page."""
        ...

    def contradicts(self, statement: Statement) -> bool:
        """Tell whether a statement of the same account, currency, day, name and page is kept that says otherwise."""
        ...

    def lines_on(self, statement_ids: Sequence[str]) -> list[StatementLine]:
        """Return all lines of these statements, in the order of their ids."""
        ...

    def keep_statement(self, statement: Statement, sha256: str, *, now: datetime) -> None:
        """Write a statement and its lines, all open; under its whole name where the bank used its name before."""

    def statements(self, account: str) -> list[KeptStatement]:
        """Return the account's statements in the order of their days; those of one day as their balances follow."""
        ...

    def newest_statement(self, account: str) -> KeptStatement | None:
        """Return the account's newest statement, or None before the first."""
        ...

    def lines(self, states: Sequence[LineState]) -> pd.DataFrame:
        """Return the lines in these states: frame `OPEN_LINES`, in the order of their ids."""
        ...

    def match_totals(self, on: date) -> list[LineTotals]:
        """Return how many lines the date's statements have and how many are matched, by currency."""
        ...

    def matched_subjects(self, kinds: Sequence[str], ids: Sequence[str]) -> set[Key]:
        """Return those of the subjects that a line is matched with already, by their keys."""
        ...

    def receipts_shown_before(self, on: date) -> list[str]:
        """Return the ids of the receipts with which lines of statements before a date are matched, in order."""
        ...

    def keep_matches(self, matches: pd.DataFrame, *, now: datetime, by: str = "settlement") -> None:
        """Write what lines turned out to be (frame `MATCHES`), with the entries that follow.

        What was in suspense leaves it.
        """

    def suspend(self, lines: pd.DataFrame, *, now: datetime) -> None:
        """Book lines (frame `OPEN_LINES`) that match nothing against suspense: the ledger follows the bank anyhow."""

    def follow_opening(self, account: str, currency: str, *, now: datetime) -> None:
        """Let the posted opening balance be the earliest statement's: what an older one says differently is posted."""


class InTransit(Protocol):
    """What stands between us and the bank, item by item."""

    def by_posting(self) -> dict[tuple[str, str], int]:
        """Return what stands in the accounts between us and the bank, by (account, currency); debits positive."""
        ...

    def by_item(self, *, is_whole: bool = False) -> dict[tuple[str, str], int]:
        """Return what should stand in them, counted item by item; `is_whole` counts from the very beginning."""
        ...

    def receipts(self) -> list[UnmatchedReceipt]:
        """Return the receipts, and receipts undone, that no statement line has shown yet, in the order of their ids."""
        ...

    def open_items(self) -> OpenItems:
        """Return what a certificate says of open items."""
        ...
