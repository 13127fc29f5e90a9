"""A settlement database, a Slack of our own and the alerts between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.slack import SlackAlerts
from settlement.domain import policy
from settlement_lab.slack import sink as slack_sink

from .alert_desk import POLICY, Desk, Mailbox, WebSlack


@pytest.fixture
def open_desk(settlement_db_url: str, slack: slack_sink.Sink) -> Iterator[Callable[..., Desk]]:
    """Return a function that opens a desk under a policy (TOML)."""
    engine = sa.create_engine(settlement_db_url)

    def opened(toml: str = POLICY, **settings: Any) -> Desk:
        web, mailbox = WebSlack(slack.base_url), Mailbox()
        usual: dict[str, Any] = {"settles_after_seconds": 0.2, "longest_call_seconds": 2.0, "timezone": "Asia/Seoul"}
        policy_alerts = policy.parse(toml.encode()).alerts
        outbox = partial(Outbox, alerts=policy_alerts)
        return Desk(
            engine=engine,
            sink=slack,
            web=web,
            mailbox=mailbox,
            alerts=SlackAlerts(
                engine, policy_alerts, outbox=outbox, slack=lambda: web, mailer=lambda: mailbox, **(usual | settings)
            ),
            policy=policy_alerts,
        )

    yield opened
    engine.dispose()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    """A desk under a plain policy: one channel, English, e-mail to ops."""
    return open_desk()
