"""What is matched with what: statement lines, what they may turn out to be, and what the rules find and leave."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple, TypedDict

import pandas as pd

from settlement.domain import frames
from settlement.domain.bank.matching.spelling import Spelling
from settlement.domain.books.accounts import PAYOUTS_IN_TRANSIT, RECEIPTS_IN_TRANSIT

EARLIEST = ("booking_date", "amount", "end_to_end_id", "reference", "remittance", "counterparty_account", "line_id")
"""What decides which of equal lines is the earlier one: what they say; and their ids, which change with the statement
that a line stands in, only for lines that say the very same."""


class About(TypedDict, total=False):
    """What an entry is about: nothing, a payout or a repayment."""

    payout_id: str
    repayment_id: str


class SubjectKind(StrEnum):
    """What a statement line may turn out to be."""

    RECEIPT = "receipt"
    """A repayment of a borrower that came in."""
    RECEIPT_UNDONE = "receipt_undone"
    """A repayment that the bank took back."""
    PAYOUT = "payout"
    """A payout that left."""
    PAYOUT_RETURN = "payout_return"
    """A payout that came back."""
    ACCOUNT = "account"
    """Money that belongs to one of our accounts by itself: the bank's charges, interest, what is handed on."""

    def clears(self, subject_id: str) -> str:
        """Return the account that a line of it clears: the one that a rule or a person named, or its kind's."""
        if self is SubjectKind.ACCOUNT:
            return subject_id
        return PAYOUTS_IN_TRANSIT.name if self in PAYOUT_KINDS else RECEIPTS_IN_TRANSIT.name

    def about(self, subject_id: str) -> About:
        """Return what the entry of a matched line is about, as `JournalEntry` names it."""
        if self is SubjectKind.ACCOUNT:
            return {}
        return {"payout_id": subject_id} if self in PAYOUT_KINDS else {"repayment_id": subject_id}


PAYOUT_KINDS = frozenset({SubjectKind.PAYOUT, SubjectKind.PAYOUT_RETURN})
RECEIPT_KINDS = frozenset({SubjectKind.RECEIPT, SubjectKind.RECEIPT_UNDONE})


class MismatchCause(StrEnum):
    """Why a line that names something of ours is not matched with it; breaks are opened under the same words."""

    AMOUNT_DIFFERS = "amount_differs"
    """It names something of ours and has another amount."""
    DUPLICATE_LINE = "duplicate_line"
    """It names something that another line has shown already, with the same amount."""
    AMBIGUOUS = "ambiguous"
    """Several explanations fit it equally well."""


Key = tuple[str, str, int]
"""What tells one subject from every other: its kind, its id, and which time it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLine:
    """A statement line that is not matched yet. A credit is positive.

    `reference` is the payer's, `bank_reference` the bank's own number of the booking, by which the source may know it.
    """

    line_id: str
    booking_date: date
    amount: int
    currency: str
    end_to_end_id: str | None
    reference: str | None
    remittance: str
    is_return: bool
    reason: str | None = None
    is_suspended: bool = False
    is_charge: bool = False
    bank_code: str = ""
    file_id: str | None = None
    counterparty_account: str | None = field(default=None, repr=False)
    bank_reference: str | None = None

    @property
    def place(self) -> tuple[Any, ...]:
        """Where the line stands among others, whichever statements they came in."""
        return tuple(getattr(self, name) or "" for name in EARLIEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a line may turn out to be: `amount` as the line would carry it, `reference` as the bank would call it.

    `on` is the business day on which it is expected, `group` what a payer may name instead (the loan, the payment
    file), `account` the other party's. `occurrence` counts how often a payout left, or came back, up to this time.
    """

    kind: SubjectKind
    subject_id: str
    amount: int
    currency: str
    reference: str
    on: date | None = None
    group: str | None = None
    account: str | None = field(default=None, repr=False)
    occurrence: int = 1

    @property
    def key(self) -> Key:
        """What tells it from every other."""
        return (self.kind, self.subject_id, self.occurrence)


class Match(NamedTuple):
    """Lines and what they are together, with the rule that says so and a sentence for people."""

    lines: tuple[OpenLine, ...]
    subjects: tuple[Subject, ...]
    rule: str
    explanation: str

    @property
    def match_id(self) -> str:
        """The id of the match: its first line's."""
        return min(line.line_id for line in self.lines)

    @property
    def difference(self) -> int:
        """What the lines lack to be the subjects; only a tolerance or a person allows one."""
        return sum(s.amount for s in self.subjects) - sum(line.amount for line in self.lines)

    def parts(self) -> Iterator[tuple[OpenLine, Subject, int, int]]:
        """Yield which part of which line pays which subject, and what of the difference it clears.

        Lines in their order and subjects by their ids are poured into each other; amounts of one match have one sign.
        The largest subject bears the difference.
        """
        lines = sorted(self.lines, key=attrgetter("place"))
        subjects = sorted(self.subjects, key=attrgetter("key"))
        bearer = max(subjects, key=lambda subject: abs(subject.amount))
        place, left = 0, lines[0].amount
        for subject in subjects:
            lacking = self.difference if subject is bearer else 0
            needed = subject.amount - lacking
            while needed:
                part = min(left, needed, key=abs)
                yield lines[place], subject, part, lacking
                needed, left, lacking = needed - part, left - part, 0
                if not left and place + 1 < len(lines):
                    place, left = place + 1, lines[place + 1].amount


