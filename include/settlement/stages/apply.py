"""What became known of payouts and of their files, applied to them: their states, their money, their payees.

Every way in which something becomes known (an answer, a return, a line, a person's word) ends here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from settlement.domain.bank.messages import SubmissionOutcome
from settlement.domain.payments import files
from settlement.domain.payments.files import FileState
from settlement.domain.payments.payouts import PERMANENT_REASONS
from settlement.ports.books import Books
from settlement.ports.services import Services
from settlement.stages import notify

OPEN_STATES = ("submitted", "unknown", "accepted")


def set_file_status(
    books: Books, file_id: str, *, cause: str, reason: str | None, evidence: Mapping[str, Any], now: datetime
) -> None:
    """Set a file's status, and its payouts', from all its transmissions and reports."""
    file = books.files.file(file_id)
    if file is None:
        return
    status = files.file_status(
        [
            SubmissionOutcome(sent["outcome"]) if sent["outcome"] else None
            for sent in books.files.transmissions(file_id)
        ],
        rejections=len(file["rejections"]),
        duplicates=len(file["duplicates"]),
        is_spoken_of=file["state"] == FileState.RECEIVED,
    )
    of_file = books.payouts.in_file(file_id)
    if status is FileState.REJECTED:
        rejected = [payout for payout in of_file if payout["state"] in OPEN_STATES]
        # The reason is about the file, not about anybody's account: none is held for it.
        give_back(
            books, rejected, "rejected", cause=f"file_{cause}", now=now, evidence={"bank_reason": reason, **evidence}
        )
    elif status is FileState.UNKNOWN:
        unheard = [payout["payout_id"] for payout in of_file if payout["state"] == "submitted"]
        books.payouts.step(unheard, "unknown", cause=f"file_{cause}", now=now, evidence=evidence)
    books.files.mark(file_id, status, now=now)


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


@contextmanager
def hearing_answers(services: Services, books: Books, *, now: datetime) -> Iterator[None]:
    """Do what may answer for unknown payouts; where it does for the last one of a date, people hear that it is over."""
    before = books.payouts.unknown_dates()
    yield
    for on in sorted(before - books.payouts.unknown_dates()) if before else ():
        notify.payouts_answered(books, on, now=now)
