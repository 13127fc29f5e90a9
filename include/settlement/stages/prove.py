"""Proving the books against the bank: every break there is, custody in both directions, the days that close."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from settlement.domain import controls, frames
from settlement.domain.alerts.day import Step
from settlement.domain.bank import statement as statements
from settlement.domain.bank.statement import LineState
from settlement.domain.books.accounts import CLIENT_BANK, OPENING_BALANCE, SUSPENSE
from settlement.domain.breaks import Finding
from settlement.domain.days import DayState, SettlementCalendar
from settlement.domain.errors import Broken
from settlement.domain.payments import payouts
from settlement.domain.payments.state import AT_BANK, PayoutState
from settlement.ports.bank_lines import KeptStatement, RefusedMessage
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import certify_month, close, match, notify, passed_over, remit

CAUSES = (
    "investor_overdrawn",
    "borrower_overdrawn",
    "missing_at_bank",
    "unknown_at_bank",
    "amount_differs",
    "duplicate_line",
    "ambiguous",
    "statement_chain",
    "message_refused",
    "late_return",
    "date_not_settled",
    "opening_difference",
    remit.CAUSE,
)

ANSWERS = ("pain.", "pacs.", "camt.052", "camt.054")
"""How the kinds of messages begin that say less than the statement which follows them."""


def prove(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Prove that ledger and bank agree, bring the breaks up to date, and close what can be closed.

    Raises Refused: the statements are an unbroken chain and the ledger's bank balance is not their closing.
    """
    if day.dry_run:
        return {"skipped": "dry run"}
    proof = prove_or_refuse(services, as_of=day.settlement_date, backfill_id=day.backfill_id, now=now)
    with services.ledger.books(day=day) as books:
        matched = sum(row.matched_count for row in books.bank_lines.match_totals(day.settlement_date))
        notify.step_done(books, day, Step.RECONCILE, row_count=matched, now=now)
    return proof


def prove_or_refuse(
    services: Services, *, as_of: date, backfill_id: str | None = None, now: datetime
) -> dict[str, Any]:
    try:
        proof = prove_books(services, as_of=as_of, backfill_id=backfill_id, now=now)
        return proof | {"months": certify_month.certify(services, now=now)}
    except Broken as broken:
        raise notify.control_broken(services, as_of, broken, backfill_id=backfill_id, now=now) from broken


def prove_books(services: Services, *, as_of: date, backfill_id: str | None = None, now: datetime) -> dict[str, Any]:
    """Book what is open, find all breaks there are, prove both directions of custody, and close proven days.

    Raises Broken: ledger and bank differ by something that has no name.
    """
    with services.ledger.books(posting=True) as books:
        match.book_lines(services, books, now=now)
        remit.match_remittances(services, books, now=now)
        chain = books.bank_lines.statements(services.debtor.account) if services.debtor else []
        gaps = statements.gaps(chain)
        newest = chain[-1] if chain else None
        whole = statements.last_whole(chain, until=services.calendar.local_date(now))
        currency = services.debtor.currency if services.debtor else ""
        controls.check_custody(
            controls.Custody(
                currency=currency,
                client_bank=books.journal.balance(CLIENT_BANK.name, currency),
                closing=newest.closing if newest else None,
                unexplained=sum(after.opening - before.closing for before, after in gaps),
                posted=books.in_transit.by_posting(),
                items=books.in_transit.by_item(),
            )
        )
        passed = [control.__name__ for control in controls.CUSTODY_CONTROLS]
        books.days.note_controls(as_of, passed, is_held=True, now=now)
        refused = books.bank_lines.refused_messages()
        broken = _broken_chain(gaps)
        findings = [
            *books.breaks.found(),
            *broken,
            *_refused_statements(refused, chain, is_whole=not gaps),
            *_refused_answers(refused, whole, calendar=services.calendar),
            *_missing(services, books, whole),
            *_unexplained(services, books),
            *_taken_over(services, books, chain, whole),
            *passed_over.find(services, books),
            *remit.findings(services, books, whole),
        ]
        counts = books.breaks.sync(findings, causes=CAUSES, on=as_of, calendar=services.calendar, now=now)
        if counts["opened"]:
            notify.breaks_opened(books, as_of, backfill_id=backfill_id, now=now)
        answered = books.breaks.answered()
        is_whole = all(
            (found.cause, found.subject_kind, found.subject_id, found.amount) in answered for found in broken
        )
        closed = _close_days(services, books, whole, now=now) if is_whole else []
        return {
            "breaks": counts,
            "closed": [on.isoformat() for on in closed],
            "bank_balance": newest.closing if newest else None,
            "statement": newest.statement_id if newest else None,
        }


