"""Lines that are certain by themselves: they carry the very reference and the very amount of one subject, or the bank
marks them as its own.

This is most of a day, so references are joined on whole columns. Of several receipts under one reference a line is
that of the nearest day; what days do not tell apart is left to the rules that read closely.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from settlement.domain import frames
from settlement.domain.bank.matching import dates
from settlement.domain.bank.matching.model import (
    EARLIEST,
    PAYOUT_KINDS,
    RECEIPT_KINDS,
    Match,
    OpenLine,
    Subject,
    SubjectKind,
    Terms,
    lines_in,
)
from settlement.domain.bank.matching.references import squeezed
from settlement.domain.books.accounts import BANK_CHARGES, BANK_INTEREST

CHARGES, INTEREST = BANK_CHARGES.name, BANK_INTEREST.name
"""The accounts to which what the bank keeps or pays for the account itself is booked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRule:
    """A line whose `key` is the very reference of a subject of these kinds, to the unit."""

    name: str
    key: str
    kinds: frozenset[SubjectKind]
    says: str


EXACT_RULES = (
    ExactRule(
        name="end_to_end_id",
        key="end_to_end_id",
        kinds=PAYOUT_KINDS,
        says="the line carries its end-to-end id and its amount",
    ),
    ExactRule(
        name="bank_reference",
        key="reference",
        kinds=RECEIPT_KINDS,
        says="the line carries its bank reference and its amount",
    ),
    ExactRule(
        name="bank_reference_as_end_to_end_id",
        key="end_to_end_id",
        kinds=RECEIPT_KINDS,
        says="the line's end-to-end id is its bank reference, with its amount",
    ),
    ExactRule(
        name="bank_reference_as_booking_number",
        key="bank_reference",
        kinds=RECEIPT_KINDS,
        says="the bank's number of the booking is its bank reference, with its amount",
    ),
)


NAMES = pd.Index([rule.name for rule in EXACT_RULES], dtype="str")
EXPLANATIONS = pd.array([rule.says for rule in EXACT_RULES], dtype="str")
KINDS = frozenset(rule.kinds for rule in EXACT_RULES)


def exactly(
    lines: pd.DataFrame, subjects: pd.DataFrame, *, taken: pd.DataFrame | None = None, terms: Terms | None = None
) -> pd.DataFrame:
    """Pair every line with the one subject whose very reference and very amount it carries, on whole columns.

    The frames are `OPEN_LINES` and `SUBJECTS`; `taken` are those that have their line already. A reference that several
    receipts share, whatever their amounts, says only so much: each of them is at most `terms.shared_within_days` from
    its line. Of several that a line fits, and of several lines that fit one, see `dates.told_apart`; of several lines
    for a payout the earliest is it.

    There is one row per pair, in the order of lines: the places `line` and `subject` in the frames, and the `rule`.
    """
    allowed, free = terms or Terms(), len(subjects)
    if taken is not None and len(taken):
        subjects = pd.concat([subjects, taken])
    references = _texts(subjects["reference"])
    currencies, due_currencies = _texts(lines["currency"]), _texts(subjects["currency"])
    is_of_kind = {kinds: subjects["kind"].isin(kinds).to_numpy() for kinds in KINDS}
    amounts, due = lines["amount"].to_numpy(), subjects["amount"].to_numpy()
    line_is_left, subject_is_left = np.ones(len(lines), dtype=bool), (subjects["reference"] != "").to_numpy(copy=True)
    paired = np.empty((3, 0), dtype=np.int64)
    for place, rule in enumerate(EXACT_RULES):
        keys = _texts(lines[rule.key])
        asking = np.flatnonzero(line_is_left & keys.is_valid().to_numpy(zero_copy_only=False))
        asked = np.flatnonzero(subject_is_left & is_of_kind[rule.kinds])
        if not len(asking) or not len(asked):
            continue
        at, to = _joined(keys.take(asking), references.take(asked))
        at, to = asking[at], asked[to]
        is_shared = np.bincount(at, (amounts[at] > 0) == (due[to] > 0))[at] > 1
        agree = (amounts[at] == due[to]) & (to < free)
        agree &= pc.equal(currencies.take(at), due_currencies.take(to)).to_numpy(zero_copy_only=False)
        at, to = _unambiguous(lines, subjects, at[agree], to[agree], is_shared=is_shared[agree], terms=allowed)
        line_is_left[at] = subject_is_left[to] = False
        paired = np.hstack([paired, [at, to, np.full(len(at), place)]])
    # Pairs of each rule ascend already: a stable sort merges them.
    at, to, places = paired[:, np.argsort(paired[0], kind="stable")]
    return pd.DataFrame({"line": at, "subject": to, "rule": pd.Categorical.from_codes(places, categories=NAMES)})


