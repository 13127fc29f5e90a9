"""What a settlement day comes to, as frames: the parts that whole loans gave, joined, numbered and named.

Every row follows from the steps, allocations, shares and entries of the parts; the totals are counted from those rows
and must satisfy the identity of a settlement day in every currency.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from settlement.domain import frames
from settlement.domain.books.accounts import (
    COST_RECOVERED,
    FEE_INCOME,
    RECEIPTS_IN_TRANSIT,
    REPAYMENTS_UNALLOCATED,
    TAX_PAYABLE_LOCAL,
    TAX_PAYABLE_NATIONAL,
    VAT_PAYABLE,
)
from settlement.domain.computation import encode, quarantine, segments
from settlement.domain.computation.encode import COST, NONE, EncodedInputs, Text
from settlement.domain.computation.journal import EVENTS, Entries, Postings
from settlement.domain.computation.quarantine import Refusal
from settlement.domain.computation.sequential import BEFORE_OPENING
from settlement.domain.computation.waterfall import Allocations, Kind, Steps, Taken
from settlement.domain.errors import BrokenInvariant
from settlement.domain.frames import Inputs, Outcome
from settlement.domain.money import Ints
from settlement.domain.policy import COMPONENTS

Columns = TypeVar("Columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The shares of some loans, in order of allocation and note; the first three columns are int32 codes."""

    allocation: npt.NDArray[np.int32]
    note: npt.NDArray[np.int32]
    investor: npt.NDArray[np.int32]
    gross: Ints
    fee: Ints
    vat: Ints
    national_tax: Ints
    local_tax: Ints
    net: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What some whole loans come to; its steps, allocations and entries are numbered from 0."""

    taken: Taken
    shares: Shares
    entries: Entries
    postings: Postings
    refused: dict[int, Refusal]


def join(parts: Sequence[Part]) -> Part:
    """Return parts, in order of loan, as one."""
    steps = _starts([len(part.taken.steps.loan) for part in parts])
    allocations = _starts([len(part.taken.allocations.step) for part in parts])
    entries = _starts([len(part.entries.event) for part in parts])
    return Part(
        taken=Taken(
            steps=_concatenated(Steps, [part.taken.steps for part in parts]),
            allocations=_concatenated(
                Allocations, [part.taken.allocations for part in parts], step=steps, negates=allocations
            ),
            bad={reversal: reason for part in parts for reversal, reason in part.taken.bad.items()},
            unpayable={refund: found for part in parts for refund, found in part.taken.unpayable.items()},
            overpaid={loan: held for part in parts for loan, held in part.taken.overpaid.items()},
        ),
        shares=_concatenated(Shares, [part.shares for part in parts], allocation=allocations),
        entries=_concatenated(Entries, [part.entries for part in parts], reverses_no=entries),
        postings=_concatenated(Postings, [part.postings for part in parts], entry=entries),
        refused={loan: refusal for part in parts for loan, refusal in part.refused.items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The categories of the large frames, the same for all the parts of a day."""

    note: pd.CategoricalDtype
    investor: pd.CategoricalDtype
    account: pd.CategoricalDtype


