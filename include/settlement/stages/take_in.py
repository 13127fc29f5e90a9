"""Taking in what the bank sent: kept byte for byte, read, proven, applied.

Each message is kept and committed before the bank is told that we have it, and applied in a transaction of its own, so
a crash at any point loses nothing and applies nothing twice. What the lines of a statement are is said by `match`.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import structlog

from settlement.domain import frames
from settlement.domain.bank import statement as statements
from settlement.domain.bank.matching import references
from settlement.domain.bank.messages import (
    ACCEPTED,
    DUPLICATE_REASONS,
    FILE,
    LARGEST_MESSAGE,
    REJECTED,
    FileAnswer,
    Message,
    MessageState,
    Return,
    SubmissionOutcome,
)
from settlement.domain.bank.statement import Notification, Statement, StatementLine
from settlement.domain.errors import Broken, BrokenInvariant, Refused, Unavailable, UnreadableMessage
from settlement.domain.payments.evidence import FactKind
from settlement.domain.payments.files import FileState
from settlement.domain.payments.state import UNPROVEN, UNSENT, PayoutState
from settlement.ports.bank_lines import WaitingMessage
from settlement.ports.books import Books
from settlement.ports.days import DayRun
from settlement.ports.services import Services
from settlement.stages import apply

log = structlog.get_logger(__name__)

AHEAD = timedelta(days=1)
"""So far ahead of our own day that of a bank may be; a statement of a later day is a mistake."""


def for_day(services: Services, day: DayRun, *, now: datetime) -> dict[str, Any]:
    """Take in what the bank has sent since the day's payouts went out."""
    return {"skipped": "dry run"} if day.dry_run else take_in(services, now=now)


def take_in(services: Services, *, now: datetime) -> dict[str, Any]:
    """Keep everything that the bank has and people landed or uploaded, and apply it; return counts by kind.

    Raises Unavailable: the bank's channel or the landing folder cannot be read.
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
                    if services.is_now_set and message.written_at:  # the clock of files is another one
                        message = replace(message, written_at=now)
                    counts["new" if books.bank_lines.keep_message(message, direction="in", now=now) else "known"] += 1
            messages = list(inbox.acknowledge(messages))
    with services.ledger.books() as books:
        for message in books.bank_lines.uploaded():
            counts["new" if books.bank_lines.keep_message(message, direction="in", now=now) else "known"] += 1
    counts.update(apply_new(services, now=now))
    return dict(counts)


def upload(services: Services, content: bytes, *, name: str, by: str, reason: str, now: datetime) -> None:
    """Keep a message that somebody has of the bank, for the next run to take in as if it had come by itself.

    Raises Refused: name or reason is missing, it is empty or larger than any message, or these bytes are here already.
    """
    if not by.strip() or not reason.strip():
        raise Refused("Whoever uploads a message gives a name and a reason")
    if not 0 < len(content) <= LARGEST_MESSAGE:
        raise Refused(f"[{name}] has [{len(content)}] bytes: a message has 1 to {LARGEST_MESSAGE}")
    message = Message.of(content, kind=FILE, name=name)
    with services.ledger.books() as books:
        if not books.bank_lines.upload(message, by=by.strip(), reason=reason.strip(), now=now):
            raise Refused(
                f"Exactly these bytes are here already, and nothing was kept: their hash is [{message.sha256}]"
            )


def apply_new(services: Services, *, now: datetime) -> dict[str, int]:
    """Apply the kept messages that are not applied yet: status reports and returns, then statements by their days.

    What another process has applied since they were read is not applied again. One that cannot be used, for whatever
    reason, is put aside with it and keeps none of the others back; it is read again when it may be read otherwise.
    Raises what speaks of the books or of what holds them, and of no message: Unavailable, Refused, Broken,
    BrokenInvariant.
    """
    read_with = _read_with(services)
    with services.ledger.books(read_only=True) as books:
        waiting = books.bank_lines.new_messages(read_with=read_with)
    read: list[tuple[Any, WaitingMessage, Any]] = []
    counts: Counter[str] = Counter()
    for kept in waiting:
        with _putting_aside(services, kept.message, counts, now=now):
            said = services.read_message(kept.message)
            read.append((_order(said), kept, said))
    for _, kept, said in sorted(read, key=lambda item: item[0]):
        sha256 = kept.message.sha256
        with _putting_aside(services, kept.message, counts, now=now):
            with services.ledger.books(posting=True) as books, apply.notifying_of_answers(services, books, now=now):
                if not books.bank_lines.is_new(sha256, read_with=read_with):
                    continue
                state, refusal = _apply(services, books, said, kept, now=now)
                books.bank_lines.close_message(sha256, state, read_with=read_with, refusal=refusal, now=now)
            counts[state.value] += 1
    return dict(counts)


@contextmanager
def _putting_aside(services: Services, message: Message, counts: Counter[str], *, now: datetime) -> Iterator[None]:
    """Put a message aside that cannot be read or applied: it must not keep back what came with it or comes after it."""
    try:
        yield
    except (Unavailable, Refused, Broken, BrokenInvariant):
        raise
    except Exception as error:
        if not isinstance(error, UnreadableMessage):
            log.error("bank_message_failed", name=message.name, sha256=message.sha256, error=type(error).__name__)
            why = next(iter(str(error).splitlines()), "")
            error = UnreadableMessage(f"it cannot be applied ({type(error).__name__}: {why}): tell engineering")
        refuse(services, message, error, now=now)
        counts[MessageState.REFUSED.value] += 1


def _read_with(services: Services) -> str:
    """Return all on which reading depends, as one text: the reader, and what our account is called if there is one."""
    debtor = services.debtor
    return " ".join((services.reader, *((debtor.currency, *sorted(debtor.names)) if debtor else ())))


def refuse(services: Services, message: Message, error: UnreadableMessage, *, now: datetime) -> None:
    """Keep a message that cannot be used, with the reason; it changes nothing else. One that was used stays so."""
    reason = _printable(str(error))
    log.warning("bank_message_refused", name=message.name, kind=message.kind, sha256=message.sha256, reason=reason)
    with services.ledger.books(posting=True) as books:
        if books.bank_lines.is_new(message.sha256, read_with=_read_with(services)):
            books.bank_lines.close_message(
                message.sha256,
                MessageState.REFUSED,
                read_with=_read_with(services),
                now=now,
                refusal=reason,
                statement_id=error.statement_id and _printable(error.statement_id),
                difference=error.difference,
            )


def _printable(text: str) -> str:
    """Return a text with a question mark for each sign that the books cannot hold, which it may be refused for."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode()


