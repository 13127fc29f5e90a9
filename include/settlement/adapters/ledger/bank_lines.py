"""The part of the books that keeps what the bank said: messages byte for byte, statements, lines and their matches."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from settlement.domain.matching import Match, OpenLine
from settlement.domain.messages import Message, Statement

# What a matched line clears, by what it turned out to be: (event, the account against client_bank).
CLEARS = {
    "receipt": "receipts_in_transit",
    "receipt_undone": "receipts_in_transit",
    "payout": "payouts_in_transit",
    "payout_return": "payouts_in_transit",
}


class BankLines:
    """Messages, statements, lines and matches."""

    transaction: sa.Connection

    def keep_message(self, message: Message, *, direction: str, now: datetime) -> bool:
        """Keep a message as it travelled; False when these very bytes are kept already."""
        return (
            self.transaction.execute(
                sa.text(
                    "insert into ledger.bank_messages (sha256, direction, kind, name, content, recorded_at, state)"
                    " values (:sha, :direction, :kind, :name, :content, :now, :state) on conflict (sha256) do nothing"
                    " returning sha256"
                ),
                {
                    "sha": message.sha256,
                    "direction": direction,
                    "kind": message.kind,
                    "name": message.name,
                    "content": message.content,
                    "now": now,
                    "state": "new" if direction == "in" else "applied",
                },
            ).scalar()
            is not None
        )

    def new_messages(self) -> list[Message]:
        """Return the kept messages that are not applied yet, oldest first."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.bank_messages where state = 'new' order by recorded_at, sha256")
        )
        return [Message(name=row.name, kind=row.kind, content=bytes(row.content), sha256=row.sha256) for row in rows]

    def close_message(self, sha256: str, state: str, *, refusal: str | None = None) -> None:
        """Say what became of a message: applied, refused and why, or foreign (of an account that is not ours)."""
        self.transaction.execute(
            sa.text("update ledger.bank_messages set state = :state, refusal = :refusal where sha256 = :sha"),
            {"sha": sha256, "state": state, "refusal": refusal},
        )

    def refused_messages(self) -> list[dict[str, Any]]:
        """Return the messages that could not be used, oldest first, without their content."""
        rows = self.transaction.execute(
            sa.text(
                "select sha256, kind, name, recorded_at, refusal from ledger.bank_messages where state = 'refused'"
                " order by recorded_at"
            )
        ).mappings()
        return [dict(row) for row in rows]

    def has_statement(self, statement: Statement) -> bool:
        """Tell whether a statement that says the same is kept already."""
        return (
            self.transaction.execute(
                sa.text("select 1 from ledger.statements where content_key = :key"), {"key": statement.content_key}
            ).scalar()
            is not None
        )

    def contradicts(self, statement: Statement) -> bool:
        """Tell whether a statement of the same name and account is kept that says something else."""
        return (
            self.transaction.execute(
                sa.text("select 1 from ledger.statements where statement_id = :id and content_key <> :key"),
                {"id": statement.statement_id, "key": statement.content_key},
            ).scalar()
            is not None
        )

    def keep_statement(self, statement: Statement, sha256: str, *, now: datetime) -> None:
        """Write a statement and its lines, all open."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.statements (statement_id, sha256, account, currency, sequence, business_date,"
                " opening, closing, line_count, content_key, applied_at) values"
                " (:id, :sha, :account, :currency, :sequence, :business_date, :opening, :closing, :count, :key, :now)"
            ),
            {
                "id": statement.statement_id,
                "sha": sha256,
                "account": statement.account,
                "currency": statement.currency,
                "sequence": statement.sequence,
                "business_date": statement.business_date,
                "opening": statement.opening,
                "closing": statement.closing,
                "count": len(statement.lines),
                "key": statement.content_key,
                "now": now,
            },
        )
        if statement.lines:
            self.transaction.execute(
                sa.text(
                    "insert into ledger.statement_lines (line_id, statement_id, booking_date, value_date, amount,"
                    " currency, end_to_end_id, reference, remittance, bank_code, is_return, reason) values"
                    " (:line_id, :statement_id, :booking_date, :value_date, :amount, :currency, :end_to_end_id,"
                    " :reference, :remittance, :bank_code, :is_return, :reason)"
                ),
                [
                    {
                        "line_id": line.line_id,
                        "statement_id": statement.statement_id,
                        "booking_date": line.booking_date,
                        "value_date": line.value_date,
                        "amount": line.amount,
                        "currency": line.currency,
                        "end_to_end_id": line.end_to_end_id,
                        "reference": line.reference,
                        "remittance": line.remittance,
                        "bank_code": line.bank_code,
                        "is_return": line.is_return,
                        "reason": line.reason,
                    }
                    for line in statement.lines
                ],
            )

    def statements(self, account: str) -> list[dict[str, Any]]:
        """Return the account's statements in the order of their days."""
        rows = self.transaction.execute(
            sa.text(
                "select * from ledger.statements where account = :account"
                " order by business_date, sequence nulls first, position"
            ),
            {"account": account},
        ).mappings()
        return [dict(row) for row in rows]

    def newest_statement(self, account: str) -> dict[str, Any] | None:
        """Return the account's newest statement, or None before the first."""
        found = self.statements(account)
        return found[-1] if found else None

    def lines(self, states: Sequence[str]) -> list[OpenLine]:
        """Return the lines in these states, in the order of their ids."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.statement_lines where state = any(:states) order by line_id"),
            {"states": list(states)},
        )
        return [
            OpenLine(
                line_id=row.line_id,
                booking_date=row.booking_date,
                amount=row.amount,
                currency=row.currency,
                end_to_end_id=row.end_to_end_id,
                reference=row.reference,
                remittance=row.remittance or "",
                is_return=row.is_return,
                reason=row.reason,
                is_suspended=row.state == "suspended",
            )
            for row in rows
        ]

    def matched_subjects(self, kinds: Sequence[str], ids: Sequence[str]) -> set[tuple[str, str]]:
        """Return those of the subjects that a line is matched with already, as (kind, id)."""
        rows = self.transaction.execute(
            sa.text(
                "select subject_kind, subject_id from ledger.matches where subject_kind = any(:kinds)"
                " and subject_id = any(:ids)"
            ),
            {"kinds": list(kinds), "ids": list(ids)},
        )
        return {(row[0], row[1]) for row in rows}

    def unmatched_receipts(self) -> list[dict[str, Any]]:
        """Return the extracted repayments whose money no statement line has shown yet, and undone receipts likewise."""
        rows = self.transaction.execute(
            sa.text(
                "select r.repayment_id, r.loan_id, r.currency, r.amount, r.window_on, r.received_at,"
                " r.reverses_repayment_id from ledger.repayments r"
                " where (r.is_extracted or (r.reverses_repayment_id is not null and r.state = 'settled'))"
                " and not exists (select from ledger.matches m where m.subject_id = r.repayment_id"
                "   and m.subject_kind in ('receipt', 'receipt_undone')) order by r.repayment_id"
            )
        ).mappings()
        return [dict(row) for row in rows]

    def keep_matches(self, matches: Sequence[Match], *, now: datetime) -> None:
        """Write what lines turned out to be, with the entries that follow; what was in suspense leaves it."""
        if not matches:
            return
        self.transaction.execute(
            sa.text(
                "insert into ledger.matches (line_id, subject_kind, subject_id, amount, rule, explanation, matched_at)"
                " values (:line, :kind, :id, :amount, :rule, :explanation, :now)"
            ),
            [
                {
                    "line": found.line.line_id,
                    "kind": found.subject.kind,
                    "id": found.subject.subject_id,
                    "amount": found.line.amount,
                    "rule": found.rule,
                    "explanation": found.explanation,
                    "now": now,
                }
                for found in matches
            ],
        )
        self._mark_lines([found.line.line_id for found in matches], "matched")
        for is_suspended, event, bank in (
            (False, "line_matched", "client_bank"),
            (True, "suspense_resolved", "suspense"),
        ):
            self._post_lines(
                event,
                [
                    (
                        found.line,
                        [(bank, found.line.amount), (CLEARS[found.subject.kind], -found.line.amount)],
                        found.subject,
                    )
                    for found in matches
                    if found.line.is_suspended is is_suspended
                ],
                now=now,
            )

    def suspend(self, lines: Sequence[OpenLine], *, now: datetime) -> None:
        """Book lines that match nothing against suspense, so that client_bank follows the bank all the same."""
        self._mark_lines([line.line_id for line in lines], "suspended")
        self._post_lines(
            "line_suspended",
            [(line, [("client_bank", line.amount), ("suspense", -line.amount)], None) for line in lines],
            now=now,
        )

    def post_opening(self, statement: Statement, *, now: datetime) -> None:
        """Post the opening balance of the first statement of all."""
        if statement.opening:
            self.post_all(  # type: ignore[attr-defined]
                "opening",
                [
                    {
                        "legs": [("client_bank", statement.opening), ("opening_balance", -statement.opening)],
                        "currency": statement.currency,
                    }
                ],
                settlement_date=statement.business_date,
                now=now,
            )

    def _mark_lines(self, line_ids: Sequence[str], state: str) -> None:
        self.transaction.execute(
            sa.text("update ledger.statement_lines set state = :state where line_id = any(:ids)"),
            {"ids": list(line_ids), "state": state},
        )

    def _post_lines(
        self, event: str, posted: Sequence[tuple[OpenLine, list[tuple[str, int]], Any]], *, now: datetime
    ) -> None:
        by_date: dict[date, list[dict[str, Any]]] = {}
        for line, legs, subject in posted:
            entry: dict[str, Any] = {"legs": legs, "currency": line.currency, "line_id": line.line_id}
            if subject is not None:
                entry["payout_id" if subject.kind.startswith("payout") else "repayment_id"] = subject.subject_id
            by_date.setdefault(line.booking_date, []).append(entry)
        for on, entries in sorted(by_date.items()):
            self.post_all(event, entries, settlement_date=on, now=now)  # type: ignore[attr-defined]
