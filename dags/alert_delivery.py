"""What the outbox still holds goes to people, every five minutes; `settlement watch` does the same within seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from airflow.sdk import dag, task
from task_rules import TASK_RULES, airflow_run, run_failed, services


@task
def deliver(**context: Any) -> dict[str, Any]:
    """Send every alert that is due, and count what came of it."""
    from settlement.stages import asked

    asked.check_parameters(airflow_run(context))
    with services() as (opened, now):
        return asdict(opened.alerts.deliver(now=now))


@dag(
    schedule="*/5 * * * *",
    catchup=False,
    max_active_runs=1,
    default_args=TASK_RULES | {"retries": 1},
    on_failure_callback=run_failed,
    doc_md=__doc__,
    tags=["settlement"],
)
def alert_delivery() -> None:
    deliver()


alert_delivery()