def names(encoded: EncodedInputs) -> Names:
    """Return the categories of notes, investors and accounts."""
    return Names(
        note=_categories(encoded.notes.ids),
        investor=_categories(encoded.investor_ids),
        account=_categories(encoded.accounts.names),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many allocations and entries the parts before this one have."""

    allocations: int = 0
    entries: int = 0

    def after(self, part: Part) -> "Count":
        """Return the count with those of `part` too."""
        return Count(
            allocations=self.allocations + len(part.taken.allocations.step),
            entries=self.entries + len(part.entries.event),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What has no turn in the run: repayments that are not taken, and refunds of loans that do not exist."""

    repayments: pd.DataFrame
    refunds: pd.DataFrame

    @property
    def nothing(self) -> "LeftOut":
        """The same without rows."""
        return LeftOut(repayments=self.repayments[:0], refunds=self.refunds[:0])


def assemble(
    encoded: EncodedInputs,
    names: Names,
    part: Part,
    before: Count,
    *,
    refunds: Mapping[str, Mapping[Any, Any]],
    left_out: LeftOut,
) -> Outcome:
    """Return a part as the frames of an outcome, numbered on from the parts `before`, and with what is left out.

    `refunds` are the rows of the inputs' refunds, by their ids.

    Raises BrokenInvariant: the totals of a currency do not satisfy the identity of a settlement day.
    """
    steps = part.taken.steps
    cancelled = np.unique(steps.original[steps.kind == Kind.CANCELLING])
    unpayable = list(_unpayable(encoded, part, refunds, left_out.refunds))
    return Outcome(
        repayments=pd.concat(
            [_repayments(encoded, steps, cancelled), _refused(left_out.repayments)], ignore_index=True
        ),
        allocations=_allocations(encoded, part.taken, before.allocations),
        shares=_shares(names, part.shares, before.allocations),
        credits=_credits(encoded, steps),
        refunds=_refunds(encoded, steps),
        refused_refunds=_refused_refunds(unpayable),
        quarantine=_quarantine(encoded, part),
        released=_released(encoded, steps),
        entries=_entries(encoded, part.entries, before.entries),
        postings=_postings(names, part.postings, before.entries),
        breaks=_breaks(encoded, part, cancelled, left_out.repayments, unpayable),
        totals=_totals(encoded, part),
    )


# --- joining ------------------------------------------------------------------------------------------------------


def _starts(counts: list[int]) -> list[int]:
    return [0, *accumulate(counts)][:-1]


def _concatenated(kind: type[Columns], tables: Sequence[Columns], **offsets: list[int]) -> Columns:
    """Return tables of columns as one; a column that refers to rows is moved by the offset of each table."""
    columns: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # a bound of a type variable cannot say: a dataclass
        pieces = [getattr(table, field.name) for table in tables]
        if field.name in offsets:
            pieces = [
                np.where(piece == NONE, NONE, piece + offset)
                for piece, offset in zip(pieces, offsets[field.name], strict=True)
            ]
        columns[field.name] = np.concatenate(pieces or [np.empty(0, dtype=np.int64)])
    return kind(**columns)


# --- naming -------------------------------------------------------------------------------------------------------


def _named(ids: Text, places: npt.NDArray[Any]) -> Any:
    """Return the texts at `places`, null where the place is NONE, as a pandas `str` array."""
    return pd.array(ids.take(pa.array(places, mask=places == NONE)), dtype="str")


def _chosen(names: Sequence[str], places: npt.NDArray[Any]) -> Any:
    return _named(pa.array(names, pa.large_string()), places)


def _categories(ids: Text) -> pd.CategoricalDtype:
    # The public constructor would make a Python object of each of millions of ids to prove again that no two are equal.
    categories = pd.Index(pd.array(ids, dtype="str"))
    return pd.CategoricalDtype._from_fastpath(categories)


def _categorical(categories: pd.CategoricalDtype, places: npt.NDArray[np.int32]) -> pd.Categorical:
    return pd.Categorical.from_codes(places, dtype=categories, validate=False)


def _number(values: Ints) -> Any:
    return pd.arrays.IntegerArray(values, values == NONE)


def _currency(encoded: EncodedInputs, loan: Ints) -> Any:
    return _chosen(encoded.currency_names, encoded.currency[loan])


# --- frames -------------------------------------------------------------------------------------------------------


def _repayments(encoded: EncodedInputs, steps: Steps, cancelled: Ints) -> pd.DataFrame:
    """Return a row per step that is not a credit's, and one for each cancelled original that had no turn."""
    outcome_of = {
        Kind.SETTLED: "settled",
        Kind.KEPT: "quarantined",
        Kind.REVERSED: "reversal",
        Kind.CANCELLING: "cancelled",
        Kind.BAD: "quarantined",
    }
    is_kept = steps.kind == Kind.KEPT
    is_cancelled = (steps.kind == Kind.CANCELLING) | (is_kept & np.isin(steps.repayment, cancelled))
    outcome = np.array([frames.OUTCOMES.index(outcome_of.get(kind, "settled")) for kind in Kind])[steps.kind]
    outcome[is_cancelled] = frames.OUTCOMES.index("cancelled")
    is_undone = np.isin(steps.repayment, steps.original[steps.kind == Kind.REVERSED])
    rows = np.flatnonzero((steps.kind != Kind.APPLIED) & (steps.kind != Kind.REFUNDED))
    had_no_turn = (steps.kind == Kind.CANCELLING) & ~np.isin(steps.original, steps.repayment[is_kept])
    unseen = np.flatnonzero(had_no_turn)
    order = np.argsort(np.concatenate([2 * rows + 1, 2 * unseen]))
    count = len(unseen)
    row = np.concatenate([rows, unseen])[order]
    is_unseen = np.append(np.zeros(len(rows), dtype=np.bool_), np.ones(count, dtype=np.bool_))[order]
    is_extracted = (is_kept | (steps.kind == Kind.SETTLED)) & steps.is_new
    return pd.DataFrame(
        {
            "repayment_id": _named(
                encoded.repayment_ids, np.where(is_unseen, steps.original[row], steps.repayment[row])
            ),
            "loan_id": _named(encoded.loan_ids, steps.loan[row]),
            "currency": _currency(encoded, steps.loan[row]),
            "amount": steps.amount[row],
            "reverses_repayment_id": _named(encoded.repayment_ids, np.where(is_unseen, NONE, steps.original[row])),
            "outcome": _chosen(frames.OUTCOMES, outcome[row]),
            "is_extracted_now": is_extracted[row],
            "held_amount": np.where((steps.kind == Kind.SETTLED) & ~is_undone, steps.held - _refunded(steps), 0)[row],
        }
    )


def _refunded(steps: Steps) -> Ints:
    """Return what refunds of the run take of each step's repayment: of what is held of it when its turn is over."""
    is_refunded = steps.kind == Kind.REFUNDED
    if not is_refunded.any():
        return np.zeros(len(steps.kind), dtype=np.int64)
    repayment, place = np.unique(steps.repayment[is_refunded], return_inverse=True)
    taken = np.zeros(len(repayment) + 1, dtype=np.int64)  # the last one: of nothing
    np.add.at(taken, place, steps.amount[is_refunded])
    at = np.searchsorted(repayment, steps.repayment)
    found: Ints = taken[np.where(np.append(repayment, NONE)[at] == steps.repayment, at, len(repayment))]
    return found


def left_out(encoded: EncodedInputs, inputs: Inputs) -> LeftOut:
    """Return what has no turn, in order of ids: `encode` says which repayments are not taken."""
    has_loan = inputs.refunds["loan_id"].isin(inputs.loans["loan_id"])
    return LeftOut(
        repayments=inputs.repayments[encoded.is_left_out].sort_values("repayment_id", kind="stable"),
        refunds=inputs.refunds[~has_loan].sort_values("refund_id", kind="stable"),
    )


def _refused(left_out: pd.DataFrame) -> pd.DataFrame:
    count = len(left_out)
    return pd.DataFrame(
        {
            "repayment_id": left_out["repayment_id"].astype("str"),
            "loan_id": left_out["loan_id"].astype("str"),
            "currency": pd.Series([None] * count, dtype="str", index=left_out.index),
            "amount": left_out["amount"],
            "reverses_repayment_id": left_out["reverses_repayment_id"].astype("str"),
            "outcome": pd.Series(["refused"] * count, dtype="str", index=left_out.index),
            "is_extracted_now": np.zeros(count, dtype=np.bool_),
            "held_amount": np.zeros(count, dtype=np.int64),
        }
    )


def _allocations(encoded: EncodedInputs, taken: Taken, before: int) -> pd.DataFrame:
    allocations = taken.allocations
    return pd.DataFrame(
        {
            "allocation_no": np.arange(1, len(allocations.step) + 1) + before,
            "repayment_id": _named(encoded.repayment_ids, taken.steps.repayment[allocations.step]),
            "loan_id": _named(encoded.loan_ids, allocations.loan),
            "receivable_id": _named(encoded.receivables.ids, allocations.receivable),
            "currency": _currency(encoded, allocations.loan),
            "component": _chosen(COMPONENTS, allocations.component),
            "amount": allocations.amount,
        }
    )


def _shares(names: Names, shares: Shares, before: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "allocation_no": shares.allocation.astype(np.int64) + (before + 1),
            "note_id": _categorical(names.note, shares.note),
            "investor_id": _categorical(names.investor, shares.investor),
            "gross_amount": shares.gross,
            "fee_amount": shares.fee,
            "vat_amount": shares.vat,
            "national_tax_amount": shares.national_tax,
            "local_tax_amount": shares.local_tax,
            "net_amount": shares.net,
        },
        copy=False,
    )


