"""Asking a second person about payouts above the policy's limit, and keeping the answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

import pandas as pd

from settlement.domain.alerts.event import Money
from settlement.domain.alerts.payouts import ApprovalDone, PayoutLine, Usual
from settlement.domain.days import DayState
from settlement.domain.errors import Refused
from settlement.domain.payments import payouts
from settlement.domain.payments.approval import Decision, approval_id, decision, payouts_sha256
from settlement.domain.payments.gate import USUAL_DAYS
from settlement.domain.payments.state import PROVEN_UNPAID, PayoutState
from settlement.ports.approvals import Question
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply, gate, notify, standing

SHOWN_PAYOUTS = 5
"""So many of the largest payouts are shown to who decides about all of them."""


def ask(services: Services, day: DayRun, *, triggered_by: str | None = None, now: datetime) -> dict[str, Any]:
    """Return the question that a second person must answer, or `needed` false and approve what is within the limit.

    The question binds to the hash of exactly these payouts; when anything in them changes it is another question.
    `subject` and `body` are its words in the policy's language: what is paid, by the limit, what the date distributed,
    what its weekday usually pays and the largest payouts. `approvers` may answer it, until `expires_at`.

    Raises Refused: nobody may answer it: the policy's only approver is who triggered the run.
    """
    if not day.is_paying:
        return {"needed": False, "skipped": "no transfer"}
    with services.ledger.books(day=day, posting=True) as books:
        day = standing.at_newest(books, day)
        of_day = books.payouts.find(day.settlement_date)
        waiting = of_day[of_day["state"] == PayoutState.PREPARED]
        limits = services.policy.approval.limit
        living = payouts.totals(of_day[~of_day["state"].isin(PROVEN_UNPAID)])
        above = {currency: amount for currency, amount in living.items() if amount > limits.get(currency, amount)}
        if waiting.empty or not above:
            ids = waiting["payout_id"].tolist()
            books.payouts.step(ids, PayoutState.APPROVED, cause="within_the_limit", now=now)
            return {"needed": False, "payouts": len(waiting)}
        open_for = timedelta(hours=services.policy.approval.timeout_hours)
        asked = _question(day, waiting, expires_at=now + open_for)
        question: dict[str, Any] = {
            "needed": True,
            "approval_id": asked.approval_id,
            "payouts_sha256": asked.payouts_sha256,
            "count": asked.count,
            "amounts": asked.amounts,
            "limits": {currency: limits[currency] for currency in above},
            "approvers": [name for name in services.policy.approval.approvers if name != triggered_by],
            "expires_at": asked.expires_at.isoformat(),
        }
        books.approvals.request(day, asked, now=now)
        books.days.set_state(day.settlement_date, DayState.AWAITING_APPROVAL, now=now)
        told = notify.approval_needed(
            books,
            day,
            question,
            distributed={row.currency: row.distributed_amount for row in books.days.totals(day.settlement_date)},
            usual=_usual(gate.usual_totals(books, day.settlement_date), living),
            largest=_largest(waiting),
            now=now,
        )
    if not question["approvers"]:
        raise Refused(
            f"The payouts of [{day.settlement_date}] need a second person, and the policy's only approver is"
            f" [{triggered_by}], who triggered this run: add another to approval.approvers"
        )
    subject, body = services.alerts.question(told, open_for=open_for)
    return question | {"subject": subject, "body": body}


def _question(day: DayRun, waiting: pd.DataFrame, *, expires_at: datetime) -> Question:
    sha256 = payouts_sha256(waiting)
    return Question(
        approval_id=approval_id(day.settlement_date, sha256),
        payouts_sha256=sha256,
        count=len(waiting),
        amounts=payouts.totals(waiting),
        expires_at=expires_at,
    )


def _usual(usual: Mapping[str, Sequence[int]], of_day: Mapping[str, int]) -> list[Usual]:
    """Return what the weekday usually pays, by currency, where enough weeks are known to call it usual."""
    return [
        Usual(
            amount=Money(amount=(middle := median_low(amounts)), currency=currency),
            weeks=len(amounts),
            percent=of_day[currency] * 100 // middle,
        )
        for currency, amounts in sorted(usual.items())
        if currency in of_day and len(amounts) >= USUAL_DAYS
    ]


def _largest(waiting: pd.DataFrame) -> list[PayoutLine]:
    """Return the largest payouts of all that wait, the largest first."""
    found = waiting.sort_values(["amount", "payout_id"], ascending=[False, True]).head(SHOWN_PAYOUTS)
    return [
        PayoutLine(payee_id=payee_id, amount=Money(amount=int(amount), currency=currency))
        for payee_id, amount, currency in zip(found["payee_id"], found["amount"], found["currency"], strict=True)
    ]


def decide(
    services: Services, day: DayRun, *, approved: bool, by: str, reason: str | None = None, now: datetime
) -> dict[str, Any]:
    """Keep the decision about the day's waiting payouts, and act on it: approve them, or give their money back.

    An approval that comes after the question has expired is none: the payouts count as rejected.

    Raises Refused: the payouts are not the ones that the question was about, or who answers is who triggered the run.
    """
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts.find(day.settlement_date, states=(PayoutState.PREPARED,))
        if waiting.empty:
            return {"approved": approved, "payouts": 0}
        asked_id = approval_id(day.settlement_date, payouts_sha256(waiting))
        question = books.approvals.find(asked_id)
        if question is None or question.decision is not None:
            raise Refused(
                f"The payouts of [{day.settlement_date}] changed after they were put to a second person: clear the task"
                " approve, so that exactly these are asked for"
            )
        run = books.days.run(day.run_id)
        if approved and run is not None and run.triggered_by == by:
            raise Refused(
                f"The payouts of [{day.settlement_date}] need a second person: [{by}] triggered this run and cannot"
                " approve them. Clear the task approve, and let another approver answer"
            )
        decided = decision(is_approved=approved, by=by, now=now, expires_at=question.expires_at)
        books.approvals.decide(asked_id, decision=decided, by=by, reason=reason, now=now)
        evidence = {"by": by, "approval_id": asked_id}
        if decided is Decision.APPROVED:
            ids = waiting["payout_id"].tolist()
            books.payouts.step(ids, PayoutState.APPROVED, cause="approved", now=now, evidence=evidence)
        else:
            apply.withdraw(services, books, waiting, cause=f"approval_{decided}", said=evidence, now=now)
        books.days.set_state(day.settlement_date, DayState.PAYING, now=now)
        is_approved = decided is Decision.APPROVED
        notify.decided(books, day, ApprovalDone, asked_id, approved=is_approved, by=by, now=now)
    return {"approved": is_approved, "payouts": len(waiting), "by": by}
