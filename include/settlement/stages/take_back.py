"""Asking a second person before a restatement takes back what was paid out, and keeping the answer."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from settlement.domain.alerts.payouts import TakingBackDone
from settlement.domain.errors import Refused
from settlement.domain.payments.approval import Decision, decision
from settlement.ports.approvals import Question
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import compute, notify, restate, standing


def ask(services: Services, day: DayRun, *, triggered_by: str | None = None, now: datetime) -> dict[str, Any]:
    """Put on record, and tell, what settling a day again takes back; return the question that a second person answers.

    `subject` and `body` are its words in the policy's language: which dates change, by how much, and what is taken
    back. `approvers` may answer it, until `expires_at`.

    Raises Refused: nothing would be taken back any more, or nobody may answer: the policy's only approver is who
        triggered the run.
    """
    restated = _would_be(services, day, now=now)
    with services.ledger.books(settlement_date=day.settlement_date) as books:
        asked = _put(services, books, day, restated, now=now)
        told = notify.taking_back_needed(books, day, asked, restated.revisions, difference=restated.difference, now=now)
    approvers = [name for name in services.policy.approval.approvers if name != triggered_by]
    if not approvers:
        raise Refused(
            f"Settling [{day.settlement_date}] again takes back money that was paid out, which needs a second person,"
            f" and the policy's only approver is [{triggered_by}], who triggered this run: add another to"
            " approval.approvers"
        )
    subject, body = services.alerts.question(told, open_for=_open_for(services))
    return {
        "approval_id": asked.approval_id,
        "taken_back": restated.taken_back,
        "approvers": approvers,
        "expires_at": asked.expires_at.isoformat(),
        "subject": subject,
        "body": body,
    }


def decide(services: Services, day: DayRun, *, approved: bool, by: str, now: datetime) -> dict[str, Any]:
    """Keep what a second person said to what settling a day again takes back; return it.

    An approval that comes after the question has expired is none.

    Raises Refused: it is rejected or expired, something else would change than was asked, or who answers triggered the
        run: what was settled stands.
    """
    on = day.settlement_date
    restated = _would_be(services, day, now=now)
    with services.ledger.books(settlement_date=on) as books:
        before, asked = restate.questions(books, on, restated, now=now)
        if asked not in before or asked.decision is not None:
            raise Refused(
                f"What settling [{on}] again takes back changed after it was put to a second person: trigger"
                f" daily_settlement for [{on}] again, and the new run asks for exactly this"
            )
        run = books.days.run(day.run_id)
        if approved and run is not None and run.triggered_by == by:
            raise Refused(
                f"What settling [{on}] again takes back needs a second person: [{by}] triggered this run and cannot"
                " approve it. Clear this task, and let another approver answer"
            )
        decided = decision(is_approved=approved, by=by, now=now, expires_at=asked.expires_at)
        _keep(books, day, asked, decided, by=by, now=now)
    if decided is not Decision.APPROVED:
        said = f"[{by}] rejected" if decided is Decision.REJECTED else "Nobody approved in time"
        raise Refused(
            f"{said} what settling [{on}] again takes back: what was settled stands, and nothing was posted. To ask"
            f" anew, trigger daily_settlement for [{on}] again"
        )
    return {"approval_id": asked.approval_id, "approved": True, "by": by}


def approve(services: Services, settlement_date: date, *, by: str, now: datetime) -> dict[str, Any]:
    """Approve, as a second person, that settling a date again takes back what was paid out; return what is approved.

    Whoever asks for it then has the policy's time to do so, if nothing else changes meanwhile.

    Raises Refused: nobody may approve in that name, or nothing would be taken back.
    """
    approvers = services.policy.approval.approvers
    if by not in approvers:
        raise Refused(
            f"[{by}] is none of the policy's approvers [{', '.join(approvers)}]: one of them approves what is taken"
            " back"
        )
    day = DayRun(settlement_date=settlement_date, revision=1, run_id="approval", dry_run=True)
    restated = _would_be(services, day, now=now)
    with services.ledger.books(settlement_date=settlement_date) as books:
        asked = _put(services, books, day, restated, now=now)
        _keep(books, day, asked, Decision.APPROVED, by=by, now=now)
    return {
        "approval_id": asked.approval_id,
        "taken_back": restated.taken_back,
        "changes": len(restated.changes),
        "expires_at": asked.expires_at.isoformat(),
    }


def _open_for(services: Services) -> timedelta:
    return timedelta(hours=services.policy.approval.timeout_hours)


def _would_be(services: Services, day: DayRun, *, now: datetime) -> restate.Restated:
    """Return what settling the day again would change; nothing of it is kept.

    Raises Refused: it would take nothing back.
    """
    _, restated = compute.preview(services, replace(day, dry_run=True), now=now)
    if not restated.taken_back:
        raise Refused(
            f"Settling [{day.settlement_date}] again takes nothing back that was paid out: nothing is to approve"
        )
    return restated


def _put(services: Services, books: Books, day: DayRun, restated: restate.Restated, *, now: datetime) -> Question:
    """Put on record what is asked, open for the policy's time."""
    _, asked = restate.questions(books, day.settlement_date, restated, now=now)
    asked = replace(asked, expires_at=now + _open_for(services))
    books.approvals.request(standing.at_newest(books, day), asked, now=now)
    return asked


def _keep(books: Books, day: DayRun, asked: Question, decided: Decision, *, by: str, now: datetime) -> None:
    """Keep what a second person answered, and tell it."""
    books.approvals.decide(asked.approval_id, decision=decided, by=by, reason=None, now=now)
    is_approved = decided is Decision.APPROVED
    notify.decided(books, day, TakingBackDone, asked.approval_id, approved=is_approved, by=by, now=now)