def _credits(encoded: EncodedInputs, steps: Steps) -> pd.DataFrame:
    events = ("held", "applied", "taken_back", "refunded")
    amount = _credit_changes(steps)
    is_refunded = steps.kind == Kind.REFUNDED
    if is_refunded.any():  # one row for a repayment, however many refunds take of it
        _, first = np.unique(steps.repayment[is_refunded], return_index=True)
        first = np.flatnonzero(is_refunded)[first]
        amount = np.where(is_refunded, 0, amount)
        amount[first] = -_refunded(steps)[first]
    event = np.select([amount > 0, steps.kind == Kind.APPLIED, is_refunded], [0, 1, 3], 2)
    rows = np.flatnonzero(amount)
    repayment = np.where(steps.kind == Kind.REVERSED, steps.original, steps.repayment)
    return pd.DataFrame(
        {
            "loan_id": _named(encoded.loan_ids, steps.loan[rows]),
            "repayment_id": _named(encoded.repayment_ids, repayment[rows]),
            "currency": _currency(encoded, steps.loan[rows]),
            "amount": amount[rows],
            "event": _chosen(events, event[rows]),
        }
    )


def _credit_changes(steps: Steps) -> Ints:
    """Return by how much each step changes what its loan holds."""
    kinds = [
        steps.kind == Kind.SETTLED,
        (steps.kind == Kind.APPLIED) | (steps.kind == Kind.REFUNDED),
        steps.kind == Kind.REVERSED,
    ]
    return np.select(kinds, [steps.held, -steps.amount, -steps.held], 0)


