"""A statement of the bank: what it says, what its lines are called, how it is proven, and how statements follow.

Identity. A line is named after the statement it stands on and what it says; a statement has a key made from what it
says. So the same statement is the same however often it is read, under whatever name and in whatever order of lines.

Proof. A reader of a format finds balances and movements; `prove` makes a `Statement` of them only if the opening
balance and the movements make the closing balance. Whoever holds a `Statement` may rely on that.

Chain. Each statement of an account opens where the one before it closed, or the gap has an amount. Several statements
of one day (pages, or a bank that sends more than one) need not say in which order they follow; then their balances do.

Money is whole minor units beside its currency; a credit is positive.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Protocol, TypeVar

from settlement.domain.errors import UnreadableMessage


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

    @property
    def entered(self) -> int:
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the bank books during the day (camt.054): good for states, never for the ledger, which statements post."""

    notification_id: str
    account: str
    currency: str
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
    line: int | None = None,
) -> Statement:
    """Return the statement, if opening + movements = closing. Raises UnreadableMessage with what is not explained."""
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
    )


def each_once(found: Sequence[Statement]) -> tuple[Statement, ...]:
    """Return the statements of one file, a repeated one once.

    Raises UnreadableMessage if there is none, or if two of one name say different things.
    """
    if not found:
        raise UnreadableMessage("the message holds no statement")
    by_id: dict[str, Statement] = {}
    for statement in found:
        earlier = by_id.setdefault(statement.statement_id, statement)
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


def _from_the_first(of_day: list[Row]) -> list[Row]:
    """Put the one first that no other of the day leads to."""
    closings = [statement.closing for statement in of_day]
    first = next((s for s in of_day if s.opening not in closings), of_day[0])
    return [first, *(statement for statement in of_day if statement is not first)]
