"""Cash application (rules, section 2): which money of a loan pays what, in the order of the run.

What comes in: the encoded inputs, whose receivables already stand in the order in which money pays them. The steps,
for each loan: its held credits, then its repayments and reversals in order, then the refunds of what is held by then.
Each is a **step**, a refund one for each credit that it takes from; each (step, receivable, amount) is an
**allocation**. A reversal's allocations are the negated ones of what it undoes.

Alongside runs the loan's **position**: its outstanding principal as a whole, and the number of times it has changed in
this run. An allocation says with which version of the position its weights are taken: the one just before it for
principal, the one at the start of its step for everything else. The distribution replays those versions note by note.

What always holds: a step's allocations and what is held of it sum to its amount; no receivable is paid above its open
amount. A loan whose principal allocations would exceed its outstanding principal is refused and taken again without
its unsettled money; reversals of rows that exist are applied even then, because they need ledger rows only.

Where the rules leave room, this is chosen: a held credit, like a repayment, pays receivables in advance when the policy
says `advance_principal` or `advance` (everything, by instalment); a credit that nothing takes keeps its place in the
line. A receivable whose amount was lowered below what it was paid is not due, and a note whose principal was lowered so
lessens what the loan has outstanding.
"""

from dataclasses import dataclass, fields

import numpy as np

from settlement.domain.computation import segments, sequential
from settlement.domain.computation.encode import ADVANCEABLE, COST, DUE, NONE, PRINCIPAL, EncodedInputs
from settlement.domain.computation.quarantine import Refusal
from settlement.domain.computation.sequential import Kind, Record
from settlement.domain.money import LARGEST, Flags, Ints

