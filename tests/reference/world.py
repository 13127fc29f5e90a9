"""A lending core as plain records: what a source holds, and from which run on it is seen to hold it.

Each record mirrors a row of `lending_core.sql`. A `World` is a list of facts: a record with the first run that sees
it and the first run that no longer does. So a late commit is a fact that begins later, and a mended row is a fact
that ends where its better version begins.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    loan_id: str
    currency: str
    disbursed_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Investor:
    investor_id: str
    tax_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    note_id: str
    loan_id: str
    principal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    note_id: str
    investor_id: str
    held_from: date
    held_until_exclusive: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    receivable_id: str
    loan_id: str
    installment_no: int
    component: str
    due_on: date
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repayment:
    repayment_id: str
    loan_id: str
    received_at: datetime
    amount: int
    reverses_repayment_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    refund_id: str
    loan_id: str
    currency: str
    amount: int
    requested_at: datetime


Row = Loan | Investor | Note | Holding | Receivable | Repayment | Refund


@dataclass(frozen=True, slots=True)
class Fact:
    """A row, seen by the runs numbered `from_run` up to, but not including, `until_run` (None: for ever)."""

    row: Row
    from_run: int = 0
    until_run: int | None = None


@dataclass(slots=True)
class Facts:
    """What one run sees of the source, by key."""

    loans: dict[str, Loan] = field(default_factory=dict)
    investors: dict[str, Investor] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)  # by loan, in note order
    holdings: dict[str, list[Holding]] = field(default_factory=dict)  # by note
    receivables: dict[str, list[Receivable]] = field(default_factory=dict)  # by loan
    repayments: dict[str, Repayment] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)

    def of_loan(self, loan_id: str) -> tuple[Any, ...]:
        """Return everything but repayments and refunds that a run could read of the loan, comparable with `==`."""
        notes = self.notes.get(loan_id, [])
        holdings = sorted(
            (h for n in notes for h in self.holdings.get(n.note_id, [])),
            key=lambda h: (h.note_id, h.held_from, h.investor_id),
        )
        classes = sorted({(h.investor_id, i.tax_class) for h in holdings if (i := self.investors.get(h.investor_id))})
        receivables = sorted(self.receivables.get(loan_id, []), key=lambda r: r.receivable_id)
        return self.loans.get(loan_id), tuple(notes), tuple(holdings), tuple(classes), tuple(receivables)


@dataclass(frozen=True, slots=True)
class World:
    """The facts, the settlement dates to be run in that order, and the calendar they are run in."""

    facts: tuple[Fact, ...]
    dates: tuple[date, ...]
    is_business_day: Callable[[date], bool]

    def rows(self, run: int) -> Iterable[Row]:
        """Yield the rows that the run of that number sees, in the order of the world."""
        for fact in self.facts:
            if fact.from_run <= run and (fact.until_run is None or run < fact.until_run):
                yield fact.row

    def seen(self, run: int) -> Facts:
        """Return the source as the run of that number sees it."""
        facts = Facts()
        for row in self.rows(run):
            if isinstance(row, Loan):
                facts.loans[row.loan_id] = row
            elif isinstance(row, Investor):
                facts.investors[row.investor_id] = row
            elif isinstance(row, Note):
                facts.notes.setdefault(row.loan_id, []).append(row)
            elif isinstance(row, Holding):
                facts.holdings.setdefault(row.note_id, []).append(row)
            elif isinstance(row, Receivable):
                facts.receivables.setdefault(row.loan_id, []).append(row)
            elif isinstance(row, Repayment):
                facts.repayments[row.repayment_id] = row
            else:
                facts.refunds[row.refund_id] = row
        for notes in facts.notes.values():
            notes.sort(key=lambda note: note.note_id.encode())
        return facts

    def only(self, loan_id: str) -> "World":
        """Return the world with one loan in it; loans do not touch each other, so its rows must be the same."""
        notes = {f.row.note_id for f in self.facts if isinstance(f.row, Note) and f.row.loan_id == loan_id}

        def belongs(row: Row) -> bool:
            if isinstance(row, Investor):
                return True
            return row.note_id in notes if isinstance(row, Holding) else row.loan_id == loan_id

        return replace(self, facts=tuple(f for f in self.facts if belongs(f.row)))
