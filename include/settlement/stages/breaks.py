"""What a person does about a break: takes it on, says something, matches by hand, books to an account, writes it off.

Whatever moves money has a reason and a name, and leaves history. Above the policy's limit it waits for a second person:
the first asks, the second decides, and the database refuses that they are one.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from settlement.domain.bank import matching
from settlement.domain.bank.matching import Match, OpenLine, Subject, SubjectKind
from settlement.domain.bank.statement import LineState
from settlement.domain.books import postings
from settlement.domain.books.accounts import (
    BANK_CHARGES,
    BANK_INTEREST,
    DIFFERENCE,
    INVESTOR_PAYABLE,
    RECEIPTS_IN_TRANSIT,
    REMITTED,
)
from settlement.domain.books.postings import JournalEntry
from settlement.domain.breaks import BreakState, Decision
from settlement.domain.errors import Refused
from settlement.ports.books import Books
from settlement.ports.breaks import Break
from settlement.ports.services import Services
from settlement.stages import match

BOOKABLE = tuple(account.name for account in (*REMITTED, BANK_CHARGES, BANK_INTEREST))
"""The accounts to which a person may book a line."""


def assign(services: Services, break_id: int, *, owner: str, due_on: date | None, by: str, now: datetime) -> None:
    """Let somebody take a break on, until a date if one is named."""
    with services.ledger.books(posting=True) as books:
        _open(books, break_id)
        books.breaks.note(break_id, owner=owner, due_on=due_on, by=by, what=f"assigned to {owner}", now=now)


def comment(services: Services, break_id: int, *, text: str, by: str, now: datetime) -> None:
    """Keep what somebody says about a break."""
    with services.ledger.books(posting=True) as books:
        _open(books, break_id)
        books.breaks.note(break_id, comment=text, by=by, what=f"comment: {text}", now=now)


def match_by_hand(
    services: Services, break_id: int, *, subject: str, reason: str, by: str, now: datetime
) -> Mapping[str, Any]:
    """Match the line of a break with a receipt or payout of the same amount.

    Raises Refused: the break is no line's, or the subject is not there, is matched already or has another amount.
    """
    with services.ledger.books(posting=True) as books:
        line = _line_of(books, _open(books, break_id))
        meant = _subject(services, books, subject, is_credit=line.amount > 0)
        if (meant.amount, meant.currency) != (line.amount, line.currency):
            raise Refused(
                f"[{subject}] is [{meant.amount} {meant.currency}], the line is [{line.amount} {line.currency}]:"
                " amounts that differ are not matched by hand. Book or write off the line instead"
            )
        if books.bank_lines.matched_subjects([meant.kind], [meant.subject_id]):
            raise Refused(f"[{subject}] has its line already: nothing is matched twice")
        found = Match(lines=(line,), subjects=(meant,), rule="by_hand", explanation=reason)
        match.book(books, matching.columns_of([found]), by=by, now=now)
        return _close(
            services, books, break_id, how=f"matched with [{meant.subject_id}] by hand: {reason}", by=by, now=now
        )


def write_off(services: Services, break_id: int, *, reason: str, by: str, now: datetime) -> Mapping[str, Any]:
    """Write a break off to `difference`; above the policy's limit, ask a second person."""
    return _decide_or_ask(services, break_id, kind="write_off", target=DIFFERENCE.name, reason=reason, by=by, now=now)


def book(services: Services, break_id: int, *, account: str, reason: str, by: str, now: datetime) -> Mapping[str, Any]:
    """Book the line of a break to an account; above the policy's limit, ask a second person."""
    if account not in BOOKABLE:
        raise Refused(f"[{account}] is not an account that a line can be booked to: one of {sorted(BOOKABLE)}")
    return _decide_or_ask(services, break_id, kind="book", target=account, reason=reason, by=by, now=now)


def approve(services: Services, break_id: int, *, by: str, now: datetime) -> Mapping[str, Any]:
    """Let a second person decide what waits for one.

    Raises Refused: nothing waits, or it is the same person.
    """
    with services.ledger.books(posting=True) as books:
        found = _open(books, break_id)
        decision = books.breaks.waiting(break_id)
        if decision is None:
            raise Refused(f"Nothing about break [{break_id}] waits for a second person")
        if decision.requested_by == by:
            raise Refused(f"[{by}] asked for this: a second person has to decide on break [{break_id}]")
        if decision.amount != found.amount:
            raise Refused(
                f"Break [{break_id}] is [{found.amount}] by now, asked was for [{decision.amount}]: ask again"
            )
        books.breaks.decide(break_id, by=by, now=now)
        return _carry_out(services, books, found, decision, by=f"{decision.requested_by} and {by}", now=now)


def _decide_or_ask(
    services: Services, break_id: int, *, kind: str, target: str, reason: str, by: str, now: datetime
) -> Mapping[str, Any]:
    with services.ledger.books(posting=True) as books:
        found = _open(books, break_id)
        if found.amount is None or found.currency is None:
            raise Refused(f"Break [{break_id}] has no amount: there is nothing to book")
        if books.breaks.waiting(break_id) is not None:
            raise Refused(
                f"Break [{break_id}] waits for a second person already: `settlement breaks approve {break_id}`"
            )
        limit = services.policy.matching.write_off_limit.get(found.currency, 0)
        decision = Decision(
            break_id=break_id,
            kind=kind,
            target=target,
            amount=found.amount,
            currency=found.currency,
            reason=reason,
            requested_by=by,
            needs_second=abs(found.amount) > limit,
        )
        books.breaks.ask(decision, now=now)
        if decision.needs_second:
            asked = f"{kind} to {target} asked for: {reason}"
            books.breaks.note(break_id, by=by, what=asked, now=now)
            return {"break_id": break_id, "state": "waits for a second person", "limit": limit}
        return _carry_out(services, books, found, decision, by=by, now=now)


