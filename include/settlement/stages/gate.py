"""The gate before money moves: what must be known, what speaks against paying, and who answers for it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from settlement.domain.bank import statement as statements
from settlement.domain.books.accounts import CLIENT_BANK, RECEIPTS_IN_TRANSIT
from settlement.domain.books.opening import OpeningKind
from settlement.domain.days import SETTLED, DayState
from settlement.domain.errors import NotYet, Refused
from settlement.domain.payments import gate as questions
from settlement.domain.payments import payouts
from settlement.domain.payments.gate import Blocking, Objection, Proposal
from settlement.domain.payments.state import PROVEN_UNPAID
from settlement.ports.approvals import AnsweredObjection
from settlement.ports.bank_lines import KeptStatement
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import match, notify, take_in

OVERRIDE = "override:"
"""A run whose reason begins so answers for the objections that it meets, in the name of whoever triggered it."""

ENDED_WELL = (*(state.value for state in SETTLED), "already_settled")
"""How a run ends that was not stopped at the gate."""

USUAL_WEEKS = 8
"""So many weeks back the same weekday is looked at for what is usual."""

LATE_BEFORE = timedelta(hours=1)
"""So long before the policy's `gate.wait_until` a statement that has not come is late."""


class _Objected(Exception):
    """Something speaks against paying, and nobody answers for it. Undoes the transaction that met it."""

    def __init__(self, objections: Sequence[Objection]) -> None:
        super().__init__()
        self.objections = objections


