"""A statement of the bank: what it says, what its lines are called, how it is proven, and how statements follow.

Identity. A line is named after the statement it stands on and what it says; a statement has a key made from what it
says. So the same statement is the same however often it is read, under whatever name and in whatever order of lines.

Proof. A reader of a format finds balances and movements; `prove` makes a `Statement` of them only if the opening
balance and the movements make the closing balance. Whoever holds a `Statement` may rely on that.

Chain. Each statement of an account opens where the one before it closed, or the gap has an amount. Several statements
of one day (pages, or a bank that sends more than one) need not say in which order they follow; then their balances do.

Bounds. What a bank writes is bounded before anything is made of it: an amount, a count, an id or a text that the books
could not hold refuses its message, with the line, instead of failing somewhere behind it.

Money is whole minor units beside its currency; a credit is positive.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Protocol, TypeVar

from settlement.domain.currencies import LARGEST_AMOUNT
from settlement.domain.errors import UnreadableMessage

LARGEST_COUNT = 10**9 - 1
"""No batch has more transactions; it fits the books' integer."""

LONGEST_ID = 140
"""Characters of an account, a reference, a code or a name of a message: four times what ISO 20022 lets an id have."""

LONGEST_TEXT = 10_000
"""Characters of what a line tells in words."""

EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)
"""No bank wrote a statement before or after; days can be counted from them both ways."""


class Chained(Protocol):
    """What the order and the gaps of statements are read from: their days and balances."""

    @property
    def business_date(self) -> date: ...
    @property
    def opening(self) -> int: ...
    @property
    def closing(self) -> int: ...


Row = TypeVar("Row", bound=Chained)


class LineState(StrEnum):
    """What became of a statement line in our books."""

    OPEN = "open"
    """It was kept and nobody has looked for what it is."""
    SUSPENDED = "suspended"
    """It matched nothing so far: it is booked against suspense and looked at again by every run."""
    MATCHED = "matched"
    """It is known what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """An entry of the account, or one transaction of an entry that books several together, as a bank tells it.

    `reference` is the structured reference that the payer gave, `bank_reference` the bank's own number for the booking.
    `remittance` keeps the bank's lines apart with newlines. `transaction_count` is above 1 for a batch of which the
    bank does not tell the parts. `is_charge` marks what the bank kept for itself out of an entry. The other party's
    name is read nowhere; its account stands here for matching only.
    """

    booking_date: date
    value_date: date | None
    amount: int
    end_to_end_id: str | None = None
    reference: str | None = None
    bank_reference: str | None = None
    file_id: str | None = None
    remittance: str = ""
    bank_code: str = ""
    is_return: bool = False
    is_reversal: bool = False
    is_charge: bool = False
    reason: str | None = None
    counterparty_account: str | None = field(default=None, repr=False)
    transaction_count: int = 1

    def said(self) -> str:
        """Return everything it says in one text, equal for equal movements only."""
        return "\x1f".join(repr(getattr(self, name)) for name in Movement.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine(Movement):
    """A movement on a statement, in the statement's currency.

    `line_id` is made from the statement it stands on and what it says, so it is the same however often the statement
    is read and in whatever order its lines come.
    """

    line_id: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, or one page of one, of one account (camt.053, MT940, CSV): opening + lines = closing, always.

    `content_key` is a hash of what it says, whatever it is called: the same statement under another name or in another
    file has the same key. `not_booked` counts entries that the bank shows as pending or as information; they move no
    balance and are not lines.

    `page` is None where it is in one piece. `is_last` is False where its closing is an interim one (a page before the
    last, or the first message of a day that comes in several): the day goes on behind it. `sequence` orders the
    statements of an account; `legal_sequence` is the bank's other number, where it has two. `duplicate` is what the
    bank says of it as a repetition (`DUPL`, `COPY`, `CODU`). `notes` are what a person should know about how it was
    proven. `otherwise` is the same statement read in the other order of its rows, where nothing in it tells which of
    the two is right (see `chosen`).
    """

    statement_id: str
    sequence: int | None
    account: str
    currency: str
    business_date: date
    from_date: date | None
    to_date: date | None
    opening: int
    closing: int
    lines: tuple[StatementLine, ...]
    content_key: str
    not_booked: int = 0
    page: int | None = None
    is_last: bool = True
    legal_sequence: int | None = None
    duplicate: str | None = None
    notes: tuple[str, ...] = ()
    otherwise: "Statement | None" = None

    @property
    def entered(self) -> int:
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the bank books during the day (camt.054): good for states, never for the ledger, which statements post.

    `currency` is None where it has no line and names none.
    """

    notification_id: str
    account: str
    currency: str | None
    lines: tuple[StatementLine, ...]
    not_booked: int = 0


# ------------------------------------------------------------------------------------------------------------- identity


def lines_of(
    movements: Sequence[Movement], *, statement_id: str, account: str, currency: str
) -> tuple[StatementLine, ...]:
    """Return one line per movement, in their order; movements that say the very same are told apart by counting."""
    return tuple(_lines_of(movements, statement_id, account, currency))


def _lines_of(movements: Sequence[Movement], statement_id: str, account: str, currency: str) -> Iterator[StatementLine]:
    seen: Counter[str] = Counter()
    for movement in movements:
        said = movement.said()
        seen[said] += 1
        yield StatementLine(
            line_id=line_id(statement_id, account, said, occurrence=seen[said]),
            currency=currency,
            **{name: getattr(movement, name) for name in Movement.__slots__},
        )


def line_id(statement_id: str, account: str, said: str, *, occurrence: int) -> str:
    """Return the id of a statement's line; [occurrence] tells apart lines of one statement that say the very same."""
    return "L" + hashlib.sha256("\x1e".join((account, statement_id, said, str(occurrence))).encode()).hexdigest()[:31]


