"""What the company's other DAGs hear: an asset event for each date that was settled, restated or closed.

Each run tells its own date at its end. What else changed is told by `bank_reconciliation`: days that it closed, other
dates that a run restated, what was done without Airflow, and what a task that died could not tell any more. So two
tasks never tell a new date at once: its asset is made by its first event, and of two tasks that make the same asset at
the same time Airflow 3.3 fails one. `docs/assets.md` has a DAG that listens.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from settlement.ports.services import Services

SETTLEMENT_DATES = AssetAlias("settlement_dates")
SETTLED_BY = "daily_settlement"
CLOCKS_DIFFER_BY = timedelta(days=1)

log = logging.getLogger(__name__)


def announce(services: Services, context: Any, *, own: date | None = None, now: datetime) -> None:
    """Have this task, once it succeeds, tell of its own date; or, without one, of every date that no run is at work on.

    Only what no event has said yet is told. What goes wrong here is logged and changes nothing: what is true is in the
    books, and the next task that announces finds it there.
    """
    from settlement.stages import announce as announcing

    try:
        since = datetime.now(UTC) - announcing.LOOK_BACK - CLOCKS_DIFFER_BY
        events = context["inlet_events"][SETTLEMENT_DATES].after(since.isoformat())
        for day in announcing.news(services, [event.extra for event in events], now=now):
            on = day.settlement_date
            if on == own or (own is None and not _is_at_work(context, day.run_id)):
                asset = Asset(name=f"settlement_date/{on}", uri=f"x-settlement://settlement_date/{on}")
                context["outlet_events"][SETTLEMENT_DATES].add(asset, extra=announcing.said_of(day))
    except Exception:
        log.exception("Other DAGs could not be told; the next run of bank_reconciliation tells them")


def _is_at_work(context: Any, run_id: str) -> bool:
    """Tell whether a run is still under way: it tells of its date itself. One that Airflow does not know is not."""
    count: int = context["ti"].get_dr_count(dag_id=SETTLED_BY, run_ids=[run_id], states=["queued", "running"])
    return count > 0
