"""A settled date again, without Airflow: what would change, and the change itself."""

import getpass
from datetime import date, datetime
from typing import Annotated, Any

import typer

from settlement import config
from settlement.cli import output
from settlement.cli.options import By, Day, Json, Lang
from settlement.domain import currencies
from settlement.domain.errors import Refused
from settlement.ports.days import RunRequest
from settlement.ports.services import Services

CHANGES = ("settlement_date", "loan_id", "investor_id", "currency", "before", "after", "difference")


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(restate)


def restate(
    settlement_date: Day,
    by: By,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with each revision.")] = "",
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve, as a second person, that money which was paid is taken back.")
    ] = False,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Settle a settled date again: the loans whose facts changed since, on it and on every settled date after it.

    What comes out as it stands stays; a date that changes gets a new revision, and differences alone are posted.
    Nothing is paid: payouts follow from the balances, by the next run. Exit status 1: it is refused.
    """
    from settlement import wiring
    from settlement.stages import compute, extract, take_back

    if dry_run and approve:
        raise typer.BadParameter("--dry-run shows and --approve approves: one at a time")
    out, now = output.answer(json=json, lang=lang), config.now()
    with wiring.command() as services:
        with services.ledger.books(read_only=True) as books:
            settled, look_back = books.days.settled(), extract.look_back_of(services, books)
        if settlement_date not in settled:
            raise Refused(
                f"[{settlement_date}] was never settled: the run of the DAG daily_settlement for it settles it, and"
                " runs later dates again where it moves their loans"
            )
        if not look_back.reaches(settlement_date):
            raise Refused(
                f"[{settlement_date}] is not settled again: it lies more than the policy's source.look_back_days"
                f" [{look_back.days}] before the newest settled date [{look_back.newest}]"
            )
        if approve:
            if not services.policy.approval.command_line:
                raise Refused(
                    "The policy takes no second person's word from the command line (approval.command_line): what"
                    f" settling [{settlement_date}] again takes back waits for somebody who logs in"
                )
            found = take_back.approve(services, settlement_date, by=by, now=now)
        elif dry_run:
            found = compute.show_restatement(services, settlement_date, now=now)
        else:
            found = _restated(services, settlement_date, by=by, reason=reason, now=now)
    if out.data(found):
        return
    if approve:
        taken = (f"{currencies.to_grouped_text(amount, code)} {code}" for code, amount in found["taken_back"].items())
        out.say("restatement_approved", **found | {"taken_back": ", ".join(taken)})
        out.say("as_told", by=by, login=getpass.getuser())
    elif not found["restated"]:
        out.say("nothing_to_restate", settlement_date=settlement_date)
    else:
        if "changes" in found:
            out.table(found["changes"], CHANGES)
        out.table({"settlement_date": on, "revision": number} for on, number in found["restated"].items())
        out.table(
            {"currency": currency, "difference": amount, "taken_back": found["taken_back"].get(currency, 0)}
            for currency, amount in sorted(found["difference"].items())
        )


def _restated(services: Services, on: date, *, by: str, reason: str, now: datetime) -> dict[str, Any]:
    """Settle the date again in a run of its own, which pays nothing."""
    from settlement.stages import compute, extract, open_day, report

    request = RunRequest(
        settlement_date=on,
        run_id=f"restate__{on}__{now.isoformat()}",
        triggered_by=by,
        reason=reason.strip() or None,
        transfer=False,
    )
    day = open_day.open_day(services, request, now=now)
    extract.freeze_inputs(services, day, now=now)
    computed = compute.distribute(services, day, now=now)
    report.report(services, day, computed=computed, now=now)
    return {
        "settlement_date": on.isoformat(),
        "restated": computed.get("restated", {}),
        "difference": computed.get("difference", {}),
        "taken_back": computed.get("taken_back", {}),
    }
