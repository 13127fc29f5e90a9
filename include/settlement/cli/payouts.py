"""Payouts that wait for a person: what speaks against paying, files of unknown fate, refunds that are not paid."""

from dataclasses import asdict
from typing import Annotated

import typer

from settlement import config
from settlement.cli import output
from settlement.cli.options import Json, Lang, NewestDay
from settlement.domain.errors import Refused


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(gate)
    app.command()(unknown)
    app.command()(refunds)


def gate(
    settlement_date: NewestDay = None,
    override: Annotated[bool, typer.Option("--override", help="Answer for everything that was said.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why it may be paid all the same.")] = "",
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Say what was said against paying for a date, or answer for it. Exit status 1: something waits for an answer."""
    from settlement import wiring
    from settlement.stages import gate

    _name_and_reason(override, by, reason, of="--override")
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        with services.ledger.books(read_only=True) as books:
            on = settlement_date or books.days.newest()
        if on is None:
            raise Refused("No settlement date was ever opened: run the DAG daily_settlement")
        if override:
            gate.override(services, on, by=by, reason=reason, now=config.now())
        found = gate.objections(services, on)
    if not out.data([asdict(said) for said in found]):
        for said in found:
            is_answered = "objection_over" if said.is_over else "objection"
            out.say("objection_answered" if said.overridden_by else is_answered, **asdict(said))
        if not found:
            out.say("no_objection", date=on)
    raise typer.Exit(0 if all(said.overridden_by or said.is_over for said in found) else 1)


def unknown(
    absent: Annotated[str, typer.Option("--absent", metavar="FILE", help="The bank says it has nothing of FILE.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who asked the bank.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="What the bank said, and who.")] = "",
    json: Json = False,
    lang: Lang = None,
) -> None:
    """List the payment files of which nobody knows whether the bank has them. Exit status 1: there is one."""
    from settlement import wiring
    from settlement.stages import inquire

    _name_and_reason(bool(absent), by, reason, of="--absent")
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        if absent:
            inquire.declare_absent(services, absent, by=by, reason=reason, now=config.now())
        found = [asdict(file) for file in inquire.unknown_files(services)]
    if not out.data(found):
        out.table(found)
    raise typer.Exit(1 if found else 0)


def refunds(
    undo: Annotated[
        str, typer.Option("--undo", metavar="REFUND", help="Return what is unpaid of REFUND to the held credit.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Who returns it.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why it is not paid.")] = "",
    json: Json = False,
    lang: Lang = None,
) -> None:
    """List the refunds that were refused, or that are owed and not on their way. Exit status 1: there is one."""
    from settlement import wiring
    from settlement.stages import refunds as looking_after

    _name_and_reason(bool(undo), by, reason, of="--undo")
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        if undo:
            looking_after.undo(services, undo, by=by, reason=reason, now=config.now())
        found = [asdict(refund) for refund in looking_after.waiting(services)]
    if not out.data(found):
        out.table(found)
    raise typer.Exit(1 if found else 0)


def _name_and_reason(is_needed: bool, by: str, reason: str, *, of: str) -> None:
    if is_needed and not (by.strip() and reason.strip()):
        raise typer.BadParameter(f"{of} needs a name and a reason: --by NAME --reason TEXT")
