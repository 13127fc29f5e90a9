"""A settlement date restated: what has changed since it was settled, and what has to be posted for it.

What comes in: the facts that a date was settled from and the same facts as the source says them now; the entries that
the date has in the books and those that it comes to now. The steps of a replay that need nothing else:

1. `changed_loans`: the loans whose facts have changed, which are the ones to be run again.
2. `differences`: what their entries lack to be those of the new outcome. What is the same stays as it is booked, what
   is no longer so is undone, what is new is posted.
3. `change_of_totals`: what this adds to the totals of the date.

What always holds: booked entries and differences together are the outcome, in every account and currency; every entry
sums to zero; an outcome differs in nothing from itself; `received` changes by the sum of what the other nine change by.

Where the rules leave room, this is chosen:

- A row that differs or is gone counts whenever it is due or held; only a new one is asked whether it was by the date.
- A tax class is a fact of the loans on which the date saw its investor. Who came to hold a note since then is a new
  holding, and counts or not as that.
- Booked entries are undone before anything new is posted, the newest first.
"""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals

from settlement.domain import frames
from settlement.domain.books.accounts import (
    BORROWER_CREDIT,
    BORROWER_PAYABLE,
    COST_RECOVERED,
    FEE_INCOME,
    INVESTOR_PAYABLE,
    RECEIPTS_IN_TRANSIT,
    REPAYMENTS_UNALLOCATED,
    TAX_PAYABLE_LOCAL,
    TAX_PAYABLE_NATIONAL,
    VAT_PAYABLE,
)
from settlement.domain.computation import encode, segments
from settlement.domain.computation.encode import NONE
from settlement.domain.errors import BrokenInvariant
from settlement.domain.frames import Outcome, Spec
from settlement.domain.money import Ints

# --- what has changed ---------------------------------------------------------------------------------------------


class LoanFacts(Protocol):
    """The facts of some loans: frames as in `domain.frames`, with positions or without."""

    @property
    def loans(self) -> pd.DataFrame:
        """The loans."""

    @property
    def notes(self) -> pd.DataFrame:
        """Their notes."""

    @property
    def holdings(self) -> pd.DataFrame:
        """Who holds these, and when."""

    @property
    def investors(self) -> pd.DataFrame:
        """The holders that the source knows."""

    @property
    def receivables(self) -> pd.DataFrame:
        """What the borrowers owe."""


def changed_loans(saw: LoanFacts, now: LoanFacts, *, settlement_date: date, counts_not_due: bool) -> list[str]:
    """Return the loans that a settlement date `saw` and whose facts are others `now`, in the order of their ids.

    A fact has changed where a row differs, is gone, or is new. A new holding counts if it began by the date, and a new
    receivable if it was due by then, or if `counts_not_due`, because excess pays in advance. Positions are no facts.
    """
    on = pd.Timestamp(settlement_date)
    loans = _alone(saw.loans, now.loans, frames.LOANS)
    notes = _alone(saw.notes, now.notes, frames.NOTES, position="outstanding")
    holdings = _alone(saw.holdings, now.holdings, frames.HOLDINGS)
    investors = _alone(saw.investors, now.investors, frames.INVESTORS)
    receivables = _alone(saw.receivables, now.receivables, frames.RECEIVABLES, position="allocated")
    touched = pd.concat(
        [
            holdings.loc[holdings["was_seen"] | (holdings["held_from"] <= on), "note_id"],
            saw.holdings.loc[saw.holdings["investor_id"].isin(investors["investor_id"]), "note_id"],
        ]
    )
    counts = receivables["was_seen"] | (receivables["due_on"] <= on) | counts_not_due
    changed = pd.concat(
        [
            loans["loan_id"],
            notes["loan_id"],
            receivables.loc[counts, "loan_id"],
            saw.notes.loc[saw.notes["note_id"].isin(touched), "loan_id"],  # other notes are new, and count themselves
        ]
    )
    return sorted({*saw.loans.loc[saw.loans["loan_id"].isin(changed), "loan_id"]})


def _alone(saw: pd.DataFrame, now: pd.DataFrame, spec: Spec, *, position: str | None = None) -> pd.DataFrame:
    """Return the facts that only one of two frames has, and whether it is the one that was seen."""
    facts = [column for column in spec.columns if column.name != position]
    seen, said = (pd.DataFrame({of.name: frames.column(side[of.name], of.kind) for of in facts}) for side in (saw, now))
    if len(seen) == len(said):  # mostly in the same order and the same: what is so is not hashed
        is_other = ((seen != said) & (seen.notna() | said.notna())).any(axis="columns")
        seen, said = seen[is_other], said[is_other]
    both = pd.concat([seen.assign(was_seen=True), said.assign(was_seen=False)], ignore_index=True)
    return both[~both.duplicated([of.name for of in facts], keep=False)]