def lines_in(frame: pd.DataFrame) -> list[OpenLine]:
    """Return the rows of a frame `OPEN_LINES` as records: for one line, or for the few that are read closely."""
    names = frames.OPEN_LINES.column_names
    return [OpenLine(**dict(zip(names, row, strict=True))) for row in frames.rows(frame, *names)]


def subjects_in(frame: pd.DataFrame) -> list[Subject]:
    """Return the rows of a frame `SUBJECTS` as records: for one subject, or for those that are read closely."""
    names = frames.SUBJECTS.column_names[1:]
    return [
        Subject(kind=SubjectKind(kind), **dict(zip(names, row, strict=True)))
        for kind, *row in frames.rows(frame, "kind", *names)
    ]


def columns_of(matches: Iterable[Match]) -> pd.DataFrame:
    """Return matches as a frame `MATCHES`, in their order."""
    return frames.build(
        frames.MATCHES,
        (
            (
                found.match_id,
                line.line_id,
                line.booking_date,
                line.currency,
                line.is_suspended,
                subject.kind.value,
                subject.subject_id,
                subject.occurrence,
                subject.reference,
                amount,
                difference,
                found.rule,
                found.explanation,
            )
            for found in matches
            for line, subject, amount, difference in found.parts()
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A line that points at something of ours and does not fit it, or that fits several."""

    line: OpenLine
    cause: MismatchCause
    candidates: tuple[Subject, ...]


def _calendar_days(first: date, last: date) -> int:
    return abs((last - first).days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the policy allows: differences by currency, and how far apart days may lie.

    `within_days` is of a match by amount alone, `shared_within_days` of one by a reference that several receipts share.
    `remitted_to` says of the other party's account, squeezed, which of our own it is paid from: fees, taxes, costs;
    `spellings` how payers write our references.
    """

    tolerance: Mapping[str, int] = field(default_factory=dict)
    tolerance_ppm: Mapping[str, int] = field(default_factory=dict)
    remitted_to: Mapping[str, str] = field(default_factory=dict)
    within_days: int = 3
    shared_within_days: int = 10
    spellings: tuple[Spelling, ...] = ()
    days_apart: Callable[[date, date], int] = _calendar_days

    def tolerated(self, subjects: Sequence[Subject]) -> int:
        """Return the largest difference allowed on subjects of one currency and direction, together: the amount, or
        the part of their own if that is more.
        """
        currency, due = subjects[0].currency, sum(subject.amount for subject in subjects)
        part = abs(due) * self.tolerance_ppm.get(currency, 0) // 1_000_000
        return max(self.tolerance.get(currency, 0), part)


class Side:
    """The lines and subjects of one currency and direction that are left, and which line names which subjects.

    The rules after exact matching take from it, one after the other; `named` says of each line which subjects it names.
    """

    def __init__(
        self,
        *,
        lines: Sequence[OpenLine],
        free: Sequence[Subject],
        taken: Sequence[Subject],
        named: Mapping[str, Sequence[Key]],
        terms: Terms,
    ) -> None:
        self.terms = terms
        self.lines = {line.line_id: line for line in lines}
        self.free = {subject.key: subject for subject in free}
        self.taken = {subject.key: subject for subject in taken}
        self.named = named
        self.rivals: dict[str, set[Key]] = defaultdict(set)
        """Of a line that was left alone because several explanations compete: the subjects in them."""

    def names_free(self, line_id: str) -> list[Subject]:
        """Return the free subjects that the line names, in the order of their keys."""
        return [self.free[key] for key in self.named[line_id] if key in self.free]

    def take(self, found: Sequence[Match]) -> list[Match]:
        """Let what a rule found be gone for the rules after it."""
        for one in found:
            for line in one.lines:
                del self.lines[line.line_id]
            for subject in one.subjects:
                self.taken[subject.key] = self.free.pop(subject.key)
        return list(found)

    def mismatches(self) -> list[Mismatch]:
        """Return what is left and points at something of ours."""
        return [found for line in self.lines.values() if (found := self._mismatch(line)) is not None]

    def _mismatch(self, line: OpenLine) -> Mismatch | None:
        free = self.names_free(line.line_id)
        taken = [self.taken[key] for key in self.named[line.line_id] if key in self.taken]
        rivals = [self.free[key] for key in sorted(self.rivals.get(line.line_id, ())) if key in self.free]
        same = [subject for subject in taken if subject.amount == line.amount]
        if rivals:
            return Mismatch(line=line, cause=MismatchCause.AMBIGUOUS, candidates=tuple(rivals))
        if len([subject for subject in free if subject.amount == line.amount]) > 1:
            return Mismatch(line=line, cause=MismatchCause.AMBIGUOUS, candidates=tuple(free))
        if same:
            return Mismatch(line=line, cause=MismatchCause.DUPLICATE_LINE, candidates=tuple(same))
        if free or taken:
            return Mismatch(line=line, cause=MismatchCause.AMOUNT_DIFFERS, candidates=tuple(free or taken))
        return None