def _broken_chain(gaps: Sequence[tuple[KeptStatement, KeptStatement]]) -> list[Finding]:
    """A statement that does not open where the one before it closed."""
    return [
        Finding(
            cause="statement_chain",
            subject_kind="statement",
            subject_id=after.statement_id,
            currency=after.currency,
            amount=after.opening - before.closing,
            evidence={
                "opening": after.opening,
                "closing_before": before.closing,
                "before": before.statement_id,
            },
        )
        for before, after in gaps
    ]


def _refused_statements(
    refused: Sequence[RefusedMessage], chain: Sequence[KeptStatement], *, is_whole: bool
) -> list[Finding]:
    """A statement that was refused, until others prove that nothing is missing."""
    return [
        Finding(
            cause="statement_chain",
            subject_kind="message",
            subject_id=message.sha256[:16],
            amount=message.difference,
            evidence={
                "name": message.name,
                "refusal": message.refusal,
                "statement": message.statement_id,
            },
        )
        for message in refused
        if not message.kind.startswith(ANSWERS) and not (is_whole and _is_made_good(message, chain))
    ]


def _refused_answers(
    refused: Sequence[RefusedMessage], whole: KeptStatement | None, *, calendar: SettlementCalendar
) -> list[Finding]:
    """A status, return or notification that was refused, until the statement of its day says what really happened."""
    return [
        Finding(
            cause="message_refused",
            subject_kind="message",
            subject_id=message.sha256[:16],
            evidence={"name": message.name, "kind": message.kind, "refusal": message.refusal},
        )
        for message in refused
        if message.kind.startswith(ANSWERS)
        and (whole is None or whole.business_date < calendar.local_date(message.recorded_at))
    ]


def _is_made_good(message: RefusedMessage, chain: Sequence[KeptStatement]) -> bool:
    """Tell whether a statement came later for one that was refused: by its name, or as part of an unbroken chain."""
    later = [statement for statement in chain if statement.applied_at > message.recorded_at]
    return bool(later) and (
        len(later) < len(chain) or any(statement.bank_name == message.statement_id for statement in later)
    )


def _missing(services: Services, books: Books, whole: KeptStatement | None) -> list[Finding]:
    """What a statement that is here by now should have shown: receipts of its window, payouts of its date."""
    if whole is None:
        return []
    until: date = whole.business_date
    found = [
        Finding(
            cause="missing_at_bank",
            subject_kind="repayment",
            subject_id=row.repayment_id,
            currency=row.currency,
            amount=row.signed_amount,
            evidence={"expected_on": row.window_on},
        )
        for row in books.in_transit.receipts()
        if row.window_on <= until
    ]
    return [*found, *_missing_payouts(services, books, until), *_contradicted(books)]


def _missing_payouts(services: Services, books: Books, until: date) -> list[Finding]:
    """What statements until a day should have shown of payouts: their leaving, or the money of those that came back."""
    found = []
    next_day = services.calendar.calendar.next_business_day
    columns = ("payout_id", "currency", "amount", "state", "settlement_date", "submitted_at")
    for payout_id, currency, amount, state, on, submitted_at in frames.rows(
        books.payouts.find(states=AT_BANK), *columns
    ):
        due = payouts.leaves_on(services.calendar, on, submitted_at)
        # Sent after the bank's own cut-off it is booked a business day later; only then it is missing.
        if next_day(due) <= until:
            evidence: dict[str, Any] = {"expected_on": due, "state": state}
            found.append(_missing_payout(payout_id, currency, -amount, evidence))
    for owed in books.payouts.uncredited():
        known_on = services.calendar.local_date(owed.announced_at) if owed.announced_at else owed.booked_on
        due = next_day(max(known_on, owed.booked_on))
        if due <= until:
            evidence = {"expected_on": due, "state": PayoutState.RETURNED}
            found.append(_missing_payout(owed.payout_id, owed.currency, owed.amount, evidence))
    return found


