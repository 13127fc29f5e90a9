"""What a person does in the pages, in the name of who has logged in, by the stages that do it on the command line.

A form carries how far its break had come when it was shown. Whoever comes second, by a double click or another window,
is told that the break has moved on, and nothing is done twice.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Form, HTTPException, UploadFile
from fastapi.responses import Response

from settlement import wiring
from settlement.domain.bank.messages import LARGEST_MESSAGE
from settlement.domain.breaks import Way
from settlement.domain.errors import Refused
from settlement.pages.screen import Acting
from settlement.ports.services import Services

router = APIRouter()
Text = Annotated[str, Form()]
LONGEST = 2_000
NAME = 200
"""Of the name of a file so much is kept."""


@router.post("/breaks/{break_id}/assign")
def assign(shown: Acting, break_id: int, seen: Annotated[int, Form()], owner: Text, due_on: Text = "") -> Response:
    """Let somebody take a break on."""
    from settlement.stages import breaks

    due = _date(due_on) if due_on else None
    with wiring.operators() as services:
        breaks.assign(
            services, break_id, owner=_text(owner), due_on=due, by=shown.visitor.name, now=shown.now, seen=seen
        )
    return shown.go(f"/breaks/{break_id}?done=assigned")


@router.post("/breaks/{break_id}/comment")
def comment(shown: Acting, break_id: int, seen: Annotated[int, Form()], text: Text) -> Response:
    """Keep what somebody says about a break."""
    from settlement.stages import breaks

    with wiring.operators() as services:
        breaks.comment(services, break_id, text=_text(text), by=shown.visitor.name, now=shown.now, seen=seen)
    return shown.go(f"/breaks/{break_id}?done=commented")


@router.post("/breaks/{break_id}/end/{way}")
def end(
    shown: Acting, break_id: int, way: Way, seen: Annotated[int, Form()], reason: Text, target: Text = ""
) -> Response:
    """End a break in one of its ways, or ask a second person where the policy wants one."""
    from settlement.stages import breaks

    by, now, why = shown.visitor.name, shown.now, _text(reason)
    ways: dict[Way, Callable[[Services], object]] = {
        Way.MATCH: lambda services: breaks.match_by_hand(
            services, break_id, subject=_text(target), reason=why, by=by, now=now, seen=seen
        ),
        Way.BOOK: lambda services: breaks.book(
            services, break_id, account=_text(target), reason=why, by=by, now=now, seen=seen
        ),
        Way.WRITE_OFF: lambda services: breaks.write_off(services, break_id, reason=why, by=by, now=now, seen=seen),
        Way.ABSENT: lambda services: breaks.declare_absent(services, break_id, reason=why, by=by, now=now, seen=seen),
        Way.ANSWER: lambda services: breaks.answer(services, break_id, reason=why, by=by, now=now, seen=seen),
    }
    if way not in ways:
        raise HTTPException(404)
    with wiring.operators() as services:
        ways[way](services)
    return shown.go(f"/breaks/{break_id}?done=decided")


@router.post("/breaks/{break_id}/approve")
def approve(shown: Acting, break_id: int, seen: Annotated[int, Form()]) -> Response:
    """Approve, as a second person, what was asked for about a break."""
    from settlement.stages import breaks

    with wiring.operators() as services:
        breaks.approve(services, break_id, by=shown.visitor.name, now=shown.now, seen=seen)
    return shown.go(f"/breaks/{break_id}?done=approved")


@router.post("/gate/{on}/override")
def override(shown: Acting, on: date, reason: Text) -> Response:
    """Answer for everything that was said against paying for a date."""
    from settlement.stages import gate

    with wiring.operators() as services:
        gate.override(services, on, by=shown.visitor.name, reason=_text(reason), now=shown.now)
    return shown.go("/gate?done=answered")


@router.post("/bank/files/{file_id}/absent")
def absent(shown: Acting, file_id: str, reason: Text) -> Response:
    """Say, after asking the bank, that it has nothing more of a file whose fate is unknown."""
    from settlement.stages import inquire

    with wiring.operators() as services:
        inquire.declare_absent(services, file_id, by=shown.visitor.name, reason=_text(reason), now=shown.now)
    return shown.go(f"/bank/files/{file_id}?done=absent")


@router.post("/bank/ask")
def ask_bank(shown: Acting, back: Literal["payouts", "bank"]) -> Response:
    """Have the bank asked now, by a run of Airflow in the name of who wants it."""
    if not shown.visitor.may_ask_bank:
        raise HTTPException(403, shown.words("errors.may_not_ask"))
    shown.request.app.state.ask_bank(shown.visitor.name)
    return shown.go(f"/{back}?done=asked")


@router.post("/refunds/{refund_id:path}/undo")
def undo_refund(shown: Acting, refund_id: str, reason: Text) -> Response:
    """Return what is unpaid of a refund to the credit that it came from."""
    from settlement.stages import refunds

    with wiring.operators() as services:
        refunds.undo(services, refund_id, reason=_text(reason), by=shown.visitor.name, now=shown.now)
    return shown.go("/payouts?done=undone")


@router.post("/bank/uploads")
def upload(shown: Acting, statement: UploadFile, reason: Text) -> Response:
    """Keep a message that somebody has of the bank, for the next run to take in."""
    from settlement.stages import take_in

    content, name = statement.file.read(LARGEST_MESSAGE + 1), _text(statement.filename or "")[:NAME]
    with wiring.operators() as services:
        take_in.upload(services, content, name=name, by=shown.visitor.name, reason=_text(reason), now=shown.now)
    return shown.go("/bank?done=uploaded")


@router.post("/alerts/resend")
def resend(shown: Acting) -> Response:
    """Have every alert that failed be sent again by the next delivery."""
    with wiring.operators() as services:
        services.alerts.resend()
    return shown.go("/?done=resent")


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge(shown: Acting, alert_id: int) -> Response:
    """Take a critical alert on, so that nobody is reminded of it."""
    with wiring.operators() as services:
        if not services.alerts.acknowledge(alert_id, by=shown.visitor.name, now=shown.now):
            raise Refused(f"Alert [{alert_id}] is of no critical problem that is open")
    return shown.go("/?done=acknowledged")


def _text(value: str) -> str:
    """Return what somebody wrote.

    Raises Refused: it is empty, or too long to be kept.
    """
    text = value.strip()
    if not text or len(text) > LONGEST or "\0" in text:
        raise Refused(f"A text of 1 to {LONGEST} characters is needed")
    return text


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"[{text}] is not a date; write it as 2026-02-16") from None
