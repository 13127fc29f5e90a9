"""What tests of alerts hold in their hands: the outbox, a Slack of our own, a mailbox, and the worked day's events."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.slack import SlackAlerts, client
from settlement.domain.alerts.day import CurrencyTotals, DayCompleted, PayoutTotals
from settlement.domain.alerts.event import Event
from settlement.domain.alerts.routing import AlertsPolicy
from settlement.domain.alerts.task import TaskFailed
from settlement.ports.outbox import DeliveryReport
from settlement_lab.slack import sink as slack_sink

CHANNEL = "C0SETTLE"
DAY = date(2026, 2, 16)
NOON = datetime(2026, 2, 17, 3, 0, tzinfo=UTC)

POLICY = """
name = "test"
[alerts]
language = "en"
email_to = ["ops@example.com"]
[[alerts.channels]]
id = "C0SETTLE"
"""


class WebSlack(client.HookSlack):
    """The same calls over slack_sdk alone: importing Airflow would cost every test seconds."""

    def __init__(self, base_url: str) -> None:
        from slack_sdk import WebClient

        self._client = WebClient(token="xoxb-test", base_url=base_url, retry_handlers=[])
        self._hook = self
        self.call_count = 0

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if args:
            self.call_count += 1
            return super().call(method, *args, **kwargs)
        return self._client.api_call(method, **kwargs)


@dataclass
class Mailbox:
    """Keeps what would have been mailed."""

    mails: list[dict[str, Any]] = field(default_factory=list)

    def send(self, **mail: Any) -> None:
        self.mails.append(mail)


@dataclass
class Desk:
    """Everything a test of alerts holds in its hands, at a time that it moves itself."""

    engine: sa.Engine
    sink: slack_sink.Sink
    alerts: SlackAlerts
    policy: AlertsPolicy
    web: WebSlack
    mailbox: Mailbox
    now: datetime = NOON

    def outbox(self, connection: sa.Connection) -> Outbox:
        return Outbox(connection, alerts=self.policy)

    def record(self, event: Event) -> bool:
        with self.engine.begin() as connection:
            return self.outbox(connection).record(event, now=self.now)

    def deliver(self) -> DeliveryReport:
        return self.alerts.deliver(now=self.now)

    def tell(self, event: Event) -> DeliveryReport:
        assert self.record(event)
        return self.deliver()

    def pass_time(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def end_backoff(self) -> None:
        """Let threads that wait try at once, as if their time had passed."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("update ledger.alert_roots set next_try_at = 'epoch'")
            connection.exec_driver_sql(
                "update ledger.alert_outbox set uncertain_since = uncertain_since - interval '1 minute'"
            )

    def rows(self, columns: str = "*") -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.exec_driver_sql(f"select {columns} from ledger.alert_outbox order by alert_id"))

    def row(self, event: str) -> Any:
        (found,) = [row for row in self.rows() if row.event == event]
        return found

    def thread(self, channel: str = CHANNEL) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        ((root, replies),) = self.sink.conversation(channel)
        return root, replies

    def shown_keys(self, channel: str = CHANNEL) -> list[str]:
        """The dedupe keys that Slack shows, in the order of the messages."""
        return [
            message["metadata"]["event_payload"]["dedupe_key"]
            for root, replies in self.sink.conversation(channel)
            for message in (root, *replies)
            if "metadata" in message  # a tombstone has none
        ]

    def fail(self, *faults: dict[str, Any]) -> None:
        with self.sink.lock:
            self.sink.faults[:] = [slack_sink.Fault(**fault) for fault in faults]


def text_of(message: dict[str, Any]) -> str:
    """Return all that a message shows as one text."""
    return json.dumps(message.get("blocks", []), ensure_ascii=False) + str(message["text"])


def failed(task: str = "transfer.submit", **fields: Any) -> TaskFailed:
    """A failed task of the day."""
    said: dict[str, Any] = {
        "settlement_date": DAY,
        "run_id": "scheduled__2026-02-17",
        "task": task,
        "try_number": 1,
        "code": "Unavailable",
    }
    return TaskFailed(**(said | fields))


def completed(**fields: Any) -> DayCompleted:
    """The worked day of the contract, settled."""
    totals = CurrencyTotals(
        currency="KRW",
        repayment_count=1,
        received_amount=95_000,
        distributed_amount=88_050,
        fee_amount=800,
        vat_amount=80,
        national_tax_amount=980,
        local_tax_amount=90,
        credit_amount=5_000,
    )
    said: dict[str, Any] = {
        "settlement_date": DAY,
        "state": "settled",
        "completed_at": NOON,
        "deadline_at": NOON,
        "totals": (totals,),
        "payouts": (PayoutTotals(currency="KRW", paid_count=3, paid_amount=88_050),),
        "controls_passed": 12,
        "controls_total": 12,
    }
    return DayCompleted(**(said | fields))
