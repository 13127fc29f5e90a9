"""Payment files, and every time that one was handed to the bank."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from settlement.adapters.ledger.repository import Repository
from settlement.domain.bank.messages import Submission
from settlement.ports.days import DayRun

PAYABLE = "investor_payable:"

SUBJECTS_OF_ENTRY = ("repayment_id", "payout_id", "line_id")
"""What an entry may be about."""

NUMBERS_OF_PAYOUT = {"chunk": "int32", "attempt": "int32", "amount": "int64"}
"""The columns of a payout that are not text, as the ledger keeps them."""


class PaymentFiles(Repository):
    """Payment files, and every time that one was handed to the bank."""

    def keep(
        self, day: DayRun, file_id: str, content: bytes, payouts: Sequence[Mapping[str, Any]], *, now: datetime
    ) -> None:
        """Write a payment file before the bank is called, and tie its payouts to it for good."""
        run = self.transaction.execute
        run(
            sa.text(
                "insert into ledger.payout_files (file_id, settlement_date, currency, payment_count, amount, content,"
                " sha256,"
                " created_at) values (:file_id, :on, :currency, :count, :amount, :content, :sha, :now)"
            ),
            {
                "file_id": file_id,
                "on": day.settlement_date,
                "currency": payouts[0]["currency"],
                "count": len(payouts),
                "amount": sum(payout["amount"] for payout in payouts),
                "content": content,
                "sha": hashlib.sha256(content).hexdigest(),
                "now": now,
            },
        )
        run(
            sa.text("update ledger.payouts set file_id = :file_id where payout_id = any(:ids)"),
            {"file_id": file_id, "ids": [payout["payout_id"] for payout in payouts]},
        )

    def find(self, settlement_date: date | None = None, states: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return payment files, by date and states where given, oldest first."""
        rows = self.transaction.execute(
            sa.text(
                "select * from ledger.payout_files where (cast(:on as date) is null or settlement_date = :on)"
                " and (cast(:states as text[]) = '{}' or state = any(:states)) order by created_at, file_id"
            ),
            {"on": settlement_date, "states": list(states)},
        ).mappings()
        return [dict(row) for row in rows]

    def file(self, file_id: str) -> dict[str, Any] | None:
        """Return one payment file."""
        row = self.transaction.execute(
            sa.text("select * from ledger.payout_files where file_id = :id"), {"id": file_id}
        ).first()
        return row._asdict() if row else None

    def mark(self, file_id: str, state: str, *, now: datetime) -> None:
        """Say where a file stands; the first sending keeps its instant, and what is rejected stays so."""
        self.transaction.execute(
            sa.text(
                "update ledger.payout_files set state = :state,"
                " sent_at = case when :state = 'submitted' then coalesce(sent_at, :now) else sent_at end"
                " where file_id = :id and state <> 'rejected'"
            ),
            {"id": file_id, "state": state, "now": now},
        )

    def note_report(self, file_id: str, message_id: str, *, is_duplicate: bool) -> None:
        """Keep that a report rejected the whole file, or called it a duplicate; the same report counts once."""
        self.transaction.execute(
            sa.text(
                "update ledger.payout_files set"
                " duplicates = duplicates || case when :is_duplicate then cast(:heard as text[]) else '{}' end,"
                " rejections = rejections || case when :is_duplicate then '{}' else cast(:heard as text[]) end"
                " where file_id = :id and not cast(:heard as text[]) && (duplicates || rejections)"
            ),
            {"id": file_id, "heard": [message_id], "is_duplicate": is_duplicate},
        )

    def open_transmission(self, file_id: str, *, run_id: str | None, now: datetime) -> int:
        """Write that the file is handed to the bank from here on, and return which time it is."""
        return int(
            self.transaction.execute(
                sa.text(
                    "insert into ledger.transmissions (file_id, number, run_id, started_at)"
                    " select :id, coalesce(max(number), 0) + 1, :run, :now from ledger.transmissions where file_id ="
                    " :id"
                    " returning number"
                ),
                {"id": file_id, "run": run_id, "now": now},
            ).scalar_one()
        )

    def close_transmission(self, file_id: str, number: int, answer: Submission, *, now: datetime) -> None:
        """Keep what came back, byte for byte, and what it proves."""
        self.transaction.execute(
            sa.text(
                "update ledger.transmissions set outcome = :outcome, answered_at = :now, status_code = :code,"
                " reason = :reason, said = :said, answer = :answer, sha256 = :sha where file_id = :id and number ="
                " :number"
            ),
            {
                "id": file_id,
                "number": number,
                "outcome": answer.outcome.value,
                "now": now,
                "code": answer.status_code,
                "reason": answer.reason,
                "said": answer.text,
                "answer": answer.answer,
                "sha": hashlib.sha256(answer.answer).hexdigest(),
            },
        )

    def transmissions(self, file_id: str) -> list[dict[str, Any]]:
        """Return every handing-over of the file, first to last, without what came back."""
        rows = self.transaction.execute(
            sa.text(
                "select number, run_id, started_at, outcome, answered_at from ledger.transmissions"
                " where file_id = :id order by number"
            ),
            {"id": file_id},
        ).mappings()
        return [dict(row) for row in rows]
