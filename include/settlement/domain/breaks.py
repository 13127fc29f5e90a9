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
    "orphan_repayment": "source",
    "source_changed": "source",
    "overpaid": "ours",
    "investor_overdrawn": "ours",
    "missing_at_bank": "bank",
    "unknown_at_bank": "bank",
    "amount_differs": "bank",
    "duplicate_line": "bank",
    "late_return": "bank",
    "ambiguous": "ours",
    "statement_chain": "bank",
    "message_refused": "bank",
}


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
    """What a person wants done about a break: `kind` write_off or book, `target` the account that takes it."""

    break_id: int
    kind: str
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
    "late_return": "the money was paid out again",
    "quarantined": "a later run took the repayment after all",
    "overpaid": "the held credit was taken",
    "missing_at_bank": "it is expected no longer",
}


def why_gone(cause: str) -> str:
    """Return why a break of this cause is found no longer, where no match says so."""
    return _GONE.get(cause, "no longer found")
