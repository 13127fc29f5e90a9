"""Alerts through Slack: the port `Alerts` on the outbox of the settlement database.

`deliver` sends what is due: with a limit it is the
writer's single try, which runs beside the caller, is not made while Slack is known to be down, and holds the caller
for a second at most once Slack stops answering; without a limit it goes on, waiting when Slack asks to slow down,
until nothing is left or Slack fails.
"""

import dataclasses
import smtplib
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog

from settlement.adapters.slack import client, mail, renderer, sender
from settlement.domain.alerts import redaction
from settlement.domain.alerts.day import DayCompleted
from settlement.domain.alerts.event import AlertState
from settlement.domain.alerts.payload import fold
from settlement.domain.alerts.payouts import ApprovalNeeded, TakingBackNeeded
from settlement.domain.alerts.routing import AlertsPolicy, Language
from settlement.domain.commands import PROGRAM
from settlement.ports.outbox import Alert, ConnectionTest, DeliveryReport, OutboxToDeliver

log = structlog.get_logger(__name__)

LONGEST_DELIVERY_SECONDS = 240.0
HOLDS_CALLER_SECONDS = 1.0
REVIVE_AFTER = timedelta(minutes=10)


class SlackAlerts:
    """The outbox of the settlement database, delivered to the channels of the policy."""

    def __init__(
        self,
        engine: sa.Engine,
        policy_alerts: AlertsPolicy,
        *,
        outbox: Callable[[sa.Connection], OutboxToDeliver],
        timezone: str,
        airflow_url: str | None = None,
        runbook_url: str | None = None,
        program: str = PROGRAM,
        is_now_set: bool = False,
        slack: Callable[[], client.Slack | None] = client.from_connection,
        mailer: Callable[[], mail.Mailer | None] = mail.from_connection,
        settles_after_seconds: float = sender.SETTLES_AFTER_SECONDS,
        longest_call_seconds: float = sender.LONGEST_CALL_SECONDS,
    ) -> None:
        self._engine = engine
        self._policy = policy_alerts
        self._outbox = outbox
        self._find_slack = slack
        self._find_mailer = mailer
        self._settles_after = settles_after_seconds
        self._longest_call = longest_call_seconds
        self._warned: set[str] = set()
        self.renderer = renderer.Renderer(
            policy=policy_alerts,
            zone=ZoneInfo(timezone),
            airflow_url=airflow_url,
            runbook_url=runbook_url,
            program=program,
            is_now_set=is_now_set,
        )

    def deliver(self, *, now: datetime, limit_seconds: float | None = None) -> DeliveryReport:
        """Send what is due and return what came of it. Never raises because Slack, mail or the database fails."""
        report = DeliveryReport(is_complete=False)
        if limit_seconds is None:
            self._deliver(report, now=now, seconds=LONGEST_DELIVERY_SECONDS, is_patient=True)
            return report
        # The writer's own try: what it cannot finish in time goes on beside the caller and ends by itself; if the
        # process ends first, the next sender asks Slack before it posts.
        work = threading.Thread(
            target=self._deliver,
            args=(report,),
            kwargs={"now": now, "seconds": limit_seconds, "is_patient": False},
            name="alerts",
            daemon=True,
        )
        work.start()
        ends = time.monotonic() + limit_seconds
        seen, since = report.progress, time.monotonic()
        while work.is_alive() and time.monotonic() < min(ends, since + HOLDS_CALLER_SECONDS):
            work.join(0.02)
            if report.progress != seen:
                seen, since = report.progress, time.monotonic()
        return report

    def listing(
        self, *, settlement_date: date | None = None, state: AlertState | None = None, limit: int = 200
    ) -> list[Alert]:
        """Return the alerts of a date, or in a state, newest first."""
        with self._engine.connect() as connection:
            return self._outbox(connection).listing(settlement_date=settlement_date, state=state, limit=limit)

    def plain(self, day: DayCompleted, *, language: Language) -> str:
        """Return what the day's message in Slack would say now, as text for a terminal."""
        own = dataclasses.replace(day, backfill_id=None)
        with self._engine.connect() as connection:
            outbox = self._outbox(connection)
            payload, open_problems = fold(outbox.shown(own.thread), own), outbox.open_problems(own.thread)
        row = renderer.Row(
            kind="root",
            event=own.name,
            severity=own.severity,
            channel="",
            dedupe_key=own.dedupe_key,
            problem_key=own.key,
            payload=payload,
            thread=own.thread,
            created_at=datetime.now(UTC),
            settlement_date=own.settlement_date,
        )
        return renderer.plain(self.renderer.message(row, open_problems=open_problems, language=language))

    def question(self, asked: ApprovalNeeded | TakingBackNeeded, *, open_for: timedelta) -> tuple[str, str]:
        """Return what a second person is asked, in the policy's language: a line, and the whole of it as Markdown."""
        return self.renderer.question(asked, open_for=open_for)

    def test_connection(self) -> ConnectionTest:
        """Return what Slack says of the connection, its scopes and the policy's channels; nothing is posted."""
        return connection_test(self._policy, self._find_slack(), longest_call_seconds=self._longest_call)

    def resend(self, *, alert_ids: Sequence[int] | None = None) -> int:
        """Make failed alerts (all, or these) pending again; return how many."""
        with self._engine.begin() as connection:
            return self._outbox(connection).resend(alert_ids=alert_ids)

    def acknowledge(self, alert_id: int, *, by: str, now: datetime) -> bool:
        """Let nobody be reminded of a critical problem any more; False where the alert is of none that is open."""
        with self._engine.begin() as connection:
            return self._outbox(connection).acknowledge(alert_id, by=by, now=now)

    def _deliver(self, report: DeliveryReport, *, now: datetime, seconds: float, is_patient: bool) -> None:
        begun = time.monotonic()
        try:
            if is_patient:
                self._look_after(report, now=now)
            if self._is_waiting(is_patient=is_patient) and (slack := self._slack(report)) is not None:
                sender.Sender(
                    engine=self._engine,
                    slack=slack,
                    renderer=self.renderer,
                    now=lambda: now + timedelta(seconds=time.monotonic() - begun),
                    report=report,
                    until=begun + seconds,
                    is_patient=is_patient,
                    settles_after=self._settles_after,
                    longest_call=self._longest_call,
                ).run()
            if is_patient:
                self._mail(report, now=now)
            with self._engine.connect() as connection:
                report.pending = connection.execute(
                    sa.text("select count(*) from ledger.alert_outbox where state = 'pending'")
                ).scalar_one()
            report.is_complete = True
        except Exception as error:
            # Settlement never fails because people could not be told: the rows are safe and the next sender comes.
            report.errors.append(type(error).__name__)
            log.error("alerts.delivery_failed", kind=type(error).__name__, message=redaction.free_text(str(error)))

    def _slack(self, report: DeliveryReport) -> client.Slack | None:
        slack = self._find_slack()
        report.progress += 1
        if slack is None:
            self._warn_once(
                client.CONNECTION,
                "Connection [settlement_slack] is not there: alerts stay in the outbox."
                " Set AIRFLOW_CONN_SETTLEMENT_SLACK, or add the connection to Airflow (docs/alerts.md)",
            )
        return slack

    def _is_waiting(self, *, is_patient: bool) -> bool:
        """Tell whether a sender has something to do. A writer does not knock where the last sender found Slack down."""
        with self._engine.connect() as connection:
            return bool(connection.execute(sa.text(_WAITING if is_patient else _WAITING_AND_WELL)).scalar())

    def _look_after(self, report: DeliveryReport, *, now: datetime) -> None:
        """Write reminders that are due, and let what a mended token or channel would now take be tried again."""
        with self._engine.begin() as connection:
            report.repeated = self._outbox(connection).repeat_unresolved(now=now)
            connection.execute(
                sa.text(_REVIVE),
                {"codes": sorted(client.DESTINATION_ERRORS | {"thread_has_no_root"}), "age": REVIVE_AFTER},
            )

    def _mail(self, report: DeliveryReport, *, now: datetime) -> None:
        with self._engine.begin() as connection:
            if not mail.is_due(connection, now=now):
                return
            mailer = self._find_mailer() if self._policy.email_to else None
            if mailer is None:
                self._warn_once(
                    mail.CONNECTION,
                    "Alerts wait for e-mail, and there is no connection [settlement_smtp] or no [alerts] email_to in"
                    " the policy",
                )
                return
            try:
                report.mailed = mail.send_due(
                    connection,
                    mailer,
                    outbox=self._outbox(connection),
                    messages=self.renderer,
                    to=self._policy.email_to,
                    now=now,
                )
            except (OSError, smtplib.SMTPException) as error:
                connection.rollback()
                report.errors.append(f"smtp:{type(error).__name__}")
                log.error("alerts.mail_failed", code=type(error).__name__)

    def _warn_once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            log.warning("alerts.not_configured", what=what, message=message)


