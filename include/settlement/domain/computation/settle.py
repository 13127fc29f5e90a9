"""A settlement day's arithmetic, whole: inputs in, outcome out.

What comes in: the checked `Inputs`, the policy and the settlement date. The steps, for chunks of whole loans, which two
threads take side by side because no loan looks at another:

1. `waterfall`: the money of each loan, in order, pays what is due.
2. `distribution`: each allocation is shared among the notes and their holders.
3. `fees` and `withholding`: what is taken from each share.
4. `quarantine`: a loan whose share cannot be given to anybody is refused, and its chunk done again without its money.
5. `journal`: the journal.

What always holds, proven here for every chunk and currency before anything leaves: shares sum to their allocations,
entries sum to zero, and `received = distributed + fee + vat + national tax + local tax + cost + credit + quarantined +
refunded`.
The outcome depends on the content of the inputs only: not on the order of their rows, nor on how loans fall into
chunks.

Where the rules leave room, this is chosen:

- A repayment that is quarantined already and refused again keeps its row: no second one is written.
- A bad reversal moves nothing, so it is in no total; its row carries its own amount. So does a refund that is refused,
  and one of a loan that does not exist is refused like any other.
- A loan has one `quarantined` break with everything of it that stays quarantined; what is cancelled in the same run
  opens none, and a held credit on a refused loan opens none.
- Money that does not fit into what a day can add up is not extracted: its loan is refused, and a break tells of each
  repayment.
- The repayments that count in `repayment_count` are those that move `received_amount`.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from datetime import date

import numpy as np

from settlement.domain import frames
from settlement.domain.computation import (
    decode,
    distribution,
    encode,
    fees,
    journal,
    quarantine,
    waterfall,
    withholding,
)
from settlement.domain.computation.decode import Part, Shares
from settlement.domain.computation.distribution import Cells
from settlement.domain.computation.encode import INTEREST, LATE_INTEREST, NONE, EncodedInputs
from settlement.domain.computation.journal import Deductions
from settlement.domain.computation.quarantine import Refusal
from settlement.domain.computation.waterfall import Taken
from settlement.domain.errors import BrokenInvariant
from settlement.domain.frames import Inputs, Outcome
from settlement.domain.money import Flags, Ints
from settlement.domain.policy import COMPONENTS, Policy

NOTES_PER_CHUNK = 32_768
"""With interest and principal, the cells of a chunk then lie in the processor's cache."""

THREADS = 2

CHUNKS_AHEAD = 24
"""How many chunks may wait for whoever writes them: about a hundred megabytes."""


def settle_day(inputs: Inputs, policy: Policy, settlement_date: date) -> Outcome:
    """Return everything that follows from the inputs of one settlement day.

    Raises InvalidFrame: an input breaks its specification in `frames`.
    Raises BrokenInvariant: the arithmetic came out wrong, or earlier rows contradict each other.
    """
    (whole,) = settle_in_parts(inputs, policy, settlement_date, shares_per_part=None)
    return whole


def settle_in_parts(
    inputs: Inputs, policy: Policy, settlement_date: date, *, shares_per_part: int | None = 250_000
) -> Iterator[Outcome]:
    """Yield the outcome of `settle_day` in parts: whole loans, in order, numbered on; at least one part.

    The frames of the parts, one after the other, are the frames of the day, and the totals add up to its totals. While
    a part is written somewhere the threads compute the next one, so that a large day needs little more memory than its
    inputs.

    Raises InvalidFrame: an input breaks its specification in `frames`.
    Raises BrokenInvariant: the arithmetic came out wrong, or earlier rows contradict each other.
    """
    frames.check_all(inputs)
    encoded = encode.encode(inputs, policy, settlement_date)
    left_out = decode.left_out(encoded, inputs)
    refunds = {row["refund_id"]: row for row in inputs.refunds.to_dict("records")}
    names, count = decode.names(encoded), decode.Count()
    for chunks, is_last in _groups(_settle(encoded, policy), shares_per_part):
        part = decode.join(chunks)
        chunks.clear()
        out = left_out if is_last else left_out.nothing
        yield decode.assemble(encoded, names, part, count, refunds=refunds, left_out=out)
        count = count.after(part)


