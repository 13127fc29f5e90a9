"""What a person does about a break: takes it on, says something, and ends it in one of the ways that its cause has.

Whatever ends a break has a reason and a name, and leaves history. Above the policy's limit it waits for a second
person: the first asks, the second decides, and the database refuses that they are one. What could not be carried out
is not asked, and what has moved since is asked anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import pandas as pd

from settlement.domain import frames
from settlement.domain.bank import matching
from settlement.domain.bank.matching import Match, OpenLine, Subject, SubjectKind
from settlement.domain.bank.matching.model import PAYOUT_KINDS, RECEIPT_KINDS, About
from settlement.domain.bank.statement import LineState
from settlement.domain.books import postings
from settlement.domain.books.accounts import (
    BANK_CHARGES,
    BANK_INTEREST,
    BORROWER_PAYABLE,
    DIFFERENCE,
    INVESTOR_PAYABLE,
    PAYOUTS_IN_TRANSIT,
    RECEIPTS_IN_TRANSIT,
    REMITTED,
    SUSPENSE,
)
from settlement.domain.books.opening import SUSPENDED
from settlement.domain.books.postings import JournalEntry
from settlement.domain.breaks import WAYS, BreakState, Decision, Way
from settlement.domain.errors import Refused
from settlement.domain.payments import evidence
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.state import AT_BANK
from settlement.ports.books import Books
from settlement.ports.breaks import Break
from settlement.ports.services import Services
from settlement.stages import apply, match

BOOKABLE = tuple(account.name for account in (*REMITTED, BANK_CHARGES, BANK_INTEREST))
"""The accounts to which a person may book a line."""

NO_CURRENCY = ""
"""Of a break that has no amount."""

SAID = {
    Way.MATCH: "matched with [{}] by hand",
    Way.BOOK: "booked to {}",
    Way.WRITE_OFF: "written off to {}",
    Way.ABSENT: "declared not to be paid, and {}",
    Way.ANSWER: "{} for",
}
"""How a decision is told; the braces take its target."""

Planned = tuple[int, Callable[[str], None]]
"""How much money hangs on what a person wants done, and what does it, in the name of whoever answers for it."""


def assign(
    services: Services,
    break_id: int,
    *,
    owner: str,
    due_on: date | None,
    by: str,
    now: datetime,
    seen: int | None = None,
) -> None:
    """Let somebody take a break on, until a date if one is named.

    Here and below, `seen` is how many events of the break's history somebody saw who decides: it is refused where more
    has happened since, so that of two people, or two clicks, the second is told and does nothing.
    """
    with services.ledger.books(posting=True) as books:
        _open(books, break_id, seen=seen)
        books.breaks.note(break_id, owner=owner, due_on=due_on, by=by, what=f"assigned to {owner}", now=now)


def comment(services: Services, break_id: int, *, text: str, by: str, now: datetime, seen: int | None = None) -> None:
    """Keep what somebody says about a break."""
    with services.ledger.books(posting=True) as books:
        _open(books, break_id, seen=seen)
        books.breaks.note(break_id, comment=text, by=by, what=f"comment: {text}", now=now)


def match_by_hand(
    services: Services, break_id: int, *, subject: str, reason: str, by: str, now: datetime, seen: int | None = None
) -> Mapping[str, Any]:
    """Match the line of a break with a receipt of the same amount, or with a payout.

    Of a payout the bank may have kept a fee: it left with more, or came back with less. The difference goes to
    `bank_charges`; one above the policy's limit waits for a second person.

    Raises Refused: the break is no line's, or the subject is not there, is matched already or has another amount.
    """
    return _decide_or_ask(services, break_id, way=Way.MATCH, target=subject, reason=reason, by=by, now=now, seen=seen)


def write_off(
    services: Services, break_id: int, *, reason: str, by: str, now: datetime, seen: int | None = None
) -> Mapping[str, Any]:
    """Write a break off to `difference`; above the policy's limit, ask a second person."""
    return _decide_or_ask(
        services, break_id, way=Way.WRITE_OFF, target=DIFFERENCE.name, reason=reason, by=by, now=now, seen=seen
    )


def book(
    services: Services, break_id: int, *, account: str, reason: str, by: str, now: datetime, seen: int | None = None
) -> Mapping[str, Any]:
    """Book the line of a break to an account; above the policy's limit, ask a second person.

    An overdrawn payee's account takes a line that brings at most what is missing in it.
    """
    return _decide_or_ask(services, break_id, way=Way.BOOK, target=account, reason=reason, by=by, now=now, seen=seen)