def content_key(
    *, account: str, currency: str, business_date: date, opening: int, closing: int, said: Sequence[str]
) -> str:
    """Return the hash of what a statement says, whatever its name and the order of its lines."""
    head = (account, currency, business_date.isoformat(), str(opening), str(closing))
    return hashlib.sha256("\x1e".join((*head, *sorted(said))).encode()).hexdigest()


def bare_account(account: str) -> str:
    """Return an account in capitals and without what people and banks put between its signs."""
    return "".join(filter(str.isalnum, account)).upper()


Part = TypeVar("Part", Statement, Notification)


def of_account(part: Part, account: str) -> Part:
    """Return a statement or notification as it is when its account is called [account]: ids and key follow the name."""
    if part.account == account:
        return part
    if isinstance(part, Notification):
        lines = lines_of(part.lines, statement_id=part.notification_id, account=account, currency=part.currency or "")
        return replace(part, account=account, lines=lines)
    return replace(
        part,
        account=account,
        lines=lines_of(part.lines, statement_id=part.statement_id, account=account, currency=part.currency),
        content_key=content_key(
            account=account,
            currency=part.currency,
            business_date=part.business_date,
            opening=part.opening,
            closing=part.closing,
            said=[line.said() for line in part.lines],
        ),
        otherwise=part.otherwise and of_account(part.otherwise, account),
    )


# --------------------------------------------------------------------------------------------------------------- bounds


def bounded(movement: Movement, *, line: int | None = None) -> Movement:
    """Return the movement, if the books can hold all of it. Raises UnreadableMessage with what they cannot."""
    ids = (
        movement.end_to_end_id,
        movement.reference,
        movement.bank_reference,
        movement.file_id,
        movement.bank_code,
        movement.reason,
        movement.counterparty_account,
    )
    for text in ids:
        if text is not None and len(text) > LONGEST_ID:
            raise UnreadableMessage(too_long(text, LONGEST_ID), line=line)
    if len(movement.remittance) > LONGEST_TEXT:
        raise UnreadableMessage(too_long(movement.remittance, LONGEST_TEXT), line=line)
    if not 0 < movement.transaction_count <= LARGEST_COUNT:
        raise UnreadableMessage(f"[{movement.transaction_count}] is no count of transactions", line=line)
    if abs(movement.amount) > LARGEST_AMOUNT:
        raise UnreadableMessage(f"[{movement.amount}] has more than eighteen digits", line=line)
    for on in (movement.booking_date, movement.value_date or movement.booking_date):
        if not EARLIEST <= on <= LATEST:
            raise UnreadableMessage(f"[{on}] is no date of a statement", line=line)
    return movement


def too_long(text: str, longest: int) -> str:
    """Return why a text of the bank is refused."""
    return f"[{' '.join(text[:40].split())}…] has {len(text)} characters, more than the {longest} that are kept"


# ---------------------------------------------------------------------------------------------------------------- proof