def _groups(chunks: Iterator[Part], shares: int | None) -> Iterator[tuple[list[Part], bool]]:
    """Yield the chunks in lists with at least so many shares, and whether a list is the last one."""
    group: list[Part] = []
    for chunk in chunks:
        if shares is not None and sum(len(part.shares.net) for part in group) >= shares:
            yield group, False
            group = []
        group.append(chunk)
    yield group, True


def _settle(encoded: EncodedInputs, policy: Policy) -> Iterator[Part]:
    """Yield the parts of the day in order of loan, computed ahead by the threads but never far."""
    table = withholding.table(encoded, policy)
    structural = quarantine.structural(encoded, policy)
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[Part]] = deque()
        for loans in _chunks(encoded):
            waiting.append(pool.submit(_settle_loans, encoded, policy, table, structural, loans))
            if len(waiting) > CHUNKS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _chunks(encoded: EncodedInputs) -> Iterator[range]:
    first, count = 0, len(encoded.loan_ids)
    if count == 0:
        yield range(0)
    while first < count:
        enough = int(np.searchsorted(encoded.notes.start, encoded.notes.start[first] + NOTES_PER_CHUNK))
        last = min(max(enough, first + 1), first + NOTES_PER_CHUNK, count)
        yield range(first, last)
        first = last


def _settle_loans(
    encoded: EncodedInputs, policy: Policy, table: withholding.Table, structural: dict[int, Refusal], loans: range
) -> Part:
    refused = {loan: structural[loan] for loan in loans if loan in structural} if structural else {}
    while True:
        taken = waterfall.take(encoded, loans, refused)
        cells = distribution.share_out(encoded, taken.allocations)
        is_shared = waterfall.is_shared(taken.allocations)[cells.allocation]
        rule = _rules_of_cells(encoded, taken, table, cells, is_shared)
        found = _refuse_shares(encoded, policy, taken, cells, rule, is_shared)
        if not found:
            break
        refused |= found
    deductions = _deduct(encoded, policy, taken, table, cells, rule, is_shared)
    made, postings = journal.post(encoded, taken, start=cells.start, investor=cells.investor, deductions=deductions)
    return Part(
        taken=taken,
        shares=_shares(cells, deductions),
        entries=made,
        postings=postings,
        refused=refused,
    )


def _shares(cells: Cells, deductions: Deductions) -> Shares:
    """Return the cells that hold money: a share of 0 does not exist."""
    kept: Ints | slice = slice(None) if cells.gross.all() else np.flatnonzero(cells.gross)
    return Shares(
        allocation=cells.allocation[kept].astype(np.int32),
        note=cells.note[kept].astype(np.int32),
        investor=cells.investor[kept].astype(np.int32),
        gross=cells.gross[kept],
        fee=deductions.fee[kept],
        vat=deductions.vat[kept],
        national_tax=deductions.national_tax[kept],
        local_tax=deductions.local_tax[kept],
        net=deductions.net[kept],
    )


# --- shares -------------------------------------------------------------------------------------------------------

NO_TAX = -3
"""Among the withholding rules of cells: the component is not taxed."""


def _rules_of_cells(
    encoded: EncodedInputs, taken: Taken, table: withholding.Table, cells: Cells, is_shared: Flags
) -> Ints:
    rule = np.full(len(cells.note), NO_TAX, dtype=np.int64)
    component = taken.allocations.component
    is_interest = (component == INTEREST) | (component == LATE_INTEREST)
    taxed = np.flatnonzero(is_interest[cells.allocation] & is_shared)
    tax_class = encoded.tax_class[cells.investor[taxed]]
    has_class = tax_class != NONE
    taxed = taxed[has_class]
    rule[taxed] = table.rule[taken.allocations.loan[cells.allocation[taxed]], tax_class[has_class]]
    return rule


