"""Payment files and their transmissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from settlement.domain.bank.messages import Submission, SubmissionOutcome
    from settlement.domain.payments.files import FileState
    from settlement.ports.days import DayRun


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """One payment file as the books keep it; `sent_at` is the first time that it was handed over.

    `rejections` and `duplicates` are the ids of the bank's reports that reject it whole, or call it a duplicate.
    """

    file_id: str
    settlement_date: date
    currency: str
    payment_count: int
    amount: int
    created_at: datetime
    sent_at: datetime | None
    state: FileState
    rejections: tuple[str, ...]
    duplicates: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transmission:
    """One handing-over of a file, the first is number 1. Without an outcome nobody heard the answer."""

    number: int
    run_id: str | None
    started_at: datetime
    outcome: SubmissionOutcome | None
    answered_at: datetime | None


class PaymentFiles(Protocol):
    """Payment files, and every time that one was handed to the bank."""

    def keep(self, day: DayRun, file_id: str, content: bytes, payouts: pd.DataFrame, *, now: datetime) -> None:
        """Write a payment file before the bank is called, and tie its payouts (frame `PAYOUTS`) to it for good."""

    def find(self, settlement_date: date | None = None, states: Sequence[FileState] = ()) -> list[SentFile]:
        """Return payment files, by date and states where given, oldest first."""
        ...

    def file(self, file_id: str) -> SentFile | None:
        """Return one payment file, or None where there is none of this id."""
        ...

    def content(self, file_id: str) -> bytes:
        """Return the bytes of a payment file, which never change."""
        ...

    def mark(self, file_id: str, state: FileState, *, now: datetime) -> None:
        """Say where a file stands; the first sending keeps its instant, and what is rejected stays so."""

    def note_report(self, file_id: str, message_id: str, *, is_duplicate: bool) -> None:
        """Keep that a report rejected the whole file, or called it a duplicate; the same report counts once."""

    def open_transmission(self, file_id: str, *, run_id: str | None, now: datetime) -> int:
        """Write that the file is handed to the bank from here on, and return which time it is.

        The database refuses it unless every payout of the file waits for the bank.
        """
        ...

    def close_transmission(self, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
        """Keep what came back of a transmission, byte for byte, and what it proves."""

    def transmissions(self, file_id: str) -> list[Transmission]:
        """Return every handing-over of the file, first to last, without what came back."""
        ...
