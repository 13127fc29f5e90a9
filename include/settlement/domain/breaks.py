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
