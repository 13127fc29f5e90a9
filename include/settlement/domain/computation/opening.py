"""The opening positions of a lender that settled elsewhere before: what contradicts itself in them.

What comes in: the positions beside what the source says of the subject of each (frame `OPENING`). What comes out: a
sentence for each row and each rule that it breaks, in the order of the rows, so that whoever wrote them mends all of it
at once. Opening positions are taken over whole or not at all.
"""

from collections.abc import Iterator, Set
from datetime import datetime
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.books.opening import IN_TRANSIT, OF_ACCOUNTS, OF_LOANS, OpeningKind
from settlement.domain.currencies import LARGEST_AMOUNT

LONGEST_ID = frames.LONGEST_ID


def contradictions(positions: pd.DataFrame, *, opens_at: datetime, currencies: Set[str]) -> list[str]:
    """Return what is wrong with opening positions (frame `OPENING`), a sentence for each row and rule.

    `opens_at` is when the first window opens, `currencies` those that the policy names.
    """
    found = [
        (row, number, f"{kind} [{subject_id}] {amount} {currency}: {said}")
        for number, (broken, says) in enumerate(_rules(positions, opens_at=opens_at, currencies=currencies))
        for row, kind, subject_id, amount, currency, said in _said(positions[broken], says)
    ]
    return [sentence for _, _, sentence in sorted(found)]


def _said(rows: pd.DataFrame, says: str) -> Iterator[tuple[Any, ...]]:
    names = ("row", "kind", "subject_id", "amount", "currency", "most", "loan_id", "loan_currency", "received_at")
    for row, kind, subject_id, amount, currency, most, loan_id, loan_currency, received_at in frames.rows(rows, *names):
        said = says.format(most=most, loan_id=loan_id, loan_currency=loan_currency, received_at=received_at)
        yield row, kind, subject_id, amount, currency, said


def _rules(
    positions: pd.DataFrame, *, opens_at: datetime, currencies: Set[str]
) -> Iterator[tuple["pd.Series[Any]", str]]:
    """Yield which rows break each rule, and how that is said."""
    kind, subject, amount = positions["kind"], positions["subject_id"], positions["amount"]
    is_of_account, is_of_loan = kind.isin(OF_ACCOUNTS), kind.isin(OF_LOANS)
    is_owed = kind == OpeningKind.INVESTOR_PAYABLE
    is_known = positions["is_known"].astype(bool)
    is_paid = kind.isin((OpeningKind.NOTE_PRINCIPAL_REPAID, OpeningKind.RECEIVABLE_PAID))
    is_receipt = kind == OpeningKind.REPAYMENT_UNALLOCATED
    most = positions["most"]

    yield ~kind.isin(tuple(OpeningKind)), "there is no such kind"
    yield positions.duplicated(["kind", "subject_id", "currency"], keep=False), "there is more than one row of it"
    yield amount == 0, "it has no amount"
    yield (amount < 0) & ~is_owed, "only what an investor is owed may be negative"
    yield (amount > LARGEST_AMOUNT) | (amount < -LARGEST_AMOUNT), f"more than [{LARGEST_AMOUNT}] cannot be added up"
    yield ~positions["currency"].isin(currencies), "the policy does not name its currency"
    yield is_of_account & (subject != ""), "its kind is one account: it names no subject"
    yield kind.isin(IN_TRANSIT) & (subject == ""), "it names no reference"
    yield subject.str.len() > LONGEST_ID, f"its subject has more than [{LONGEST_ID}] characters"
    yield (is_of_loan | is_owed) & ~is_known, "the source does not have its subject"
    yield is_of_loan & is_known & positions["loan_id"].isna(), "the source does not have its loan"
    is_other = positions["loan_currency"].notna() & (positions["loan_currency"] != positions["currency"])
    yield is_of_loan & is_other, "its loan [{loan_id}] is in [{loan_currency}]"
    yield is_paid & is_known & (amount > most), "it is [{most}] in all"
    yield is_receipt & is_known & (amount != most), "it came with [{most}], and is taken whole"
    yield (
        is_receipt & (positions["received_at"] >= pd.Timestamp(opens_at)),
        "it came at [{received_at}], in a window that is settled",
    )
    yield is_receipt & positions["is_undone"].astype(bool), "it is a reversal, or was reversed before"
    yield positions["is_named_so"].astype(bool), "the source has a repayment [opening:{loan_id}]"