def declare_absent(
    services: Services, break_id: int, *, reason: str, by: str, now: datetime, seen: int | None = None
) -> Mapping[str, Any]:
    """Say, after asking the bank, that it does not pay the missing payout of a break; a second person has to agree.

    Its money goes back to the payee, whom the next run pays. Should a statement show it all the same, it is booked.
    """
    return _decide_or_ask(
        services, break_id, way=Way.ABSENT, target="rejected", reason=reason, by=by, now=now, seen=seen
    )


def answer(
    services: Services, break_id: int, *, reason: str, by: str, now: datetime, seen: int | None = None
) -> Mapping[str, Any]:
    """Answer for a break for which there is nothing to book; above the policy's limit, ask a second person."""
    return _decide_or_ask(
        services, break_id, way=Way.ANSWER, target="answered", reason=reason, by=by, now=now, seen=seen
    )


def approve(services: Services, break_id: int, *, by: str, now: datetime, seen: int | None = None) -> Mapping[str, Any]:
    """Let a second person decide what waits for one.

    Raises Refused: nothing waits, it is the same person, or what it is about has moved since.
    """
    with services.ledger.books(posting=True) as books:
        found = _open(books, break_id, seen=seen)
        decision = books.breaks.waiting(break_id)
        if decision is None:
            raise Refused(f"Nothing about break [{break_id}] waits for a second person")
        if decision.requested_by == by:
            raise Refused(f"[{by}] asked for this: a second person has to decide on break [{break_id}]")
        if decision.amount != (found.amount or 0):
            raise Refused(
                f"Break [{break_id}] is [{found.amount}] by now, asked was for [{decision.amount}]: ask again, and the"
                " former question is withdrawn"
            )
        _, carry_out = _planned(services, books, found, decision.kind, decision.target, decision.reason, now=now)
        books.breaks.decide(break_id, by=by, now=now)
        return _carry_out(services, books, found, decision, carry_out, by=f"{decision.requested_by} and {by}", now=now)


def _decide_or_ask(
    services: Services,
    break_id: int,
    *,
    way: Way,
    target: str,
    reason: str,
    by: str,
    now: datetime,
    seen: int | None = None,
) -> Mapping[str, Any]:
    """Do what a person wants done, or ask a second one; what could not be carried out is not asked."""
    with services.ledger.books(posting=True) as books:
        found = _open(books, break_id, seen=seen)
        waiting = books.breaks.waiting(break_id)
        if waiting is not None:
            if waiting.amount == (found.amount or 0):
                raise Refused(
                    f"Break [{break_id}] waits for a second person already: `settlement breaks approve {break_id}`"
                )
            books.breaks.withdraw(break_id, now=now)
            moved = f"asked anew: it was [{waiting.amount}] and is [{found.amount}]"
            books.breaks.note(break_id, by=by, what=moved, now=now)
        at_stake, carry_out = _planned(services, books, found, way, target, reason, now=now)
        limit = services.policy.matching.write_off_limit.get(found.currency or "", 0)
        decision = Decision(
            break_id=break_id,
            kind=way,
            target=target,
            amount=found.amount or 0,
            currency=found.currency or NO_CURRENCY,
            reason=reason,
            requested_by=by,
            needs_second=way is Way.ABSENT or abs(at_stake) > limit,
        )
        books.breaks.ask(decision, now=now)
        if decision.needs_second:
            books.breaks.note(break_id, by=by, what=f"{way} to {target} asked for: {reason}", now=now)
            return {"break_id": break_id, "state": "waits for a second person", "limit": limit}
        return _carry_out(services, books, found, decision, carry_out, by=by, now=now)


def _carry_out(
    services: Services,
    books: Books,
    found: Break,
    decision: Decision,
    carry_out: Callable[[str], None],
    *,
    by: str,
    now: datetime,
) -> Mapping[str, Any]:
    carry_out(by)
    state = BreakState.WRITTEN_OFF if decision.kind is Way.WRITE_OFF else BreakState.RESOLVED
    how = f"{SAID[decision.kind].format(decision.target.rpartition(':')[2])}: {decision.reason}"
    on = services.calendar.newest_settleable(now) or services.calendar.local_date(now)
    books.breaks.close(found.break_id, state=state, how=how, by=by, on=on, now=now)
    return {"break_id": found.break_id, "state": state.value, "resolution": how, "by": by}