def _refunds(encoded: EncodedInputs, steps: Steps) -> pd.DataFrame:
    """Return a row per refund that is taken: its steps follow each other."""
    rows = np.flatnonzero(steps.kind == Kind.REFUNDED)
    refund = steps.refund[rows]
    first = np.flatnonzero(np.append(True, refund[1:] != refund[:-1])[: len(rows)])
    loan = steps.loan[rows[first]]
    return pd.DataFrame(
        {
            "refund_id": _named(encoded.refund_ids, refund[first]),
            "loan_id": _named(encoded.loan_ids, loan),
            "currency": _currency(encoded, loan),
            "amount": segments.sums(steps.amount[rows], np.append(first, len(rows))),
        }
    )


Unpayable = tuple[int, Mapping[Any, Any], Refusal]
"""A refund that is refused: its loan (after all others where it does not exist), its row of the inputs, and why."""


def _unpayable(
    encoded: EncodedInputs, part: Part, refunds: Mapping[str, Mapping[Any, Any]], of_no_loan: pd.DataFrame
) -> Iterator[Unpayable]:
    """Yield the refunds that are refused, in order of loan and turn; those of loans that do not exist come last."""
    for refund, (loan, held) in part.taken.unpayable.items():
        row = refunds[_name(encoded.refund_ids, refund)]
        yield loan, row, quarantine.unpayable(encoded, loan=loan, refund=row, held=held)
    for row in of_no_loan.to_dict("records"):
        yield len(encoded.loan_ids), row, quarantine.unpayable(encoded, loan=NONE, refund=row, held=0)


def _refused_refunds(unpayable: Sequence[Unpayable]) -> pd.DataFrame:
    return frames.build(
        frames.REFUSED_REFUNDS,
        [
            {**row, "rule": refusal.rule, "evidence": refusal.evidence}
            for _, row, refusal in unpayable
            if row["state"] == "new"
        ],
    )