def wait_for_statement(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in what the bank sent and prove that the gate may open: the statement that the policy asks for is there.

    Raises NotYet: the statement has not come; it is waited for until the policy's `gate.wait_until`.
    Raises Refused: it has not come in time, and nobody answers for paying without it.
    """
    if not day.is_paying:
        return {"skipped": "no transfer"}
    take_in.require_bank(services)
    counts = take_in.take_in(services, now=now) | match.match(services, now=now)
    with keeping_objections(services, day, now=now), services.ledger.books(day=day) as books:
        newest = newest_statement(services, books)
        proposal = proposed(services, books, day, now=now)
        missing = [
            Objection(control=questions.statement_has_come.__name__, said=said)
            for said in questions.statement_has_come(proposal, services.policy)
        ]
        until = waited_until(services, day.settlement_date + timedelta(days=1))
        is_waited_for = bool(missing) and now < until and not services.is_now_set
        if not is_waited_for:
            answer_for(books, day, missing, now=now)
        if missing and now >= until - LATE_BEFORE:
            notify.input_late(books, day, "statement", expected_at=until, now=now)
        elif not missing:
            notify.input_came(books, day.settlement_date, "statement", now=now)
    if is_waited_for:
        notify.deliver(services, now=now)
        raise NotYet(f"{missing[0].said}; it is waited for until [{until.isoformat()}]", until=until)
    return counts | ({"statement": newest.statement_id} if newest else {})


def waited_until(services: Services, on: date) -> datetime:
    """Return until when, on this date, the bank's word on the day before is waited for: `gate.wait_until`."""
    clock = time.fromisoformat(services.policy.gate.wait_until)
    return datetime.combine(on, clock, tzinfo=ZoneInfo(services.policy.timezone))


def objections(services: Services, on: date) -> list[AnsweredObjection]:
    """Return what was said against paying for a settlement date, who answered for it, and whether it is over."""
    with services.ledger.books(read_only=True) as books:
        return _objections(books, on)


def override(services: Services, on: date, *, by: str, reason: str, now: datetime) -> list[AnsweredObjection]:
    """Keep that a person answers for everything that was said against paying for a settlement date; return it.

    Raises Refused: name or reason is missing, or there is nothing that anybody can answer for.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever answers for an objection gives a name and a reason: --by NAME --reason TEXT")
    with services.ledger.books(settlement_date=on) as books:
        said = [Objection(control=row.control, said=row.said) for row in _objections(books, on) if not row.is_over]
        open_to_answer = [objection.said for objection in said if not objection.is_final]
        if not books.approvals.override(on, said=open_to_answer, by=by.strip(), reason=reason.strip(), now=now):
            raise Refused(f"Nothing that somebody could answer for speaks against paying for [{on}]")
        return _objections(books, on)


def _objections(books: Books, on: date) -> list[AnsweredObjection]:
    return [replace(row, is_over=_has_passed(books, on, since=row.raised_at)) for row in books.approvals.objections(on)]


def _has_passed(books: Books, on: date, *, since: datetime) -> bool:
    """Tell whether a date has come through its gate since: its payouts are under way, or a run ended well."""
    day = books.days.find(on)
    if day is None or day.state is DayState.FAILED:
        return False
    if day.state in (DayState.AWAITING_APPROVAL, DayState.PAYING):
        return True
    run = books.days.run(day.run_id)
    is_well = run is not None and run.ended_at is not None and run.outcome in ENDED_WELL and run.ended_at >= since
    return is_well or (day.settled_at is not None and day.settled_at > since)


def proposed(
    services: Services, books: Books, day: DayRun, *, prepared: pd.DataFrame | None = None, now: datetime
) -> Proposal:
    """Return what would be paid, and everything that is known for or against it."""
    on = day.settlement_date
    wanted = {} if prepared is None else payouts.totals(prepared)
    paid = books.payouts.find(on)
    of_day = payouts.totals(paid[~paid["state"].isin(PROVEN_UNPAID)])
    newest, today = newest_statement(services, books), services.calendar.local_date(now)
    whole = whole_statement(services, books, today=today)
    under_way = _under_way(services, books, whole)
    proven = {}
    for currency in wanted:
        money = books.journal.balance(CLIENT_BANK.name, currency)
        if newest and newest.currency == currency:
            money = min(money, newest.closing)  # where the chain is broken, the lower of the two is what is proven
        if services.policy.gate.needs == "ledger":
            money += books.journal.balance(RECEIPTS_IN_TRANSIT.name, currency)
        proven[currency] = money - under_way.get(currency, 0)
    return Proposal(
        settlement_date=on,
        wanted=wanted,
        of_day={currency: amount + of_day.get(currency, 0) for currency, amount in wanted.items()},
        proven=proven,
        newest_statement=whole.business_date if whole else None,
        unfinished=newest.business_date if newest and newest != whole and newest.business_date <= today else None,
        breaks=[
            Blocking(
                break_id=found.break_id,
                cause=found.cause,
                subject=f"{found.subject_kind} {found.subject_id}",
                currency=found.currency,
                amount=found.amount,
            )
            for found in books.breaks.open()
        ],
        usual=usual_totals(books, on),
    )


def usual_totals(books: Books, on: date) -> dict[str, list[int]]:
    """Return what the same weekday paid out in the weeks before a date, newest first, by currency."""
    return books.payouts.usual_totals([on - timedelta(weeks=weeks) for weeks in range(1, USUAL_WEEKS + 1)])


def _under_way(services: Services, books: Books, newest: KeptStatement | None) -> dict[str, int]:
    """Return what may still leave the custody account for payouts, by currency: sent, and not yet shown as debited.

    A returned payout that no statement shows leaving was netted away by the bank, once a statement is in of a day after
    the one on which it was to leave. What another system had sent when the lender was taken over leaves like ours.
    """
    sums: Counter[str] = Counter()
    for part in books.payouts.under_way():
        is_netted = (
            part.is_returned
            and newest is not None
            and part.submitted_at is not None
            and payouts.leaves_on(services.calendar, part.settlement_date, part.submitted_at) < newest.business_date
        )
        sums[part.currency] += 0 if is_netted else part.amount
    for sent in books.opening.under_way():
        if sent.kind is OpeningKind.PAYOUT_IN_TRANSIT and not sent.is_shown and not sent.is_written_off:
            sums[sent.currency] += sent.amount
    return dict(sums)


def newest_statement(services: Services, books: Books) -> KeptStatement | None:
    return books.bank_lines.newest_statement(services.debtor.account) if services.debtor else None


def whole_statement(services: Services, books: Books, *, today: date) -> KeptStatement | None:
    """Return the last statement of the newest day, today at the latest, of which all that the bank says is there."""
    chain = books.bank_lines.statements(services.debtor.account) if services.debtor else []
    return statements.last_whole(chain, until=today)


def answer_for(books: Books, day: DayRun, found: Sequence[Objection], *, now: datetime) -> None:
    """Let the objections pass for which somebody answers: by name, with a reason, word for word.

    Raises _Objected: at least one is left.
    """
    answered = {(o.control, o.said) for o in books.approvals.objections(day.settlement_date) if o.overridden_by}
    left = [o for o in found if o.is_final or (o.control, o.said) not in answered]
    run = books.days.run(day.run_id) if left else None
    asked = (run.reason or "") if run else ""
    if run and run.triggered_by and asked.startswith(OVERRIDE) and not any(o.is_final for o in left):
        books.approvals.object_to(day, left, now=now)
        reason = asked.removeprefix(OVERRIDE).strip() or asked
        books.approvals.override(
            day.settlement_date, said=[o.said for o in left], by=run.triggered_by, reason=reason, now=now
        )
        return
    if left:
        raise _Objected(left)


@contextmanager
def keeping_objections(services: Services, day: DayRun, *, now: datetime) -> Iterator[None]:
    """Turn objections into a refusal, once they are on record: the transaction that met them wrote nothing.

    Raises Refused: saying what speaks against paying, and how to go on.
    """
    try:
        yield
    except _Objected as objected:
        with services.ledger.books(day=day) as books:
            books.approvals.object_to(day, objected.objections, now=now)
        said = "; ".join(objection.said for objection in objected.objections)
        way_out = (
            "no one can answer for that"
            if any(objection.is_final for objection in objected.objections)
            else f"or answer for it: `settlement gate {day.settlement_date} --override --by NAME --reason TEXT`"
        )
        raise Refused(
            f"Nothing is paid for [{day.settlement_date}]: {said}. Mend it and clear the task take_in; {way_out}"
        ) from None
