"""Payouts: the queue by state, and one payout's life with the evidence of each step."""

from datetime import date
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from settlement.domain.payments.state import PayoutState
from settlement.pages import levels
from settlement.pages.query import KEPT, ROWS
from settlement.pages.screen import Shown

router = APIRouter()


@router.get("/payouts")
def payouts(shown: Shown, state: str = "", on: str = "", after: str = "", kept: str = "", done: str = "") -> Response:
    """Show payouts, newest first, all of them or those of a state or a date."""
    if state and state not in tuple(PayoutState):
        raise HTTPException(404)
    after_date, _, after_id = after.partition(" ")
    asked: dict[str, Any] = {"on": _date(on), "after_date": _date(after_date) or date.max, "after_id": after_id}
    name = "payouts"
    if state:
        name, asked = "payouts_of_state", asked | {"state": state}
    with shown.reading() as query:
        found = query.rows(name, limit=KEPT + 1 if kept else ROWS, **asked)
        if kept:
            return shown.table("payouts", found, kind=kept, title=shown.words("nav.title"))
        stuck = query.rows("stuck_payouts")
        refunds = query.rows("refunds_waiting")
        held = query.rows("holds", limit=ROWS)
    return shown.show(
        "payouts",
        done=done,
        refunds=refunds,
        held=held,
        rows=found,
        stuck=stuck,
        are_at_bank=any(PayoutState(row["state"]).is_at_bank for row in stuck),
        state=state,
        on=on,
        limit=ROWS,
        states=tuple(PayoutState),
        levels=levels,
    )


@router.get("/payouts/{payout_id:path}")
def payout(shown: Shown, payout_id: str) -> Response:
    """Show one payout: who, how much, each step with its evidence, the file, the lines."""
    with shown.reading() as query:
        found = query.row("payout", id=payout_id)
        if found is None:
            raise HTTPException(404)
        read: dict[str, Any] = {
            "history": query.rows("payout_history", id=payout_id),
            "facts": query.rows("payout_facts", id=payout_id),
            "lines": query.rows("lines_of_subject", kinds=["payout", "payout_return"], id=payout_id),
            "transmissions": query.rows("transmissions", id=found["file_id"]),
            "entries": query.rows(
                "entries_of_payout",
                id=payout_id,
                days=[row["settlement_date"] for row in query.rows("dates_of_payout", id=payout_id)],
            ),
            "breaks": query.rows("breaks_of_subject", kind="payout", id=payout_id),
            "attempts": query.rows(
                "attempts", on=found["settlement_date"], revision=found["revision"], kind=found["payee_kind"],
                payee=found["payee_id"], currency=found["currency"], chunk=found["chunk"],
            ),
        }  # fmt: skip
    is_at_bank = PayoutState(found["state"]).is_at_bank
    return shown.show("payout", payout=found, is_at_bank=is_at_bank, levels=levels, **read)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise HTTPException(404) from None