def connection_test(
    policy_alerts: AlertsPolicy,
    slack: client.Slack | None,
    *,
    longest_call_seconds: float = sender.LONGEST_CALL_SECONDS,
) -> ConnectionTest:
    """Return what Slack says of the connection, its scopes and the policy's channels; nothing is posted."""
    if slack is None:
        return ConnectionTest(error="no connection [settlement_slack]: set AIRFLOW_CONN_SETTLEMENT_SLACK")
    try:
        who, scopes = slack.identity(timeout=longest_call_seconds)
    except client.SlackError as error:
        return ConnectionTest(error=error.code)
    return ConnectionTest(
        team=who.get("team"),
        user=who.get("user"),
        missing_scopes=sorted(client.SCOPES - scopes) if scopes else [],
        channels={channel.id: _read(slack, channel.id, longest_call_seconds) for channel in policy_alerts.channels},
    )


def _read(slack: client.Slack, channel: str, seconds: float) -> str:
    """Return `ok` if the channel can be read, else the code of Slack's error."""
    asked = {"channel": channel, "limit": 1}
    try:
        slack.call("conversations.history", asked, timeout=seconds, is_read=True)
    except client.SlackError as error:
        return error.code
    return "ok"


_WAITING = "select exists (select from ledger.alert_outbox where state = 'pending' and channel <> 'email')"
_WAITING_AND_WELL = _WAITING + " and not exists (select from ledger.alert_roots where failures > 0)"
_REVIVE = """
update ledger.alert_outbox o set state = 'pending'
 where o.state = 'failed' and (o.emailed_at is null or o.kind = 'root') and o.last_error = any(:codes)
   and not exists (select from ledger.alert_attempts a
                    where a.alert_id = o.alert_id and a.attempted_at > clock_timestamp() - cast(:age as interval))
"""