def matches_of(pairs: pd.DataFrame, lines: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs that `exactly` found in lines and subjects as a frame `MATCHES`, in their order."""
    at, to, rules = pairs["line"].to_numpy(), pairs["subject"].to_numpy(), pairs["rule"].array.codes
    shown = {name: lines[name].array.take(at) for name in ("booking_date", "currency", "is_suspended", "amount")}
    ours = {name: subjects[name].array.take(to) for name in ("subject_id", "occurrence", "reference")}
    line_ids = lines["line_id"].array.take(at)
    matches = {
        **shown,
        **ours,
        "match_id": line_ids,
        "line_id": line_ids,
        "subject_kind": subjects["kind"].array.take(to),
        "difference": np.zeros(len(pairs), dtype=np.int64),
        "rule": NAMES.array.take(rules),
        "explanation": EXPLANATIONS.take(rules),
    }
    return pd.DataFrame({name: matches[name] for name in frames.MATCHES.column_names})


def left_over(pairs: pd.DataFrame, lines: pd.DataFrame, subjects: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the lines and of the subjects that are in no pair."""
    line_is_left, subject_is_left = np.ones(len(lines), dtype=bool), np.ones(len(subjects), dtype=bool)
    line_is_left[pairs["line"]] = subject_is_left[pairs["subject"]] = False
    return lines[line_is_left], subjects[subject_is_left]


def _texts(column: "pd.Series[str]") -> Any:
    """Return a column of text as one array of Arrow."""
    texts = pa.array(column.array).cast(pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _joined(keys: pa.Array, references: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of every key and reference that are the same, in the order of keys."""
    numbers = pa.concat_arrays([keys, references]).dictionary_encode().indices.to_numpy()
    asking, asked = np.split(numbers, [len(keys)])
    order = np.argsort(asked, kind="stable")
    ascending = asked[order]
    first = np.searchsorted(ascending, asking)
    times = np.searchsorted(ascending, asking, side="right") - first
    which = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(np.arange(len(asking)), times), order[np.repeat(first, times) + which]


def _unambiguous(
    lines: pd.DataFrame, subjects: pd.DataFrame, at: np.ndarray, to: np.ndarray, *, is_shared: np.ndarray, terms: Terms
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs that are near enough, and of those that compete the ones that days tell apart."""
    is_receipt = subjects["kind"].isin(RECEIPT_KINDS).to_numpy()[to]
    far = np.zeros(len(at), dtype=bool)
    asked = np.flatnonzero(is_shared & is_receipt)
    far[asked] = _apart(lines, subjects, at[asked], to[asked], terms) > terms.shared_within_days
    at, to, is_receipt = at[~far], to[~far], is_receipt[~far]
    competes = (np.bincount(at)[at] > 1) | (np.bincount(to)[to] > 1)
    if not competes.any():
        return at, to
    (rivals,) = np.nonzero(competes)
    shown, due, is_dated = at[rivals], to[rivals], is_receipt[rivals]
    told = lines[list(EARLIEST)].take(np.unique(shown)).assign(at=np.unique(shown))
    places = np.empty(len(lines), dtype=np.int64)
    places[told.sort_values(list(EARLIEST), na_position="first")["at"]] = np.arange(len(told))
    days = lines["booking_date"].to_numpy()[shown].astype("datetime64[D]").astype(np.int64)
    found = dates.told_apart(
        shown,
        due,
        apart=np.where(is_dated, _apart(lines, subjects, shown, due, terms), 0),
        shown=np.where(is_dated, days, 0),
        places=places[shown],
    )
    kept = np.sort(np.concatenate([np.flatnonzero(~competes), rivals[found]]))
    return at[kept], to[kept]


def _apart(lines: pd.DataFrame, subjects: pd.DataFrame, at: np.ndarray, to: np.ndarray, terms: Terms) -> np.ndarray:
    """Return how many days lie between the lines and the subjects at these places."""
    if not len(at):
        return np.zeros(0, dtype=np.int64)
    return dates.days_apart(lines["booking_date"].to_numpy()[at], subjects["on"].to_numpy()[to], terms)


def of_accounts(lines: pd.DataFrame, terms: Terms) -> list[Match]:
    """Return the matches of lines (frame `OPEN_LINES`) that belong to an account by themselves.

    What the bank marks as its own belongs to an account, whatever else it names; so does what we hand on. Interest
    never carries an end-to-end id.
    """
    interest = [code for code in set(lines["bank_code"]) if _is_interest(code)]
    is_own = lines["is_charge"].to_numpy(copy=True)
    if interest:
        is_own |= (lines["bank_code"].isin(interest) & lines["end_to_end_id"].isna()).to_numpy()
    if terms.remitted_to:
        accounts = lines["counterparty_account"].map(squeezed, na_action="ignore")
        is_own |= ((lines["amount"] < 0) & accounts.isin(terms.remitted_to)).to_numpy()
    if not is_own.any():
        return []
    return [_of_account(line, terms) for line in lines_in(lines[is_own])]


def _of_account(line: OpenLine, terms: Terms) -> Match:
    if line.is_charge:
        return _with_account(line, CHARGES, rule="bank_charge", explanation="the bank marks it as a charge of its own")
    if _is_interest(line.bank_code) and line.end_to_end_id is None:
        return _with_account(line, INTEREST, rule="bank_interest", explanation="the bank marks it as interest")
    account = terms.remitted_to[squeezed(line.counterparty_account or "")]
    explanation = f"it goes to an account that the policy names for [{account}]"
    return _with_account(line, account, rule="remitted", explanation=explanation)


def _is_interest(bank_code: str) -> bool:
    """Tell whether a code is that of interest: an ISO 20022 family or sub-family, or a SWIFT type, as a whole word."""
    words = bank_code.replace("+", "/").split("/")
    return (len(words) == 3 and "INTR" in words[1:]) or words[0] in ("NINT", "SINT", "FINT")


def _with_account(line: OpenLine, account: str, *, rule: str, explanation: str) -> Match:
    subject = Subject(
        kind=SubjectKind.ACCOUNT,
        subject_id=account,
        amount=line.amount,
        currency=line.currency,
        reference=account,
    )
    return Match(lines=(line,), subjects=(subject,), rule=rule, explanation=explanation)
