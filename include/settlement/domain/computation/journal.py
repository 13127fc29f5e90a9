"""The books (rules, section 6): the journal entries that follow from the steps of some loans and their shares.

One entry `repayment_extracted` per repayment that this run takes for the first time, `repayment_distributed` per
repayment settled, `credit_applied` per held credit that pays something, one `repayment_reversed` per entry that a
reversal undoes, of earlier runs or of this one, and `refund_ordered` per held credit that a refund takes from. Debits
are positive; what an investor gets of one entry is one posting.

What always holds: every entry sums to zero; a posting of 0 does not exist.
"""

from dataclasses import dataclass

import numpy as np

from settlement.domain.books import postings
from settlement.domain.books.postings import Entry
from settlement.domain.computation import segments
from settlement.domain.computation.encode import COST, NONE, Accounts, EncodedInputs
from settlement.domain.computation.waterfall import Allocations, Kind, Steps, Taken
from settlement.domain.errors import BrokenInvariant
from settlement.domain.money import Ints

EVENTS = ("repayment_extracted", "repayment_distributed", "credit_applied", "repayment_reversed", "refund_ordered")
EXTRACTED, DISTRIBUTED, APPLIED, REVERSED, REFUNDED = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The entries in order, numbered from 0; `reverses_id` is a prior entry's id, `reverses_no` an entry of these."""

    event: Ints
    loan: Ints
    repayment: Ints
    reverses_id: Ints
    reverses_no: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Postings:
    """The postings of those entries, in order of entry and account."""

    entry: Ints
    account: Ints
    amount: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Deductions:
    """What was taken from each cell of a distribution, and what is left of it."""

    fee: Ints
    vat: Ints
    national_tax: Ints
    local_tax: Ints
    net: Ints


def post(
    encoded: EncodedInputs, taken: Taken, *, start: Ints, investor: Ints, deductions: Deductions
) -> tuple[Entries, Postings]:
    """Return the journal of some loans; `start` and `investor` are those of the cells that `deductions` belong to.

    Raises BrokenInvariant: an entry does not sum to zero.
    """
    entries, distributing = _entries(encoded, taken)
    parts = [
        *_extractions(encoded.accounts, taken.steps, entries),
        *_distributions(encoded.accounts, taken, distributing, start, deductions),
        *_refunds(encoded.accounts, taken.steps, entries),
        _investors(encoded.accounts, taken.allocations, distributing, start, investor, deductions.net),
    ]
    made = _in_order(parts)
    whole = _in_order([made, *_reversals(encoded, entries, made)])
    if np.any(segments.sums(whole.amount, np.searchsorted(whole.entry, np.arange(len(entries.event) + 1)))):
        raise BrokenInvariant("A journal entry does not sum to zero: the day stops")
    return entries, whole


def _entries(encoded: EncodedInputs, taken: Taken) -> tuple[Entries, Ints]:
    """Return the entries of the steps, and the entry that distributes each step (NONE: it distributes nothing)."""
    steps = taken.steps
    is_settled, is_kept = steps.kind == Kind.SETTLED, steps.kind == Kind.KEPT
    is_extracted = (is_settled | is_kept) & steps.is_new
    is_applied, is_refunded = steps.kind == Kind.APPLIED, steps.kind == Kind.REFUNDED
    count = is_extracted.astype(np.int64) + (is_settled | is_applied | is_refunded)
    undone = _undone(encoded, steps, count)
    for step, (prior, now) in undone.items():
        count[step] = len(prior) + len(now)
    first = np.cumsum(count) - count
    step_of = np.repeat(np.arange(len(count)), count)
    event = np.where(np.arange(len(step_of)) == first[step_of], EXTRACTED, DISTRIBUTED)
    event[first[is_settled & ~steps.is_new]] = DISTRIBUTED
    event[first[is_applied]] = APPLIED
    event[first[is_refunded]] = REFUNDED
    reverses_id, reverses_no = np.full_like(step_of, NONE), np.full_like(step_of, NONE)
    for step, (prior, now) in undone.items():
        at = int(first[step])
        event[at : at + int(count[step])] = REVERSED
        reverses_id[at : at + len(prior)] = encoded.prior.entry_id[prior]
        reverses_no[at + len(prior) : at + int(count[step])] = [int(first[earlier]) + offset for earlier, offset in now]
    entries = Entries(
        event=event,
        loan=steps.loan[step_of],
        repayment=steps.repayment[step_of],
        reverses_id=reverses_id,
        reverses_no=reverses_no,
    )
    return entries, np.where(is_settled | is_applied, first + is_extracted, NONE)


def _undone(encoded: EncodedInputs, steps: Steps, count: Ints) -> dict[int, tuple[list[int], list[tuple[int, int]]]]:
    """Return, for each step that reverses: the prior entries it undoes, and the (step, offset) of this run's."""
    reversing = np.flatnonzero((steps.kind == Kind.REVERSED) | (steps.kind == Kind.CANCELLING))
    if not len(reversing):
        return {}
    originals = {int(steps.original[step]) for step in reversing.tolist()}
    made: dict[int, list[tuple[int, int]]] = {}
    for step in np.flatnonzero(np.isin(steps.repayment, list(originals)) & (count > 0)).tolist():
        made.setdefault(int(steps.repayment[step]), []).extend((step, offset) for offset in range(int(count[step])))
    return {
        step: (
            encoded.prior.entries.get(int(steps.original[step]), []),
            [at for at in made.get(int(steps.original[step]), []) if at[0] < step],
        )
        for step in reversing.tolist()
    }