def _planned(
    services: Services, books: Books, found: Break, way: Way, target: str, reason: str, *, now: datetime
) -> Planned:
    """Return what would be done, and how much money hangs on it.

    Raises Refused: it cannot be done; the message says what can.
    """
    ways = WAYS[found.cause, found.subject_kind]
    if way not in ways:
        raise Refused(
            f"Break [{found.break_id}] is {found.cause} of a [{found.subject_kind}]: [{way}] does not end it, but"
            f" {' or '.join(f'[{one}]' for one in ways)} does"
        )
    if found.subject_kind == "line":
        return _plan_line(services, books, found, way, target, reason, now=now)
    if way is Way.ABSENT:
        return _plan_absent(services, books, found, reason, now=now)
    if way is Way.WRITE_OFF:
        return _plan_write_off(services, books, found, now=now)
    if way is Way.ANSWER:
        return found.amount or 0, lambda by: None
    raise Refused(
        f"Break [{found.break_id}] is about [{found.subject_kind} {found.subject_id}], no line in suspense: book the"
        f" line that makes it good to [{INVESTOR_PAYABLE(found.subject_id)}], by the break of that line"
    )


def _plan_line(
    services: Services, books: Books, found: Break, way: Way, target: str, reason: str, *, now: datetime
) -> Planned:
    line = _line_of(books, found)
    shown = _shown_by(services, books, line)
    if way is Way.MATCH:
        subject = _subject(services, books, line, target)
        rule = "by_hand"
        if shown is not None and shown.key != subject.key:
            raise Refused(
                f"Line [{line.line_id}] carries the id of payout [{shown.reference}] and shows it: it is not [{target}]"
            )
    else:
        if shown is not None:
            raise Refused(
                f"Line [{line.line_id}] shows payout [{shown.reference}]: match it, with `settlement breaks match"
                f" {found.break_id} payout:{shown.reference}`; what differs goes to [{BANK_CHARGES.name}]"
            )
        if way is Way.BOOK:
            _require_bookable(books, line, target)
        rule = "written_off" if way is Way.WRITE_OFF else "by_hand"
        subject = Subject(
            kind=SubjectKind.ACCOUNT,
            subject_id=target,
            amount=line.amount,
            currency=line.currency,
            reference=target,
        )
    meant = Match(lines=(line,), subjects=(subject,), rule=rule, explanation=reason)

    def carry_out(by: str) -> None:
        match.book(services, books, matching.columns_of([meant]), by=by, now=now)
        if subject.kind is SubjectKind.ACCOUNT:
            _keep_explained(services, books, line, by=by, now=now)

    return (meant.difference if way is Way.MATCH else line.amount), carry_out


def _keep_explained(services: Services, books: Books, line: OpenLine, *, by: str, now: datetime) -> None:
    """Keep that a line which carries a payout's id, and could be its leaving or coming back, is something else."""
    named = books.payouts.by_end_to_end([line.end_to_end_id] if line.end_to_end_id else [])
    for payout_id, amount in frames.rows(named, "payout_id", "amount"):
        is_debit = evidence.is_debit(line.amount, amount)
        if is_debit or evidence.is_credit(line.amount, amount, is_return=line.is_return):
            kind = FactKind.DEBIT_EXPLAINED if is_debit else FactKind.CREDIT_EXPLAINED
            books.payouts.keep_facts([payout_id], kind, source=line.line_id, amounts=[line.amount], now=now)
            apply.follow(services, books, [payout_id], cause="explained", now=now)


def _require_bookable(books: Books, line: OpenLine, account: str) -> None:
    """Raises Refused: a person may not book this line to this account."""
    if account in BOOKABLE:
        return
    is_payable = account.startswith((INVESTOR_PAYABLE.prefix, BORROWER_PAYABLE.prefix))
    missing = books.journal.balance(account, line.currency) if is_payable else 0
    if missing <= 0:
        raise Refused(
            f"[{account}] is not an account that a line can be booked to: one of {sorted(BOOKABLE)}, an overdrawn"
            f" investor's, [{INVESTOR_PAYABLE.prefix}…], or that of an overdrawn refund, [{BORROWER_PAYABLE.prefix}…]"
        )
    if not 0 < line.amount <= missing:
        raise Refused(f"The line brings [{line.amount}], [{account}] lacks [{missing}]: it takes at most that")