def _missing_payout(payout_id: str, currency: str, amount: int, evidence: Mapping[str, Any]) -> Finding:
    return Finding(
        cause="missing_at_bank",
        subject_kind="payout",
        subject_id=payout_id,
        currency=currency,
        amount=amount,
        evidence=evidence,
    )


def _contradicted(books: Books) -> list[Finding]:
    """Payouts of which the bank said that it does not pay them, and which its statements show as paid."""
    return [
        Finding(
            cause="message_refused",
            subject_kind="payout",
            subject_id=payout_id,
            currency=currency,
            amount=amount,
            evidence={"booked_on": booked_on, "refusal": "the payout was said not to be paid; a statement shows it"},
        )
        for payout_id, currency, amount, booked_on in frames.rows(
            books.payouts.contradicted(), "payout_id", "currency", "amount", "booked_on"
        )
    ]


def _taken_over(
    services: Services, books: Books, chain: Sequence[KeptStatement], whole: KeptStatement | None
) -> list[Finding]:
    """What is left of an opening: what it and the first statement do not explain, what is suspended, what never came.

    The bank has until the business day after the first settlement date to show what was under way.
    """
    taken = books.opening.find()
    if taken is None or not chain:
        return []
    first = chain[0]
    rest = -books.journal.balance(OPENING_BALANCE.name, first.currency)
    found = [
        Finding(
            cause="opening_difference",
            subject_kind="account",
            subject_id=OPENING_BALANCE.name,
            currency=first.currency,
            amount=rest,
            evidence={
                "statement": first.statement_id,
                "opening": first.opening,
                "explained": books.opening.booked(first.currency),
            },
        )
    ] * bool(rest)
    found += [
        Finding(
            cause="unknown_at_bank",
            subject_kind="opening",
            subject_id=f"{SUSPENSE.name}:{currency}",
            currency=currency,
            amount=amount,
            evidence={"opened_on": taken.opened_on},
        )
        for currency, amount in books.opening.suspended().items()
    ]
    due = services.calendar.calendar.next_business_day(taken.first_date)
    if whole is None or whole.business_date < due:
        return found
    return found + [
        Finding(
            cause="missing_at_bank",
            subject_kind="opening",
            subject_id=row.item_id,
            currency=row.currency,
            amount=row.signed_amount,
            evidence={"expected_on": due, "reference": row.reference},
        )
        for row in books.opening.under_way()
        if row.currency == first.currency and not row.is_shown and not row.is_written_off
    ]


def _unexplained(services: Services, books: Books) -> list[Finding]:
    """Lines in suspense: unknown, or pointing at something of ours that they do not fit."""
    lines = books.bank_lines.lines((LineState.SUSPENDED,))
    if lines.empty:
        return []
    _, mismatches = match.match_lines(services, books, lines)
    by_line = {mismatch.line.line_id: mismatch for mismatch in mismatches}
    return [
        Finding(
            cause=by_line[line_id].cause if line_id in by_line else "unknown_at_bank",
            subject_kind="line",
            subject_id=line_id,
            currency=currency,
            amount=amount,
            evidence={
                "booking_date": on,
                "candidates": [f"{s.kind}:{s.subject_id}" for s in by_line[line_id].candidates]
                if line_id in by_line
                else [],
            },
        )
        for line_id, on, currency, amount in frames.rows(lines, "line_id", "booking_date", "currency", "amount")
    ]


def _close_days(services: Services, books: Books, whole: KeptStatement | None, *, now: datetime) -> list[date]:
    """Close the settled days whose payouts are all final and whose statement is in.

    A receipt that it does not show is a break by now, and stands in the certificate by name.
    """
    if whole is None:
        return []
    closed = []
    for on in books.days.unclosed():
        is_final = all(sums.state.is_final for sums in books.days.payout_sums(on))
        if is_final and whole.business_date >= on:
            books.days.set_state(on, DayState.CLOSED, now=now)
            close.issue(services, books, on, now=now)
            notify.day_completed(services, books, on, now=now)
            closed.append(on)
    return closed
