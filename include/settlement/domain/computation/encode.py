"""Text keys as integers: a day's inputs encoded once, so that the arithmetic sees int64 only.

`encode(inputs, ...)` gives `EncodedInputs`. Loans are numbered in the bytewise order of their ids; every other table
stands in the order of its loan and, within the loan, in the order that the rules ask for, so that what belongs to loan
`i` is the slice `[start[i], start[i + 1])`. Loans that follow each other are therefore one slice of every table, which
is what lets chunks of whole loans be settled independently of each other.

Dates are days since 1970-01-01. Among codes, -1 stands for "none".
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from settlement.domain import frames
from settlement.domain.books.accounts import (
    BORROWER_CREDIT,
    BORROWER_PAYABLE,
    COST_RECOVERED,
    FEE_INCOME,
    INVESTOR_PAYABLE,
    RECEIPTS_IN_TRANSIT,
    REFUNDED,
    REPAYMENTS_UNALLOCATED,
    TAX_PAYABLE_LOCAL,
    TAX_PAYABLE_NATIONAL,
    VAT_PAYABLE,
    Account,
)
from settlement.domain.computation import segments
from settlement.domain.errors import InvalidFrame
from settlement.domain.money import LARGEST, Flags, Ints
from settlement.domain.policy import COMPONENTS, Policy

Text = Any
"""A pyarrow array of large strings (pyarrow ships no types)."""

COST, LATE_INTEREST, INTEREST, PRINCIPAL = range(4)
assert COMPONENTS == ("cost", "late_interest", "interest", "principal")

NONE = -1

FOREVER = int(np.iinfo(np.int64).max)
"""The day on which a holding that lasts would end."""

DUE, ADVANCEABLE, NOT_YET = range(3)
"""What a receivable is to this run: due; principal that excess may pay in advance; not to be paid today."""

DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """The notes in order of (loan, note_id), and who holds them when.

    `ids` goes on, past the notes, with those that only earlier rows know.
    """

    ids: Text
    start: Ints
    principal: Ints
    outstanding: Ints
    holding_start: Ints
    held_from: Ints
    held_until_exclusive: Ints
    holder: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivables:
    """The receivables in order of loan and, within it, in the order in which money pays them.

    `ids` goes on, past the receivables, with those that only earlier rows know. A component that is not one of the
    four is NONE in `component` and stands in `unknown_components` by its place. `open_amount` is below 0 where the
    source has lowered an amount that was paid already.
    """

    ids: Text
    start: Ints
    component: Ints
    unknown_components: Mapping[int, str]
    due_on: Ints
    open_amount: Ints
    use: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """Repayments and reversals, or held credits, in order of loan and turn.

    `repayment` and `original` are codes of `EncodedInputs.repayment_ids`; `original` is what a reversal names, NONE
    on a repayment.
    """

    start: Ints
    repayment: Ints
    amount: Ints
    received_on: Ints
    original: Ints
    is_new: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunds:
    """Refunds that may be taken, in order of loan and turn; `refund` is a code of `EncodedInputs.refund_ids`.

    `is_payable` is not set on one in another currency than its loan's.
    """

    start: Ints
    refund: Ints
    amount: Ints
    is_payable: Flags
    is_new: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A repayment that a reversal names, as it stands before the run; `loan` is NONE if the run knows no such loan."""

    loan: int
    amount: int
    is_reversal: bool
    is_reversed: bool
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What earlier runs wrote for originals, in order of allocation_id and note_id, and of entry_id and account.

    `allocations` and `entries` give the rows of an original by its code; `share_start` runs along the allocations and
    `posting_start` along the entries. `refunded` is what of an original went back to the borrower, by its code.
    """

    allocations: Mapping[int, list[int]]
    receivable: Ints
    component: Ints
    amount: Ints
    share_start: Ints
    note: Ints
    investor: Ints
    share_amounts: Mapping[str, Ints]
    entries: Mapping[int, list[int]]
    entry_id: Ints
    posting_start: Ints
    account: Ints
    posting_amount: Ints
    refunded: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The accounts that a run can post to, in bytewise order: first those of the loans, then those of the refunds."""

    names: Text
    codes: Mapping[str, int]
    first_refund: int
    first_investor: int

    def code(self, name: str) -> int:
        """Return the code of an account of which there is one."""
        return self.codes[name]

    def borrower_credit(self, loans: Ints) -> Ints:
        """Return the codes of the loans' accounts."""
        return loans

    def borrower_payable(self, refunds: Ints) -> Ints:
        """Return the codes of the refunds' accounts."""
        return refunds + self.first_refund

    def investor_payable(self, investors: Ints) -> Ints:
        """Return the codes of the investors' accounts."""
        return investors + self.first_investor


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedInputs:
    """A day's inputs as arrays, in order of loan.

    `tax_class` is NONE for investors that the source does not know, and for the two codes that stand for no holder and
    for two: they find its last elements. `too_large` gives, by loan, the sums that an int64 could not be trusted with;
    `is_left_out` tells which rows of the inputs' repayments, in their order, are not taken at all. `refund_ids` are
    those of the run, and those that only earlier entries know. `from_opening` are the codes of repayments whose money
    the opening booked, and that no run has taken.
    """

    settlement_day: int
    loan_ids: Text
    currency_names: list[str]
    currency: Ints
    disbursed_on: Ints
    notes: Notes
    receivables: Receivables
    repayment_ids: Text
    taken: Receipts
    from_opening: Ints
    credits: Receipts
    refund_ids: Text
    refunds: Refunds
    originals: Mapping[int, Original]
    prior: Prior
    investor_ids: Text
    tax_class_names: list[str]
    tax_class: Ints
    accounts: Accounts
    too_large: Mapping[int, Mapping[str, int]]
    is_left_out: Flags