def _order(said: Any) -> tuple[int, str, int, int]:
    """Statements last, by day, number and page, so that what they sum up is known when they are applied."""
    if isinstance(said, FileAnswer):
        return (0, "", 0, 0)
    first = said[0]
    if isinstance(first, Return):
        return (2, "", 0, 0)
    if isinstance(first, Notification):
        return (1, "", 0, 0)
    return (3, first.business_date.isoformat(), first.sequence or 0, first.page or 0)


def _apply(
    services: Services, books: Books, said: Any, kept: WaitingMessage, *, now: datetime
) -> tuple[MessageState, str | None]:
    """Apply what a message says; return what became of it, and what of it could not be used.

    It speaks of what had happened when it was read first, whenever it is read again.
    """
    message = kept.message
    if isinstance(said, FileAnswer):
        _apply_answer(services, books, said, now=now)
        return MessageState.APPLIED, None
    if isinstance(said[0], Return):
        told = [_apply_return(services, books, returned, kept, now=now) for returned in said]
        odd = [why for why in told if why]
        return (MessageState.REFUSED, "; ".join(odd)) if odd else (MessageState.APPLIED, None)
    debtor = services.debtor
    ours = [
        references.naming_payouts(statements.of_account(part, debtor.account))
        for part in said
        if debtor and debtor.is_named(part.account) and part.currency in (debtor.currency, None)
    ]
    if len(ours) < len(said):
        log.warning(
            "bank_statement_of_another_account",
            name=message.name,
            kind=message.kind,
            sha256=message.sha256,
            statements=len(said) - len(ours),
            remedy="if the account is ours, name it in also_named of connection settlement_bank",
        )
    for part in ours:
        if isinstance(part, Notification):
            _apply_notification(books, part, now=now)
        else:
            _apply_statement(services, books, part, kept, now=now)
    return (MessageState.APPLIED if ours else MessageState.FOREIGN), None


