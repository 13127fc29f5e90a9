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
            {
                "question": question,
                "largest": query.rows("largest_payouts", on=question["settlement_date"]),
                "usual": query.rows("usual_totals", on=question["settlement_date"]),
            }
            for question in questions
        ]
        read: dict[str, Any] = {
            "objections": query.rows("objections_waiting", on=newest["settlement_date"] if newest else None),
            "answered": query.rows("answered_questions"),
            "decisions": query.rows("waiting_decisions"),
        }
    return shown.show("gate", asked=asked, done=done, **read)
