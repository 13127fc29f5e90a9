"""Refunds: held credit that goes back to borrowers. Amounts are whole minor units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from settlement.domain.payments.refunds import RefundPart


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenRefund:
    """A refund that a run has taken, and the settlement date of that run."""

    refund_id: str
    settlement_date: date
    loan_id: str
    currency: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRefund:
    """A refund that was refused, or of which `owed_amount` is owed and not on its way; `reason` where there is one."""

    refund_id: str
    settlement_date: date
    loan_id: str
    currency: str
    amount: int
    owed_amount: int
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneRefund:
    """What people returned of a refund after a date: `amount`, and with their entries the parts of it that stand."""

    refund_id: str
    loan_id: str
    currency: str
    amount: int
    reason: str
    by: str
    standing: Sequence[tuple[int, RefundPart]]


class Refunds(Protocol):
    """What runs took of held credits for borrowers, and what people returned to them."""

    def find(self, refund_id: str) -> TakenRefund | None:
        """Return a refund that a run has taken, or None."""
        ...

    def waiting(self) -> list[WaitingRefund]:
        """Return the refunds that were refused, or that are owed and not on their way, oldest first."""
        ...

    def parts(self, refund_id: str, *, on: date = date.max) -> list[RefundPart]:
        """Return what a refund took of each credit by a date, less what was reversed by then or undone before it."""
        ...

    def undone(self, after: date, loan_ids: Sequence[str]) -> list[UndoneRefund]:
        """Return what people returned after a date of refunds of these loans, oldest first."""
        ...

    def take_back(self, undone: UndoneRefund, *, settlement_date: date, now: datetime) -> None:
        """Undo what stands of what was returned of a refund, with entries on `settlement_date`."""

    def undo(
        self,
        refund: TakenRefund | UndoneRefund,
        parts: Sequence[RefundPart],
        *,
        after: date,
        settlement_date: date,
        reason: str,
        by: str,
        now: datetime,
    ) -> None:
        """Return parts of a refund to the credits that they came from, with their entries on `settlement_date`.

        Runs of dates after the date `after` find them held again. The database refuses more than is owed.
        """