def _quarantine(encoded: EncodedInputs, part: Part) -> pd.DataFrame:
    steps = part.taken.steps
    is_first = steps.is_new | np.isin(steps.repayment, encoded.from_opening)
    rows = np.flatnonzero(((steps.kind == Kind.KEPT) | (steps.kind == Kind.BAD)) & is_first)
    reasons = [_reason(encoded, part, row) for row in rows.tolist()]
    return pd.DataFrame(
        {
            "loan_id": _named(encoded.loan_ids, steps.loan[rows]),
            "repayment_id": _named(encoded.repayment_ids, steps.repayment[rows]),
            "currency": _currency(encoded, steps.loan[rows]),
            "amount": steps.amount[rows],
            "rule": pd.array([reason.rule for reason in reasons], dtype="str"),
            "evidence": pd.array([reason.evidence for reason in reasons], dtype="str"),
        }
    )


def _reason(encoded: EncodedInputs, part: Part, step: int) -> Refusal:
    """Return why a step is quarantined: its loan's refusal, or what is wrong with the reversal itself."""
    steps = part.taken.steps
    if steps.kind[step] == Kind.KEPT:
        return part.refused[int(steps.loan[step])]
    original = encoded.originals.get(int(steps.original[step]))
    facts = {
        "reason": part.taken.bad[int(steps.repayment[step])],
        "repayment_id": _name(encoded.repayment_ids, steps.repayment[step]),
        "loan_id": _name(encoded.loan_ids, steps.loan[step]),
        "amount": int(steps.amount[step]),
        "reverses_repayment_id": _name(encoded.repayment_ids, steps.original[step]),
        "original": None
        if original is None
        else {
            "loan_id": None if original.loan == NONE else _name(encoded.loan_ids, original.loan),
            "amount": original.amount,
            "is_reversal": original.is_reversal,
            "is_reversed": original.is_reversed,
            "state": original.state,
        },
    }
    is_before = original is not None and part.taken.bad[int(steps.repayment[step])] == BEFORE_OPENING
    return Refusal(rule="before_opening" if is_before else "bad_reversal", evidence=frames.evidence(**facts))


def _released(encoded: EncodedInputs, steps: Steps) -> pd.DataFrame:
    """Return what leaves quarantine: retried and settled, retried and good, or an extracted original cancelled."""
    is_reversing = (steps.kind == Kind.REVERSED) | (steps.kind == Kind.CANCELLING)
    own = np.flatnonzero(((steps.kind == Kind.SETTLED) | is_reversing) & ~steps.is_new)
    originals = np.flatnonzero(steps.was_extracted)
    order = np.argsort(np.concatenate([2 * own + 1, 2 * originals]))
    repayment = np.concatenate([steps.repayment[own], steps.original[originals]])[order]
    had_no_row = encoded.from_opening[~np.isin(encoded.from_opening, steps.repayment[steps.kind == Kind.KEPT])]
    released = repayment[~np.isin(repayment, had_no_row)]
    return pd.DataFrame({"repayment_id": _named(encoded.repayment_ids, released)})


def _entries(encoded: EncodedInputs, entries: Entries, before: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "entry_no": np.arange(1, len(entries.event) + 1) + before,
            "event": _chosen(EVENTS, entries.event),
            "loan_id": _named(encoded.loan_ids, entries.loan),
            "currency": _currency(encoded, entries.loan),
            "repayment_id": _named(encoded.repayment_ids, entries.repayment),
            "reverses_entry_id": _number(entries.reverses_id),
            "reverses_entry_no": _number(np.where(entries.reverses_no == NONE, NONE, entries.reverses_no + before + 1)),
        }
    )


def _postings(names: Names, postings: Postings, before: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "entry_no": postings.entry + (before + 1),
            "account": _categorical(names.account, postings.account.astype(np.int32)),
            "amount": postings.amount,
        }
    )