def _plan_absent(services: Services, books: Books, found: Break, reason: str, *, now: datetime) -> Planned:
    payout = books.payouts.evidence([found.subject_id])
    if not payout["state"].isin(AT_BANK).all():
        raise Refused(
            f"Payout [{found.subject_id}] is [{payout['state'].iat[0]}]: what is missing is its money coming back,"
            f" which can be written off: `settlement breaks write-off {found.break_id}`"
        )

    def carry_out(by: str) -> None:
        said = {"by": by, "reason": reason}
        with apply.notifying_of_answers(services, books, now=now):
            books.payouts.keep_facts([found.subject_id], FactKind.ABSENT, source=by, evidence=said, now=now)
            apply.follow(services, books, [found.subject_id], cause="declared_absent", now=now)

    return found.amount or 0, carry_out


def _plan_write_off(services: Services, books: Books, found: Break, *, now: datetime) -> Planned:
    """Clear what a missing receipt, a missing return or an overdrawn payee leaves standing, against `difference`.

    Raises Refused: it has moved since the break was found, or the payout is still at the bank.
    """
    assert found.currency is not None and found.amount is not None
    if found.subject_kind == "repayment":
        cleared = RECEIPTS_IN_TRANSIT.name
        stands = _receipt_in_transit(books, found.subject_id)
    elif found.subject_kind == "opening":
        return _plan_write_off_of_opening(services, books, found, now=now)
    elif found.subject_kind == "payout":
        cleared = PAYOUTS_IN_TRANSIT.name
        stands = sum(owed.amount for owed in books.payouts.uncredited() if owed.payout_id == found.subject_id)
        if not stands:
            raise Refused(
                f"Payout [{found.subject_id}] is still at the bank: say that it is not paid with `settlement breaks"
                f" absent {found.break_id}`, and its money goes back to the payee"
            )
    else:
        payable = BORROWER_PAYABLE if found.subject_kind == BORROWER_PAYABLE.of else INVESTOR_PAYABLE
        cleared = payable(found.subject_id)
        stands = books.journal.balance(cleared, found.currency)
    if stands != found.amount:
        raise Refused(
            f"Break [{found.break_id}] was found with [{found.amount} {found.currency}], [{stands}] stands in"
            f" [{cleared}] by now: the next reconciliation brings the break up to date"
        )
    entry = JournalEntry(
        entry=postings.written_off(cleared, found.amount),
        currency=found.currency,
        repayment_id=found.subject_id if found.subject_kind == "repayment" else None,
        payout_id=found.subject_id if found.subject_kind == "payout" else None,
    )
    today = services.calendar.newest_settleable(now) or services.calendar.local_date(now)
    on = apply.open_date(services, books, today)
    return found.amount, lambda by: books.journal.post(entry, settlement_date=on, now=now)


def _plan_write_off_of_opening(services: Services, books: Books, found: Break, *, now: datetime) -> Planned:
    """Clear what another system had under way and no line has shown, or what was taken over unexplained.

    Raises Refused: it has moved since the break was found.
    """
    assert found.currency is not None and found.amount is not None
    waiting = {
        row.item_id: match.of_opening(row)
        for row in books.opening.under_way()
        if not row.is_shown and not row.is_written_off
    }
    item = waiting.get(found.subject_id)
    if found.cause == "missing_at_bank":
        stands = item.amount if item is not None else 0
        cleared, amount = (item.kind.clears(item.subject_id), item.amount) if item is not None else ("", 0)
        about = item.kind.about(item.subject_id) if item is not None else About()
    else:
        stands = books.opening.suspended().get(found.currency, 0)
        cleared, amount, about = SUSPENSE.name, -stands, About(repayment_id=SUSPENDED)
    made = JournalEntry(entry=postings.written_off(cleared, amount), currency=found.currency, **about)
    if stands != found.amount:
        raise Refused(
            f"Break [{found.break_id}] was found with [{found.amount} {found.currency}], [{stands}] stands by now: the"
            " next reconciliation brings the break up to date"
        )
    today = services.calendar.newest_settleable(now) or services.calendar.local_date(now)
    on = apply.open_date(services, books, today)
    return found.amount, lambda by: books.journal.post(made, settlement_date=on, now=now)