def encode(inputs: frames.Inputs, policy: Policy, settlement_date: date) -> EncodedInputs:
    """Return the inputs (already checked one by one) as arrays.

    Left out are the repayments of loans that do not exist, and those whose money cannot be added to that of the day.

    Raises InvalidFrame: a row belongs to a loan or note that is not among the inputs.
    """
    settlement_day = day_of(settlement_date, NONE)
    loans = inputs.loans
    loan_ids, loan_order = _sorted(text(loans["loan_id"]))
    currency_names = sorted(loans["currency"].unique())
    repayment_ids = _union(
        inputs.repayments["repayment_id"],
        inputs.repayments["reverses_repayment_id"].dropna(),
        inputs.credits["repayment_id"],
        inputs.originals["repayment_id"],
        inputs.prior_allocations["repayment_id"],
        inputs.prior_entries["repayment_id"],
    )
    with ThreadPoolExecutor(1) as beside:  # the two longest steps do not look at each other
        investors = beside.submit(_investors, inputs)
        notes = _notes(inputs, loan_ids, investors)
    investor_ids, _ = investors.result()
    refund_ids = _refund_ids(inputs)
    accounts = _accounts(loan_ids, refund_ids, investor_ids)
    tax_class_names = sorted(set(inputs.investors["tax_class"].unique()))
    tax_class = np.full(len(investor_ids) + 2, NONE, dtype=np.int64)
    tax_class[lookup(inputs.investors["investor_id"], investor_ids)] = lookup(
        inputs.investors["tax_class"], pa.array(tax_class_names, pa.large_string())
    )
    receivables = _receivables(inputs, loan_ids, policy, settlement_day)
    too_large = _too_large(inputs, loan_ids, notes)
    is_left_out = _left_out(inputs.repayments, loan_ids, too_large)
    return EncodedInputs(
        settlement_day=settlement_day,
        loan_ids=loan_ids,
        currency_names=currency_names,
        currency=lookup(loans["currency"], pa.array(currency_names, pa.large_string()))[loan_order],
        disbursed_on=days(loans["disbursed_on"])[loan_order],
        notes=notes,
        receivables=receivables,
        repayment_ids=repayment_ids,
        taken=_taken(inputs.repayments[~is_left_out], loan_ids, repayment_ids, policy.timezone),
        from_opening=_from_opening(inputs, repayment_ids),
        credits=_credits(inputs.credits, loan_ids, repayment_ids, policy.timezone),
        refund_ids=refund_ids,
        refunds=_refunds(inputs.refunds, inputs.loans, loan_ids, refund_ids),
        originals=_originals(inputs.originals, loan_ids, repayment_ids),
        prior=_prior(inputs, notes, receivables, repayment_ids, investor_ids, accounts),
        investor_ids=investor_ids,
        tax_class_names=tax_class_names,
        tax_class=tax_class,
        accounts=accounts,
        too_large=too_large,
        is_left_out=is_left_out,
    )


