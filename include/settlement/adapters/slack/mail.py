"""The way out when Slack does not take an alert: e-mail, through the connection `settlement_smtp`.

One message carries everything that is due, the critical first. What is due: what Slack has refused, edits of a message
that stands included; what is critical and not in Slack after five minutes; and what is addressed to e-mail in the first
place. A standing message that was mailed and then refused again is mailed again at its end (the day, the approval), not
for every step on the way.
"""

import hashlib
import os
import smtplib
import sys
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from settlement.adapters.slack import renderer, sender
from settlement.domain.alerts import routing
from settlement.domain.alerts.payload import of_event
from settlement.domain.alerts.watch import AlertsUndelivered
from settlement.ports.outbox import Outbox

log = structlog.get_logger(__name__)

CONNECTION = "settlement_smtp"
SHOWN = 50


class Mailer(Protocol):
    """Sends one e-mail. Raises OSError or smtplib.SMTPException when it did not go out."""

    def send(self, *, to: Sequence[str], subject: str, body: str, message_id: str) -> None: ...


class HookMailer:
    """E-mail through the SMTP provider's hook."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def send(self, *, to: Sequence[str], subject: str, body: str, message_id: str) -> None:
        from airflow.providers.common.compat.sdk import AirflowException

        try:
            with self._hook as connected:
                connected.send_email_smtp(
                    to=list(to),
                    subject=subject,
                    html_content=f"<pre>{escape(body)}</pre>",
                    custom_headers={"Message-ID": message_id},
                )
        except AirflowException as error:
            raise smtplib.SMTPException(str(error)) from error


def from_connection() -> HookMailer | None:
    """Return e-mail as the connection `settlement_smtp` names it, or None if there is no such connection."""
    if f"AIRFLOW_CONN_{CONNECTION.upper()}" not in os.environ and "airflow.sdk" not in sys.modules:
        return None
    from airflow.providers.common.compat.sdk import AirflowNotFoundException
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    hook = SmtpHook(smtp_conn_id=CONNECTION)
    try:
        hook.get_connection(CONNECTION)
    except AirflowNotFoundException:
        return None
    return HookMailer(hook)


def is_due(connection: sa.Connection, *, now: datetime) -> bool:
    """Tell whether anything must go out by e-mail."""
    return bool(connection.execute(sa.text(f"select exists ({_DUE})"), _times(now)).scalar())


def send_due(
    connection: sa.Connection,
    mailer: Mailer,
    *,
    outbox: Outbox,
    messages: renderer.Renderer,
    to: Sequence[str],
    now: datetime,
) -> int:
    """Mail what is due in the caller's transaction and return how many alerts that were.

    Raises OSError, smtplib.SMTPException: the mail server did not take it; roll back, and all stays due.
    """
    rows = connection.execute(
        sa.text(
            f"{_DUE} order by (o.severity = 'critical') desc, o.alert_id limit 1000 for no key update of o skip locked"
        ),
        _times(now),
    ).all()
    if not rows:
        return 0
    undelivered = [row for row in rows if row.channel != routing.EMAIL]
    shown: list[renderer.SlackMessage] = []
    if undelivered:
        summary = AlertsUndelivered(
            settlement_date=None,
            at=now,
            count=len(undelivered),
            oldest_at=min(row.created_at for row in undelivered),
            code=next((row.last_error for row in undelivered if row.last_error), "no_answer"),
        )
        outbox.record(summary, now=now)
        connection.execute(
            sa.text(
                "update ledger.alert_outbox set state = 'delivered', delivered_at = :now, emailed_at = :now,"
                " sent_version = version, attempts = 1 where dedupe_key = :key and state = 'pending'"
            ),
            {"key": summary.dedupe_key, "now": now},
        )
        shown.append(messages.message(_summary_row(summary, now)))
    shown += [messages.message(sender.as_row(row, row.thread)) for row in rows[:SHOWN]]
    body = "\n\n".join(renderer.plain(message) for message in shown)
    if len(rows) > SHOWN:
        body += f"\n\n… +{len(rows) - SHOWN}"
    mailer.send(
        to=to,
        subject=shown[0].text[:200].replace("\n", " "),
        body=body,
        message_id=_message_id(rows),
    )
    connection.execute(
        sa.text(
            """
            update ledger.alert_outbox
               set emailed_at = :now, attempts = attempts + 1,
                   state = case when channel = :email then 'delivered' else state end,
                   delivered_at = case when channel = :email then cast(:now as timestamptz) else delivered_at end,
                   sent_version = case when channel = :email or state = 'failed' then version else sent_version end
             where alert_id = any(:ids)
            """
        ),
        {"now": now, "email": routing.EMAIL, "ids": [row.alert_id for row in rows]},
    )
    return len(rows)


def _times(now: datetime) -> dict[str, Any]:
    return {"email": routing.EMAIL, "late": now - routing.EMAIL_AFTER}


def _summary_row(event: AlertsUndelivered, now: datetime) -> renderer.Row:
    return renderer.Row(
        kind="root",
        event=event.name,
        severity=event.severity,
        channel=routing.EMAIL,
        dedupe_key=event.dedupe_key,
        problem_key=event.key,
        payload=of_event(event),
        thread=event.thread,
        created_at=now,
    )


def _message_id(rows: Sequence[sa.Row[Any]]) -> str:
    keys = "\n".join(f"{row.channel} {row.dedupe_key}" for row in rows)
    return f"<{hashlib.sha256(keys.encode()).hexdigest()[:40]}@settlement>"


# One row per alert that must go out by e-mail and has not, as it is now. Of a day under way and of a backfill, one mail
# says that Slack shows it no more; what is over is said by a message of its own.
_DUE = """
select o.*, r.thread
  from ledger.alert_outbox o join ledger.alert_roots r using (root_id)
 where o.event <> 'thread' and o.kind <> 'file'
   and ((o.state = 'pending' and o.emailed_at is null and o.message_ts is null
         and (o.channel = :email or (o.severity = 'critical' and o.created_at <= :late)))
        or (o.state = 'failed' and o.emailed_at is null)
        or (o.state = 'failed' and o.sent_version between 1 and o.version - 1 and o.resolved_at is null
            and o.event not in ('day.started', 'day.progress') and not starts_with(r.thread, 'backfill:')))
"""
