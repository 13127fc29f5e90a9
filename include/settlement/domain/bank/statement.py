"""A statement of the bank: what it says, what its lines are called, how it is proven, and how statements follow.

Identity. A statement is the one of its account, currency, day, name and page, because banks use a name again: every
year, for two accounts, for each page. A line is named after the statement it stands on and what it says; a statement
has a key made from what it says. So the same statement is the same however often it is read, under whatever name and in
whatever order of lines; and so it is when the bank tells it again, with more detail or with more lines (`untold`).

Proof. A reader of a format finds balances and movements; `prove` makes a `Statement` of them only if the opening
balance and the movements make the closing balance. Whoever holds a `Statement` may rely on that.

Chain. Each statement of an account opens where the one before it closed, or the gap has an amount. Several statements
of one day (pages, or a bank that sends more than one) need not say in which order they follow; then their balances do.
A day is whole when its last statement is there and nothing before it is missing (`last_whole`). An export that people
make says nothing of whether its day is over: it is if the export is known to be of a later day (`as_of`).

Bounds. What a bank writes is bounded before anything is made of it: an amount, a count, an id or a text that the books
could not hold refuses its message, with the line, instead of failing somewhere behind it.

Money is whole minor units beside its currency; a credit is positive.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from itertools import groupby, pairwise
from operator import attrgetter
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


class Paged(Chained, Protocol):
    """What is known of where a statement stands in its day."""

    @property
    def page(self) -> int | None: ...
    @property
    def is_last(self) -> bool: ...


Row = TypeVar("Row", bound=Chained)
Page = TypeVar("Page", bound=Paged)
Line = TypeVar("Line", bound="Movement")


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
    last, or the first message of a day that comes in several): the day goes on behind it. `may_go_on` is True where
    nothing in it says whether it does, and `as_of` decides. `sequence` orders the
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
    may_go_on: bool = False
    legal_sequence: int | None = None
    duplicate: str | None = None
    notes: tuple[str, ...] = ()
    otherwise: "Statement | None" = None

    @property
    def entered(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def identity(self) -> tuple[str, str, date, str, int | None]:
        """What tells it from every other: account, currency, day, the bank's name for it, and its page."""
        return (self.account, self.currency, self.business_date, self.statement_id, self.page)


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
    *,
    account: str,
    currency: str,
    business_date: date,
    opening: int,
    closing: int,
    said: Sequence[str],
    is_last: bool = True,
) -> str:
    """Return the hash of what a statement says, whatever its name and the order of its lines."""
    head = [account, currency, business_date.isoformat(), str(opening), str(closing)]
    if not is_last:
        head.append("goes on")
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
    named = replace(
        part,
        account=account,
        lines=lines_of(part.lines, statement_id=part.statement_id, account=account, currency=part.currency),
        otherwise=part.otherwise and of_account(part.otherwise, account),
    )
    return replace(named, content_key=_key_of(named))


def _key_of(statement: Statement) -> str:
    return content_key(
        account=statement.account,
        currency=statement.currency,
        business_date=statement.business_date,
        opening=statement.opening,
        closing=statement.closing,
        said=[line.said() for line in statement.lines],
        is_last=statement.is_last,
    )


def as_of(statement: Statement, made_on: date) -> Statement:
    """Return a statement as it is if it was made on this date at the latest: of a day not over by then it is a part.

    That is said only of one that does not say itself whether its day goes on.
    """
    if not statement.may_go_on or made_on > statement.business_date:
        return statement
    otherwise = statement.otherwise and as_of(statement.otherwise, made_on)
    part = replace(statement, is_last=False, otherwise=otherwise)
    return replace(part, content_key=_key_of(part))


def under_its_whole_name(statement: Statement) -> Statement:
    """Return a statement whose name is used already under a name of its own; its lines are called after it.

    The name that the bank gave to it is the first part; what it says is the last.
    """
    page = "" if statement.page is None else f"/{statement.page}"
    name = f"{statement.statement_id}/{statement.business_date}{page}/{statement.content_key[:8]}"
    lines = lines_of(statement.lines, statement_id=name, account=statement.account, currency=statement.currency)
    return replace(statement, statement_id=name, lines=lines)


# ----------------------------------------------------------------------------------------------------------- told again

REFERENCES = ("end_to_end_id", "reference", "bank_reference", "file_id")
"""By what a payer and a bank tell one movement from another of its day and amount."""


def runs(of_day: Sequence[Row], statement: Statement) -> Iterator[Sequence[Row]]:
    """Yield what a statement may tell again of the kept ones of its account, currency and day, which are in order.

    That are those that open with it and follow one another, until one that closes with it or until the day's last.
    """
    for start, first in enumerate(of_day):
        if first.opening != statement.opening:
            continue
        for end in range(start + 1, len(of_day) + 1):
            run = of_day[start:end]
            if gaps(run):
                break
            if run[-1].closing == statement.closing or end == len(of_day):
                yield run