def _breaks(
    encoded: EncodedInputs, part: Part, cancelled: Ints, left_out: pd.DataFrame, unpayable: Sequence[Unpayable]
) -> pd.DataFrame:
    """Return the breaks in order of loan, then cause, then subject; those of what is left out come last."""
    found = [
        *_quarantined_loans(encoded, part, cancelled),
        *_bad_reversals(encoded, part),
        *_overpaid_loans(encoded, part),
        *(
            (loan, refusal.rule, "refund", row["refund_id"], row["currency"], row["amount"], refusal.evidence)
            for loan, row, refusal in unpayable
        ),
    ]
    found.sort(key=lambda row: (row[0], row[1], str(row[3]).encode()))
    rows = [row[1:] for row in found]
    loans = encode.lookup(left_out["loan_id"], encoded.loan_ids).tolist()
    for row, loan in zip(left_out.to_dict("records"), loans, strict=True):
        facts: dict[str, Any] = {name: row[name] for name in ("repayment_id", "loan_id", "received_at", "amount")}
        cause, currency = "orphan_repayment", None
        if loan != NONE:
            refusal = quarantine.too_large(encoded, loan)
            cause, currency = "quarantined", _subject(encoded, loan)[1]
            facts |= {"rule": refusal.rule, "proof": json.loads(refusal.evidence)}
        rows.append((cause, "repayment", row["repayment_id"], currency, row["amount"], frames.evidence(**facts)))
    return frames.build(frames.BREAKS, rows)


def _quarantined_loans(encoded: EncodedInputs, part: Part, cancelled: Ints) -> list[tuple[Any, ...]]:
    steps = part.taken.steps
    kept: dict[int, list[int]] = {}
    for step in np.flatnonzero((steps.kind == Kind.KEPT) & ~np.isin(steps.repayment, cancelled)).tolist():
        kept.setdefault(int(steps.loan[step]), []).append(step)
    rows: list[tuple[Any, ...]] = []
    for loan, of_loan in kept.items():
        refusal = part.refused[loan]
        names = [_name(encoded.repayment_ids, steps.repayment[step]) for step in of_loan]
        proof = frames.evidence(rule=refusal.rule, repayments=names, proof=json.loads(refusal.evidence))
        amount = int(steps.amount[of_loan].sum())
        rows.append((loan, "quarantined", "loan", *_subject(encoded, loan), amount, proof))
    return rows


def _bad_reversals(encoded: EncodedInputs, part: Part) -> list[tuple[Any, ...]]:
    steps = part.taken.steps
    rows: list[tuple[Any, ...]] = []
    for step in np.flatnonzero(steps.kind == Kind.BAD).tolist():
        loan, reversal = int(steps.loan[step]), _name(encoded.repayment_ids, steps.repayment[step])
        reason = _reason(encoded, part, step)
        currency = _subject(encoded, loan)[1]
        proof, amount = reason.evidence, int(steps.amount[step])
        rows.append((loan, reason.rule, "repayment", reversal, currency, amount, proof))
    return rows


def _overpaid_loans(encoded: EncodedInputs, part: Part) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for loan, held in part.taken.overpaid.items():
        credits = [
            {"repayment_id": _name(encoded.repayment_ids, repayment), "amount": amount}
            for repayment, amount in held.items()
        ]
        proof = frames.evidence(credits=credits)
        rows.append((loan, "overpaid", "loan", *_subject(encoded, loan), sum(held.values()), proof))
    return rows


def _subject(encoded: EncodedInputs, loan: int) -> tuple[str, str]:
    return _name(encoded.loan_ids, loan), encoded.currency_names[int(encoded.currency[loan])]


def _name(ids: Text, place: Any) -> str:
    return str(ids[int(place)].as_py())


# --- totals -------------------------------------------------------------------------------------------------------


def _totals(encoded: EncodedInputs, part: Part) -> pd.DataFrame:
    """Return what a part comes to, by currency, counted from its rows and checked against its books.

    Raises BrokenInvariant: received is not the sum of the nine amounts that it went to, or the postings disagree.
    """
    counts, rows = _counted(encoded, part), []
    booked = _booked(encoded, part)
    for code, currency in enumerate(encoded.currency_names):
        row = {name: amount[code] for name, amount in counts.items()}
        received = row["received_amount"]
        went_to = {name: row[name] for name in booked if name != "received_amount"}
        if received != sum(went_to.values()):
            raise BrokenInvariant(f"Received [{received}] {currency} is not what it went to, {went_to}: the day stops")
        for name, amount in booked.items():
            if amount[code] != row[name]:
                raise BrokenInvariant(
                    f"The books say [{amount[code]}] {currency} for [{name}], the rows [{row[name]}]: the day stops"
                )
        rows.append({"currency": currency, **row})
    return frames.build(frames.TOTALS, rows)


