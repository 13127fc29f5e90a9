"""Trace: one search box, and the chain from a borrower's receipt to each investor's payout and back."""

from datetime import date
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from settlement.pages import levels
from settlement.pages.query import ROWS, Query
from settlement.pages.screen import Screen, Shown

router = APIRouter()


@router.get("/trace")
def trace(shown: Shown, q: str = "") -> Response:
    """Find what an id, a reference or a date names; the one thing found is opened at once."""
    text = q.strip()
    found = []
    if text:
        with shown.reading() as query:
            found = named(query, text)
        if len(found) == 1:
            return shown.go(found[0][2])
    return shown.show("trace", q=text, found=found)


def named(query: Query, text: str) -> list[tuple[str, str, str]]:
    """Return everything that a text names exactly, as (kind, id, path of its page)."""
    found = []
    if text.isdecimal() and len(text) < 18 and query.row("break", id=int(text)):
        found.append(("break", text, f"/breaks/{text}"))
    if (on := _date(text)) and query.row("day", on=on):
        found.append(("date", text, f"/day/{text}"))
    for row in query.rows("named", text=text):
        found.append((row["kind"], row["id"], PATHS[row["kind"]].format(quote(row["id"], safe=""))))
    return found


PATHS = {
    "payout": "/payouts/{}",
    "repayment": "/trace/repayment/{}",
    "loan": "/trace/loan/{}",
    "investor": "/trace/investor/{}",
    "file": "/bank/files/{}",
    "line": "/trace/line/{}",
    "statement": "/bank/statements/{}",
}


@router.get("/trace/repayment/{repayment_id:path}")
def repayment(shown: Shown, repayment_id: str) -> Response:
    """Show the way of a receipt: the bank's line, what it paid, whose share, in which payout that went out."""
    with shown.reading() as query:
        found = query.row("repayment", id=repayment_id)
        if found is None:
            raise HTTPException(404)
        allocations = query.rows("allocations_of_repayment", id=repayment_id)
        days = sorted({row["settlement_date"] for row in allocations})
        shares = query.rows("shares_of_repayment", id=repayment_id, days=days)
        read: dict[str, Any] = {
            "lines": query.rows("lines_of_subject", kinds=["receipt", "receipt_undone"], id=repayment_id),
            "allocations": allocations,
            "refused": query.rows("refused_repayment", id=repayment_id),
            "shares": shares,
            "payouts": query.rows(
                "payouts_of_investors",
                days=[row["settlement_date"] for row in shares],
                investors=[row["investor_id"] for row in shares],
            ),
            "breaks": query.rows("breaks_of_subject", kind="repayment", id=repayment_id),
        }
    return shown.show("repayment", repayment=found, levels=levels, **read)


@router.get("/trace/loan/{loan_id:path}")
def loan(shown: Shown, loan_id: str) -> Response:
    """Show what was received of a loan, newest first."""
    with shown.reading() as query:
        found = query.rows("repayments_of_loan", id=loan_id, limit=ROWS)
        breaks = query.rows("breaks_of_subject", kind="loan", id=loan_id)
    if not found:
        raise HTTPException(404)
    return shown.show("loan", loan_id=loan_id, rows=found, breaks=breaks, limit=ROWS, levels=levels)


@router.get("/trace/line/{line_id:path}")
def line(shown: Shown, line_id: str) -> Response:
    """Show a line of a statement, and what it is."""
    with shown.reading() as query:
        found = query.row("line", id=line_id)
        if found is None:
            raise HTTPException(404)
        read: dict[str, Any] = {
            "matches": query.rows("matches_of_line", id=line_id),
            "breaks": query.rows("breaks_of_subject", kind="line", id=line_id),
        }
    return shown.show("line", line=found, levels=levels, paths=PATHS, **read)


@router.get("/trace/investor/{investor_id:path}")
def investor(shown: Shown, investor_id: str, on: date | None = None) -> Response:
    """Show an investor's balance, what is held of it and why, and the payouts, newest first; of a date, why so much."""
    if on is not None:
        return _why(shown, investor_id, on)
    with shown.reading() as query:
        read: dict[str, Any] = {
            "balances": query.rows("balances_of_investor", id=investor_id),
            "holds": query.rows("holds_of_investor", id=investor_id),
            "payouts": query.rows("payouts_of_investor", id=investor_id, limit=ROWS),
            "breaks": query.rows("breaks_of_subject", kind="investor", id=investor_id),
        }
    if not any(read.values()):
        raise HTTPException(404)
    return shown.show("investor", investor_id=investor_id, limit=ROWS, levels=levels, **read)


def _why(shown: Screen, investor_id: str, on: date) -> Response:
    """Show why an investor got what they got on a date: shares, account, payouts, and what revisions changed."""
    with shown.reading() as query:
        read: dict[str, Any] = {
            "shares": query.rows("shares_of_investor", id=investor_id, on=on),
            "postings": query.rows("postings_of_investor", id=investor_id, on=on),
            "payouts": query.rows("payouts_of_investors", days=[on], investors=[investor_id]),
            "changes": query.explained.share_changes(investor_id, on),
        }
    if not any(read.values()):
        raise HTTPException(404)
    return shown.show("why", investor_id=investor_id, on=on, levels=levels, **read)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
