"""Breaks: the list of what does not fit, and what a person does about one."""

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from settlement import config
from settlement.cli import output
from settlement.cli.options import By, Json, Lang, Reason, parse_date
from settlement.domain.breaks import WAYS
from settlement.domain.errors import Refused

BreakId = Annotated[int, typer.Argument(metavar="BREAK", help="The break's number, as `settlement breaks` lists it.")]
LISTED = (
    "break_id", "cause", "side", "subject_kind", "subject_id", "currency", "amount", "opened_on",
    "age_business_days", "state", "owner", "due_on", "comment",
)  # fmt: skip

app = typer.Typer(help="List the open breaks, and do something about one.", invoke_without_command=True)


@app.callback()
def list_breaks(context: typer.Context, json: Json = False, lang: Lang = None) -> None:
    """List the open breaks, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from settlement import wiring

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = [
            {name: getattr(row, name) for name in LISTED} | {"ends_by": ", ".join(WAYS[row.cause, row.subject_kind])}
            for row in books.breaks.open()
        ]
    if not out.data(found):
        out.table(found)


@app.command()
def history(break_id: BreakId, json: Json = False, lang: Lang = None) -> None:
    """Tell everything that happened to a break."""
    from settlement import wiring

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services, services.ledger.books(read_only=True) as books:
        found = [asdict(event) for event in books.breaks.history(break_id)]
    if not found:
        raise Refused(f"There is no break [{break_id}]: `settlement breaks` lists the open ones")
    if not out.data(found):
        out.table(found)


@app.command()
def assign(
    break_id: BreakId,
    owner: Annotated[str, typer.Argument(help="Who takes it on.")],
    by: By,
    due: Annotated[str, typer.Option("--due", metavar="DATE", help="Until when, YYYY-MM-DD.")] = "",
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Let somebody take a break on."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    due_on = parse_date(due) if due else None
    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        deciding.assign(services, break_id, owner=owner, due_on=due_on, by=by, now=config.now())
    if not out.data({"break_id": break_id, "state": "assigned", "owner": owner, "due_on": due_on, "by": by}):
        out.say("assigned", break_id=break_id, owner=owner)


@app.command()
def comment(
    break_id: BreakId,
    text: Annotated[str, typer.Argument(help="What to keep.")],
    by: By,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Keep what somebody says about a break."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        deciding.comment(services, break_id, text=text, by=by, now=config.now())
    if not out.data({"break_id": break_id, "comment": text, "by": by}):
        out.say("commented", break_id=break_id)


@app.command()
def match(
    break_id: BreakId,
    subject: Annotated[str, typer.Argument(help="receipt:ID, or payout:END_TO_END_ID.")],
    reason: Reason,
    by: By,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Match the line of a break by hand, with a receipt of its amount, or a payout of which the bank kept a fee."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        done = deciding.match_by_hand(services, break_id, subject=subject, reason=reason, by=by, now=config.now())
    _print_done(out, done)


@app.command(name="write-off")
def write_off(break_id: BreakId, reason: Reason, by: By, json: Json = False, lang: Lang = None) -> None:
    """Write a break off; above the policy's limit a second person has to approve."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        done = deciding.write_off(services, break_id, reason=reason, by=by, now=config.now())
    _print_done(out, done)


@app.command()
def book(
    break_id: BreakId,
    account: Annotated[str, typer.Argument(help="fee_income, vat_payable, bank_charges …")],
    reason: Reason,
    by: By,
    json: Json = False,
    lang: Lang = None,
) -> None:
    """Book the line of a break to an account; above the policy's limit a second person has to approve."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        done = deciding.book(services, break_id, account=account, reason=reason, by=by, now=config.now())
    _print_done(out, done)


@app.command()
def absent(break_id: BreakId, reason: Reason, by: By, json: Json = False, lang: Lang = None) -> None:
    """Say, after asking the bank, that it does not pay a missing payout; a second person has to approve."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        done = deciding.declare_absent(services, break_id, reason=reason, by=by, now=config.now())
    _print_done(out, done)


@app.command()
def answer(break_id: BreakId, reason: Reason, by: By, json: Json = False, lang: Lang = None) -> None:
    """Answer by name for a break for which there is nothing to book; above the policy's limit two people have to."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        done = deciding.answer(services, break_id, reason=reason, by=by, now=config.now())
    _print_done(out, done)


@app.command()
def approve(break_id: BreakId, by: By, json: Json = False, lang: Lang = None) -> None:
    """Approve, as a second person, what was asked for about a break. The name is recorded as told, and not proven."""
    from settlement import wiring
    from settlement.stages import breaks as deciding

    out = output.answer(json=json, lang=lang)
    with wiring.command() as services:
        if not services.policy.approval.command_line:
            raise Refused(
                f"The policy takes no second person's word from the command line (approval.command_line): break"
                f" [{break_id}] waits for somebody who logs in"
            )
        done = deciding.approve(services, break_id, by=by, now=config.now())
    _print_done(out, done)
    if not out.is_json:
        out.say("as_told", by=by, login=getpass.getuser())


def _print_done(out: output.Output, done: Mapping[str, Any]) -> None:
    if not out.data(done):
        out.say("decided" if "resolution" in done else "break_state", **done)