def _carry_out(
    services: Services, books: Books, found: Break, decision: Decision, *, by: str, now: datetime
) -> Mapping[str, Any]:
    how = f"{'written off' if decision.kind == 'write_off' else 'booked'} to {decision.target}: {decision.reason}"
    state = BreakState.WRITTEN_OFF if decision.kind == "write_off" else BreakState.RESOLVED
    if found.subject_kind == "line":
        line = _line_of(books, found)
        subject = Subject(
            kind=SubjectKind.ACCOUNT,
            subject_id=decision.target,
            amount=line.amount,
            currency=line.currency,
            reference=decision.target,
        )
        rule = "written_off" if decision.kind == "write_off" else "by_hand"
        booked = Match(lines=(line,), subjects=(subject,), rule=rule, explanation=decision.reason)
        match.book(books, matching.columns_of([booked]), by=by, now=now)
    elif decision.kind == "write_off" and found.subject_kind in ("repayment", "investor"):
        _post_write_off(services, books, found, decision, now=now)
    else:
        raise Refused(
            f"Break [{found.break_id}] is about a [{found.subject_kind}]: only a line, a missing receipt or an"
            " overdrawn investor can be written off, and only a line be booked to an account"
        )
    return _close(services, books, found.break_id, how=how, by=by, now=now, state=state)


def _post_write_off(services: Services, books: Books, found: Break, decision: Decision, *, now: datetime) -> None:
    """Clear what a missing receipt or an overdrawn investor leaves standing, against `difference`.

    Raises Refused: it has moved since the break was found.
    """
    is_receipt = found.subject_kind == "repayment"
    cleared = RECEIPTS_IN_TRANSIT.name if is_receipt else INVESTOR_PAYABLE(found.subject_id)
    stands = (
        _receipt_in_transit(books, found.subject_id)
        if is_receipt
        else books.journal.balance(cleared, decision.currency)
    )
    if stands != decision.amount:
        raise Refused(
            f"Break [{found.break_id}] was found with [{decision.amount} {decision.currency}], [{stands}] stands in"
            f" [{cleared}] by now: the next reconciliation brings the break up to date"
        )
    books.journal.post(
        JournalEntry(
            entry=postings.written_off(cleared, decision.amount),
            currency=decision.currency,
            repayment_id=found.subject_id if is_receipt else None,
        ),
        settlement_date=services.calendar.newest_settleable(now) or services.calendar.local_date(now),
        now=now,
    )


def _receipt_in_transit(books: Books, repayment_id: str) -> int:
    """Return what a receipt, or a receipt undone, that no line has shown yet leaves in transit."""
    return sum(row.signed_amount for row in books.in_transit.receipts() if row.repayment_id == repayment_id)


def _open(books: Books, break_id: int) -> Break:
    for found in books.breaks.open():
        if found.break_id == break_id:
            return found
    raise Refused(f"Break [{break_id}] is not open: `settlement breaks` lists those that are")


def _line_of(books: Books, found: Break) -> OpenLine:
    suspended = books.bank_lines.lines((LineState.SUSPENDED,))
    if found.subject_kind == "line":
        for line in matching.lines_in(suspended[suspended["line_id"] == found.subject_id]):
            return line
    raise Refused(f"Break [{found.break_id}] is about [{found.subject_kind} {found.subject_id}], no line in suspense")


def _subject(services: Services, books: Books, name: str, *, is_credit: bool) -> Subject:
    """Return what a person means by `receipt:ID`, or `payout:` with the payout's end-to-end id."""
    kind, _, subject_id = name.partition(":")
    if kind == SubjectKind.PAYOUT:
        payouts = books.payouts.by_end_to_end([subject_id])
        for movement in matching.subjects_in(match.movements_of(payouts, services.calendar)):
            is_shown = books.bank_lines.matched_subjects([movement.kind], [movement.subject_id])
            if (movement.amount > 0) is is_credit and not is_shown:
                return movement
    elif kind == SubjectKind.RECEIPT:
        receipts = services.core.receipts(references=[], repayment_ids=[subject_id], calendar=services.calendar)
        for receipt in matching.subjects_in(receipts):
            return receipt
    raise Refused(
        f"[{name}] is not there or matched already: name a receipt as receipt:ID, a payout as payout:END_TO_END_ID"
    )


def _close(
    services: Services,
    books: Books,
    break_id: int,
    *,
    how: str,
    by: str,
    now: datetime,
    state: BreakState = BreakState.RESOLVED,
) -> Mapping[str, Any]:
    on = services.calendar.newest_settleable(now) or services.calendar.local_date(now)
    books.breaks.close(break_id, state=state, how=how, by=by, on=on, now=now)
    return {"break_id": break_id, "state": state.value, "resolution": how, "by": by}