def _apply_answer(services: Services, books: Books, answer: FileAnswer, *, now: datetime) -> None:
    """Keep what a status report says of payouts, and let their states follow.

    A report that rejects the whole file proves something of the payouts only together with every transmission of the
    file (see `payments.files`). What it says of a payment by name is the bank's verdict on that payment, because a
    bank takes a file id once; that it is a duplicate is no verdict.
    """
    said = _payments_of(books, answer)
    reason = said["reason"].astype(object).where(said["reason"].notna(), None)
    if answer.file_id and _is_of_the_file(books, answer, said):
        books.files.note_report(answer.file_id, answer.message_id, is_duplicate=answer.is_duplicate)
        about = {"message": answer.message_id, "text": answer.text}
        apply.set_file_status(
            services,
            books,
            answer.file_id,
            cause="status_report",
            said=about | ({"bank_reason": answer.reason} if answer.reason else {}),
            reasons={payout_id: why for payout_id, why in zip(said["payout_id"], reason, strict=True) if why},
            now=now,
        )
        return
    accepted = said[said["status"].isin(ACCEPTED) & said["state"].isin(UNPROVEN)]
    books.payouts.step(
        accepted["payout_id"].tolist(),
        PayoutState.ACCEPTED,
        cause="status_report",
        now=now,
        evidence=[{"message": answer.message_id, "status": status} for status in accepted["status"]],
    )
    rejected = said[(said["status"] == REJECTED) & ~reason.isin(DUPLICATE_REASONS) & ~said["state"].isin(UNSENT)]
    ids = rejected["payout_id"].tolist()
    books.payouts.keep_facts(
        ids,
        FactKind.REFUSED,
        source=f"report {answer.message_id}",
        evidence=[
            {"message": answer.message_id, "text": text} | ({"bank_reason": why} if why else {})
            for text, why in zip(rejected["text"], reason[rejected.index], strict=True)
        ],
        now=now,
    )
    apply.follow(services, books, ids, cause="status_report", now=now)
    for file_id in sorted(said["file_id"].dropna().unique()):
        books.files.mark(file_id, FileState.RECEIVED, now=now)


def _is_of_the_file(books: Books, answer: FileAnswer, said: pd.DataFrame) -> bool:
    """Tell whether a report rejects the file rather than payments of it.

    One that names every payment of a file as rejected is about the file, as long as it was handed over more than once
    and nothing proves that the bank took it: the refusal of one transmission says nothing of the others.
    """
    assert answer.file_id is not None
    if answer.group_status == REJECTED and (answer.reason or answer.payments.empty):
        return True
    file, sent = books.files.file(answer.file_id), books.files.transmissions(answer.file_id)
    if file is None or len(sent) < 2 or file.state is FileState.RECEIVED or not (said["status"] == REJECTED).all():
        return False
    is_taken = any(one.outcome in (SubmissionOutcome.RECEIVED, SubmissionOutcome.DUPLICATE) for one in sent)
    return not is_taken and len(said) == len(books.payouts.in_file(answer.file_id))


def _payments_of(books: Books, answer: FileAnswer) -> pd.DataFrame:
    """Return the payouts that a report speaks of, in its order, each with the `status`, `reason` and `text` it has.

    Where it names no payment and accepts the file, that is said of every payment of the file.
    """
    if answer.payments.empty and answer.file_id and answer.group_status in ACCEPTED:
        return books.payouts.in_file(answer.file_id).assign(status=answer.group_status, reason=None, text="")
    named = books.payouts.by_end_to_end(answer.payments["end_to_end_id"].tolist())
    return answer.payments.merge(named, on="end_to_end_id", validate="one_to_one")


def _apply_return(
    services: Services, books: Books, returned: Return, kept: WaitingMessage, *, now: datetime
) -> str | None:
    """Keep that the bank announces a return, also less a fee; return why one cannot be what it says it is."""
    found = books.payouts.by_end_to_end([returned.end_to_end_id])
    columns, known_at = ("payout_id", "amount", "currency", "state", "submitted_at"), kept.first_read_at or now
    for payout_id, amount, currency, state, submitted_at in frames.rows(found, *columns):
        if PayoutState(state).is_unsent or (submitted_at is not None and submitted_at > known_at):
            return f"the return of [{returned.end_to_end_id}] is of a payout that was never handed over"
        if currency != returned.currency or not 0 < returned.amount <= amount:
            return (
                f"the return of [{returned.end_to_end_id}] says [{returned.amount} {returned.currency}],"
                f" the payout was [{amount} {currency}]"
            )
        said = {"return_id": returned.return_id, "text": returned.text}
        books.payouts.keep_facts(
            [payout_id],
            FactKind.RETURN_ANNOUNCED,
            source=returned.return_id or kept.message.sha256,
            amounts=[returned.amount],
            evidence=said | ({"bank_reason": returned.reason} if returned.reason else {}),
            now=now,
        )
        apply.follow(services, books, [payout_id], cause="return", now=now)
    return None