def _refuse_shares(
    encoded: EncodedInputs, policy: Policy, taken: Taken, cells: Cells, rule: Ints, is_shared: Flags
) -> dict[int, Refusal]:
    """Return the loans with a share that cannot be given, each with its first one in order of allocation and note."""
    has_holder = encoded.tax_class[cells.investor] != NONE
    is_bad = is_shared & (cells.gross > 0) & (~has_holder | ((rule < 0) & (rule != NO_TAX)))
    found: dict[int, Refusal] = {}
    allocations = taken.allocations
    for cell in np.flatnonzero(is_bad).tolist():
        allocation = int(cells.allocation[cell])
        loan = int(allocations.loan[allocation])
        if loan in found:
            continue
        share = {
            "repayment": int(taken.steps.repayment[allocations.step[allocation]]),
            "receivable": int(allocations.receivable[allocation]),
            "note": int(cells.note[cell]),
            "gross": int(cells.gross[cell]),
        }
        if has_holder[cell]:
            found[loan] = quarantine.of_tax(encoded, policy, loan=loan, investor=int(cells.investor[cell]), **share)
        else:
            record_day = int(allocations.record_day[allocation])
            found[loan] = quarantine.of_holder(encoded, record_day=record_day, **share)
    return found


def _deduct(
    encoded: EncodedInputs,
    policy: Policy,
    taken: Taken,
    table: withholding.Table,
    cells: Cells,
    rule: Ints,
    is_shared: Flags,
) -> Deductions:
    count = len(cells.note)
    fee, vat, national_tax, local_tax = (np.zeros(count, dtype=np.int64) for _ in range(4))
    component = taken.allocations.component[cells.allocation]
    rules = policy.fees_on(encode.as_date(encoded.settlement_day))
    is_charged = np.isin(component, [COMPONENTS.index(name) for fee in rules for name in fee.on]) & is_shared
    fee[is_charged], vat[is_charged] = fees.charge(cells.gross[is_charged], component[is_charged], rules)
    taxed = np.flatnonzero(rule >= 0)
    of_rule = rule[taxed]
    national_tax[taxed], local_tax[taxed] = withholding.withhold(
        cells.gross[taxed],
        rate_ppm=table.rate_ppm[of_rule],
        de_minimis=table.de_minimis[of_rule],
        unit=table.unit[of_rule],
        local_ppm=table.local_ppm[of_rule],
    )
    deductions = Deductions(
        fee=fee,
        vat=vat,
        national_tax=national_tax,
        local_tax=local_tax,
        net=cells.gross - fee - vat - national_tax - local_tax,
    )
    if (deductions.net[is_shared] < 0).any():
        raise BrokenInvariant("Fees and taxes exceed a share: the day stops")
    _negate(encoded, taken, cells, deductions)
    return deductions


def _negate(encoded: EncodedInputs, taken: Taken, cells: Cells, deductions: Deductions) -> None:
    """Fill the cells of reversals: what they undo, at its original amounts."""
    allocations, prior = taken.allocations, encoded.prior
    for place in np.flatnonzero((allocations.negates != NONE) | (allocations.prior != NONE)).tolist():
        into = slice(int(cells.start[place]), int(cells.start[place + 1]))
        source, row = int(allocations.negates[place]), int(allocations.prior[place])
        for field in fields(Deductions):
            column: Ints = getattr(deductions, field.name)
            if row == NONE:
                column[into] = -column[int(cells.start[source]) : int(cells.start[source + 1])]
            else:
                shares = slice(int(prior.share_start[row]), int(prior.share_start[row + 1]))
                column[into] = -prior.share_amounts[f"{field.name}_amount"][shares]
