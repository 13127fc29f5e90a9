"""The fault run of the alerts: `python tests/slow/alert_faults.py --alerts 10000 --seed 1` prints its counts.

Two senders deliver, as processes of their own, while a third process plays a Slack that misbehaves (faulty_slack.py),
the writer still writes (and rolls back now and then), a person deletes a day's message now and then, and a killer ends
a sender with SIGKILL every few seconds; a new one takes its place. Afterwards every dedupe key must be visible exactly
once, in order within its thread.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import slack_sdk
import sqlalchemy as sa
import structlog
from settlement.adapters.ledger import migrate
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.slack import SlackAlerts, client, sender
from settlement.domain import policy
from settlement.domain.alerts.day import DayStarted
from settlement.domain.alerts.event import Event, Money
from settlement.domain.alerts.payouts import PayoutsRejected
from settlement.domain.alerts.task import TaskFailed, TaskRetry
from settlement_lab.servers import embedded

HERE = Path(__file__).parent
CHANNELS = ("C0SETTLE", "C0ONCALL")
POLICY = policy.parse(
    "\n".join(['name = "faults"', *(f'[[alerts.channels]]\nid = "{channel}"' for channel in CHANNELS)]).encode()
)
OUTBOX = partial(Outbox, alerts=POLICY.alerts)
FIRST, DAYS = date(2026, 3, 2), 20
KILL_AFTER_SECONDS = (1.0, 4.0)
DELETE_AFTER_SECONDS = (2.0, 6.0)
GIVE_UP_SECONDS = 1_500


class PlainHook:
    """The provider's hook without Airflow: importing Airflow for every killed sender would take the run's time."""

    def __init__(self, base_url: str) -> None:
        self.client = slack_sdk.WebClient(token="xoxb-test", base_url=base_url, retry_handlers=[])

    def call(self, method: str, **arguments: Any) -> Any:
        return self.client.api_call(method, **arguments)


def alerts_of(url: str, slack_url: str) -> SlackAlerts:
    """Return alerts that call the misbehaving Slack."""
    return SlackAlerts(
        sa.create_engine(url),
        POLICY.alerts,
        outbox=OUTBOX,
        timezone="Asia/Seoul",
        slack=lambda: client.HookSlack(PlainHook(slack_url)),
        mailer=lambda: None,
        settles_after_seconds=3.0,
        longest_call_seconds=1.0,
    )


def send_for_ever(url: str, slack_url: str) -> None:
    """Deliver until somebody kills this process."""
    sender.LONGEST_BACKOFF_SECONDS = 2.0
    logging.disable()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    ours = alerts_of(url, slack_url)
    while True:
        ours.deliver(now=datetime.now(UTC))
        time.sleep(0.2)


def write(engine: sa.Engine, *, count: int, seed: int) -> Iterator[int]:
    """Write events of all days in order, 50 a transaction, and yield how many are written; some roll back first."""
    dice, written = random.Random(seed), 0
    events = [event_of(number, FIRST + timedelta(days=number % DAYS)) for number in range(count // len(CHANNELS))]
    while written < len(events):
        batch = events[written : written + 50]
        with engine.connect() as connection:
            for event in batch:
                OUTBOX(connection).record(event, now=datetime.now(UTC))
            if dice.random() < 0.1:
                connection.rollback()
                continue
            connection.commit()
        written += len(batch)
        yield written


def event_of(number: int, on: date) -> Event:
    """Return the event of this number: mostly small ones, some critical, all with a key of their own."""
    run: dict[str, Any] = {"run_id": f"run_{number}", "task": "transfer.submit", "try_number": 1, "code": "Unavailable"}
    if number % 10 == 0:
        return TaskFailed(settlement_date=on, error="boom <!channel>", **run)
    if number % 10 == 1:
        money = (Money(amount=number, currency="KRW"),)
        return PayoutsRejected(settlement_date=on, code=f"X{number}", count=1, amounts=money)
    return TaskRetry(settlement_date=on, **run)


def run(*, count: int, seed: int) -> dict[str, Any]:
    """Run and return the counts; `doubled`, `missing`, `misplaced`, `strange` and `left` must be 0."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="af")))
        server = stack.enter_context(embedded.running(folder, durable=False))
        server.create_database("faults", owner="settlement")
        url = server.url("faults", user="settlement")
        migrate.migrate(url)
        engine = sa.create_engine(url)
        stack.callback(engine.dispose)
        port = free_port()
        slack_url = f"http://127.0.0.1:{port}"
        stack.enter_context(process("faulty_slack.py", str(port), str(seed)))
        begun = time.monotonic()
        kills = deliver_under_fire(engine, url, f"{slack_url}/api/", count=count, seed=seed)
        seconds = time.monotonic() - begun
        with urllib.request.urlopen(f"{slack_url}/state") as answer:
            state = json.load(answer)
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "select channel, dedupe_key, root_id, kind, state from ledger.alert_outbox order by alert_id"
            ).all()
            attempts = connection.exec_driver_sql(
                "select outcome, count(*) from ledger.alert_attempts group by outcome order by outcome"
            ).all()
    return judge(rows, state["messages"]) | {
        "kills": kills,
        "seconds": round(seconds),
        "attempts": dict(tuple(row) for row in attempts),
        "slack": dict(sorted(state["counts"].items())),
    }


