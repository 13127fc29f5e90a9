"""What alerts cost and how soon they arrive: an outbox of 100 000 rows, and a watch that runs. About three minutes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.slack import SlackAlerts
from settlement.domain.alerts.day import DayStarted
from settlement.domain.alerts.event import Severity
from settlement.domain.alerts.task import TaskRetry
from settlement_lab.slack import sink

NOW = datetime(2026, 2, 17, 3, 0, tzinfo=UTC)

FILL = """
with root as (
  insert into ledger.alert_roots (thread, channel, settlement_date)
  select 'day:' || d::date, 'C0SETTLE', d::date from generate_series(date '2024-01-01', date '2025-12-31', '1 day') d
  returning root_id, settlement_date)
insert into ledger.alert_outbox (root_id, kind, settlement_date, event, severity, channel, dedupe_key, problem_key,
                                 payload, state, created_at, delivered_at, version, sent_version, message_ts)
select root_id, 'reply', settlement_date, 'task.retry', 'info', 'C0SETTLE', settlement_date || ':retry:' || n,
       'retry:' || n, '{}', cast(:state as text), now(), case when :state = 'delivered' then now() end, 1,
       case when :state = 'delivered' then 1 else 0 end, case when :state = 'delivered' then '1.0' end
  from root, generate_series(1, 137) n
"""


POLICY: Any = SimpleNamespace(
    language="ko",
    channels=(SimpleNamespace(id="C0SETTLE", severities=tuple(Severity), language=None, backfills=False),),
    email_to=(),
    mention="",
)
OUTBOX = partial(Outbox, alerts=POLICY)


@pytest.fixture
def engine(settlement_db_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(settlement_db_url)
    yield engine
    engine.dispose()


@pytest.fixture
def ours(engine: sa.Engine) -> SlackAlerts:
    """Alerts with neither Slack nor mail behind them: they are written, and whoever else sends them sends them."""
    return SlackAlerts(engine, POLICY, outbox=OUTBOX, timezone="Asia/Seoul", slack=lambda: None, mailer=lambda: None)


def tell(engine: sa.Engine, number: int, *, now: datetime) -> None:
    """Record the retry of one run, in a transaction of its own."""
    event = TaskRetry(settlement_date=date(2026, 2, 16), run_id=f"r{number}", task="t", try_number=1, code="c")
    with engine.begin() as connection:
        OUTBOX(connection).record(event, now=now)


def median_seconds(work: Callable[[int], Any], times: int = 30) -> float:
    taken = []
    for number in range(times):
        begun = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["delivered", "pending"])
def test_a_hundred_thousand_rows_do_not_slow_the_day(engine: sa.Engine, ours: SlackAlerts, state: str) -> None:
    def record(number: int) -> None:
        tell(engine, number, now=NOW)

    def started(number: int) -> None:
        with engine.begin() as connection:
            event = DayStarted(settlement_date=date(2026, 2, 16), repayment_count=number)
            OUTBOX(connection).record(event, now=NOW)

    record(-1)
    before = median_seconds(record)
    with engine.begin() as connection:
        rows = connection.execute(sa.text(FILL), {"state": state}).rowcount
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze ledger.alert_outbox, ledger.alert_roots")
    measured = {
        "rows": rows,
        "record before": before,
        "record": median_seconds(lambda number: record(number + 1_000)),
        "edit the root": median_seconds(started),
        "deliver": median_seconds(lambda _: ours.deliver(now=NOW), times=5),
        "writer's try": median_seconds(lambda _: ours.deliver(now=NOW, limit_seconds=5), times=5),
        "listing": median_seconds(lambda _: ours.listing(settlement_date=date(2026, 2, 16)), times=5),
    }
    print({name: round(value, 4) for name, value in measured.items()})
    assert rows > 100_000
    assert measured["record"] < max(2 * before, 0.02)
    assert measured["edit the root"] < 0.05
    assert measured["deliver"] < 0.5


@pytest.mark.slow
def test_from_an_event_to_slack_it_takes_seconds_while_the_watch_runs(
    engine: sa.Engine, ours: SlackAlerts, settlement_db_url: str, slack: sink.Sink, tmp_path: Path
) -> None:
    """Nobody sends but the watch, a process of its own: what is measured is the longest way that an alert takes."""
    connections = {
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": settlement_db_url}},
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": settlement_db_url}},
        "SETTLEMENT_SLACK": {"conn_type": "slack", "password": "xoxb-test", "extra": {"base_url": slack.base_url}},
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SETTLEMENT"))}
    environment |= {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}
    environment |= {"AIRFLOW_HOME": str(tmp_path), "SETTLEMENT_SNAPSHOTS": str(tmp_path / "snapshots")}

    def record(number: int) -> None:
        tell(engine, number, now=datetime.now(UTC))

    def waits() -> int:
        with engine.connect() as connection:
            return int(
                connection.execute(
                    sa.text("select count(*) from ledger.alert_outbox where event = 'task.retry' and state = 'pending'")
                ).scalar_one()
            )

    record(0)
    watch = subprocess.Popen([sys.executable, "-m", "settlement.cli", "watch"], env=environment)
    try:
        deadline = time.monotonic() + 240
        for number in range(1, 41):
            while number == 1 and waits():  # until it has started
                assert watch.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
            record(number)
            time.sleep(0.7)
        while waits():
            assert watch.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        watch.kill()
        watch.wait()
    with engine.connect() as connection:
        seconds = connection.execute(
            sa.text(
                "select extract(epoch from delivered_at - created_at) from ledger.alert_outbox"
                " where event = 'task.retry' and problem_key not like 'retry:r0:%'"
            )
        ).scalars()
        taken = sorted(float(found) for found in seconds)
    print({"events": len(taken), "median": round(statistics.median(taken), 2), "slowest": round(taken[-1], 2)})
    assert len(taken) == 40
    assert statistics.median(taken) < 5
