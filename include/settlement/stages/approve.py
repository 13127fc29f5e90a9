"""Asking a second person about payouts above the policy's limit, and keeping the answer."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from settlement.domain.currencies import to_decimal_text
from settlement.domain.errors import Refused
from settlement.domain.payments import payouts
from settlement.domain.payments.payouts import PROVEN_UNPAID
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply, notify


def ask(services: Services, day: DayRun, *, triggered_by: str | None = None, now: datetime) -> dict[str, Any]:
    """Return the question that a second person must answer, or `needed` false and approve what is within the limit.

    The question binds to the hash of exactly these payouts; when anything in them changes it is another question.
    `subject` and `body` are its words, `approvers` may answer it, until `expires_at`.

    :raises Refused: nobody may answer it: the policy's only approver is who triggered the run.
    """
    if not day.is_paying:
        return {"needed": False, "skipped": "no transfer"}
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts.find(day.settlement_date, states=("prepared",))
        limits = services.policy.approval.limit
        of_day = [p for p in books.payouts.find(day.settlement_date) if p["state"] not in PROVEN_UNPAID]
        above = {c: a for c, a in payouts.totals(of_day).items() if c in limits and a > limits[c]}
        if not waiting or not above:
            books.payouts.step([p["payout_id"] for p in waiting], "approved", cause="within_the_limit", now=now)
            return {"needed": False, "payouts": len(waiting)}
        question: dict[str, Any] = {
            "needed": True,
            "approval_id": _approval_id(day, waiting),
            "payouts_sha256": _hash(waiting),
            "count": len(waiting),
            "amounts": payouts.totals(waiting),
            "limits": {currency: limits[currency] for currency in above},
            "approvers": [name for name in services.policy.approval.approvers if name != triggered_by],
            "expires_at": (now + timedelta(hours=services.policy.approval.timeout_hours)).isoformat(),
        }
        books.approvals.request(day, question, now=now)
        books.days.set_state(day.settlement_date, "awaiting_approval", now=now)
        notify.approval_needed(books, day, question, now=now)
    if not question["approvers"]:
        raise Refused(
            f"The payouts of [{day.settlement_date}] need a second person, and the policy's only approver is"
            f" [{triggered_by}], who triggered this run: add another to approval.approvers"
        )
    return question | _words(day, question)


def _words(day: DayRun, question: Mapping[str, Any]) -> dict[str, str]:
    amounts, limits = (
        ", ".join(f"{currency} {to_decimal_text(amount, currency)}" for currency, amount in sums.items())
        for sums in (question["amounts"], question["limits"])
    )
    return {
        "subject": f"Pay {amounts} for {day.settlement_date}?",
        "body": (
            f"{question['count']} payouts of {amounts} together; the policy's limit for a day is {limits}.\n\n"
            f"Approval [{question['approval_id']}] is for exactly these payouts."
        ),
    }


def decide(
    services: Services, day: DayRun, *, approved: bool, by: str, reason: str | None = None, now: datetime
) -> dict[str, Any]:
    """Keep the decision about the day's waiting payouts, and act on it: approve them, or give their money back.

    An approval that comes after the question has expired is none: the payouts count as rejected.

    :raises Refused: the payouts are not the ones that the question was about, or who answers is who triggered the run.
    """
    with services.ledger.books(day=day, posting=True) as books:
        waiting = books.payouts.find(day.settlement_date, states=("prepared",))
        if not waiting:
            return {"approved": approved, "payouts": 0}
        approval_id = _approval_id(day, waiting)
        question = books.approvals.find(approval_id)
        if question is None or question["decision"] is not None:
            raise Refused(
                f"The payouts of [{day.settlement_date}] changed after they were put to a second person: clear the task"
                " approve, so that exactly these are asked for"
            )
        run = books.days.run(day.run_id)
        if approved and run is not None and run["triggered_by"] == by:
            raise Refused(
                f"The payouts of [{day.settlement_date}] need a second person: [{by}] triggered this run and cannot"
                " approve them. Clear the task approve, and let another approver answer"
            )
        is_late = now > question["expires_at"]
        decision = "approved" if approved and not is_late else "expired" if is_late or by == "timeout" else "rejected"
        books.approvals.decide(approval_id, decision=decision, by=by, reason=reason, now=now)
        evidence = {"by": by, "approval_id": approval_id}
        if decision == "approved":
            books.payouts.step(
                [p["payout_id"] for p in waiting], "approved", cause="approved", now=now, evidence=evidence
            )
        else:
            apply.give_back(books, waiting, "rejected", cause=f"approval_{decision}", now=now, evidence=evidence)
        books.days.set_state(day.settlement_date, "paying", now=now)
        is_approved = decision == "approved"
        notify.approval_done(books, day, approval_id, approved=is_approved, by=by, now=now)
    return {"approved": is_approved, "payouts": len(waiting), "by": by}


def _approval_id(day: DayRun, waiting: Sequence[Mapping[str, Any]]) -> str:
    return f"{day.settlement_date:%Y%m%d}-{_hash(waiting)[:16]}"


def _hash(waiting: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of exactly these payouts: ids, amounts and where the money goes."""
    said = "\n".join(
        f"{p['payout_id']}\t{p['currency']}\t{p['amount']}\t{p['payee_account']}\t{p['payee_bank'] or ''}"
        for p in sorted(waiting, key=lambda p: p["payout_id"])
    )
    return hashlib.sha256(said.encode()).hexdigest()