def _extractions(accounts: Accounts, steps: Steps, entries: Entries) -> list[Postings]:
    is_extracted = ((steps.kind == Kind.SETTLED) | (steps.kind == Kind.KEPT)) & steps.is_new
    made = postings.repayment_extracted(steps.amount[is_extracted])
    return _columns(accounts, np.flatnonzero(entries.event == EXTRACTED), made)


def _distributions(
    accounts: Accounts, taken: Taken, distributing: Ints, start: Ints, deductions: Deductions
) -> list[Postings]:
    """Return everything that distributing entries post except what investors get."""
    steps, allocations = taken.steps, taken.allocations
    of_step = np.searchsorted(allocations.step, np.arange(len(steps.loan) + 1))
    cut = {
        name: segments.sums(segments.sums(getattr(deductions, name), start), of_step)
        for name in ("fee", "vat", "national_tax", "local_tax")
    }
    cut["cost"] = segments.sums(np.where(allocations.component == COST, allocations.amount, 0), of_step)
    settled = np.flatnonzero((steps.kind == Kind.SETTLED) & (distributing != NONE))
    applied = np.flatnonzero((steps.kind == Kind.APPLIED) & (distributing != NONE))
    return [
        *_columns(
            accounts,
            distributing[settled],
            postings.repayment_distributed(
                steps.amount[settled],
                credit=accounts.borrower_credit(steps.loan[settled]),
                held=steps.held[settled],
                **{name: column[settled] for name, column in cut.items()},
            ),
        ),
        *_columns(
            accounts,
            distributing[applied],
            postings.credit_applied(
                steps.amount[applied],
                credit=accounts.borrower_credit(steps.loan[applied]),
                **{name: column[applied] for name, column in cut.items()},
            ),
        ),
    ]


def _refunds(accounts: Accounts, steps: Steps, entries: Entries) -> list[Postings]:
    is_refunded = steps.kind == Kind.REFUNDED
    made = postings.refund_ordered(
        steps.amount[is_refunded],
        credit=accounts.borrower_credit(steps.loan[is_refunded]),
        payable=accounts.borrower_payable(steps.refund[is_refunded]),
    )
    return _columns(accounts, np.flatnonzero(entries.event == REFUNDED), made)


def _columns(accounts: Accounts, entry: Ints, made: Entry[Ints]) -> list[Postings]:
    """Return the legs of a column of entries as postings; an account is a column of codes, or a name."""
    return [
        Postings(
            entry=entry,
            account=np.full(len(entry), accounts.code(account)) if isinstance(account, str) else account,
            amount=amount,
        )
        for account, amount in made.legs
    ]


def _investors(
    accounts: Accounts, allocations: Allocations, distributing: Ints, start: Ints, investor: Ints, net: Ints
) -> Postings:
    entry = np.repeat(distributing[allocations.step], np.diff(start))
    is_distributed = entry != NONE
    account, amount = postings.investor_share(accounts.investor_payable(investor[is_distributed]), net[is_distributed])
    return _sum_by_account(Postings(entry=entry[is_distributed], account=account, amount=amount))


def _sum_by_account(rows: Postings) -> Postings:
    order = _order(rows)
    entry, account = rows.entry[order], rows.account[order]
    is_first = np.append(True, (entry[1:] != entry[:-1]) | (account[1:] != account[:-1]))[: len(entry)]
    first = np.flatnonzero(is_first)
    return Postings(
        entry=entry[first],
        account=account[first],
        amount=segments.sums(rows.amount[order], np.append(first, len(entry))),
    )


def _reversals(encoded: EncodedInputs, entries: Entries, made: Postings) -> list[Postings]:
    """Return the negated postings of what is reversed; `made` are the postings of this run's own entries, in order."""
    prior, parts = encoded.prior, []
    for entry in np.flatnonzero(entries.event == REVERSED).tolist():
        if entries.reverses_no[entry] == NONE:
            row = int(np.searchsorted(prior.entry_id, entries.reverses_id[entry]))
            legs = slice(int(prior.posting_start[row]), int(prior.posting_start[row + 1]))
            account, amount = prior.account[legs], prior.posting_amount[legs]
        else:
            first, last = np.searchsorted(made.entry, entries.reverses_no[entry] + np.arange(2))
            account, amount = made.account[first:last], made.amount[first:last]
        parts += _columns(
            encoded.accounts, np.full(len(account), entry), postings.repayment_reversed([(account, amount)])
        )
    return parts


def _in_order(parts: list[Postings]) -> Postings:
    joined = Postings(
        entry=np.concatenate([part.entry for part in parts]),
        account=np.concatenate([part.account for part in parts]),
        amount=np.concatenate([part.amount for part in parts]),
    )
    order = _order(joined)
    order = order[joined.amount[order] != 0]
    return Postings(entry=joined.entry[order], account=joined.account[order], amount=joined.amount[order])


def _order(rows: Postings) -> Ints:
    """Return the order by entry, then account, then place, by sorting packed values where they fit 63 bits."""
    count = len(rows.entry)
    place_bits = count.bit_length()
    account_bits = int(rows.account.max(initial=0)).bit_length()
    entry_bits = int(rows.entry.max(initial=0)).bit_length()
    if entry_bits + account_bits + place_bits > 63:
        return np.lexsort((rows.account, rows.entry))
    packed: Ints = (((rows.entry << account_bits) + rows.account) << place_bits) + np.arange(count)
    packed.sort()
    return packed & ((1 << place_bits) - 1)
