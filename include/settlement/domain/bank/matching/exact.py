"""Lines that are certain by themselves: they carry the very reference and the very amount of one subject, or the bank
marks them as its own.

This is most of a day, so references are joined on whole columns. A line that fits several subjects is left to the
rules that read closely.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from settlement.domain.bank.matching.model import (
    EARLIEST,
    PAYOUT_KINDS,
    RECEIPT_KINDS,
    Match,
    OpenLine,
    Subject,
    SubjectKind,
    Terms,
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


EXPLANATIONS = {rule.name: rule.says for rule in EXACT_RULES}


def exactly(lines: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Pair every line with the one subject whose very reference and very amount it carries, on whole columns.

    Frames come as `line_columns` and `subject_columns` make them. A line that fits several subjects is not paired; of
    several equal lines for one subject the earliest is it.

    There is one row per pair, in the order of lines: the places `line` and `subject` in the frames, and the `rule`.
    """
    line_is_left, subject_is_left = np.ones(len(lines), dtype=bool), (subjects["reference"] != "").to_numpy(copy=True)
    amounts, due = lines["amount"].to_numpy(), subjects["amount"].to_numpy()
    currencies = pd.factorize(pd.concat([lines["currency"], subjects["currency"]]))[0]
    currency, due_currency = currencies[: len(lines)], currencies[len(lines) :]
    paired = np.empty((3, 0), dtype=np.int64)
    for number, rule in enumerate(EXACT_RULES):
        asking = np.flatnonzero(line_is_left & lines[rule.key].notna().to_numpy())
        asked = np.flatnonzero(subject_is_left & subjects["kind"].isin(rule.kinds).to_numpy())
        if not len(asking) or not len(asked):
            continue
        at, to = _joined(lines[rule.key].take(asking), subjects["reference"].take(asked))
        at, to = asking[at], asked[to]
        agree = (amounts[at] == due[to]) & (currency[at] == due_currency[to])
        at, to = _unambiguous(lines, at[agree], to[agree])
        line_is_left[at] = subject_is_left[to] = False
        paired = np.hstack([paired, [at, to, np.full(len(at), number)]])
    # Pairs of each rule ascend already: a stable sort merges them.
    at, to, numbers = paired[:, np.argsort(paired[0], kind="stable")]
    rules = pd.Categorical.from_codes(numbers, categories=pd.Index(list(EXPLANATIONS)))
    return pd.DataFrame({"line": at, "subject": to, "rule": rules})


def left_over(pairs: pd.DataFrame, *, lines: int, subjects: int) -> tuple[list[int], list[int]]:
    """Return the places of the lines and of the subjects that are in no pair."""
    line_is_left, subject_is_left = np.ones(lines, dtype=bool), np.ones(subjects, dtype=bool)
    line_is_left[pairs["line"]] = subject_is_left[pairs["subject"]] = False
    return np.flatnonzero(line_is_left).tolist(), np.flatnonzero(subject_is_left).tolist()


def line_columns(lines: Sequence[OpenLine]) -> pd.DataFrame:
    """Return what exact rules read of lines, one row each."""
    return _columns(lines, "currency", "bank_reference", *EARLIEST)


def subject_columns(subjects: Sequence[Subject]) -> pd.DataFrame:
    """Return what exact rules read of subjects, one row each."""
    return _columns(subjects, "kind", "amount", "currency", "reference")


def _columns(rows: Sequence[Any], *names: str) -> pd.DataFrame:
    dtypes = {"amount": "int64", "booking_date": "object"}
    return pd.DataFrame({name: pd.Series(map(attrgetter(name), rows), dtype=dtypes.get(name, "str")) for name in names})


def _joined(keys: "pd.Series[str]", references: "pd.Series[str]") -> tuple[np.ndarray, np.ndarray]:
    """Return the places of every key and reference that are the same, in the order of keys."""
    asking = pd.DataFrame({"reference": keys.array, "at": np.arange(len(keys))})
    asked = pd.DataFrame({"reference": references.array, "to": np.arange(len(references))})
    both = asking.merge(asked, how="inner", on="reference")
    return both["at"].to_numpy(), both["to"].to_numpy()


def _unambiguous(lines: pd.DataFrame, at: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs without lines that fit several subjects, and with the earliest of several equal lines."""
    if not len(at) or (np.bincount(at).max() == 1 and np.bincount(to).max() == 1):
        return at, to
    pairs = lines[list(EARLIEST)].take(at).assign(at=at, to=to).drop_duplicates("at", keep=False)
    earliest = pairs.sort_values(list(EARLIEST), na_position="first").drop_duplicates("to")
    return earliest["at"].to_numpy(), earliest["to"].to_numpy()


def of_accounts(lines: Sequence[OpenLine], terms: Terms) -> tuple[list[Match], list[bool]]:
    """Return the matches of lines that belong to an account by themselves, and which lines are left."""
    interest = {code for code in set(map(attrgetter("bank_code"), lines)) if _is_interest(code)}
    found = [_of_account(line, interest, terms) for line in lines]
    return [one for one in found if one], [one is None for one in found]


def _of_account(line: OpenLine, interest: set[str], terms: Terms) -> Match | None:
    """What the bank marks as its own belongs to an account, whatever else it names; so does what we hand on."""
    if line.is_charge:
        return _with_account(line, CHARGES, rule="bank_charge", explanation="the bank marks it as a charge of its own")
    if line.bank_code in interest:
        return _with_account(line, INTEREST, rule="bank_interest", explanation="the bank marks it as interest")
    if terms.remitted_to and line.amount < 0 and line.counterparty_account:
        account = terms.remitted_to.get(squeezed(line.counterparty_account))
        if account:
            explanation = f"it goes to an account that the policy names for [{account}]"
            return _with_account(line, account, rule="remitted", explanation=explanation)
    return None


def _is_interest(bank_code: str) -> bool:
    """Tell whether a bank's code (ISO 20022 domain and family, or SWIFT type) is that of interest."""
    return "INTR" in bank_code or bank_code[1:4] == "INT"


def _with_account(line: OpenLine, account: str, *, rule: str, explanation: str) -> Match:
    subject = Subject(
        kind=SubjectKind.ACCOUNT,
        subject_id=account,
        amount=line.amount,
        currency=line.currency,
        reference=account,
    )
    return Match(lines=(line,), subjects=(subject,), rule=rule, explanation=explanation)
