"""What people are told: the alerts, and the watch outside Airflow."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

import typer

from settlement import config
from settlement.cli import output
from settlement.cli.options import By, Json, Lang, parse_date
from settlement.domain.alerts.event import AlertState
from settlement.domain.errors import Refused
from settlement.ports.outbox import ConnectionTest

ALERTS = ("alert_id", "settlement_date", "event", "severity", "channel", "state", "attempts", "last_error")

AMISS = ("event", "severity", "settlement_date", "reason", "waits_for")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(alerts)
    app.command()(watch)


def alerts(
    by: By,
    settlement_date: Annotated[
        date | None, typer.Argument(metavar="[DATE]", parser=parse_date, help="Only those of this settlement date.")
    ] = None,
    resend: Annotated[bool, typer.Option("--resend", help="Try the failed ones again, and deliver now.")] = False,
    acknowledge: Annotated[
        int | None, typer.Option("--acknowledge", metavar="ALERT", help="Take a critical alert on: no more reminders.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Test the Slack connection and its scopes.")] = False,
    state: Annotated[AlertState | None, typer.Option("--state", help="Only those in this state.")] = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """List the alerts of a day (all by default), resend what failed, take one on, or test the connection."""
    from settlement import wiring

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        if test:
            found = services.alerts.test_connection()
            said = _as_data(found)
            if not out.data(said):
                out.table({"of": key, "value": value} for key, value in said.items())
            raise typer.Exit(0 if found.ok else 1)
        if resend:
            services.alerts.resend()
            services.alerts.deliver(now=config.now())
        if acknowledge is not None:
            if not services.alerts.acknowledge(acknowledge, by=by, now=config.now()):
                raise Refused(
                    f"Alert [{acknowledge}] is of no critical problem that is open: `settlement alerts` lists them"
                )
            services.alerts.deliver(now=config.now())
        rows = [asdict(row) for row in services.alerts.listing(settlement_date=settlement_date, state=state)]
    if not out.data(rows):
        out.table(rows, ALERTS)


def _as_data(found: ConnectionTest) -> dict[str, Any]:
    """Return what was found out, each channel by its id beside the rest; what was not reached is not there."""
    said: dict[str, Any] = {"ok": found.ok}
    if found.error:
        return said | {"error": found.error}
    said |= {"team": found.team, "user": found.user, "missing_scopes": list(found.missing_scopes)}
    return said | dict(found.channels)


def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once, say what is amiss, and end.")] = False,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Watch from outside Airflow: absent runs, deadlines, a dead scheduler; deliver alerts. Exit status 1: amiss."""
    from settlement import wiring
    from settlement.stages import watch as watching

    out = output.answer(json=json, lang=lang)
    airflow = wiring.airflow_health()
    with wiring.command() as services:
        if not once:
            watching.run(services, now=config.now, airflow=airflow)
        found = watching.once(services, now=config.now(), airflow=airflow)
    rows = [{"event": event.name, "severity": event.severity, **asdict(event)} for event in found]
    if not out.data(rows):
        out.table({name: row.get(name) for name in AMISS} for row in rows)
    raise typer.Exit(1 if rows else 0)
