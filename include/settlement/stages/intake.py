"""Taking in what the bank sent: kept byte for byte, read, proven, applied. The one function that transfer and
reconcile both call, so a status is the same status whoever saw it first.

Each message is kept and committed before the bank is told that we have it, and applied in a transaction of its own, so
a crash at any point loses nothing and applies nothing twice.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import structlog

from settlement.domain.alerts import PayoutsUnknown, Resolved
from settlement.domain.bank import matching
from settlement.domain.bank.matching import Match, Mismatch, OpenLine, Subject, Terms
from settlement.domain.bank.messages import (
    DUPLICATE_REASONS,
    REJECTED,
    FileAnswer,
    Message,
    Notification,
    Outcome,
    PaymentStatus,
    Return,
    Statement,
    UnreadableMessage,
)
from settlement.domain.days import SettlementCalendar
from settlement.domain.errors import Refused
from settlement.domain.payments import files
from settlement.domain.payments.files import Presence
from settlement.domain.payments.payouts import PERMANENT_REASONS
from settlement.ports.books import Books
from settlement.ports.services import Services

log = structlog.get_logger(__name__)

OPEN_STATES = ("submitted", "unknown", "accepted")
ACCEPTING = frozenset({"ACTC", "ACCP", "ACSP", "ACSC", "ACCC", "ACWC", "ACWP"})


def take_in(services: Services, *, now: datetime) -> dict[str, Any]:
    """Take in everything that the bank has and people landed, apply it, and match what is open; return counts by kind.

    :raises Unavailable: the bank's channel or the landing folder cannot be read.
    """
    inboxes = [inbox for inbox in (services.bank, services.landing) if inbox is not None]
    if not inboxes:
        return {"bank": "not configured"}
    counts: Counter[str] = Counter()
    for inbox in inboxes:
        messages = list(inbox.fetch())
        while messages:
            with services.ledger.books() as books:
                for message in messages:
                    counts["new" if books.bank_lines.keep_message(message, direction="in", now=now) else "known"] += 1
            messages = list(inbox.acknowledge(messages))
    counts.update(apply_new(services, now=now))
    counts.update(match_open(services, now=now))
    return dict(counts)


def apply_new(services: Services, *, now: datetime) -> dict[str, int]:
    """Apply the kept messages that are not applied yet: status reports and returns, then statements by their days."""
    with services.ledger.books(read_only=True) as books:
        messages = books.bank_lines.new_messages()
    read: list[tuple[Any, Message, Any]] = []
    counts: Counter[str] = Counter()
    for message in messages:
        try:
            said = services.read_message(message)
        except UnreadableMessage as error:
            refuse(services, message, error, now=now)
            counts["refused"] += 1
            continue
        read.append((_order(said), message, said))
    for _, message, said in sorted(read, key=lambda item: item[0]):
        try:
            with services.ledger.books(posting=True) as books, hearing_answers(services, books, now=now):
                is_ours = _apply(services, books, said, message, now=now)
                books.bank_lines.close_message(message.sha256, "applied" if is_ours else "foreign")
            counts["applied" if is_ours else "foreign"] += 1
        except UnreadableMessage as error:
            refuse(services, message, error, now=now)
            counts["refused"] += 1
    return dict(counts)


def refuse(services: Services, message: Message, error: UnreadableMessage, *, now: datetime) -> None:
    """Keep a message that cannot be used, with the reason; it changes nothing else."""
    log.warning("bank_message_refused", name=message.name, kind=message.kind, sha256=message.sha256, reason=str(error))
    with services.ledger.books(posting=True) as books:
        books.bank_lines.close_message(
            message.sha256,
            "refused",
            refusal=str(error),
            statement_id=error.statement_id,
            difference=error.difference,
        )


def match_open(services: Services, *, now: datetime) -> dict[str, int]:
    """Match every line that is open or in suspense; what matches nothing goes to suspense."""
    with services.ledger.books(posting=True) as books:
        return book_lines(services, books, now=now)


def book_lines(services: Services, books: Books, *, now: datetime) -> dict[str, int]:
    """Match and book every line that is open or in suspense, in the transaction of these books."""
    lines = books.bank_lines.lines(("open", "suspended"))
    if not lines:
        return {}
    matches, _ = match_lines(services, books, lines)
    with hearing_answers(services, books, now=now):
        book(books, matches, now=now)
    matched = {line.line_id for found in matches for line in found.lines}
    books.bank_lines.suspend([line for line in lines if line.line_id not in matched and not line.is_suspended], now=now)
    return {"matched": len(matched), "suspended": len(lines) - len(matched)}


@contextmanager
def hearing_answers(services: Services, books: Books, *, now: datetime) -> Iterator[None]:
    """Do what may answer for unknown payouts; where it does for the last one of a date, people hear that it is over."""
    before = books.payouts.unknown_dates()
    yield
    if services.alerts and before:
        for on in sorted(before - books.payouts.unknown_dates()):
            over = Resolved(settlement_date=on, problem="unknown", problem_event=PayoutsUnknown.name)
            services.alerts.record(books.transaction, over, now=now)


def match_lines(services: Services, books: Books, lines: Sequence[OpenLine]) -> tuple[list[Match], list[Mismatch]]:
    """Return what the lines are, and which of them point at something of ours without fitting it."""
    references = sorted({key for line in lines for key in matching.references_of(line)})
    payouts = {p["payout_id"]: p for p in books.payouts.by_end_to_end(references).values()}
    receipts: Sequence[Subject] = []
    if len(payouts) < len(lines):  # some line is no payout: offer everything that is still under way
        payouts |= {payout["payout_id"]: payout for payout in books.payouts.find(states=OPEN_STATES)}
        unmatched = [row["repayment_id"] for row in books.in_transit.receipts()]
        receipts = services.core.receipts(references=references, repayment_ids=unmatched, calendar=services.calendar)
    subjects = [*receipts, *(s for payout in payouts.values() for s in movements_of(payout, services.calendar))]
    taken = books.bank_lines.matched_subjects(sorted({s.kind for s in subjects}), [s.subject_id for s in subjects])
    return matching.match(
        lines,
        [subject for subject in subjects if subject.key not in taken],
        taken=[subject for subject in subjects if subject.key in taken],
        terms=_terms(services),
    )


def movements_of(payout: Mapping[str, Any], calendar: SettlementCalendar) -> Iterator[Subject]:
    """Yield the movements of a payout that a statement may show: its leaving, and its coming back, in either order.

    One that a line has shown already is told from it by whoever matches: a second line for it is a doubled payout.
    """
    if payout["state"] in ("booked", "returned", *OPEN_STATES):
        on = calendar.calendar.next_business_day(payout["settlement_date"])
        yield _movement_of(payout, "payout", -payout["amount"], on=on)
        yield _movement_of(payout, "payout_return", payout["amount"], on=None)


def _movement_of(payout: Mapping[str, Any], kind: str, amount: int, *, on: date | None) -> Subject:
    return Subject(
        kind=kind,
        subject_id=payout["payout_id"],
        amount=amount,
        currency=payout["currency"],
        reference=payout["end_to_end_id"],
        on=on,
        group=payout["file_id"] if kind == "payout" else None,
        account=payout["payee_account"],
    )


def _terms(services: Services) -> Terms:
    calendar = services.calendar.calendar
    return Terms(
        tolerance=services.policy.matching.tolerance,
        tolerance_ppm=services.policy.matching.tolerance_ppm,
        remitted_to={
            matching.squeezed(theirs): account
            for account, named in services.policy.matching.remitted_to.items()
            for theirs in named
        },
        within_days=services.policy.matching.within_business_days,
        days_apart=lambda first, last: max(0, len(calendar.days_between(min(first, last), max(first, last))) - 1),
    )


def book(books: Books, matches: Sequence[Match], *, now: datetime, by: str = "settlement") -> None:
    """Book matched lines; a payout that is matched is booked, one whose return is matched has come back."""
    books.bank_lines.keep_matches(matches, now=now, by=by)
    lines = {subject.key: line for found in matches for line, subject, _, _ in found.parts()}
    leaving = {payout_id: line for (kind, payout_id), line in lines.items() if kind == "payout"}
    back = {payout_id: line for (kind, payout_id), line in lines.items() if kind == "payout_return"}
    payouts = {
        payout["payout_id"]: payout
        for payout in books.payouts.by_end_to_end(
            [s.reference for found in matches for s in found.subjects if s.kind.startswith("payout")]
        ).values()
    }
    # What came back before the statement showed it leave stays returned: a state never goes backwards.
    booked = [payout_id for payout_id in leaving if payouts[payout_id]["state"] in OPEN_STATES]
    books.payouts.step(
        booked,
        "booked",
        cause="statement",
        now=now,
        evidence=[
            {"line_id": leaving[payout_id].line_id, "booked_on": leaving[payout_id].booking_date.isoformat()}
            for payout_id in booked
        ],
    )
    books.payouts.note_booking({payout_id: line.booking_date for payout_id, line in leaving.items()})
    if back:
        # A payout that leaves and comes back in the same lines is booked by now.
        returned = [payouts[payout_id] | ({"state": "booked"} if payout_id in booked else {}) for payout_id in back]
        give_back(
            books,
            returned,
            "returned",
            cause="statement",
            reasons=[line.reason for line in back.values()],
            now=now,
            evidence=[{"line_id": line.line_id} for line in back.values()],
        )


def _order(said: Any) -> tuple[int, str, int]:
    """Statements last, by day and number, so that what they sum up is known when they are applied."""
    if isinstance(said, FileAnswer):
        return (0, "", 0)
    first = said[0]
    if isinstance(first, Return):
        return (2, "", 0)
    if isinstance(first, Notification):
        return (1, "", 0)
    return (3, first.business_date.isoformat(), first.sequence or 0)


def _apply(services: Services, books: Books, said: Any, message: Message, *, now: datetime) -> bool:
    """Apply what a message says; False when all of it is of accounts that are not ours."""
    if isinstance(said, FileAnswer):
        _apply_answer(books, said, now=now)
        return True
    if isinstance(said[0], Return):
        for returned in said:
            _apply_return(books, returned, now=now)
        return True
    debtor = services.debtor
    ours = [part for part in said if debtor and (part.account, part.currency) == (debtor.account, debtor.currency)]
    for part in ours:
        if isinstance(part, Notification):
            _apply_notification(books, part, now=now)
        else:
            _apply_statement(books, part, message, now=now)
    return bool(ours)


def _apply_answer(books: Books, answer: FileAnswer, *, now: datetime) -> None:
    """Move the payouts that a status report speaks of.

    A report that rejects the whole file proves something of the payouts only together with every transmission of the
    file (see `domain.presence`). What it says of a payment by name is the bank's verdict on that payment, because a
    bank takes a file id once; that it is a duplicate is no verdict.
    """
    if answer.file_id and answer.group_status == REJECTED and (answer.reason or not answer.payments):
        books.files.note_report(answer.file_id, answer.message_id, is_duplicate=answer.is_duplicate)
        evidence = {"message": answer.message_id, "text": answer.text}
        conclude(books, answer.file_id, cause="status_report", reason=answer.reason, evidence=evidence, now=now)
        return
    found = books.payouts.by_end_to_end([status.end_to_end_id for status in answer.payments])
    said = [(found[s.end_to_end_id], s) for s in answer.payments if s.end_to_end_id in found]
    if not answer.payments and answer.file_id and answer.group_status in ACCEPTING:
        whole = PaymentStatus(end_to_end_id="", status=answer.group_status or "")
        said = [(payout, whole) for payout in books.payouts.in_file(answer.file_id)]
    accepted = [(p, s) for p, s in said if s.status in ACCEPTING and p["state"] in ("submitted", "unknown")]
    books.payouts.step(
        [payout["payout_id"] for payout, _ in accepted],
        "accepted",
        cause="status_report",
        now=now,
        evidence=[{"message": answer.message_id, "status": status.status} for _, status in accepted],
    )
    rejected = [(p, s) for p, s in said if s.status == REJECTED and s.reason not in DUPLICATE_REASONS]
    give_back(
        books,
        [payout for payout, _ in rejected if payout["state"] in OPEN_STATES],
        "rejected",
        cause="status_report",
        reasons=[status.reason for payout, status in rejected if payout["state"] in OPEN_STATES],
        now=now,
        evidence=[
            {"message": answer.message_id, "text": status.text}
            for payout, status in rejected
            if payout["state"] in OPEN_STATES
        ],
    )
    for payout, status in rejected:
        if payout["state"] == "booked":
            log.warning("booked_payout_rejected", payout_id=payout["payout_id"], reason=status.reason)
    for file_id in sorted({payout["file_id"] for payout, _ in said if payout["file_id"]}):
        books.files.mark(file_id, "received", now=now)


def conclude(
    books: Books, file_id: str, *, cause: str, reason: str | None, evidence: Mapping[str, Any], now: datetime
) -> None:
    """Let a file and its payouts be where everything that is known of it by now proves them to be."""
    file = books.files.file(file_id)
    if file is None:
        return
    where = files.of_file(
        [Outcome(sent["outcome"]) if sent["outcome"] else None for sent in books.files.transmissions(file_id)],
        rejections=len(file["rejections"]),
        duplicates=len(file["duplicates"]),
        is_spoken_of=file["state"] == "received",
    )
    of_file = books.payouts.in_file(file_id)
    if where is Presence.REJECTED:
        rejected = [payout for payout in of_file if payout["state"] in OPEN_STATES]
        # The reason is about the file, not about anybody's account: none is held for it.
        give_back(
            books, rejected, "rejected", cause=f"file_{cause}", now=now, evidence={"bank_reason": reason, **evidence}
        )
    elif where is Presence.UNKNOWN:
        unheard = [payout["payout_id"] for payout in of_file if payout["state"] == "submitted"]
        books.payouts.step(unheard, "unknown", cause=f"file_{cause}", now=now, evidence=evidence)
    books.files.mark(file_id, where.value, now=now)


def _apply_return(books: Books, returned: Return, *, now: datetime) -> None:
    payout = books.payouts.by_end_to_end([returned.end_to_end_id]).get(returned.end_to_end_id)
    if payout is None or payout["state"] in ("returned", "rejected", "prepared", "approved"):
        return
    if (payout["amount"], payout["currency"]) != (returned.amount, returned.currency):
        raise UnreadableMessage(
            f"the return of [{returned.end_to_end_id}] says [{returned.amount} {returned.currency}],"
            f" the payout was [{payout['amount']} {payout['currency']}]"
        )
    evidence = {"return_id": returned.return_id, "text": returned.text}
    give_back(books, [payout], "returned", cause="return", reasons=[returned.reason], now=now, evidence=evidence)


def _apply_notification(books: Books, notification: Notification, *, now: datetime) -> None:
    """A debit that the bank notifies proves that it has the payment; the booking itself is the statement's to say."""
    debits = {line.end_to_end_id: line for line in notification.lines if line.amount < 0 and line.end_to_end_id}
    notified = [
        payout["payout_id"]
        for end_to_end_id, payout in books.payouts.by_end_to_end(list(debits)).items()
        if payout["state"] in ("submitted", "unknown") and payout["amount"] == -debits[end_to_end_id].amount
    ]
    evidence = {"notification_id": notification.notification_id}
    books.payouts.step(notified, "accepted", cause="notification", now=now, evidence=evidence)