# --- text ---------------------------------------------------------------------------------------------------------


def text(values: "pd.Series[Any]") -> Text:
    """Return a text column as one pyarrow array of large strings."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = pa.array(values.cat.categories, pa.large_string())
        return categories.take(pa.array(values.cat.codes.to_numpy(), mask=values.isna().to_numpy()))
    array = values.array.__arrow_array__()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    return array.cast(pa.large_string())


def lookup(values: "pd.Series[Any]", ids: Text) -> Ints:
    """Return the place of each value in `ids`, NONE for what is not among them or null."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        places = lookup(values.cat.categories.to_series(), ids)
        return np.append(places, NONE)[values.cat.codes.to_numpy()]
    return _places(text(values), ids)


def _places(values: Text, ids: Text) -> Ints:
    """Return the place of each value in `ids`; rows that repeat the one before them are looked up once."""
    if len(values) == 0 or (len(values) == len(ids) and values.equals(ids)):
        return np.arange(len(values), dtype=np.int64)
    is_first = _is_first(values)
    if 2 * int(is_first.sum()) < len(values):
        place_of_run: Ints = _places(values.filter(pa.array(is_first)), ids)
        of_run: Ints = np.cumsum(is_first) - 1
        return place_of_run[of_run]
    found: Ints = pc.fill_null(pc.index_in(values, ids), NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _is_first(values: Text) -> Flags:
    """Tell which rows do not repeat the row before them; a null repeats nothing."""
    is_first = np.ones(len(values), dtype=np.bool_)
    if len(values) > 1:
        is_first[1:] = ~pc.fill_null(pc.equal(values[:-1], values[1:]), False).to_numpy(zero_copy_only=False)
    return is_first


def _sorted(values: Text) -> tuple[Text, Ints]:
    if _is_ascending(values):
        return values, np.arange(len(values), dtype=np.int64)
    order = pc.sort_indices(values)
    return values.take(order), order.to_numpy().astype(np.int64)


def _is_ascending(values: Text) -> bool:
    return len(values) < 2 or bool(pc.all(pc.less_equal(values[:-1], values[1:])).as_py())


def _union(*columns: "pd.Series[Any]") -> Text:
    texts = [text(column) for column in columns if len(column)]
    if len(texts) == 1 and len(pc.unique(texts[0])) == len(texts[0]):
        return _sorted(texts[0])[0]
    return _sorted(pc.unique(pa.chunked_array(texts, pa.large_string())))[0]


def days(dates: "pd.Series[Any]", *, null: int = FOREVER) -> Ints:
    """Return a date column as days since 1970-01-01."""
    numbers: Ints = dates.to_numpy().view(np.int64) // DAY
    return np.where(dates.isna().to_numpy(), null, numbers)


def local_days(instants: "pd.Series[Any]", timezone: str) -> Ints:
    """Return the dates of instants in a time zone, as days since 1970-01-01."""
    local = instants.dt.tz_convert(timezone).dt.tz_localize(None)
    numbers: Ints = local.to_numpy().astype("datetime64[D]").view(np.int64)
    return numbers


def as_date(day: int) -> date:
    """Return a day as a date."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + int(day))


def day_of(day: date | None, otherwise: int) -> int:
    """Return a date as days since 1970-01-01, or `otherwise` where there is none."""
    return otherwise if day is None else day.toordinal() - date(1970, 1, 1).toordinal()


def starts_of(codes: Ints, count: int) -> Ints:
    """Return where each of `count` codes begins in an ascending array of them, and where the last one ends."""
    return segments.starts(np.bincount(codes, minlength=count))


def _owned(frame: pd.DataFrame, spec: frames.Spec, column: str, owner: str, places: Ints) -> Ints:
    if len(places) and int(places.min()) == NONE:
        row = int(places.argmin())
        key = ", ".join(f"[{name}={frame[name].iloc[row]}]" for name in spec.key)
        raise InvalidFrame(
            f"Frame [{spec.name}] column [{column}] row {key}: must be in {owner}, is [{frame[column].iloc[row]}]"
        )
    return places


# --- tables -------------------------------------------------------------------------------------------------------


def _investors(inputs: frames.Inputs) -> tuple[Text, Ints]:
    """Return the ids of all investors that are known or named anywhere, and the holder of each holding."""
    known = _sorted(text(inputs.investors["investor_id"]))[0]
    owed = _subjects_of(INVESTOR_PAYABLE, inputs.prior_entries)
    holder, named = lookup(inputs.holdings["investor_id"], known), text(inputs.prior_shares["investor_id"])
    strangers = [
        text(inputs.holdings["investor_id"][holder == NONE]),
        named.filter(pa.array(_places(named, known) == NONE)),
        owed.filter(pa.array(_places(owed, known) == NONE)),
    ]
    if not any(len(ids) for ids in strangers):
        return known, holder
    ids = _sorted(pc.unique(pa.chunked_array([known, *strangers], pa.large_string())))[0]
    return ids, lookup(inputs.holdings["investor_id"], ids)


def _refund_ids(inputs: frames.Inputs) -> Text:
    """Return the ids of all refunds that may be taken, and of those that earlier entries name."""
    ids = pa.chunked_array([text(inputs.refunds["refund_id"]), _subjects_of(BORROWER_PAYABLE, inputs.prior_entries)])
    return _sorted(pc.unique(ids))[0]


def _subjects_of(account: Account, prior_entries: pd.DataFrame) -> Text:
    """Return the subjects of the accounts of one kind that earlier entries posted to, as often as they did."""
    names = text(prior_entries["account"])
    return pc.utf8_slice_codeunits(names.filter(pc.starts_with(names, account.prefix)), len(account.prefix))


ONE_EACH = (COST_RECOVERED, FEE_INCOME, RECEIPTS_IN_TRANSIT, REPAYMENTS_UNALLOCATED, TAX_PAYABLE_LOCAL,
            TAX_PAYABLE_NATIONAL, VAT_PAYABLE)  # fmt: skip
"""The accounts that a day moves and of which there is one, in bytewise order."""


def _accounts(loan_ids: Text, refund_ids: Text, investor_ids: Text) -> Accounts:
    """Return the accounts of a day: bytewise, those of the investors stand between fees and receipts."""
    first_single = len(loan_ids) + len(refund_ids)
    before = [account.name for account in ONE_EACH if account.name < INVESTOR_PAYABLE.name]
    after = [account.name for account in ONE_EACH if account.name > INVESTOR_PAYABLE.name]
    first_investor = first_single + len(before)
    names = pa.chunked_array(
        [
            _accounts_of(BORROWER_CREDIT, loan_ids),
            _accounts_of(BORROWER_PAYABLE, refund_ids),
            pa.array(before, pa.large_string()),
            _accounts_of(INVESTOR_PAYABLE, investor_ids),
            pa.array(after, pa.large_string()),
        ]
    )
    codes = {name: first_single + place for place, name in enumerate(before)}
    codes |= {name: first_investor + len(investor_ids) + place for place, name in enumerate(after)}
    return Accounts(
        names=names.combine_chunks(), codes=codes, first_refund=len(loan_ids), first_investor=first_investor
    )


def _accounts_of(account: Account, subject_ids: Text) -> Text:
    prefix, end = pa.scalar(account.prefix, pa.large_string()), pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(prefix, subject_ids, end)


def _notes(inputs: frames.Inputs, loan_ids: Text, investors: Future[tuple[Text, Ints]]) -> Notes:
    notes, holdings = inputs.notes, inputs.holdings
    loan = _owned(notes, frames.NOTES, "loan_id", "loans", lookup(notes["loan_id"], loan_ids))
    ids = text(notes["note_id"])
    held = _owned(holdings, frames.HOLDINGS, "note_id", "notes", _note_of_holdings(text(holdings["note_id"]), ids))
    held_from = days(holdings["held_from"])
    order = _order_by_loan(loan, ids)
    if order is not None:
        ids, loan = ids.take(pa.array(order)), loan[order]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        held = place[held]
    strays = text(inputs.prior_shares["note_id"])
    strays = pc.unique(strays.filter(pa.array(_places(strays, ids) == NONE))) if len(strays) else strays
    by_note = _ascending((held, held_from))
    principal, outstanding = notes["principal"].to_numpy(), notes["outstanding"].to_numpy()
    until = days(holdings["held_until_exclusive"])
    _, holder = investors.result()
    return Notes(
        ids=pa.concat_arrays([ids, strays]) if len(strays) else ids,
        start=starts_of(loan, len(loan_ids)),
        principal=principal if order is None else principal[order],
        outstanding=outstanding if order is None else outstanding[order],
        holding_start=starts_of(held if by_note is None else held[by_note], len(notes)),
        held_from=held_from if by_note is None else held_from[by_note],
        held_until_exclusive=until if by_note is None else until[by_note],
        holder=holder if by_note is None else holder[by_note],
    )


def _note_of_holdings(held: Text, ids: Text) -> Ints:
    """Return the row of the note of each holding; without hashing when both frames follow the same order of notes."""
    is_first = _is_first(held)
    if int(is_first.sum()) == len(ids) and held.filter(pa.array(is_first)).equals(ids):
        return np.cumsum(is_first, dtype=np.int64) - 1
    return _places(held, ids)


def _order_by_loan(loan: Ints, ids: Text) -> Ints | None:
    """Return the order by (loan, id), or None when the rows have it already."""
    if len(loan) < 2:
        return None
    same = loan[1:] == loan[:-1]
    rises = pc.less(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False)
    if ((loan[1:] > loan[:-1]) | (same & rises)).all():
        return None
    return np.lexsort((_rank(ids), loan))


def _rank(ids: Text) -> Ints:
    """Return the bytewise rank of each of some different ids."""
    rank = np.empty(len(ids), dtype=np.int64)
    rank[pc.sort_indices(ids).to_numpy()] = np.arange(len(ids))
    return rank


def _ascending(keys: tuple[Ints, ...]) -> Ints | None:
    """Return the order by `keys`, the first one first, or None when the rows ascend by the first key alone."""
    if (keys[0][1:] >= keys[0][:-1]).all():
        return None
    return np.lexsort(keys[::-1])


def _receivables(inputs: frames.Inputs, loan_ids: Text, policy: Policy, settlement_day: int) -> Receivables:
    frame = inputs.receivables
    loan = _owned(frame, frames.RECEIVABLES, "loan_id", "loans", lookup(frame["loan_id"], loan_ids))
    component = lookup(frame["component"], pa.array(COMPONENTS, pa.large_string()))
    due_on, installment_no = days(frame["due_on"]), frame["installment_no"].to_numpy()
    excess = policy.waterfall.excess
    can_advance = (component == PRINCIPAL) & (excess == "advance_principal") | (excess == "advance")
    use = np.where(due_on <= settlement_day, DUE, np.where(can_advance, ADVANCEABLE, NOT_YET))
    ranks = np.array([policy.waterfall.order.index(name) for name in COMPONENTS] + [len(COMPONENTS)])
    rank = ranks[component]
    ids = text(frame["receivable_id"])
    keys = [due_on, installment_no, rank]  # what is paid in advance goes by instalment, whatever the policy says
    if policy.waterfall.across == "component":
        by_component = (rank, due_on, installment_no)
        keys = [np.where(use == DUE, due, later) for due, later in zip(by_component, keys, strict=True)]
    order = np.lexsort((_rank(ids), *keys[::-1], use, loan))
    ids = ids.take(pa.array(order))
    strays = text(inputs.prior_allocations["receivable_id"])
    strays = pc.unique(strays.filter(pa.array(_places(strays, ids) == NONE))) if len(strays) else strays
    open_amount = frame["amount"].to_numpy() - frame["allocated"].to_numpy()
    return Receivables(
        ids=pa.concat_arrays([ids, strays]),
        start=starts_of(loan[order], len(loan_ids)),
        component=component[order],
        unknown_components={
            int(place): str(frame["component"].iloc[order[place]]) for place in np.flatnonzero(component[order] == NONE)
        },
        due_on=due_on[order],
        open_amount=open_amount[order],
        use=use[order],
    )


def _taken(frame: pd.DataFrame, loan_ids: Text, repayment_ids: Text, timezone: str) -> Receipts:
    loan = lookup(frame["loan_id"], loan_ids)
    repayment = lookup(frame["repayment_id"], repayment_ids)
    received_at = frame["received_at"].astype("int64").to_numpy()
    order = np.lexsort((repayment, received_at, loan))
    return Receipts(
        start=starts_of(loan[order], len(loan_ids)),
        repayment=repayment[order],
        amount=frame["amount"].to_numpy()[order],
        received_on=local_days(frame["received_at"], timezone)[order],
        original=lookup(frame["reverses_repayment_id"], repayment_ids)[order],
        is_new=(frame["state"] == "new").to_numpy()[order],
    )


def _from_opening(inputs: frames.Inputs, repayment_ids: Text) -> Ints:
    rows = [inputs.repayments, inputs.originals]
    named = pd.concat([of["repayment_id"][of["state"] == "extracted"] for of in rows])
    return np.unique(lookup(named, repayment_ids))


def _credits(frame: pd.DataFrame, loan_ids: Text, repayment_ids: Text, timezone: str) -> Receipts:
    loan = _owned(frame, frames.CREDITS, "loan_id", "loans", lookup(frame["loan_id"], loan_ids))
    order = np.lexsort((frame["position"].to_numpy(), loan))
    return Receipts(
        start=starts_of(loan[order], len(loan_ids)),
        repayment=lookup(frame["repayment_id"], repayment_ids)[order],
        amount=frame["amount"].to_numpy()[order],
        received_on=local_days(frame["received_at"], timezone)[order],
        original=np.full(len(order), NONE, dtype=np.int64),
        is_new=np.zeros(len(order), dtype=np.bool_),
    )


def _refunds(frame: pd.DataFrame, loans: pd.DataFrame, loan_ids: Text, refund_ids: Text) -> Refunds:
    """Return the refunds of loans that exist; the others have no turn."""
    loan = lookup(frame["loan_id"], loan_ids)
    refund = lookup(frame["refund_id"], refund_ids)
    requested_at = frame["requested_at"].astype("int64").to_numpy()
    order = np.lexsort((refund, requested_at, loan))
    order = order[loan[order] != NONE]
    currency = frame["loan_id"].map(loans.set_index("loan_id")["currency"])
    return Refunds(
        start=starts_of(loan[order], len(loan_ids)),
        refund=refund[order],
        amount=frame["amount"].to_numpy()[order],
        is_payable=(frame["currency"] == currency).to_numpy(dtype=np.bool_)[order],
        is_new=(frame["state"] == "new").to_numpy(dtype=np.bool_)[order],
    )


def _originals(frame: pd.DataFrame, loan_ids: Text, repayment_ids: Text) -> dict[int, Original]:
    codes = lookup(frame["repayment_id"], repayment_ids).tolist()
    loans = lookup(frame["loan_id"], loan_ids).tolist()
    columns = (frame[name].tolist() for name in ("amount", "is_reversal", "is_reversed", "state"))
    return {
        code: Original(loan=loan, amount=amount, is_reversal=is_reversal, is_reversed=is_reversed, state=state)
        for code, loan, amount, is_reversal, is_reversed, state in zip(codes, loans, *columns, strict=True)
    }


def _prior(
    inputs: frames.Inputs,
    notes: Notes,
    receivables: Receivables,
    repayment_ids: Text,
    investor_ids: Text,
    accounts: Accounts,
) -> Prior:
    allocations = inputs.prior_allocations.sort_values("allocation_id")
    allocation_ids = allocations["allocation_id"].to_numpy()
    shares = inputs.prior_shares
    at = np.searchsorted(allocation_ids, shares["allocation_id"].to_numpy()).astype(np.int64)
    known = np.append(allocation_ids, NONE)[at] == shares["allocation_id"].to_numpy()
    _owned(shares, frames.PRIOR_SHARES, "allocation_id", "prior_allocations", np.where(known, at, NONE))
    share_order = np.lexsort((_rank_of_text(text(shares["note_id"])), at))
    # An original of a loan without money in the run is named by mistake: its reversal is refused, its entries stay.
    at_hand = inputs.originals.loc[inputs.originals["loan_id"].isin(inputs.loans["loan_id"]), "repayment_id"]
    entries = inputs.prior_entries[inputs.prior_entries["repayment_id"].isin(at_hand)]
    posting_order = np.lexsort((_rank_of_text(text(entries["account"])), entries["entry_id"].to_numpy()))
    entries = entries.iloc[posting_order]
    entry_id, first = np.unique(entries["entry_id"].to_numpy(), return_index=True)
    heads = entries.iloc[first]
    account = lookup(entries["account"], accounts.names)
    _owned(entries, frames.PRIOR_ENTRIES, "account", "the accounts of the run", account)
    refunds = entries[entries["event"].isin(REFUNDED) & (account < accounts.first_refund)]
    refunded = refunds.groupby("repayment_id")["amount"].sum()
    return Prior(
        allocations=_rows_by_code(lookup(allocations["repayment_id"], repayment_ids)),
        receivable=lookup(allocations["receivable_id"], receivables.ids),
        component=lookup(allocations["component"], pa.array(COMPONENTS, pa.large_string())),
        amount=allocations["amount"].to_numpy(),
        share_start=starts_of(at[share_order], len(allocations)),
        note=lookup(shares["note_id"], notes.ids)[share_order],
        investor=lookup(shares["investor_id"], investor_ids)[share_order],
        share_amounts={column.name: shares[column.name].to_numpy()[share_order] for column in frames.SHARE_AMOUNTS},
        entries=_rows_by_code(lookup(heads["repayment_id"], repayment_ids)),
        entry_id=entry_id,
        posting_start=np.append(first, len(entries)).astype(np.int64),
        account=account,
        posting_amount=entries["amount"].to_numpy(),
        refunded=dict(zip(lookup(refunded.index.to_series(), repayment_ids).tolist(), refunded.tolist(), strict=True)),
    )


def _rank_of_text(values: Text) -> Ints:
    return _places(values, _sorted(pc.unique(values))[0])


def _rows_by_code(codes: Ints) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, code in enumerate(codes.tolist()):
        rows.setdefault(code, []).append(row)
    return rows


def _too_large(inputs: frames.Inputs, loan_ids: Text, notes: Notes) -> dict[int, dict[str, int]]:
    """Return, by loan, what of it int64 sums could wrap over: `principal` of its notes, or `money` in the run.

    The notes of a loan may come to 2^62. The money of a day may come to 2^61: the loans with the least of it are taken
    first, and those that do not fit are not. An estimate in float64 finds who is meant, integers say how much it is.
    """
    found: dict[int, dict[str, int]] = {}
    so_far = np.concatenate([[0.0], np.cumsum(notes.principal.astype(np.float64))])
    for loan in np.flatnonzero(np.diff(so_far[notes.start]) > LARGEST / 2).tolist():
        principal = sum(notes.principal[notes.start[loan] : notes.start[loan + 1]].tolist())
        if principal > LARGEST:
            found[loan] = {"principal": principal}
    repayments = inputs.repayments[inputs.repayments["reverses_repayment_id"].isna()]
    loan_of = np.concatenate([lookup(money["loan_id"], loan_ids) for money in (repayments, inputs.credits)])
    amounts = np.concatenate([money["amount"].to_numpy() for money in (repayments, inputs.credits)])
    loan_of, amounts = loan_of[loan_of != NONE], amounts[loan_of != NONE]
    money = np.bincount(loan_of, weights=amounts, minlength=len(loan_ids))
    if money.sum() > LARGEST / 2:
        least_first = np.argsort(money, kind="stable")
        for loan in least_first[np.cumsum(money[least_first]) > LARGEST / 2].tolist():
            found.setdefault(loan, {})["money"] = sum(amounts[loan_of == loan].tolist())
    return found


def _left_out(repayments: pd.DataFrame, loan_ids: Text, too_large: Mapping[int, Mapping[str, int]]) -> Flags:
    """Tell which rows are not taken: of no loan, or new money of a loan with too much of it, and what reverses that."""
    loan = lookup(repayments["loan_id"], loan_ids)
    does_not_fit = np.isin(loan, [loan for loan, sums in too_large.items() if "money" in sums])
    named = repayments["reverses_repayment_id"]
    is_money = does_not_fit & (repayments["state"] == "new").to_numpy() & named.isna().to_numpy()
    is_undone = does_not_fit & named.isin(repayments["repayment_id"][is_money]).to_numpy()
    return np.asarray((loan == NONE) | is_money | is_undone, dtype=np.bool_)
