"""Payment files, and every time that one was handed to the bank."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain.bank.messages import Submission, SubmissionOutcome
from settlement.domain.payments import payouts as sums
from settlement.domain.payments.files import FileState
from settlement.ports.days import DayRun
from settlement.ports.files import SentFile, Transmission

HERE = __package__


class PaymentFiles(Repository):
    """Payment files and their transmissions: see `ports.files`."""

    def keep(self, day: DayRun, file_id: str, content: bytes, payouts: pd.DataFrame, *, now: datetime) -> None:
        """Write a payment file before the bank is called, and tie its payouts to it for good."""
        ((currency, amount),) = sums.totals(payouts).items()
        named = {
            "file_id": file_id,
            "on": day.settlement_date,
            "currency": currency,
            "count": len(payouts),
            "amount": amount,
            "content": content,
            "sha": hashlib.sha256(content).hexdigest(),
            "now": now,
        }
        self.transaction.execute(sql(HERE, "keep"), named)
        self.transaction.execute(
            sa.text("update ledger.payouts set file_id = :file_id where payout_id = any(:ids)"),
            {"file_id": file_id, "ids": payouts["payout_id"].tolist()},
        )

    def find(self, settlement_date: date | None = None, states: Sequence[FileState] = ()) -> list[SentFile]:
        """Return payment files, by date and states where given, oldest first."""
        return self._found(file_id=None, on=settlement_date, states=states)

    def file(self, file_id: str) -> SentFile | None:
        """Return one payment file."""
        return next(iter(self._found(file_id=file_id, on=None, states=())), None)

    def content(self, file_id: str) -> bytes:
        """Return the bytes of a payment file."""
        found = sa.text("select content from ledger.payout_files where file_id = :file_id")
        return bytes(self.transaction.execute(found, {"file_id": file_id}).scalar_one())

    def mark(self, file_id: str, state: FileState, *, now: datetime) -> None:
        """Say where a file stands; the first sending keeps its instant, and what is rejected stays so."""
        if state is FileState.SUBMITTED:
            self.transaction.execute(sql(HERE, "note_sending"), {"file_id": file_id, "now": now})
        self.transaction.execute(sql(HERE, "mark"), {"file_id": file_id, "state": state})

    def note_report(self, file_id: str, message_id: str, *, is_duplicate: bool) -> None:
        """Keep that a report rejected the whole file, or called it a duplicate; the same report counts once."""
        named = {"file_id": file_id, "heard": [message_id], "is_duplicate": is_duplicate}
        self.transaction.execute(sql(HERE, "note_report"), named)

    def open_transmission(self, file_id: str, *, run_id: str | None, now: datetime) -> int:
        """Write that the file is handed to the bank from here on, and return which time it is."""
        named = {"file_id": file_id, "run": run_id, "now": now}
        return int(self.transaction.execute(sql(HERE, "open_transmission"), named).scalar_one())

    def close_transmission(self, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
        """Keep what came back, byte for byte, and what it proves."""
        named = {
            "file_id": file_id,
            "number": number,
            "outcome": answer.outcome.value,
            "now": now,
            "code": answer.status_code,
            "reason": answer.reason,
            "said": answer.text,
            "answer": answer.answer,
            "sha": hashlib.sha256(answer.answer).hexdigest(),
        }
        self.transaction.execute(sql(HERE, "close_transmission"), named)

    def transmissions(self, file_id: str) -> list[Transmission]:
        """Return every handing-over of the file, first to last, without what came back."""
        rows = self.transaction.execute(sql(HERE, "transmissions"), {"file_id": file_id})
        return [
            Transmission(
                number=row.number,
                run_id=row.run_id,
                started_at=row.started_at,
                outcome=SubmissionOutcome(row.outcome) if row.outcome else None,
                answered_at=row.answered_at,
            )
            for row in rows
        ]

    def _found(self, *, file_id: str | None, on: date | None, states: Sequence[FileState]) -> list[SentFile]:
        rows = self.transaction.execute(sql(HERE, "find"), {"file_id": file_id, "on": on, "states": list(states)})
        return [
            SentFile(
                **{
                    **row._mapping,
                    "state": FileState(row.state),
                    "rejections": tuple(row.rejections),
                    "duplicates": tuple(row.duplicates),
                }
            )
            for row in rows
        ]