# --- what has to be posted ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What has to be posted: frames `ENTRIES` and `POSTINGS`, numbered from 1.

    The first `undoing_count` entries undo a booked one each, named in `reverses_entry_id`; all others are new.
    """

    entries: pd.DataFrame
    postings: pd.DataFrame
    undoing_count: int


def differences(booked: pd.DataFrame, outcome: Outcome) -> Differences:
    """Return what has to be posted so that `booked`, a frame `BOOKED_ENTRIES`, becomes the entries of the outcome.

    Two entries are the same if they have the same event, repayment, currency and postings and reverse the same entry.
    Where several of one side are the same as each other, as many stay as the other side has.

    Raises InvalidFrame: `booked` breaks its specification.
    Raises BrokenInvariant: an entry that would be posted does not sum to zero.
    """
    frames.check(booked, frames.BOOKED_ENTRIES)
    stood = booked.drop_duplicates("entry_id").sort_values("entry_id", ignore_index=True)
    made, undone = outcome.entries, _rows_undone(outcome.entries)
    legs = _legs(stood, booked, outcome)
    same = _same(stood, made, legs.contents(), undone)

    gone, new = np.flatnonzero(~stood["entry_id"].isin(same))[::-1], np.flatnonzero(same == NONE)
    chosen = np.concatenate([gone, len(stood) + new])
    number = np.arange(1, len(chosen) + 1)
    number_of_new = np.full(len(made), NONE)
    number_of_new[new] = number[len(gone) :]
    is_of_run, undone = undone[new] != NONE, undone[new]
    earlier = made["reverses_entry_id"].iloc[new].fillna(NONE).to_numpy(np.int64)
    reverses_id = np.append(stood["entry_id"].to_numpy()[gone], np.where(is_of_run, same[undone], earlier))
    reverses_no = np.append(np.full(len(gone), NONE), np.where(is_of_run, number_of_new[undone], NONE))
    heads = pd.concat([stood[SAID], made[SAID]], ignore_index=True).iloc[chosen].reset_index(drop=True)
    entries = heads.assign(
        entry_no=number,
        reverses_entry_id=pd.arrays.IntegerArray(reverses_id, reverses_id == NONE),
        reverses_entry_no=pd.arrays.IntegerArray(reverses_no, reverses_no == NONE),
    )
    postings = legs.of(chosen, numbers=number, signs=np.where(chosen < len(stood), -1, 1))
    return Differences(
        entries=frames.check(entries[frames.ENTRIES.column_names], frames.ENTRIES),
        postings=frames.check(postings, frames.POSTINGS),
        undoing_count=len(gone),
    )


SAID = ["event", "loan_id", "currency", "repayment_id"]
"""What an entry that undoes a booked one says as that one does."""

IDENTITY = ["event", "repayment_id", "currency", "content", "reverses", "occurrence"]
"""What two entries that are the same have in common."""


def _rows_undone(made: pd.DataFrame) -> Ints:
    """Return, for each entry of a run, the row of the entry of that run which it reverses, or NONE."""
    number = made["reverses_entry_no"].fillna(NONE).to_numpy(np.int64)
    return np.where(number == NONE, NONE, np.searchsorted(made["entry_no"].to_numpy(), number))


def _same(stood: pd.DataFrame, made: pd.DataFrame, contents: Ints, undone: Ints) -> Ints:
    """Return, for each entry of a run, the booked one that is the same, or NONE.

    What reverses an entry of the run comes second: it is the same as what reverses the booked one that this one is the
    same as. Nothing reverses what reverses.
    """
    stood = stood.assign(content=contents[: len(stood)], reverses=stood["reverses_entry_id"].fillna(NONE))
    made = made.assign(content=contents[len(stood) :], reverses=made["reverses_entry_id"].fillna(NONE))
    same = np.full(len(made), NONE)
    first = np.flatnonzero(undone == NONE)
    same[first] = _paired(stood, made.iloc[first])
    second = np.flatnonzero((undone != NONE) & (same[undone] != NONE))
    same[second] = _paired(stood, made.iloc[second].assign(reverses=same[undone[second]]))
    return same


def _paired(stood: pd.DataFrame, made: pd.DataFrame) -> Ints:
    """Return, for each of the entries made, the booked one that is the same and that no other of them has, or NONE."""
    sides = [
        side.astype({"reverses": "int64"}).assign(occurrence=lambda each: each.groupby(IDENTITY[:-1]).cumcount())
        for side in (stood.astype({"entry_id": "Int64"}), made)
    ]
    pairs = sides[1].merge(sides[0], how="left", on=IDENTITY, validate="one_to_one")
    return pairs["entry_id"].fillna(NONE).to_numpy(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """The postings of booked entries and of those of a run behind them, by entry and account; see `segments`."""

    start: Ints
    account: pd.Categorical
    amount: Ints

    def contents(self) -> Ints:
        """Return a number for each entry: those with the same postings, and no others, have the same one."""
        rows = np.column_stack([self.account.codes.astype(np.int64), self.amount])
        buffers = [None, pa.py_buffer(self.start * rows.strides[0]), pa.py_buffer(rows)]
        whole = pa.Array.from_buffers(pa.large_binary(), len(self.start) - 1, buffers)
        number: Ints = whole.dictionary_encode().indices.to_numpy().astype(np.int64)
        return number

    def of(self, entries: Ints, *, numbers: Ints, signs: Ints) -> pd.DataFrame:
        """Return the postings of some entries under other numbers, their amounts as they are (1) or negated (-1).

        Raises BrokenInvariant: one of the entries does not sum to zero.
        """
        places, counts = segments.places(self.start, entries), np.diff(self.start)[entries]
        amount = self.amount[places] * np.repeat(signs, counts)
        if np.any(segments.sums(amount, segments.starts(counts))):
            raise BrokenInvariant("An entry that would be undone or posted does not sum to zero: the day stops")
        account = self.account[places].remove_unused_categories()
        return pd.DataFrame({"entry_no": np.repeat(numbers, counts), "account": account, "amount": amount})


def _legs(stood: pd.DataFrame, booked: pd.DataFrame, outcome: Outcome) -> Legs:
    made, postings = outcome.entries, outcome.postings
    accounts = [postings_of["account"].astype("category") for postings_of in (booked, postings)]
    account = union_categoricals(accounts, sort_categories=True)
    of_stood = pd.Index(stood["entry_id"]).get_indexer(booked["entry_id"])
    of_made = np.searchsorted(made["entry_no"].to_numpy(), postings["entry_no"].to_numpy()) + len(stood)
    entry = np.concatenate([of_stood, of_made])
    order = np.lexsort((account.codes, entry))
    return Legs(
        start=encode.starts_of(entry, len(stood) + len(made)),
        account=account[order],
        amount=np.concatenate([booked["amount"], postings["amount"]])[order],
    )


# --- what this adds to the totals ---------------------------------------------------------------------------------

BOOKED_IN = {
    "received_amount": RECEIPTS_IN_TRANSIT,
    "distributed_amount": INVESTOR_PAYABLE,
    "fee_amount": FEE_INCOME,
    "vat_amount": VAT_PAYABLE,
    "national_tax_amount": TAX_PAYABLE_NATIONAL,
    "local_tax_amount": TAX_PAYABLE_LOCAL,
    "cost_amount": COST_RECOVERED,
    "credit_amount": BORROWER_CREDIT,
    "quarantined_amount": REPAYMENTS_UNALLOCATED,
    "refunded_amount": BORROWER_PAYABLE,
}
"""The accounts in which each total is booked: what is received is debited, what it goes to, all others, is credited."""


def change_of_totals(differences: Differences) -> pd.DataFrame:
    """Return what the differences add to the totals of their date: a frame `TOTALS`, with a row for each currency.

    An entry that touches the receipts in transit counts as one repayment, one that undoes such an entry as minus one.

    Raises BrokenInvariant: what is received does not change by as much as what it went to.
    """
    entries, postings = differences.entries, differences.postings
    currencies = sorted(entries["currency"].unique())
    row = postings["entry_no"].to_numpy() - 1
    currency = encode.lookup(entries["currency"], pa.array(currencies, pa.large_string()))[row]
    total = _totals_of(postings["account"].cat.categories)[postings["account"].cat.codes]
    counts = np.zeros(len(currencies), dtype=np.int64)
    is_received = total == 0
    np.add.at(counts, currency[is_received], np.where(row < differences.undoing_count, -1, 1)[is_received])
    sums = np.zeros((len(currencies), len(BOOKED_IN) + 1), dtype=np.int64)  # the last one: of accounts in no total
    np.add.at(sums, (currency, total), np.where(is_received, 1, -1) * postings["amount"].to_numpy())
    for name, (received, *went_to, _) in zip(currencies, sums.tolist(), strict=True):
        if received != sum(went_to):
            raise BrokenInvariant(
                f"Received changes by [{received}] {name} and what it went to by [{sum(went_to)}]: the day stops"
            )
    changes = dict(zip(BOOKED_IN, sums.T, strict=False))
    return frames.of_columns(frames.TOTALS, {"currency": currencies, "repayment_count": counts, **changes})


def _totals_of(accounts: pd.Index) -> Ints:
    """Return the place in `BOOKED_IN` of the total that each account belongs to; the place behind it: none."""
    names = accounts.to_series()
    masks = [
        names.str.startswith(account.prefix) if account.of else names == account.name for account in BOOKED_IN.values()
    ]
    return np.select(masks, list(range(len(masks))), len(masks))
