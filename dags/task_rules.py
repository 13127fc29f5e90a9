"""The rules that every task here follows: what it works with, when it is tried again, who hears when it fails.

A task is thin: it opens the services, calls one stage and returns the stage's small totals to XCom. This module is
imported where a DAG file is parsed, in workers and in the DAG processor, so `settlement` is imported inside functions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context
from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowRescheduleException

if TYPE_CHECKING:
    from settlement.ports.days import AirflowRun, DayRun, TaskFailure
    from settlement.ports.services import Notifications, Services

ASK_AGAIN_AFTER = timedelta(minutes=5)
ASK_AGAIN_AT_THE_EARLIEST = timedelta(seconds=15)
OPEN_DAY = "extract.open_day"
OF_TASK = ("task_id", "map_index", "try_number", "log_url")

log = logging.getLogger(__name__)


class OnlyWhatMayWorkLater(RetryPolicy):
    """Fail at once where trying again changes nothing: what the product refuses, and arithmetic that came out wrong.

    Airflow's `ExceptionRetryPolicy` says the same with rules such as `RetryRule("settlement.domain.errors.Broken",
    FAIL)`, but imports the classes where the DAG file is parsed; the product is imported in tasks only.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        from settlement.domain.errors import Broken, BrokenInvariant, Refused

        if isinstance(exception, (Refused, Broken, BrokenInvariant)):
            return RetryDecision.fail("trying again would change nothing")
        return RetryDecision.default()


@contextmanager
def services() -> Iterator[tuple[Services, datetime]]:
    """Open the services for one stage, hand them over with what stands for now, and try once to send what it told.

    Where the stage says `NotYet`, the task is put back and asks again later; it holds no worker meanwhile. The stage
    itself refuses once its deadline has passed, so that no task waits for ever.
    """
    from settlement import config, wiring
    from settlement.domain.errors import NotYet

    try:
        with wiring.services() as opened:
            yield opened, config.now()
            opened.alerts.deliver(now=config.now(), limit_seconds=5)
    except NotYet as waiting:
        log.info("%s", waiting)
        again = datetime.now(UTC) + wait_until_asked_again(waiting.until, now=config.now())
        raise AirflowRescheduleException(again) from waiting  # type: ignore[no-untyped-call]  # Airflow says no types


def wait_until_asked_again(until: datetime, *, now: datetime) -> timedelta:
    """Return how long a task is put back that is to be asked until then, both by the product's clock.

    Never shorter than `ASK_AGAIN_AT_THE_EARLIEST`: a task that is handed out before the scheduler has heard of its end
    is lost to Airflow 3.3, which counts a failed try and has people told.
    """
    return max(ASK_AGAIN_AT_THE_EARLIEST, min(ASK_AGAIN_AFTER, until - now))


@contextmanager
def the_day() -> Iterator[tuple[Services, DayRun, datetime]]:
    """Open the services for a stage of the day that this run's first task opened."""
    from settlement.ports.days import DayRun

    day = DayRun.from_json(get_current_context()["ti"].xcom_pull(task_ids=OPEN_DAY))
    with services() as (opened, now):
        yield opened, day, now


def airflow_run(context: Any) -> AirflowRun:
    """Return what Airflow says of the run that a task's context, or a callback's, belongs to."""
    from settlement.ports.days import AirflowRun

    run = context["dag_run"]
    from_at, until_at = run.data_interval_start, run.data_interval_end
    return AirflowRun(
        run_id=run.run_id,
        run_type=getattr(run.run_type, "value", run.run_type),
        triggered_at=run.run_after,
        triggered_by=run.triggering_user_name,
        logical_date=run.logical_date,
        interval=(from_at, until_at) if from_at and until_at else None,
        conf=run.conf or {},
        params=dict(context.get("params") or {}),
        clear_number=run.clear_number or 0,
    )


def task_failed(context: Any) -> None:
    """Put a failed task into the outbox of alerts."""
    _tell("task_failed", context)


def task_retry(context: Any) -> None:
    """Put a task that failed and will be tried again into the outbox of alerts."""
    _tell("task_retry", context)


def run_failed(context: Any) -> None:
    """Put a failed run into the outbox: it backs up every task that died without a word of its own."""
    _tell("run_failed", context, left=left_of_backfill(context))


TASK_RULES: dict[str, Any] = {
    "retries": 4,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2,  # a factor in Airflow 3.3, where True is 1: each wait is twice the one before
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": OnlyWhatMayWorkLater(),
    "execution_timeout": timedelta(hours=1),
    "on_failure_callback": task_failed,
    "on_retry_callback": task_retry,
}


def _tell(event: str, context: Any, **more: Any) -> None:
    """Write one row about a failure; whatever goes wrong here is logged and changes nothing.

    It runs in the task's process or in the DAG processor, where a task's context may hold next to nothing.
    """
    try:
        from settlement import config, wiring
        from settlement.stages import notify

        with wiring.notifications() as opened:
            now = config.now()
            getattr(notify, event)(opened, _end(context, opened, now=now), now=now, **more)
    except Exception:
        log.exception("The alert [%s] of run [%s] could not be written", event, context.get("run_id"))


def _end(context: Any, opened: Notifications, *, now: datetime) -> TaskFailure:
    """Say how it ended, and for which task where Airflow knows: then the failure of a run is told under its key."""
    from settlement.domain.errors import RequestRefused
    from settlement.ports.days import TaskFailure
    from settlement.stages import asked

    reason, exception, ti = context.get("reason"), context.get("exception"), context.get("ti")
    if exception:
        error = f"{type(exception).__name__}: {exception}"
    else:
        error = reason if reason and reason != "task_failure" else "the process died"
    is_of_task = ti is not None and reason in (None, "task_failure")
    run = context.get("dag_run")
    return TaskFailure(
        settlement_date=asked.date_of(opened, airflow_run(context), now=now) if run else None,
        run_id=context["run_id"],
        run_type=run.run_type if run else "manual",
        error=error,
        next_try_at=_next_try(ti),
        is_refused=isinstance(exception, RequestRefused),
        asked_by=run.triggering_user_name if run else None,
        **({name: getattr(ti, name) for name in OF_TASK} if is_of_task else {}),
    )


def _next_try(ti: Any) -> datetime | None:
    """Return the instant before which Airflow does not try the task again; it adds a random part of up to as much."""
    task = getattr(ti, "task", None)
    if task is None or not task.retries:
        return None
    factor = float(task.retry_exponential_backoff) or 1.0
    wait: timedelta = task.retry_delay * factor ** (ti.try_number - 1)
    longest: timedelta = task.max_retry_delay or wait
    return datetime.now(UTC) + min(wait, longest)


def left_of_backfill(context: Any) -> Iterator[str]:
    """Yield the ids of the other backfill runs of this DAG that Airflow has still to end. It asks as it goes."""
    from airflow.sdk.execution_time.comms import GetPreviousDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    run = context["dag_run"]
    supervisor: Any = SUPERVISOR_COMMS  # which is typed as answering anything to anything
    for state in ("running", "queued"):
        before = datetime.now(UTC)
        while found := supervisor.send(GetPreviousDagRun(dag_id=run.dag_id, logical_date=before, state=state)).dag_run:
            if found.run_type == "backfill" and found.run_id != run.run_id:
                yield found.run_id
            before = found.logical_date