def untold(statement: Statement, kept: Sequence[Movement], *, is_named_so: bool) -> tuple[StatementLine, ...] | None:
    """Return the lines of a statement that kept ones have not told; None if it is no repetition of them.

    `kept` are the lines of one of its `runs`. A repetition has every one of them, with more or less detail: what tells
    lines of one day and amount apart may be missing, but not be something else, unless the bank calls it a repetition
    itself or by the same name (`is_named_so`). Where the kept ones move nothing in all, no gap would show that it was
    something else: then its texts count too, and one of another name and more lines comes after them. What says that
    its day goes on may have fewer lines.
    """
    moves_nothing = not sum(movement.amount for movement in kept)
    if is_named_so or statement.duplicate:
        references: Sequence[str] = ()
    else:
        references = (*REFERENCES, "remittance") if moves_nothing else REFERENCES
        if moves_nothing and len(statement.lines) > len(kept):
            return None
    if len(statement.lines) < len(kept):
        is_part = not statement.is_last and _beyond(statement.lines, kept, references) is not None
        return () if is_part else None
    return _beyond(kept, statement.lines, references)


def _beyond(few: Sequence[Movement], many: Sequence[Line], references: Sequence[str]) -> tuple[Line, ...] | None:
    """Return which of `many` are none of `few`; None if one of the few is none of them.

    What says the very same is the same first, then what shares a reference, then what contradicts in none.
    """
    left, missing = dict(enumerate(many)), list(few)
    ways: Sequence[Callable[[Movement], str | None]] = (Movement.said, *map(attrgetter, REFERENCES), _nothing)
    for tells in ways:
        places: dict[tuple[date, int, str | None], list[int]] = defaultdict(list)
        for place, line in left.items():
            places[line.booking_date, line.amount, tells(line)].append(place)
        asked, missing = missing, []
        for movement in asked:
            found = places[movement.booking_date, movement.amount, tells(movement)] if tells(movement) else []
            fitting = next((place for place in found if _agree(movement, left[place], references)), None)
            if fitting is None:
                missing.append(movement)
            else:
                found.remove(fitting)
                del left[fitting]
    return None if missing else tuple(left.values())


def _nothing(movement: Movement) -> str:
    return "day and amount alone"


def _agree(one: Movement, other: Movement, references: Sequence[str]) -> bool:
    """Tell whether no reference that both movements have differs."""
    told = ((getattr(one, name), getattr(other, name)) for name in references)
    return all(a == b for a, b in told if a and b)


def going_on(statement: Statement, lines: tuple[StatementLine, ...]) -> Statement:
    """Return what a statement says beyond what is kept: `lines`, which lead to its closing. Its key is the whole's."""
    return replace(statement, opening=statement.closing - sum(line.amount for line in lines), lines=lines)


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
            is_last=is_last,
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

    Raises UnreadableMessage if there is none, or if two that are the same one say different things.
    """
    if not found:
        raise UnreadableMessage("the message holds no statement")
    by_id: dict[tuple[str, str, date, str, int | None], Statement] = {}
    for statement in found:
        earlier = by_id.setdefault(statement.identity, statement)
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
            fitting = [found for found in left if found.opening == closing] or left
            # One that moves nothing in all comes first: after the others it would not follow any more.
            following = next((found for found in fitting if found.opening == found.closing), fitting[0])
            left.remove(following)
            ordered.append(following)
    return ordered


def gaps(statements: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return every statement that does not open where the one before it closed, with the one before it."""
    return [(before, after) for before, after in pairwise(statements) if after.opening != before.closing]


def last_whole(chain: Sequence[Page], *, until: date) -> Page | None:
    """Return the last statement of the newest day, of [until] at the latest, that is whole; None before the first.

    `chain` is in order. A day goes on behind an interim closing and behind a page that is not the last one, unless the
    next day opens with what it closed with. A page that is missing before the last is missed, unless the balances
    follow without it.
    """
    days = [list(of_day) for _, of_day in groupby(chain, key=lambda statement: statement.business_date)]
    for number in range(len(days) - 1, -1, -1):
        of_day, before = days[number], days[number - 1][-1:] if number else []
        behind = days[number + 1][:1] if number + 1 < len(days) else []
        pages = {statement.page for statement in of_day if statement.page is not None}
        follows = bool(before) and not gaps([*before, *of_day])
        is_over = of_day[-1].is_last or (bool(behind) and not gaps([*of_day[-1:], *behind]))
        is_whole = is_over and (follows or pages == set(range(1, len(pages) + 1)))
        if is_whole and of_day[-1].business_date <= until:
            return of_day[-1]
    return None


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