def deliver_under_fire(engine: sa.Engine, url: str, slack_url: str, *, count: int, seed: int) -> int:
    """Write and deliver everything while senders are killed; return how many were.

    Each day begins anew when all is delivered, which finds out the roots that were deleted after their last reply.
    """
    dice, kills = random.Random(seed + 1), 0
    writing = write(engine, count=count, seed=seed)
    ends = time.monotonic() + GIVE_UP_SECONDS
    with ExitStack() as stack:
        senders = [stack.enter_context(forked_sender(url, slack_url)) for _ in range(2)]
        kill_at = delete_at = time.monotonic() + 3
        is_written = is_over = False
        while time.monotonic() < ends:
            is_written = is_written or next(writing, None) is None
            if time.monotonic() > kill_at:
                victim = dice.randrange(2)
                senders[victim].kill()
                senders[victim].join()
                kills += 1
                senders[victim] = stack.enter_context(forked_sender(url, slack_url))
                kill_at = time.monotonic() + dice.uniform(*KILL_AFTER_SECONDS)
            if time.monotonic() > delete_at and not is_over:
                urllib.request.urlopen(slack_url.removesuffix("api/") + "delete", data=b"").close()
                delete_at = time.monotonic() + dice.uniform(*DELETE_AFTER_SECONDS)
            with engine.connect() as connection:
                left = connection.exec_driver_sql(
                    "select count(*) from ledger.alert_outbox where state = 'pending'"
                ).scalar_one()
            if is_written and left == 0 and is_over:
                break
            if is_written and left == 0:
                is_over = True
                with engine.begin() as connection:
                    for day in range(DAYS):
                        event = DayStarted(settlement_date=FIRST + timedelta(days=day), repayment_count=1)
                        OUTBOX(connection).record(event, now=datetime.now(UTC))
            time.sleep(0.2 if is_written else 0.02)
    return kills


def judge(rows: Sequence[sa.Row[Any]], messages: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return what is wrong with what people see."""
    wanted = {(row.channel, row.dedupe_key) for row in rows}
    seen = Counter(
        (channel, message["metadata"]["event_payload"]["dedupe_key"])
        for channel, by_ts in messages.items()
        for message in by_ts.values()
    )
    place = {
        (channel, message["metadata"]["event_payload"]["dedupe_key"]): float(ts)
        for channel, by_ts in messages.items()
        for ts, message in by_ts.items()
    }
    misplaced = 0
    last: dict[int, float] = {}
    for row in rows:
        ts = place.get((row.channel, row.dedupe_key), 0.0)
        if row.kind == "reply":  # a root that was deleted stands anew below its first replies
            misplaced += ts < last.get(row.root_id, 0.0)
            last[row.root_id] = ts
    return {
        "alerts": len(wanted),
        "visible": sum(seen.values()),
        "doubled": sum(times - 1 for times in seen.values()),
        "missing": len(wanted - set(seen)),
        "strange": len(set(seen) - wanted),
        "misplaced": misplaced,
        "left": sum(row.state != "delivered" for row in rows),
        "threads": len({row.root_id for row in rows}),
    }


@contextmanager
def forked_sender(url: str, slack_url: str) -> Iterator[BaseProcess]:
    """Run a sender in a process of its own; it is forked, because starting Python after each kill would take longer."""
    child = multiprocessing.get_context("fork").Process(target=send_for_ever, args=(url, slack_url), daemon=True)
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join()


@contextmanager
def process(script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our scripts until the context ends."""
    child = subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    counts = run(count=given.alerts, seed=given.seed)
    print(json.dumps(counts, indent=2))
    return int(any(counts[wrong] for wrong in ("doubled", "missing", "strange", "misplaced", "left")))


if __name__ == "__main__":
    sys.exit(main())
