"""A break: something that should agree and does not, found from the books as they stand.

Breaks are not collected along the way: every reconciliation finds all that are there now, and the ledger compares with
what is open. What is new is opened once, what is gone is resolved by itself, what stays ages in business days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# Which side has to act: we, the bank, or whoever keeps the source.
SIDES: Mapping[str, str] = {
    "quarantined": "source",
    "bad_reversal": "source",
    "before_opening": "ours",
    "orphan_repayment": "source",
    "source_changed": "source",
    "late_arrival_too_old": "source",
    "overpaid": "ours",
    "investor_overdrawn": "ours",
    "borrower_overdrawn": "ours",
    "refund_exceeds_credit": "source",
    "missing_at_bank": "bank",
    "unknown_at_bank": "bank",
    "amount_differs": "bank",
    "duplicate_line": "bank",
    "late_return": "bank",
    "ambiguous": "ours",
    "statement_chain": "bank",
    "message_refused": "bank",
    "date_not_settled": "ours",
    "opening_difference": "ours",
    "remittance_differs": "ours",
}


class Way(StrEnum):
    """What a person may do that ends a break. The ledger keeps the words of those that are decisions."""

    MATCH = "match"
    """Match its line with a receipt or a payout; what a bank kept of a payout goes to `bank_charges`."""
    BOOK = "book"
    """Book its line to an account, also to make an overdrawn payee good."""
    WRITE_OFF = "write_off"
    """Clear what stands because of it against `difference`."""
    ABSENT = "absent"
    """Say, two people after asking the bank, that a payout was not paid: its money goes back to the payee."""
    ANSWER = "answer"
    """Answer for it by name, where there is nothing to book: it is not asked again as long as its amount stands."""
    MEND = "mend"
    """Mend the source; the next run finds that it is gone."""
    RUN = "run"
    """Run the settlement date."""


_OF_A_LINE = (Way.MATCH, Way.BOOK, Way.WRITE_OFF)

WAYS: Mapping[tuple[str, str], tuple[Way, ...]] = {
    ("quarantined", "loan"): (Way.MEND,),
    ("quarantined", "repayment"): (Way.MEND, Way.ANSWER),
    ("bad_reversal", "repayment"): (Way.MEND, Way.ANSWER),
    ("before_opening", "repayment"): (Way.ANSWER,),
    ("orphan_repayment", "repayment"): (Way.MEND, Way.ANSWER),
    ("source_changed", "repayment"): (Way.MEND, Way.ANSWER),
    ("late_arrival_too_old", "repayment"): (Way.MEND, Way.ANSWER),
    ("overpaid", "loan"): (Way.ANSWER,),
    ("refund_exceeds_credit", "refund"): (Way.MEND, Way.ANSWER),
    ("investor_overdrawn", "investor"): (Way.BOOK, Way.WRITE_OFF),
    ("borrower_overdrawn", "refund"): (Way.BOOK, Way.WRITE_OFF),
    ("missing_at_bank", "repayment"): (Way.WRITE_OFF,),
    ("missing_at_bank", "payout"): (Way.ABSENT, Way.WRITE_OFF),
    ("missing_at_bank", "opening"): (Way.WRITE_OFF,),
    ("unknown_at_bank", "line"): _OF_A_LINE,
    ("unknown_at_bank", "opening"): (Way.WRITE_OFF, Way.ANSWER),
    ("amount_differs", "line"): _OF_A_LINE,
    ("duplicate_line", "line"): _OF_A_LINE,
    ("ambiguous", "line"): _OF_A_LINE,
    ("late_return", "payout"): (Way.ANSWER,),
    ("statement_chain", "statement"): (Way.ANSWER,),
    ("statement_chain", "message"): (Way.ANSWER,),
    ("message_refused", "message"): (Way.ANSWER,),
    ("message_refused", "payout"): (Way.ANSWER,),
    ("date_not_settled", "date"): (Way.RUN, Way.ANSWER),
    ("opening_difference", "account"): (Way.ANSWER,),
    ("remittance_differs", "remittance"): (Way.ANSWER,),
}
"""By cause and kind of subject: what a person may do that ends a break of it.

All but mending and running are kept as decisions.
"""

POSTS: Mapping[Way, str] = {
    Way.MATCH: "`suspense_resolved` to what the line is; what a bank kept of a payout as `tolerance_booked`",
    Way.BOOK: "`suspense_resolved` to the account; an overdrawn payee's takes at most what is missing",
    Way.WRITE_OFF: "`written_off`: what stands because of it, against `difference`; undone when its line comes",
    Way.ABSENT: "`payout_rejected`, always by two people; undone when a statement shows the payout after all",
    Way.ANSWER: "nothing; it is not asked again as long as its amount stands",
    Way.MEND: "what the next run takes, or nothing",
    Way.RUN: "what the date comes to",
}
"""What each way posts."""


class BreakState(StrEnum):
    """How far a break is. The ledger keeps the same words."""

    OPEN = "open"
    ASSIGNED = "assigned"
    """Somebody has taken it on; it is still open."""
    RESOLVED = "resolved"
    WRITTEN_OFF = "written_off"

    @property
    def is_open(self) -> bool:
        """Whether it still stands."""
        return self in STANDING


STANDING = (BreakState.OPEN, BreakState.ASSIGNED)
"""The states of a break that still stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One break as it is found; (cause, subject_kind, subject_id) tells it from every other."""

    cause: str
    subject_kind: str
    subject_id: str
    currency: str | None = None
    amount: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def side(self) -> str:
        """Who has to act."""
        return SIDES[self.cause]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person wants done about a break: `target` is the subject matched with, or the account that takes it."""

    break_id: int
    kind: Way
    target: str
    amount: int
    currency: str
    reason: str
    requested_by: str
    needs_second: bool


# Why a break of this cause is found no longer, where no match says so.
_GONE: Mapping[str, str] = {
    "statement_chain": "a later statement came, and each opens where the one before it closed",
    "message_refused": "the statement of its day is in",
    "investor_overdrawn": "later credits made the balance good",
    "borrower_overdrawn": "what was paid back came back",
    "refund_exceeds_credit": "a later run took the refund after all, or it is asked for no longer",
    "late_return": "the money was paid out again",
    "late_arrival_too_old": "the source says it no longer, or within the look-back",
    "quarantined": "a later run took the repayment after all",
    "overpaid": "the held credit was taken",
    "missing_at_bank": "it is expected no longer",
    "before_opening": "the source says it no longer",
    "opening_difference": "the opening positions and the first statement agree",
    "remittance_differs": "what was handed on is the month's sum",
    "date_not_settled": "the date was settled, or is no settlement date any more",
}


def why_gone(cause: str) -> str:
    """Return why a break of this cause is found no longer, where no match says so."""
    return _GONE.get(cause, "no longer found")
