"""What the bank says, as it says it: every quarter of an hour its messages are taken in, matched, and days closed."""

from __future__ import annotations

from datetime import date
from typing import Any

from airflow.sdk import Param, dag, task
from announcements import SETTLEMENT_DATES, announce
from task_rules import TASK_RULES, airflow_run, run_failed, services

PARAMS = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="The date as of which breaks are aged and days closed. Empty: today.",
    ),
}


@task(inlets=[SETTLEMENT_DATES], outlets=[SETTLEMENT_DATES])
def take_in_everything(**context: Any) -> dict[str, Any]:
    """Take in what the bank has sent, match it with what is open, close the days that are complete; tell other DAGs."""
    from settlement.stages import asked, reconcile

    run = airflow_run(context)
    asked.check_parameters(run, known=("as_of",))
    as_of = run.params["as_of"]
    with services() as (opened, now):
        done = reconcile.take_in_everything(opened, as_of=date.fromisoformat(as_of) if as_of else None, now=now)
        announce(opened, context, now=now)
        return done


@dag(
    schedule="*/15 * * * *",
    catchup=False,
    max_active_runs=1,
    default_args=TASK_RULES | {"retries": 1},
    on_failure_callback=run_failed,
    params=PARAMS,
    doc_md=__doc__,
    tags=["settlement"],
)
def bank_reconciliation() -> None:
    take_in_everything()


bank_reconciliation()
