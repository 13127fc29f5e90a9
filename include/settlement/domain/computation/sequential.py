"""Cash application turn by turn: one loan's credits, repayments, reversals and refunds in the order of the run.

`take` writes the loan's steps and allocations to a `Record`, as tuples in the order of the columns of
`waterfall.Steps` and `waterfall.Allocations`. It does what the rules say, one thing after the other; what most loans
need, a single repayment, `waterfall` does for all of them at once, with the same result.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from settlement.domain.computation import quarantine
from settlement.domain.computation.encode import ADVANCEABLE, DUE, NONE, PRINCIPAL, EncodedInputs
from settlement.domain.computation.quarantine import Refusal
from settlement.domain.errors import BrokenInvariant

BEFORE_OPENING = "its original came before the first settlement date, and was settled elsewhere"
"""Why a reversal is refused by the rule `before_opening`: nothing of what it undoes stands in the books."""


class Kind(IntEnum):
    """What a step is."""

    APPLIED = 0  # a held credit pays something
    SETTLED = 1  # a repayment is settled
    KEPT = 2  # a repayment stays in quarantine, or goes there
    REVERSED = 3  # a reversal undoes a settled repayment
    CANCELLING = 4  # a reversal meets a repayment that is not settled: neither ever is
    BAD = 5  # a reversal that is refused by itself
    REFUNDED = 6  # a part of a held credit goes back to the borrower


@dataclass(slots=True)
class Record:
    """The rows written so far, as tuples in the order of the columns of `Steps` and `Allocations`."""

    steps: list[tuple[int, ...]] = field(default_factory=list)
    allocations: list[tuple[int, ...]] = field(default_factory=list)
    bad: dict[int, str] = field(default_factory=dict)
    unpayable: dict[int, tuple[int, int]] = field(default_factory=dict)
    overpaid: dict[int, dict[int, int]] = field(default_factory=dict)


def take(encoded: EncodedInputs, loan: int, record: Record, *, is_refused: bool) -> Refusal | None:
    """Take the loan's money in order; return the refusal that stopped it, if one did, and then leave no rows.

    Raises BrokenInvariant: the ledger rows of an original do not sum to it.
    """
    mark = len(record.steps), len(record.allocations)
    refusal = _Turns(encoded, loan, record, is_refused=is_refused).take()
    if refusal is not None:
        del record.steps[mark[0] :], record.allocations[mark[1] :]
    return refusal


class _Turns:
    """One loan's run, turn by turn."""

    def __init__(self, encoded: EncodedInputs, loan: int, record: Record, *, is_refused: bool) -> None:
        self.encoded, self.loan, self.record, self.is_refused = encoded, loan, record, is_refused
        self.first, last = int(encoded.receivables.start[loan]), int(encoded.receivables.start[loan + 1])
        self.open = encoded.receivables.open_amount[self.first : last].tolist()
        self.component = encoded.receivables.component[self.first : last].tolist()
        self.due_on = encoded.receivables.due_on[self.first : last].tolist()
        self.use = encoded.receivables.use[self.first : last].tolist()
        notes = slice(int(encoded.notes.start[loan]), int(encoded.notes.start[loan + 1]))
        self.outstanding = int(encoded.notes.outstanding[notes].sum())
        self.version = 0
        self.held: dict[int, int] = {}
        self.allocations_of: dict[int, list[int]] = {}
        self.kept: set[int] = set()
        self.cancelled: set[int] = set()
        self.reversed: set[int] = set()

    def take(self) -> Refusal | None:
        """Take the loan's money in order; return the refusal that stopped it, if one did."""
        for turn in range(int(self.encoded.credits.start[self.loan]), int(self.encoded.credits.start[self.loan + 1])):
            refusal = self._apply_credit(turn)
            if refusal is not None:
                return refusal
        taken = self.encoded.taken
        for turn in range(int(taken.start[self.loan]), int(taken.start[self.loan + 1])):
            if taken.original[turn] != NONE:
                self._reverse(turn)
            elif int(taken.repayment[turn]) not in self.cancelled:
                refusal = self._settle(turn)
                if refusal is not None:
                    return refusal
        self._refund()
        held = {repayment: amount for repayment, amount in self.held.items() if amount}
        if held and all(open_amount <= 0 for open_amount in self.open):
            self.record.overpaid[self.loan] = held
        return None

    def _apply_credit(self, turn: int) -> Refusal | None:
        repayment, amount = int(self.encoded.credits.repayment[turn]), int(self.encoded.credits.amount[turn])
        self.held[repayment] = amount
        if self.is_refused:
            return None
        step = len(self.record.steps)
        left, refusal = self._pay(step, repayment, amount, int(self.encoded.credits.received_on[turn]))
        if left < amount:
            self._step(Kind.APPLIED, repayment, amount - left)
            self.held[repayment] = left
        return refusal

    def _settle(self, turn: int) -> Refusal | None:
        taken = self.encoded.taken
        repayment, amount = int(taken.repayment[turn]), int(taken.amount[turn])
        is_new = bool(taken.is_new[turn])
        if self.is_refused:
            self._step(Kind.KEPT, repayment, amount, is_new=is_new)
            self.kept.add(repayment)
            return None
        self.allocations_of.setdefault(repayment, [])
        left, refusal = self._pay(len(self.record.steps), repayment, amount, int(taken.received_on[turn]))
        self._step(Kind.SETTLED, repayment, amount, held=left, is_new=is_new)
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
            if open_amount <= 0:
                continue
            paid = min(open_amount, left)
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
        if principal and self.outstanding < 0:
            return left, quarantine.principal_exceeds(
                self.encoded, loan=self.loan, repayment=repayment, allocated=principal, outstanding=outstanding
            )
        return left, None

    def _reverse(self, turn: int) -> None:
        taken = self.encoded.taken
        reversal, amount, original = int(taken.repayment[turn]), int(taken.amount[turn]), int(taken.original[turn])
        reason = self._why_bad(amount, original)
        is_new = bool(taken.is_new[turn])
        if reason is not None:
            self._step(Kind.BAD, reversal, amount, original=original, is_new=is_new)
            self.record.bad[reversal] = reason
            return
        before = self.encoded.originals[original].state
        self.reversed.add(original)
        is_settled_now = before in ("unsettled", "quarantined", "extracted") and original in self.held
        if before != "settled" and not is_settled_now:
            self.cancelled.add(original)
            was_extracted = before in ("quarantined", "extracted") or original in self.kept
            self._step(Kind.CANCELLING, reversal, amount, original=original, is_new=is_new, was_extracted=was_extracted)
            return
        back = self.held.pop(original, 0)
        self._negate(len(self.record.steps), original, amount - back - self.encoded.prior.refunded.get(original, 0))
        self._step(Kind.REVERSED, reversal, amount, original=original, held=back, is_new=is_new)

    def _refund(self) -> None:
        """Give back what refunds ask for, from the oldest credits, or refuse those that ask for more than is held.

        A loan whose money is refused keeps it, and its refunds wait; those that were refused before stay so.
        """
        refunds = self.encoded.refunds
        first, last = int(refunds.start[self.loan]), int(refunds.start[self.loan + 1])
        is_waiting = first < last and self.is_refused and self._has_money()
        for turn in range(first, last):
            refund, wanted, held = int(refunds.refund[turn]), int(refunds.amount[turn]), sum(self.held.values())
            if is_waiting and refunds.is_new[turn]:
                continue
            if is_waiting or wanted > held or not refunds.is_payable[turn]:
                self.record.unpayable[refund] = self.loan, held
                continue
            for repayment, amount in self.held.items():
                part = min(amount, wanted)
                if part:
                    self._step(Kind.REFUNDED, repayment, part, refund=refund)
                    self.held[repayment] -= part
                    wanted -= part

    def _has_money(self) -> bool:
        """Tell whether the loan has money in the run, be it too much: without any, nothing of it is quarantined."""
        credits, taken = self.encoded.credits.start, self.encoded.taken.start
        has_credit, has_receipt = (of[self.loan] < of[self.loan + 1] for of in (credits, taken))
        return bool(has_credit or has_receipt or self.loan in self.encoded.too_large)

    def _step(
        self,
        kind: Kind,
        repayment: int,
        amount: int,
        *,
        original: int = NONE,
        held: int = 0,
        is_new: bool = False,
        was_extracted: bool = False,
        refund: int = NONE,
    ) -> None:
        """Write a step: its arguments are the columns of `Steps`, in their order."""
        self.record.steps.append((self.loan, kind, repayment, original, amount, held, is_new, was_extracted, refund))

    def _why_bad(self, amount: int, original: int) -> str | None:
        named = self.encoded.originals.get(original)
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
        if named.state == "before_opening":
            return BEFORE_OPENING
        return None

    def _negate(self, step: int, original: int, expected: int) -> None:
        """Write the negated allocations of `original`, first those of earlier runs, and give back what they paid."""
        prior, total, changes = self.encoded.prior, 0, False
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
                self.outstanding += amount if row == NONE else self._given_back(row)
                changes = True
        if total != expected:
            name = self.encoded.repayment_ids[original].as_py()
            raise BrokenInvariant(f"Allocations of [{name}] sum to [{total}], not to [{expected}]: the day stops")
        self.version += changes

    def _given_back(self, row: int) -> int:
        """Return what a prior principal allocation gives back to notes that the loan still has."""
        prior, notes = self.encoded.prior, self.encoded.notes
        shares = slice(int(prior.share_start[row]), int(prior.share_start[row + 1]))
        is_known = (prior.note[shares] >= notes.start[self.loan]) & (prior.note[shares] < notes.start[self.loan + 1])
        return int(prior.share_amounts["gross_amount"][shares][is_known].sum())
