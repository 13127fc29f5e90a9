"""Cash application (rules, section 2): which money of a loan pays what, in the order of the run.

What comes in: the `Book`, whose receivables already stand in the order in which money pays them. The steps, for each
loan: its held credits, then its repayments and reversals in order. Each is a **step**; each (step, receivable, amount)
is an **allocation**. A reversal's allocations are the negated ones of what it undoes.

Alongside runs the loan's **position**: its outstanding principal as a whole, and the number of times it has changed in
this run. An allocation says with which version of the position its weights are taken: the one just before it for
principal, the one at the start of its step for everything else. The distribution replays those versions note by note.

What always holds: a step's allocations and what is held of it sum to its amount; no receivable is paid above its open
amount. A loan whose principal allocations would exceed its outstanding principal is refused and walked again without
its unsettled money; reversals of rows that exist are applied even then, because they need ledger rows only.

Where the rules leave room, this is chosen: a held credit, like a repayment, pays receivables in advance when the policy
says `advance_principal`; a credit that nothing takes keeps its place in the line; a note whose outstanding is below 0
(its principal was lowered afterwards) counts as 0.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from settlement.domain import refusals
from settlement.domain.codes import ADVANCEABLE, COST, DUE, NONE, PRINCIPAL, Book
from settlement.domain.money import BrokenInvariant, Flags, Ints
from settlement.domain.refusals import Refusal


class Kind(IntEnum):
    """What a step is."""

    APPLIED = 0  # a held credit pays something
    SETTLED = 1  # a repayment is settled
    KEPT = 2  # a repayment stays in quarantine, or goes there
    REVERSED = 3  # a reversal undoes a settled repayment
    CANCELLING = 4  # a reversal meets a repayment that is not settled: neither ever is
    BAD = 5  # a reversal that is refused by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of some loans, in order of loan and turn.

    `held` is what a settled repayment leaves on the loan, or what a reversal takes back of it. `was_extracted` says
    of a cancelling reversal that there is an extraction of its original to reverse.
    """

    loan: Ints
    kind: Ints
    repayment: Ints
    original: Ints
    amount: Ints
    held: Ints
    is_new: Flags
    was_extracted: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocations:
    """The allocations of those steps, in order.

    `negates` is the allocation of this run, and `prior` the one of an earlier run, that a reversal's allocation undoes.
    """

    step: Ints
    loan: Ints
    receivable: Ints
    component: Ints
    amount: Ints
    version: Ints
    record_day: Ints
    negates: Ints
    prior: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the money of some loans did: steps, allocations, and what is found on the way.

    `bad` gives the reason of each bad reversal by its repayment; `overpaid`, by loan, what is
    held of each repayment though nothing is left to pay.
    """

    steps: Steps
    allocations: Allocations
    bad: dict[int, str]
    overpaid: dict[int, dict[int, int]]


def take(book: Book, loans: range, refused: dict[int, Refusal]) -> Taken:
    """Return what the run's money does on `loans`; a loan in `refused` moves no unsettled money.

    Loans found to pay more principal than is outstanding are added to `refused`.

    :raises BrokenInvariant: the ledger rows of an original do not sum to it.
    """
    record = _Record(steps=[], allocations=[], bad={}, overpaid={})
    for loan in loans:
        mark = record.mark()
        refusal = _Walk(book, loan, record, is_refused=loan in refused).run()
        if refusal is not None:
            refused[loan] = refusal
            record.rewind(mark)
            _Walk(book, loan, record, is_refused=True).run()
    return record.taken()


@dataclass(slots=True)
class _Record:
    """The rows written so far, as tuples in the order of the columns of `Steps` and `Allocations`."""

    steps: list[tuple[int, ...]]
    allocations: list[tuple[int, ...]]
    bad: dict[int, str]
    overpaid: dict[int, dict[int, int]]

    def mark(self) -> tuple[int, int]:
        return len(self.steps), len(self.allocations)

    def rewind(self, mark: tuple[int, int]) -> None:
        del self.steps[mark[0] :], self.allocations[mark[1] :]

    def taken(self) -> Taken:
        loan, kind, repayment, original, amount, held, is_new, was_extracted = _columns(self.steps, 8)
        names = ("step", "loan", "receivable", "component", "amount", "version", "record_day", "negates", "prior")
        return Taken(
            steps=Steps(
                loan=loan,
                kind=kind,
                repayment=repayment,
                original=original,
                amount=amount,
                held=held,
                is_new=is_new.astype(np.bool_),
                was_extracted=was_extracted.astype(np.bool_),
            ),
            allocations=Allocations(**dict(zip(names, _columns(self.allocations, len(names)), strict=True))),
            bad=self.bad,
            overpaid=self.overpaid,
        )


def _columns(rows: list[tuple[int, ...]], width: int) -> list[Ints]:
    table = np.array(rows, dtype=np.int64).reshape(len(rows), width)
    return [np.ascontiguousarray(table[:, place]) for place in range(width)]


class _Walk:
    """One loan's run, turn by turn."""

    def __init__(self, book: Book, loan: int, record: _Record, *, is_refused: bool) -> None:
        self.book, self.loan, self.record, self.is_refused = book, loan, record, is_refused
        self.first, last = int(book.receivables.start[loan]), int(book.receivables.start[loan + 1])
        self.open = book.receivables.open_amount[self.first : last].tolist()
        self.component = book.receivables.component[self.first : last].tolist()
        self.due_on = book.receivables.due_on[self.first : last].tolist()
        self.use = book.receivables.use[self.first : last].tolist()
        notes = slice(int(book.notes.start[loan]), int(book.notes.start[loan + 1]))
        self.outstanding = int(np.maximum(book.notes.outstanding[notes], 0).sum())
        self.version = 0
        self.held: dict[int, int] = {}
        self.allocations_of: dict[int, list[int]] = {}
        self.kept: set[int] = set()
        self.cancelled: set[int] = set()
        self.reversed: set[int] = set()

    def run(self) -> Refusal | None:
        """Take the loan's money in order; return the refusal that stopped it, if one did."""
        for turn in range(int(self.book.credits.start[self.loan]), int(self.book.credits.start[self.loan + 1])):
            refusal = self._apply_credit(turn)
            if refusal is not None:
                return refusal
        taken = self.book.taken
        for turn in range(int(taken.start[self.loan]), int(taken.start[self.loan + 1])):
            if taken.original[turn] != NONE:
                self._reverse(turn)
            elif int(taken.repayment[turn]) not in self.cancelled:
                refusal = self._settle(turn)
                if refusal is not None:
                    return refusal
        held = {repayment: amount for repayment, amount in self.held.items() if amount}
        if held and not any(self.open):
            self.record.overpaid[self.loan] = held
        return None

    def _apply_credit(self, turn: int) -> Refusal | None:
        repayment, amount = int(self.book.credits.repayment[turn]), int(self.book.credits.amount[turn])
        self.held[repayment] = amount
        if self.is_refused:
            return None
        step = len(self.record.steps)
        left, refusal = self._pay(step, repayment, amount, int(self.book.credits.received_on[turn]))
        if left < amount:
            self.record.steps.append((self.loan, Kind.APPLIED, repayment, NONE, amount - left, 0, False, False))
            self.held[repayment] = left
        return refusal

    def _settle(self, turn: int) -> Refusal | None:
        taken = self.book.taken
        repayment, amount = int(taken.repayment[turn]), int(taken.amount[turn])
        is_new = bool(taken.is_new[turn])
        if self.is_refused:
            self.record.steps.append((self.loan, Kind.KEPT, repayment, NONE, amount, 0, is_new, False))
            self.kept.add(repayment)
            return None
        self.allocations_of.setdefault(repayment, [])
        left, refusal = self._pay(len(self.record.steps), repayment, amount, int(taken.received_on[turn]))
        self.record.steps.append((self.loan, Kind.SETTLED, repayment, NONE, amount, left, is_new, False))
        self.held[repayment] = left
        return refusal

    def _pay(self, step: int, repayment: int, amount: int, received_on: int) -> tuple[int, Refusal | None]:
        """Allocate `amount` in order; return what is left, and the refusal if principal exceeds what is outstanding."""
        outstanding, at_start, left = self.outstanding, self.version, amount
        principal: list[tuple[int, int]] = []
        made = self.allocations_of.setdefault(repayment, [])
        for place, open_amount in enumerate(self.open):
            if left == 0 or self.use[place] > ADVANCEABLE:
                break
            paid = min(open_amount, left)
            if paid == 0:
                continue
            is_principal = self.component[place] == PRINCIPAL
            version = self.version if is_principal else at_start
            record_day = max(received_on, self.due_on[place]) if self.use[place] == DUE else received_on
            made.append(len(self.record.allocations))
            self.record.allocations.append(
                (
                    step,
                    self.loan,
                    self.first + place,
                    self.component[place],
                    paid,
                    version,
                    record_day,
                    NONE,
                    NONE,
                )
            )
            self.open[place] -= paid
            left -= paid
            if is_principal:
                self.version += 1
                self.outstanding -= paid
                principal.append((self.first + place, paid))
        if self.outstanding < 0:
            return left, refusals.principal_exceeds(
                self.book, loan=self.loan, repayment=repayment, allocated=principal, outstanding=outstanding
            )
        return left, None

    def _reverse(self, turn: int) -> None:
        taken = self.book.taken
        reversal, amount, original = int(taken.repayment[turn]), int(taken.amount[turn]), int(taken.original[turn])
        reason = self._why_bad(amount, original)
        is_new = bool(taken.is_new[turn])
        if reason is not None:
            self.record.steps.append((self.loan, Kind.BAD, reversal, original, amount, 0, is_new, False))
            self.record.bad[reversal] = reason
            return
        before = self.book.originals[original].state
        self.reversed.add(original)
        is_settled_now = before in ("unsettled", "quarantined") and original in self.held
        if before != "settled" and not is_settled_now:
            self.cancelled.add(original)
            was_extracted = before == "quarantined" or original in self.kept
            self.record.steps.append((self.loan, Kind.CANCELLING, reversal, original, amount, 0, is_new, was_extracted))
            return
        back = self.held.pop(original, 0)
        self._negate(len(self.record.steps), original, amount - back)
        self.record.steps.append((self.loan, Kind.REVERSED, reversal, original, amount, back, is_new, False))

    def _why_bad(self, amount: int, original: int) -> str | None:
        named = self.book.originals.get(original)
        if named is None:
            return "its original does not exist"
        if named.is_reversal:
            return "its original is itself a reversal"
        if named.loan != self.loan:
            return "its original is of another loan"
        if named.amount != amount:
            return "its amount is not its original's"
        if named.is_reversed or named.state == "cancelled" or original in self.reversed:
            return "its original is reversed already"
        return None

    def _negate(self, step: int, original: int, expected: int) -> None:
        """Write the negated allocations of `original`, first those of earlier runs, and give back what they paid."""
        prior, total, changes = self.book.prior, 0, False
        rows = [
            (int(prior.receivable[row]), int(prior.component[row]), int(prior.amount[row]), NONE, row)
            for row in prior.allocations.get(original, [])
        ]
        for place in self.allocations_of.get(original, []):
            made = self.record.allocations[place]
            rows.append((made[2], made[3], made[4], place, NONE))
        for receivable, component, amount, negates, row in rows:
            self.record.allocations.append(
                (step, self.loan, receivable, component, -amount, self.version, NONE, negates, row)
            )
            total += amount
            if self.first <= receivable < self.first + len(self.open):
                self.open[receivable - self.first] += amount
            if component == PRINCIPAL:
                self.outstanding += amount
                changes = True
        if total != expected:
            name = self.book.repayment_ids[original].as_py()
            raise BrokenInvariant(f"Allocations of [{name}] sum to [{total}], not to [{expected}]: the day stops")
        self.version += changes


def is_shared(allocations: Allocations) -> Flags:
    """Tell which allocations are distributed by weight now: not costs, and not what a reversal negates."""
    return np.asarray(
        (allocations.component != COST) & (allocations.negates == NONE) & (allocations.prior == NONE), dtype=np.bool_
    )
