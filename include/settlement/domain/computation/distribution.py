"""Distribution (rules, section 3): each allocation shared among the loan's notes, and who holds each note.

What comes in: the encoded inputs and the allocations of some whole loans. The steps:

1. Lay out one **cell** per (allocation, note of its loan), in order; a negated allocation gets the cells of what it
   undoes.
2. Share in **rounds**. Round k takes the allocations whose weights are the k-th version of their loan's position, and
   then moves the positions by what those principal shares, and the reversals of that version, make of them. Nearly
   everything is round 0.
3. Find the holder of each cell's note on the allocation's record date.

What always holds: the cells of an allocation sum to it; no note is paid above its outstanding principal.
Known limit: float64 estimates quotients only for amounts up to 2^50 and total weights below 2^53, where integers then
correct them exactly; an allocation beyond that is shared in Python integers.
"""

from dataclasses import dataclass

import numpy as np

from settlement.domain.computation import segments, waterfall
from settlement.domain.computation.encode import COST, NONE, PRINCIPAL, EncodedInputs
from settlement.domain.computation.waterfall import Allocations
from settlement.domain.errors import BrokenInvariant
from settlement.domain.money import Ints

NO_HOLDER, TWO_HOLDERS = -1, -2

LARGEST_AMOUNT = 2**50
LARGEST_TOTAL = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One cell per (allocation, note), in order: cells of allocation `i` are `[start[i], start[i + 1])`.

    `investor` is NO_HOLDER or TWO_HOLDERS where the note has not exactly one.
    """

    start: Ints
    allocation: Ints
    note: Ints
    investor: Ints
    gross: Ints


def share_out(encoded: EncodedInputs, allocations: Allocations) -> Cells:
    """Return the cells of `allocations` with their gross amounts and holders.

    Raises BrokenInvariant: the shares of an allocation do not sum to it, or a note would be paid above its principal.
    """
    count = _cell_counts(encoded, allocations)
    start = segments.starts(count)
    allocation = np.repeat(np.arange(len(count)), count)
    note = np.arange(len(allocation)) + (encoded.notes.start[allocations.loan] - start[:-1])[allocation]
    cells = Cells(
        start=start,
        allocation=allocation,
        note=note,
        investor=np.full(len(allocation), NONE, dtype=np.int64),
        gross=np.zeros(len(allocation), dtype=np.int64),
    )
    shared = np.flatnonzero(waterfall.is_shared(allocations))
    for place in np.flatnonzero(allocations.prior != NONE).tolist():
        _copy_prior(encoded, allocations, cells, place)
    _share_in_rounds(encoded, allocations, cells, shared)
    _find_holders(encoded, allocations, cells, shared)
    for place in np.flatnonzero(allocations.negates != NONE).tolist():
        _copy_negated(allocations, cells, place)
    is_distributed = allocations.component != COST
    if not np.array_equal(segments.sums(cells.gross, start)[is_distributed], allocations.amount[is_distributed]):
        raise BrokenInvariant("Shares do not sum to their allocations: the day stops")
    return cells


def prorate(amount: Ints, weight: Ints, start: Ints) -> Ints:
    """Return the shares of `amount[i]` by the weights `[start[i], start[i + 1])`, in whole units.

    `floor(A · w / W)` each; the units left over go one each to the largest `A · w mod W`, ties to the first. Amounts
    and weights are at least 0, no run is empty, and no total weight is 0.

    Raises ValueError: a run of weights is empty or sums to 0.
    """
    total = segments.sums(weight, start)
    if not (total > 0).all():
        raise ValueError(f"Run [{int((total <= 0).argmax())}] of weights sums to 0: there is nothing to share by")
    is_large = (amount > LARGEST_AMOUNT) | (total >= LARGEST_TOTAL)
    if not is_large.any():
        return _prorate_by_estimate(amount, weight, start, total)
    share = np.zeros(len(weight), dtype=np.int64)
    small = np.flatnonzero(~is_large)
    at = segments.places(start, small)
    small_start = segments.starts(np.diff(start)[small])
    share[at] = _prorate_by_estimate(amount[small], weight[at], small_start, total[small])
    for large in np.flatnonzero(is_large).tolist():
        cells = slice(int(start[large]), int(start[large + 1]))
        share[cells] = _prorate_in_python(int(amount[large]), weight[cells].tolist())
    return share


def _prorate_by_estimate(amount: Ints, weight: Ints, start: Ints, total: Ints) -> Ints:
    """Share by quotients estimated in float64 and corrected in wrapping int64.

    The estimate of a quotient below 2^50 is off by less than one, so that the remainder, true modulo 2^64, lies within
    one total of its range and says which way to correct.
    """
    run = np.repeat(np.arange(len(amount)), np.diff(start))
    total_of, estimate = total[run], (amount / total)[run] * weight
    share = estimate.astype(np.int64)
    remainder = amount[run] * weight - share * total_of
    is_above, is_below = remainder < 0, remainder >= total_of
    share += is_below.astype(np.int64) - is_above
    remainder += total_of * (is_above.astype(np.int64) - is_below)
    left = amount - segments.sums(share, start)
    bits = 63 - _bits(len(run)) - _bits(len(amount))
    is_wide = total >= 1 << bits
    share[_largest_remainders(remainder, np.where(is_wide, 0, left), run, start, bits)] += 1
    for wide in np.flatnonzero(is_wide).tolist():
        first, last = int(start[wide]), int(start[wide + 1])
        order = np.argsort(-remainder[first:last], kind="stable")
        share[first + order[: left[wide]]] += 1
    return share


def _largest_remainders(remainder: Ints, left: Ints, run: Ints, start: Ints, bits: int) -> Ints:
    """Return the places of the `left[i]` largest remainders of each run, ties to the first; they lie below 2^`bits`.

    Sorting values that pack (run, inverted remainder, place) into 63 bits takes a third of an argsort. Of a run whose
    remainders are wider nothing may be left.
    """
    place_bits, bound = _bits(len(run)), (1 << bits) - 1
    packed = (run << bits) + (bound - np.minimum(remainder, bound))
    packed <<= place_bits
    packed += np.arange(len(run))
    packed.sort()
    packed &= (1 << place_bits) - 1
    return np.asarray(packed[np.arange(len(run)) - start[run] < left[run]])


def _bits(count: int) -> int:
    return max(count - 1, 0).bit_length()


def _prorate_in_python(amount: int, weights: list[int]) -> list[int]:
    total = sum(weights)
    shares = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % total), place))
    for place in by_remainder[: amount - sum(shares)]:
        shares[place] += 1
    return shares


def _cell_counts(encoded: EncodedInputs, allocations: Allocations) -> Ints:
    count = np.where(
        allocations.component == COST,
        0,
        encoded.notes.start[allocations.loan + 1] - encoded.notes.start[allocations.loan],
    )
    is_prior = allocations.prior != NONE
    row = allocations.prior[is_prior]
    count[is_prior] = encoded.prior.share_start[row + 1] - encoded.prior.share_start[row]
    return count


def _copy_prior(encoded: EncodedInputs, allocations: Allocations, cells: Cells, place: int) -> None:
    row = int(allocations.prior[place])
    shares = slice(int(encoded.prior.share_start[row]), int(encoded.prior.share_start[row + 1]))
    into = slice(int(cells.start[place]), int(cells.start[place + 1]))
    cells.note[into], cells.investor[into] = encoded.prior.note[shares], encoded.prior.investor[shares]
    cells.gross[into] = -encoded.prior.share_amounts["gross_amount"][shares]


def _copy_negated(allocations: Allocations, cells: Cells, place: int) -> None:
    original = int(allocations.negates[place])
    of_original = slice(int(cells.start[original]), int(cells.start[original + 1]))
    into = slice(int(cells.start[place]), int(cells.start[place + 1]))
    cells.investor[into], cells.gross[into] = cells.investor[of_original], -cells.gross[of_original]


def _share_in_rounds(encoded: EncodedInputs, allocations: Allocations, cells: Cells, shared: Ints) -> None:
    if not len(shared):
        return
    version, is_principal = allocations.version, allocations.component == PRINCIPAL
    first, last = int(encoded.notes.start[allocations.loan[0]]), int(encoded.notes.start[allocations.loan[-1] + 1])
    position, principal = encoded.notes.outstanding[first:last].copy(), encoded.notes.principal[first:last]
    for this in range(int(version[shared].max()) + 1):
        chosen = shared[version[shared] == this]
        at = segments.places(cells.start, chosen)
        note = cells.note[at] - first
        start = segments.starts(cells.start[chosen + 1] - cells.start[chosen])
        weight = np.maximum(position[note], 0)
        is_idle = segments.sums(weight, start) == 0
        if is_idle.any():
            by_principal = segments.places(start, np.flatnonzero(is_idle))
            weight[by_principal] = principal[note[by_principal]]
        share = prorate(allocations.amount[chosen], weight, start)
        cells.gross[at] = share
        paid = np.repeat(is_principal[chosen], np.diff(start))
        if (share[paid] > weight[paid]).any() or is_idle[is_principal[chosen]].any():
            raise BrokenInvariant("A note would be paid above its outstanding principal: the day stops")
        position[note[paid]] -= share[paid]
        for place in np.flatnonzero((version == this) & is_principal & (allocations.amount < 0)).tolist():
            _give_back(allocations, cells, position, place, first)


def _give_back(allocations: Allocations, cells: Cells, position: Ints, place: int, first: int) -> None:
    """Move the position by a reversed principal allocation; notes that the source no longer has are left out."""
    source = int(allocations.negates[place])
    of_original = place if source == NONE else source
    paid = slice(int(cells.start[of_original]), int(cells.start[of_original + 1]))
    note = cells.note[paid] - first
    is_known = (note >= 0) & (note < len(position))
    position[note[is_known]] += np.abs(cells.gross[paid])[is_known]


def _find_holders(encoded: EncodedInputs, allocations: Allocations, cells: Cells, shared: Ints) -> None:
    at = segments.places(cells.start, shared)
    note, day = cells.note[at], allocations.record_day[cells.allocation[at]]
    notes = encoded.notes
    first = notes.holding_start[note]
    count = notes.holding_start[note + 1] - first
    holder = np.full(len(at), NO_HOLDER, dtype=np.int64)
    for turn in range(int(count.max(initial=0))):
        has = np.flatnonzero(count > turn)
        holding = first[has] + turn
        holds = (notes.held_from[holding] <= day[has]) & (day[has] < notes.held_until_exclusive[holding])
        has, holding = has[holds], holding[holds]
        holder[has] = np.where(holder[has] == NO_HOLDER, notes.holder[holding], TWO_HOLDERS)
    cells.investor[at] = holder