__all__ = ["Allocations", "Kind", "Steps", "Taken", "is_shared", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of some loans, in order of loan and turn.

    `held` is what a settled repayment leaves on the loan, or what a reversal takes back of it. `was_extracted` says
    of a cancelling reversal that there is an extraction of its original to reverse. `refund` is what takes a part of
    what is held of `repayment`.
    """

    loan: Ints
    kind: Ints
    repayment: Ints
    original: Ints
    amount: Ints
    held: Ints
    is_new: Flags
    was_extracted: Flags
    refund: Ints


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

    `bad` gives the reason of each bad reversal by its repayment; `unpayable`, of each refund that is refused, its loan
    and what was held when it was its turn; `overpaid`, by loan, what is held of each repayment though nothing is left
    to pay.
    """

    steps: Steps
    allocations: Allocations
    bad: dict[int, str]
    unpayable: dict[int, tuple[int, int]]
    overpaid: dict[int, dict[int, int]]


def take(encoded: EncodedInputs, loans: range, refused: dict[int, Refusal]) -> Taken:
    """Return what the run's money does on `loans`; a loan in `refused` moves no unsettled money.

    Loans found to pay more principal than is outstanding are added to `refused`. Plain loans, with one repayment and
    nothing else, are taken all at once; the others turn by turn.

    Raises BrokenInvariant: the ledger rows of an original do not sum to it.
    """
    is_plain, plain = _take_plain(encoded, _plain(encoded, loans, refused))
    others = np.ones(len(loans), dtype=np.bool_)
    others[is_plain - loans.start] = False
    record = Record()
    for loan in (np.flatnonzero(others) + loans.start).tolist():
        refusal = sequential.take(encoded, loan, record, is_refused=loan in refused)
        if refusal is not None:
            refused[loan] = refusal
            sequential.take(encoded, loan, record, is_refused=True)
    return _merged(plain, _in_turns(record)) if others.any() else plain


def is_shared(allocations: Allocations) -> Flags:
    """Tell which allocations are distributed by weight now: not costs, and not what a reversal negates."""
    return np.asarray(
        (allocations.component != COST) & (allocations.negates == NONE) & (allocations.prior == NONE), dtype=np.bool_
    )


# --- plain loans --------------------------------------------------------------------------------------------------


def _plain(encoded: EncodedInputs, loans: range, refused: dict[int, Refusal]) -> Ints:
    """Return the loans whose money is one repayment: no credit, no reversal, no refund, no refusal known so far."""
    ends = slice(loans.start, loans.stop + 1)
    is_plain = (np.diff(encoded.taken.start[ends]) == 1) & (np.diff(encoded.credits.start[ends]) == 0)
    is_plain &= np.diff(encoded.refunds.start[ends]) == 0
    is_plain[[loan - loans.start for loan in refused if loan in loans]] = False
    chosen = np.flatnonzero(is_plain) + loans.start
    plain: Ints = chosen[encoded.taken.original[encoded.taken.start[chosen]] == NONE]
    return plain


def _take_plain(encoded: EncodedInputs, loans: Ints) -> tuple[Ints, Taken]:
    """Return those of the plain `loans` that pay no principal too much, and what their repayments do.

    Each receivable, in order, gets the part of the money that those before it leave.
    """
    receivables, turn = encoded.receivables, encoded.taken.start[loans]
    amount, received_on = encoded.taken.amount[turn], encoded.taken.received_on[turn]
    place = segments.places(receivables.start, loans)
    start = segments.starts(receivables.start[loans + 1] - receivables.start[loans])
    loan = np.repeat(np.arange(len(loans)), np.diff(start))
    use, open_amount = receivables.use[place], receivables.open_amount[place]
    wanted = np.where(use <= ADVANCEABLE, np.clip(open_amount, 0, amount[loan]), 0)
    if wanted.sum(dtype=np.float64) > LARGEST:
        return _take_plain(encoded, loans[:0])
    paid = np.clip(amount[loan] - segments.sums_before(wanted, start), 0, wanted)
    is_principal = receivables.component[place] == PRINCIPAL
    principal = segments.sums(np.where(is_principal, paid, 0), start)
    fits = (principal == 0) | (principal <= _outstanding(encoded, loans))
    if not fits.all():
        return _take_plain(encoded, loans[fits])
    left = amount - segments.sums(paid, start)
    version = segments.sums_before((is_principal & (paid > 0)).astype(np.int64), start)
    record_day = np.where(use == DUE, np.maximum(received_on[loan], receivables.due_on[place]), received_on[loan])
    made = np.flatnonzero(paid)
    none = np.full(len(made), NONE, dtype=np.int64)
    repayment = encoded.taken.repayment[turn]
    is_overpaid = (left > 0) & (segments.sums((open_amount > paid).astype(np.int64), start) == 0)
    return loans, Taken(
        steps=Steps(
            loan=loans,
            kind=np.full(len(loans), Kind.SETTLED, dtype=np.int64),
            repayment=repayment,
            original=np.full(len(loans), NONE, dtype=np.int64),
            amount=amount,
            held=left,
            is_new=encoded.taken.is_new[turn],
            was_extracted=np.zeros(len(loans), dtype=np.bool_),
            refund=np.full(len(loans), NONE, dtype=np.int64),
        ),
        allocations=Allocations(
            step=loan[made],
            loan=loans[loan[made]],
            receivable=place[made],
            component=receivables.component[place[made]],
            amount=paid[made],
            version=np.where(is_principal, version, 0)[made],
            record_day=record_day[made],
            negates=none,
            prior=none,
        ),
        bad={},
        unpayable={},
        overpaid={
            int(loans[row]): {int(repayment[row]): int(left[row])} for row in np.flatnonzero(is_overpaid).tolist()
        },
    )


def _outstanding(encoded: EncodedInputs, loans: Ints) -> Ints:
    notes = segments.places(encoded.notes.start, loans)
    start = segments.starts(encoded.notes.start[loans + 1] - encoded.notes.start[loans])
    return segments.sums(encoded.notes.outstanding[notes], start)


# --- together -----------------------------------------------------------------------------------------------------


def _in_turns(record: Record) -> Taken:
    loan, kind, repayment, original, amount, held, is_new, was_extracted, refund = _columns(record.steps, 9)
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
            refund=refund,
        ),
        allocations=Allocations(**dict(zip(names, _columns(record.allocations, len(names)), strict=True))),
        bad=record.bad,
        unpayable=record.unpayable,
        overpaid=record.overpaid,
    )


def _columns(rows: list[tuple[int, ...]], width: int) -> list[Ints]:
    table = np.array(rows, dtype=np.int64).reshape(len(rows), width)
    return [np.ascontiguousarray(table[:, place]) for place in range(width)]


def _merged(plain: Taken, others: Taken) -> Taken:
    """Return both in order of loan; a loan is in one of them only."""
    loan = np.concatenate([plain.steps.loan, others.steps.loan])
    steps = np.argsort(loan, kind="stable")
    step = np.concatenate([plain.allocations.step, others.allocations.step + len(plain.steps.loan)])
    moved_step = _inverse(steps)[step]
    allocations = np.argsort(moved_step, kind="stable")
    negates = others.allocations.negates
    negates = np.where(negates == NONE, NONE, _inverse(allocations)[negates + len(plain.allocations.step)])
    columns = {
        field.name: np.concatenate([getattr(plain.allocations, field.name), getattr(others.allocations, field.name)])
        for field in fields(Allocations)
    }
    columns |= {"step": moved_step, "negates": np.concatenate([plain.allocations.negates, negates])}
    return Taken(
        steps=Steps(
            **{
                field.name: np.concatenate([getattr(plain.steps, field.name), getattr(others.steps, field.name)])[steps]
                for field in fields(Steps)
            }
        ),
        allocations=Allocations(**{name: column[allocations] for name, column in columns.items()}),
        bad=others.bad,
        unpayable=others.unpayable,
        overpaid=plain.overpaid | others.overpaid,
    )


def _inverse(order: Ints) -> Ints:
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return inverse