def _counted(encoded: EncodedInputs, part: Part) -> dict[str, list[int]]:
    """Return each total by currency, from steps, allocations and shares."""
    steps, allocations, shares = part.taken.steps, part.taken.allocations, part.shares
    is_repayment = (steps.kind == Kind.SETTLED) | (steps.kind == Kind.KEPT)
    sign = (is_repayment & steps.is_new).astype(np.int64)
    sign -= (steps.kind == Kind.REVERSED) | steps.was_extracted
    quarantined = ((steps.kind == Kind.KEPT) & steps.is_new).astype(np.int64)
    quarantined -= ((steps.kind == Kind.SETTLED) & ~steps.is_new) | steps.was_extracted
    cost = np.where(allocations.component == COST, allocations.amount, 0)
    of_step, of_allocation = encoded.currency[steps.loan], encoded.currency[allocations.loan]
    of_share = of_allocation[shares.allocation] if len(encoded.currency_names) > 1 else None

    def by_currency(values: Ints, currency: Ints | None) -> list[int]:
        if currency is None:
            return [int(values.sum())]
        return [int(values[currency == code].sum()) for code in range(len(encoded.currency_names))]

    return {
        "repayment_count": by_currency(np.abs(sign), of_step),
        "received_amount": by_currency(sign * steps.amount, of_step),
        "distributed_amount": by_currency(shares.net, of_share),
        "fee_amount": by_currency(shares.fee, of_share),
        "vat_amount": by_currency(shares.vat, of_share),
        "national_tax_amount": by_currency(shares.national_tax, of_share),
        "local_tax_amount": by_currency(shares.local_tax, of_share),
        "cost_amount": by_currency(cost, of_allocation),
        "credit_amount": by_currency(_credit_changes(steps), of_step),
        "quarantined_amount": by_currency(quarantined * steps.amount, of_step),
        "refunded_amount": by_currency(_refund_changes(encoded, steps), of_step),
    }


def _refund_changes(encoded: EncodedInputs, steps: Steps) -> Ints:
    """Return by how much each step changes what goes back to borrowers: a reversal undoes its original's part of it."""
    changes = np.where(steps.kind == Kind.REFUNDED, steps.amount, 0)
    for step in np.flatnonzero(steps.kind == Kind.REVERSED).tolist():
        changes[step] = -encoded.prior.refunded.get(int(steps.original[step]), 0)
    return changes


def _booked(encoded: EncodedInputs, part: Part) -> dict[str, list[int]]:
    """Return each amount of the totals by currency, from the postings: the accounts of each kind are one range."""
    accounts, postings = encoded.accounts, part.postings
    kinds = {
        "credit_amount": 0,
        "refunded_amount": accounts.first_refund,
        "cost_amount": accounts.code(COST_RECOVERED.name),
        "fee_amount": accounts.code(FEE_INCOME.name),
        "distributed_amount": accounts.first_investor,
        "received_amount": accounts.code(RECEIPTS_IN_TRANSIT.name),
        "quarantined_amount": accounts.code(REPAYMENTS_UNALLOCATED.name),
        "local_tax_amount": accounts.code(TAX_PAYABLE_LOCAL.name),
        "national_tax_amount": accounts.code(TAX_PAYABLE_NATIONAL.name),
        "vat_amount": accounts.code(VAT_PAYABLE.name),
    }
    kind = np.searchsorted(list(kinds.values())[1:], postings.account, side="right")
    currency = encoded.currency[part.entries.loan][postings.entry]
    group = kind * len(encoded.currency_names) + currency
    order = np.argsort(group.astype(np.int16), kind="stable")  # a stable sort of int16 is a radix sort
    start = encode.starts_of(group, len(kinds) * len(encoded.currency_names))
    sums = segments.sums(postings.amount[order], start).reshape(len(kinds), -1)
    return {
        name: (sums[place] if name == "received_amount" else -sums[place]).tolist() for place, name in enumerate(kinds)
    }
