"""Today: one look answers "is it right?"."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from settlement.domain.days import DayState
from settlement.domain.payments.state import PayoutState
from settlement.pages import levels, verdict
from settlement.pages.screen import Shown
from settlement.pages.visitors import DAG_ID

router = APIRouter()
AGES = (3, 7)


@router.get("/")
def today(shown: Shown, done: str = "") -> Response:
    """Show the newest date, the money, and everything that waits for somebody."""
    house = shown.house
    due = house.calendar.newest_due(shown.now)
    with shown.reading() as query:
        newest = query.row("newest_day")
        on = newest["settlement_date"] if newest else None
        stuck = query.rows("stuck_payouts")
        found: dict[str, Any] = {
            "day": newest,
            "totals": query.rows("totals", on=on),
            "payouts": query.rows("payout_sums", on=on),
            "held": query.rows("held"),
            "stuck": stuck,
            "ages": query.rows("breaks_by_age", over=AGES[0], long_over=AGES[1]),
            "questions": query.rows("waiting_questions"),
            "objections": query.rows("objections", on=on),
            "decisions": query.rows("waiting_decisions"),
            "alerts": query.rows("undelivered_alerts"),
            "problems": query.rows("open_problems"),
            "backfills": query.rows("backfills_under_way"),
            "certificate": query.row("newest_certificate"),
            "statements": query.rows("newest_statements"),
        }
    state = DayState(newest["state"]) if newest else None
    expected = max((day for day in (on, due) if day), default=None)
    facts = verdict.Facts(
        on=on,
        state=state,
        due=due,
        deadline=house.deadline.of(expected) if expected else None,
        unknown=sum(row["count"] for row in stuck if row["state"] == PayoutState.UNKNOWN),
        breaks=sum(row["count"] for row in found["ages"]),
        waiting=len(found["questions"]),
        now=shown.now,
    )
    has_sent = any(not PayoutState(row["state"]).is_unsent for row in found["payouts"])
    return shown.show(
        "today",
        facts=facts,
        verdict=verdict.verdict(facts),
        steps=verdict.steps(state, revision=newest["revision"], has_sent=has_sent) if newest and state else [],
        levels=levels,
        done=done,
        **found,
    )


@router.get("/of/{dag_id}")
def of_dag(shown: Shown, dag_id: str) -> Response:
    """Open the tab of a DAG: only one of them settles."""
    return shown.go("/") if dag_id == DAG_ID else shown.show("no_settlement", dag_id=dag_id)


@router.get("/of/{dag_id}/{run_id:path}")
def of_run(shown: Shown, dag_id: str, run_id: str) -> Response:
    """Open the tab of a run: the date that it settled."""
    with shown.reading() as query:
        run = query.row("run", id=run_id) if dag_id == DAG_ID else None
    if run is None:
        return shown.show("no_settlement", dag_id=dag_id)
    return RedirectResponse(f"{shown.base}/day/{run['settlement_date']}", status_code=303)
