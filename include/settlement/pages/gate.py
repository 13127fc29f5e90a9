"""Approvals and gate: what waits for a second person, exactly what it is about, and what speaks against paying."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from settlement.pages.screen import Shown

router = APIRouter()


@router.get("/gate")
def gate(shown: Shown, done: str = "") -> Response:
    """Show the questions and objections that are open, and the newest that were answered."""
    with shown.reading() as query:
        questions = query.rows("waiting_questions")
        newest = query.row("newest_day")
        asked = [
            {"question": question}
            | {
                name: [] if question["is_taking_back"] else query.rows(file, on=question["settlement_date"])
                for name, file in (("largest", "largest_payouts"), ("usual", "usual_totals"))
            }
            for question in questions
        ]
        read: dict[str, Any] = {
            "objections": query.rows("objections_waiting", on=newest["settlement_date"] if newest else None),
            "answered": query.rows("answered_questions"),
            "decisions": query.rows("waiting_decisions"),
        }
    return shown.show("gate", asked=asked, done=done, **read)