def _apply_statement(books: Books, statement: Statement, message: Message, *, now: datetime) -> None:
    """Keep a statement; its lines are booked by whoever matches next, in one transaction with all that is open."""
    if books.bank_lines.has_statement(statement):
        return
    if books.bank_lines.contradicts(statement):
        raise UnreadableMessage(
            f"statement [{statement.statement_id}] was received before and said something else",
            statement_id=statement.statement_id,
        )
    books.bank_lines.keep_statement(statement, message.sha256, now=now)
    books.bank_lines.follow_opening(statement.account, statement.currency, now=now)


def give_back(
    books: Books,
    payouts: Sequence[Mapping[str, Any]],
    state: str,
    *,
    cause: str,
    reasons: Sequence[str | None] = (),
    now: datetime,
    evidence: Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> None:
    """Let payouts end as rejected or returned: their money goes back to the balances, a bad account is remembered.

    `reasons` are the bank's, one for each payout, where it gave one about the payment itself; `evidence` is one for
    all, or one for each.
    """
    each = [evidence] * len(payouts) if isinstance(evidence, Mapping) else evidence
    given = reasons or [None] * len(payouts)
    moving = [
        (payout, reason, said if reason is None else {**said, "bank_reason": reason})
        for payout, reason, said in zip(payouts, given, each, strict=True)
        if payout["state"] != state
    ]
    books.payouts.step(
        [payout["payout_id"] for payout, _, _ in moving],
        state,
        cause=cause,
        now=now,
        evidence=[e for _, _, e in moving],
    )
    for on in sorted({payout["settlement_date"] for payout, _, _ in moving}):
        of_day = [payout for payout, _, _ in moving if payout["settlement_date"] == on]
        books.payouts.credit_back(of_day, event=f"payout_{state}", settlement_date=on, now=now)
    books.payouts.refuse_accounts([(payout, r) for payout, r, _ in moving if r in PERMANENT_REASONS and r], now=now)


def require_bank(services: Services) -> None:
    """Say which connection is missing, where a bank is needed.

    :raises Refused: no bank is configured.
    """
    if services.bank is None or services.debtor is None:
        raise Refused(
            "Connection [settlement_bank] is not configured, so nothing can be paid: set AIRFLOW_CONN_SETTLEMENT_BANK"
            ' (type http; extra debtor_account, debtor_name, debtor_agent, currency), or run with {"transfer": false}'
        )