def _receipt_in_transit(books: Books, repayment_id: str) -> int:
    """Return what a receipt, or a receipt undone, that no line has shown yet leaves in transit."""
    return sum(row.signed_amount for row in books.in_transit.receipts() if row.repayment_id == repayment_id)


def _open(books: Books, break_id: int, *, seen: int | None = None) -> Break:
    for found in books.breaks.open():
        if found.break_id == break_id:
            if seen is not None and len(history := books.breaks.history(break_id)) != seen:
                last = history[-1]
                raise Refused(
                    f"Break [{break_id}] has moved on since you saw it: [{last.by}], {last.what}. Look at it again"
                )
            return found
    raise Refused(f"Break [{break_id}] is not open: `settlement breaks` lists those that are")


def _line_of(books: Books, found: Break) -> OpenLine:
    suspended = books.bank_lines.lines((LineState.SUSPENDED,))
    if found.subject_kind == "line":
        for line in matching.lines_in(suspended[suspended["line_id"] == found.subject_id]):
            return line
    raise Refused(f"Break [{found.break_id}] is about [{found.subject_kind} {found.subject_id}], no line in suspense")


def _shown_by(services: Services, books: Books, line: OpenLine) -> Subject | None:
    """Return the movement of a payout that a line shows by its id, also with a fee, and that no other has shown."""
    named = books.payouts.by_end_to_end([line.end_to_end_id] if line.end_to_end_id else [])
    return _movement(services, books, line, named)


def _subject(services: Services, books: Books, line: OpenLine, name: str) -> Subject:
    """Return what a person means by `receipt:ID`, or `payout:` with the payout's end-to-end id.

    Raises Refused: it is not there, has its line already, or its amount is not the line's.
    """
    kind, _, subject_id = name.partition(":")
    meant: Subject | None = None
    if subject_id.startswith("opening-"):
        waiting = [match.of_opening(row) for row in books.opening.under_way() if not row.is_shown]
        meant = next((item for item in waiting if (item.kind, item.subject_id) == (kind, subject_id)), None)
    elif kind == SubjectKind.PAYOUT:
        meant = _movement(services, books, line, books.payouts.by_end_to_end([subject_id]))
    elif kind == SubjectKind.RECEIPT:
        since = match.first_taken(services, books) or date.min
        offered = services.core.receipts(
            references=[], since=line.booking_date, repayment_ids=[subject_id], calendar=services.calendar
        )
        taken = books.bank_lines.matched_subjects(sorted(RECEIPT_KINDS), [subject_id])
        meant = next((receipt for receipt in matching.subjects_in(offered) if receipt.key not in taken), None)
        if meant is not None and meant.on is not None and meant.on < since:
            raise Refused(
                f"[{name}] came on [{meant.on}], before [{since}], the first date of which a run takes receipts: no run"
                " will take it. Book or write off the line instead"
            )
    if meant is None:
        raise Refused(
            f"[{name}] is not there, has its line already, or cannot be what this line of [{line.amount}"
            f" {line.currency}] shows: name a receipt as receipt:ID, a payout as payout:END_TO_END_ID"
        )
    is_of_payout = meant.kind in PAYOUT_KINDS and not subject_id.startswith("opening-")
    if meant.currency != line.currency or (meant.amount != line.amount and not is_of_payout):
        raise Refused(
            f"[{name}] is [{meant.amount} {meant.currency}], the line is [{line.amount} {line.currency}]:"
            " amounts that differ are not matched by hand. Book or write off the line instead"
        )
    return meant


def _movement(services: Services, books: Books, line: OpenLine, named: pd.DataFrame) -> Subject | None:
    """Return the movement of the one payout in a frame `PAYOUTS` that a line may show, by its direction and amount."""
    lines, by_line = frames.build(frames.OPEN_LINES, [asdict(line)]), {line.line_id: named["end_to_end_id"].tolist()}
    offered, _ = match.movements_of(books, named, lines, named=by_line, calendar=services.calendar)
    for movement in matching.subjects_in(offered):
        is_shown = (
            evidence.is_debit(line.amount, -movement.amount)
            if movement.kind is SubjectKind.PAYOUT
            else evidence.is_credit(line.amount, movement.amount, is_return=line.is_return)
        )
        if is_shown:
            return movement
    return None