def _apply_notification(books: Books, notification: Notification, *, now: datetime) -> None:
    """A debit that the bank notifies proves that it has the payment; the booking itself is the statement's to say."""
    debits = {line.end_to_end_id: -line.amount for line in notification.lines if line.amount < 0 and line.end_to_end_id}
    found = books.payouts.by_end_to_end(list(debits))
    is_notified = found["state"].isin(UNPROVEN) & (found["amount"] == found["end_to_end_id"].map(debits))
    evidence = {"notification_id": notification.notification_id}
    notified = found.loc[is_notified, "payout_id"].tolist()
    books.payouts.step(notified, PayoutState.ACCEPTED, cause="notification", now=now, evidence=evidence)


def _apply_statement(
    services: Services, books: Books, statement: Statement, kept: WaitingMessage, *, now: datetime
) -> None:
    """Keep a statement; its lines are booked by whoever matches next, in one transaction with all that is open.

    One that is kept already, perhaps with more or less detail, is not kept again; of one that tells a day from its
    beginning, of which a part is kept, only the rest is.

    Raises UnreadableMessage: its day had not come, or what is kept of it says something else.
    """
    message = kept.message
    came_on = services.calendar.local_date(kept.first_read_at or now)
    if statement.business_date > came_on + AHEAD:
        raise UnreadableMessage(
            f"statement [{statement.statement_id}] is of [{statement.business_date}], and it came on [{came_on}]: ask"
            " the bank for the day that it means",
            statement_id=statement.statement_id,
        )
    statement = statements.as_of(statement, services.calendar.local_date(kept.came_at))
    if any(books.bank_lines.has_statement(reading) for reading in (statement, statement.otherwise) if reading):
        return
    if statement.otherwise:
        statement = statements.chosen(statement, books.bank_lines.statements(statement.account))
    if statement.notes:
        log.info("bank_statement_noted", name=message.name, sha256=message.sha256, notes=list(statement.notes))
    for lines, is_over, is_more in _told_before(books, statement):
        if not lines and not is_over and is_more and statement.is_last:
            raise UnreadableMessage(
                f"statement [{statement.statement_id}] says that [{statement.business_date}] was over, and more of that"
                " day was received before",
                statement_id=statement.statement_id,
            )
        if not lines and (is_over or not statement.is_last):
            log.info("bank_statement_told_again", name=message.name, sha256=message.sha256)
            return
        log.info("bank_statement_goes_on", name=message.name, sha256=message.sha256, lines=len(lines))
        statement = statements.going_on(statement, lines)
        break
    else:
        if books.bank_lines.contradicts(statement):
            raise UnreadableMessage(
                f"statement [{statement.statement_id}] was received before and said something else",
                statement_id=statement.statement_id,
            )
    books.bank_lines.keep_statement(statement, message.sha256, now=now)
    books.bank_lines.follow_opening(statement.account, statement.currency, now=now)


def _told_before(books: Books, statement: Statement) -> Iterator[tuple[tuple[StatementLine, ...], bool, bool]]:
    """Yield what a statement says beyond kept ones of its day that it tells again.

    Beside it stands whether that day is over, and whether more of it is kept behind them.
    """
    is_named_so = books.bank_lines.contradicts(statement)
    of_day = [
        kept
        for kept in books.bank_lines.statements(statement.account)
        if (kept.currency, kept.business_date) == (statement.currency, statement.business_date)
        and (kept.page is None or statement.page in (None, kept.page))
    ]
    for run in statements.runs(of_day, statement):
        lines = books.bank_lines.lines_on([kept.statement_id for kept in run])
        untold = statements.untold(statement, lines, is_named_so=is_named_so)
        if untold is not None:
            yield untold, of_day[-1].is_last, run[-1] != of_day[-1]


def require_bank(services: Services) -> None:
    """Say which connection is missing, where a bank is needed.

    Raises Refused: no bank is configured.
    """
    if services.bank is None or services.debtor is None:
        raise Refused(
            "Connection [settlement_bank] is not configured, so nothing can be paid: set AIRFLOW_CONN_SETTLEMENT_BANK"
            ' (type http; extra debtor_account, debtor_name, debtor_agent, currency), or run with {"transfer": false}'
        )