def prove(
    *,
    statement_id: str,
    sequence: int | None,
    account: str,
    currency: str,
    business_date: date,
    from_date: date | None,
    to_date: date | None,
    opening: int,
    closing: int,
    movements: Sequence[Movement],
    not_booked: int = 0,
    page: int | None = None,
    is_last: bool = True,
    legal_sequence: int | None = None,
    duplicate: str | None = None,
    notes: Sequence[str] = (),
    line: int | None = None,
) -> Statement:
    """Return the statement, if opening + movements = closing. Raises UnreadableMessage with what is not explained.

    What it moves in all, and its balances, have eighteen digits at most; its names are as long as ids may be.
    """
    for name in (statement_id, account):
        if len(name) > LONGEST_ID:
            raise UnreadableMessage(too_long(name, LONGEST_ID), line=line)
    moved = sum(abs(movement.amount) for movement in movements)
    if max(moved, abs(opening), abs(closing)) > LARGEST_AMOUNT:
        raise UnreadableMessage(f"statement [{statement_id}] holds more money than eighteen digits", line=line)
    entered = sum(movement.amount for movement in movements)
    if opening + entered != closing:
        raise UnreadableMessage(
            f"statement [{statement_id}] does not add up: opening {opening} and entries {entered} make "
            f"{opening + entered}, its closing balance is {closing} (minor units of {currency})",
            line=line,
            statement_id=statement_id,
            account=account,
            difference=closing - opening - entered,
        )
    return Statement(
        statement_id=statement_id,
        sequence=sequence,
        account=account,
        currency=currency,
        business_date=business_date,
        from_date=from_date,
        to_date=to_date,
        opening=opening,
        closing=closing,
        lines=lines_of(movements, statement_id=statement_id, account=account, currency=currency),
        content_key=content_key(
            account=account,
            currency=currency,
            business_date=business_date,
            opening=opening,
            closing=closing,
            said=[movement.said() for movement in movements],
        ),
        not_booked=not_booked,
        page=page,
        is_last=is_last,
        legal_sequence=legal_sequence,
        duplicate=duplicate,
        notes=tuple(notes),
    )


def each_once(found: Sequence[Statement]) -> tuple[Statement, ...]:
    """Return the statements of one file, a repeated one once.

    A statement is the one of its account, currency, day, name and page: a bank may call those of two accounts, or of
    two days, by one name.

    Raises UnreadableMessage if there is none, or if two that are the same one say different things.
    """
    if not found:
        raise UnreadableMessage("the message holds no statement")
    by_id: dict[tuple[str, str, date, str, int | None], Statement] = {}
    for statement in found:
        identity = (
            statement.account,
            statement.currency,
            statement.business_date,
            statement.statement_id,
            statement.page,
        )
        earlier = by_id.setdefault(identity, statement)
        if earlier.content_key != statement.content_key:
            raise UnreadableMessage(
                f"statement [{statement.statement_id}] stands in it twice and says different things",
                statement_id=statement.statement_id,
                account=statement.account,
            )
    return tuple(by_id.values())


# ---------------------------------------------------------------------------------------------------------------- chain


def in_order(statements: Sequence[Row]) -> list[Row]:
    """Return statements that come by business date and number in the order in which their balances follow."""
    ordered: list[Row] = []
    for _, of_day in groupby(statements, key=lambda statement: statement.business_date):
        left = list(of_day)
        if len(left) > 1 and not ordered:
            left = _from_the_first(left)
        while left:
            closing = ordered[-1].closing if ordered else left[0].opening
            following = next((found for found in left if found.opening == closing), left[0])
            left.remove(following)
            ordered.append(following)
    return ordered


def gaps(statements: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return every statement that does not open where the one before it closed, with the one before it."""
    return [(before, after) for before, after in pairwise(statements) if after.opening != before.closing]


def chosen(statement: Statement, chain: Sequence[Chained]) -> Statement:
    """Return the statement in the order of its rows that fits the account's other statements, by day and balance.

    Raises UnreadableMessage if it can be read in two orders and the statements of the days around it do not tell which.
    """
    if statement.otherwise is None:
        return statement
    before = [known.closing for known in chain if known.business_date < statement.business_date][-1:]
    after = [known.opening for known in chain if known.business_date > statement.business_date][:1]
    fitting = [
        reading
        for reading in (statement, statement.otherwise)
        if [reading.opening] == before or [reading.closing] == after
    ]
    if len(fitting) != 1:
        raise UnreadableMessage(
            f"the rows of [{statement.business_date}] follow from one another from above and from below: it opens with"
            f" [{statement.opening}] or with [{statement.otherwise.opening}]. Export it with the time of each row, or"
            " again when the statement of the day before is in",
            statement_id=statement.statement_id,
            account=statement.account,
        )
    return replace(fitting[0], otherwise=None)


def _from_the_first(of_day: list[Row]) -> list[Row]:
    """Put the one first that no other of the day leads to."""
    closings = [statement.closing for statement in of_day]
    first = next((s for s in of_day if s.opening not in closings), of_day[0])
    return [first, *(statement for statement in of_day if statement is not first)]
