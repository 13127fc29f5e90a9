"""Breaks: the queue, and one break side by side with what a person may do about it."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from settlement.domain.breaks import WAYS, BreakState, Way
from settlement.pages import levels
from settlement.pages.query import KEPT, ROWS, Query, Row
from settlement.pages.screen import Shown

router = APIRouter()


@router.get("/breaks")
def breaks(shown: Shown, cause: str = "", ended: str = "", after: int = 0, kept: str = "") -> Response:
    """Show the open breaks, oldest first, or those that have ended, newest first."""
    asked = {"cause": cause or None, "after": after, "limit": KEPT + 1 if kept else ROWS}
    with shown.reading() as query:
        found = query.rows("breaks_ended" if ended else "breaks_open", **asked)
        if kept:
            return shown.table("breaks", found, kind=kept, title=shown.words("nav.title"))
        causes = query.rows("breaks_by_cause")
    return shown.show("breaks", rows=found, causes=causes, cause=cause, ended=ended, limit=ROWS, levels=levels)


@router.get("/breaks/{break_id}")
def one_break(shown: Shown, break_id: int, done: str = "") -> Response:
    """Show one break: theirs, ours, the difference, what could explain it, and everything that happened to it."""
    with shown.reading() as query:
        found = query.row("break", id=break_id)
        if found is None:
            raise HTTPException(404)
        history = query.rows("break_history", id=break_id)
        decisions = query.rows("break_decisions", id=break_id)
        theirs, ours = _sides(query, found)
        candidates = _candidates(query, theirs) if theirs and not ours else []
    is_open = BreakState(found["state"]).is_open
    waiting = next((row for row in decisions if row["decided_by"] is None and row["withdrawn_at"] is None), None)
    return shown.show(
        "break",
        row=found,
        theirs=theirs,
        ours=ours,
        candidates=candidates,
        history=history,
        decisions=decisions,
        waiting=waiting,
        is_open=is_open,
        ways=[way for way in WAYS.get((found["cause"], found["subject_kind"]), ()) if way not in (Way.MEND, Way.RUN)],
        elsewhere=[way for way in WAYS.get((found["cause"], found["subject_kind"]), ()) if way in (Way.MEND, Way.RUN)],
        done=done,
        levels=levels,
    )


def _sides(query: Query, found: Row) -> tuple[Row | None, Row | None]:
    """Return the bank's line and our item of a break, as far as it has them."""
    kind, subject = found["subject_kind"], found["subject_id"]
    if kind == "line":
        line = query.row("line", id=subject)
        ours = query.row("payout_by_end_to_end", id=line["end_to_end_id"]) if line and line["end_to_end_id"] else None
        return line, ours
    if kind == "payout":
        return None, query.row("payout", id=subject)
    if kind == "repayment":
        return None, query.row("repayment", id=subject)
    return None, None


def _candidates(query: Query, line: Row) -> list[Row]:
    return list(query.rows("payouts_in_transit_of", amount=abs(line["amount"]), currency=line["currency"]))
