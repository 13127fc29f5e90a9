"""DAGs that fail in every way there is, under the product's own callbacks. For test_callbacks.py, which copies it."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta
from typing import Any

import task_rules
from airflow.sdk import dag, get_current_context, task

CALLBACKS: dict[str, Any] = {
    "on_failure_callback": task_rules.task_failed,
    "on_retry_callback": task_rules.task_retry,
    "retry_delay": timedelta(seconds=1),
}


def misfortune(dag_id: str, what: Any, *, run: dict[str, Any] | None = None, **rules: Any) -> None:
    @dag(
        dag_id=dag_id,
        schedule=None,
        default_args=CALLBACKS | {"retries": 0},
        on_failure_callback=task_rules.run_failed,
        **(run or {}),
    )
    def made() -> None:
        @task(**rules)  # type: ignore[untyped-decorator]  # with rules, Airflow says no types
        def act() -> None:
            what()

        @task
        def behind() -> None:
            pass

        act() >> behind()

    made()


def fail() -> None:
    raise ValueError("boom")


def leave() -> None:
    os._exit(1)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_first() -> None:
    if get_current_context()["ti"].try_number == 1:
        die()


def take_the_supervisor_along() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    die()


def sleep() -> None:
    time.sleep(90)


misfortune("exception", fail)
misfortune("execution_timeout", sleep, execution_timeout=timedelta(seconds=3))
misfortune("retried_exception", fail, retries=1)
misfortune("os_exit", leave)
misfortune("sigkill", die)
misfortune("sigkill_retried", die_at_first, retries=1)
misfortune("killed_supervisor", take_the_supervisor_along)
misfortune("run_timeout", sleep, run={"dagrun_timeout": timedelta(seconds=10)})
misfortune("task_marked_failed", sleep)
misfortune("run_marked_failed", sleep)
misfortune("paused", sleep)
