"""The part of the books that keeps what the bank said: messages byte for byte, statements, lines and their matches."""

from collections.abc import Sequence
from datetime import date, datetime
from operator import attrgetter

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger import copying, frames_io
from settlement.adapters.ledger.journal.repository import Journal
from settlement.adapters.ledger.opening.repository import Opening
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.bank import statement as statements
from settlement.domain.bank.matching import SubjectKind
from settlement.domain.bank.matching.model import Key
from settlement.domain.bank.messages import FILE, Message, MessageState
from settlement.domain.bank.statement import LineState, Statement, StatementLine
from settlement.domain.books import postings
from settlement.domain.books.accounts import OPENING_BALANCE
from settlement.domain.books.postings import JournalEntry
from settlement.ports.bank_lines import KeptStatement, LineTotals, RefusedMessage, WaitingMessage

# What is written of a line, with the dtypes of it, and of a match.
LINE = dict.fromkeys(
    ("line_id", "currency", "end_to_end_id", "reference", "bank_reference", "file_id", "remittance", "bank_code",
     "reason", "counterparty_account"), "str",
) | {
    "booking_date": "datetime64[s]", "value_date": "datetime64[s]", "amount": "int64", "transaction_count": "int32",
    "is_return": "bool", "is_reversal": "bool", "is_charge": "bool",
}  # fmt: skip
MATCH = [
    "line_id",
    "subject_kind",
    "subject_id",
    "occurrence",
    "amount",
    "rule",
    "explanation",
    "match_id",
    "difference",
]


class BankLines(Repository):
    """Messages, statements, lines and matches."""

    def __init__(self, transaction: sa.Connection, journal: Journal) -> None:
        super().__init__(transaction)
        self._journal = journal

    def keep_message(self, message: Message, *, direction: str, now: datetime) -> bool:
        """Keep a message as it travelled; False when these very bytes are kept already: then, when they came again."""
        run = self.transaction.execute
        values = {
            "sha": message.sha256,
            "direction": direction,
            "kind": message.kind,
            "name": message.name,
            "content": message.content,
            "now": now,
            "came": min(now, message.written_at or now),
            "state": MessageState.NEW if direction == "in" else MessageState.APPLIED,
        }
        kept = run(
            sa.text(
                "insert into ledger.bank_messages (sha256, direction, kind, name, content, recorded_at, came_at, state)"
                " values (:sha, :direction, :kind, :name, :content, :now, :came, :state)"
                " on conflict (sha256) do nothing returning sha256"
            ),
            values,
        ).scalar()
        if kept is None and message.written_at:
            run(
                sa.text(
                    "update ledger.bank_messages set came_at = :came"
                    " where sha256 = :sha and coalesce(came_at, recorded_at) < :came"
                ),
                values,
            )
        return kept is not None

    def upload(self, message: Message, *, by: str, reason: str, now: datetime) -> bool:
        """Keep what somebody uploads until a run takes it in; False when these very bytes are here already."""
        values = {"sha": message.sha256, "name": message.name, "content": message.content}
        kept = self.transaction.execute(
            sql(__package__, "upload"), values | {"by": by, "reason": reason, "now": now}
        ).scalar()
        return kept is not None

    def uploaded(self) -> list[Message]:
        """Return what was uploaded and is not kept as a message yet, oldest first."""
        return [
            Message(name=row.name, kind=FILE, content=bytes(row.content), sha256=row.sha256)
            for row in self.transaction.execute(sql(__package__, "uploaded"))
        ]

    def new_messages(self, *, read_with: str) -> list[WaitingMessage]:
        """Return the messages that wait to be read, or to be read again with this, oldest first."""
        rows = self.transaction.execute(sql(__package__, "waiting_messages"), {"with": read_with, "sha": None})
        return [
            WaitingMessage(
                message=Message(name=row.name, kind=row.kind, content=bytes(row.content), sha256=row.sha256),
                came_at=row.came_at,
                first_read_at=row.first_read_at,
            )
            for row in rows
        ]

    def is_new(self, sha256: str, *, read_with: str) -> bool:
        """Tell whether a kept message still waits to be read, or to be read again."""
        return (
            self.transaction.execute(sql(__package__, "waiting_messages"), {"with": read_with, "sha": sha256}).first()
            is not None
        )

    def close_message(
        self,
        sha256: str,
        state: MessageState,
        *,
        read_with: str,
        now: datetime,
        refusal: str | None = None,
        statement_id: str | None = None,
        difference: int | None = None,
    ) -> None:
        """Say what became of a message; what was said first stays, with whatever else it came to since beside it."""
        said = {"sha": sha256, "state": state, "refusal": refusal, "statement": statement_id, "difference": difference}
        run = self.transaction.execute
        former = run(
            sa.text(
                "select state, refusal, statement_id, difference from (select sha256, number, state, refusal,"
                " statement_id, difference from ledger.messages_read_again union all select sha256, 0, state, refusal,"
                " statement_id, difference from ledger.bank_messages) as said where sha256 = :sha"
                " order by number desc limit 1"
            ),
            said,
        ).one()
        if former.state == MessageState.NEW:
            run(
                sa.text(
                    "update ledger.bank_messages set state = :state, refusal = :refusal, statement_id = :statement,"
                    " difference = :difference where sha256 = :sha"
                ),
                said,
            )
        elif tuple(former) != (state.value, refusal, statement_id, difference):
            run(
                sa.text(
                    "insert into ledger.messages_read_again (sha256, number, state, refusal, statement_id, difference,"
                    " read_at) select :sha, count(*) + 1, :state, :refusal, :statement, :difference, :now"
                    " from ledger.messages_read_again where sha256 = :sha"
                ),
                said | {"now": now},
            )
        run(
            sa.text(
                "update ledger.bank_messages set read_with = :with, first_read_at = coalesce(first_read_at, :now),"
                " read_as_of = least(coalesce(came_at, recorded_at), :now) where sha256 = :sha"
            ),
            {"sha": sha256, "with": read_with, "now": now},
        )

    def refused_messages(self) -> list[RefusedMessage]:
        """Return the messages that could not be used, oldest first, without their content."""
        rows = self.transaction.execute(sql(__package__, "refused_messages")).mappings()
        return [RefusedMessage(**row) for row in rows]

    def has_statement(self, statement: Statement) -> bool:
        """Tell whether a statement that says the same is kept already, but not as another page."""
        return (
            self.transaction.execute(
                sa.text(
                    "select 1 from ledger.statements where content_key = :key"
                    " and (page is null or cast(:page as integer) is null or page = :page)"
                ),
                {"key": statement.content_key, "page": statement.page},
            ).first()
            is not None
        )

    def contradicts(self, statement: Statement) -> bool:
        """Tell whether a statement of the same account, currency, day, name and page is kept that says otherwise."""
        account, currency, on, name, page = statement.identity
        return (
            self.transaction.execute(
                sa.text(
                    "select 1 from ledger.statements where account = :account and currency = :currency"
                    " and business_date = :on and bank_name = :name and page is not distinct from :page"
                    " and content_key <> :key"
                ),
                {
                    "account": account,
                    "currency": currency,
                    "on": on,
                    "name": name,
                    "page": page,
                    "key": statement.content_key,
                },
            ).first()
            is not None
        )

    def lines_on(self, statement_ids: Sequence[str]) -> list[StatementLine]:
        """Return all lines of these statements, in the order of their ids."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.statement_lines where statement_id = any(:ids) order by line_id"),
            {"ids": list(statement_ids)},
        ).mappings()
        return [StatementLine(**{name: row[name] for name in LINE}) for row in rows]

    def keep_statement(self, statement: Statement, sha256: str, *, now: datetime) -> None:
        """Write a statement and its lines, all open; under its whole name where the bank used its name before."""
        bank_name = statement.statement_id
        is_used = sa.text("select exists(select from ledger.statements where statement_id = :id)")
        if self.transaction.execute(is_used, {"id": bank_name}).scalar_one():
            statement = statements.under_its_whole_name(statement)
        self.transaction.execute(
            sql(__package__, "keep_statement"),
            {
                "id": statement.statement_id,
                "bank_name": bank_name,
                "page": statement.page,
                "is_last": statement.is_last,
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
        copying.records_into(
            self.transaction,
            "ledger.statement_lines",
            LINE,
            map(attrgetter(*LINE), statement.lines),
            {"statement_id": statement.statement_id},
        )

    def statements(self, account: str) -> list[KeptStatement]:
        """Return the account's statements in the order of their days; those of one day as their balances follow."""
        rows = self.transaction.execute(
            sa.text(
                "select statement_id, bank_name, sha256, account, currency, sequence, business_date, opening, closing,"
                " page, is_last, line_count, applied_at from ledger.statements where account = :account"
                " order by business_date, sequence nulls first, page nulls first, position"
            ),
            {"account": account},
        ).mappings()
        return statements.in_order([KeptStatement(**row) for row in rows])

    def newest_statement(self, account: str) -> KeptStatement | None:
        """Return the account's newest statement, or None before the first."""
        found = self.statements(account)
        return found[-1] if found else None

    def lines(self, states: Sequence[LineState]) -> pd.DataFrame:
        """Return the lines in these states, in the order of their ids."""
        return frames_io.named(self.transaction, sql(__package__, "lines"), {"states": list(states)}, frames.OPEN_LINES)

    def match_totals(self, on: date) -> list[LineTotals]:
        """Return how many lines the date's statements have and how many are matched, with amounts, by currency."""
        rows = self.transaction.execute(sql(__package__, "match_totals"), {"on": on}).mappings()
        return [LineTotals(**row) for row in rows]

    def matched_subjects(self, kinds: Sequence[str], ids: Sequence[str]) -> set[Key]:
        """Return those of the subjects that a line is matched with already, as (kind, id, which time)."""
        rows = self.transaction.execute(
            sa.text(
                "select subject_kind, subject_id, occurrence from ledger.matches where subject_kind = any(:kinds)"
                " and subject_id = any(:ids)"
            ),
            {"kinds": list(kinds), "ids": list(ids)},
        )
        return {(row[0], row[1], row[2]) for row in rows}

    def receipts_shown_before(self, on: date) -> list[str]:
        """Return the ids of the receipts with which lines of statements before a date are matched, in order."""
        return list(
            self.transaction.execute(
                sql(__package__, "receipts_shown_before"), {"on": on, "kind": SubjectKind.RECEIPT}
            ).scalars()
        )

    def keep_matches(self, matches: pd.DataFrame, *, now: datetime, by: str = "settlement") -> None:
        """Write what lines turned out to be, with the entries that follow; what was in suspense leaves it."""
        if frames.check(matches, frames.MATCHES).empty:
            return
        rows = matches[MATCH].astype({"occurrence": "int32"})
        kept = copying.keyed(rows, {"matched_at": now, "matched_by": by})
        copying.frame_into(self.transaction, "ledger.matches", kept)
        self._mark_lines(matches["line_id"].unique().tolist(), LineState.MATCHED)
        booked: list[tuple[date, JournalEntry]] = []
        columns = ("line_id", "booking_date", "currency", "is_suspended", "subject_kind", "subject_id", "amount",
                   "difference", "rule")  # fmt: skip
        for line_id, on, currency, is_suspended, named, subject_id, amount, difference, rule in frames.rows(
            matches, *columns
        ):
            kind = SubjectKind(named)
            clears, about = kind.clears(subject_id), kind.about(subject_id)
            is_written_off = rule == "written_off"
            entry = postings.line_booked(clears, amount, is_suspended=is_suspended, is_written_off=is_written_off)
            booked.append((on, JournalEntry(entry=entry, currency=currency, line_id=line_id, **about)))
            if difference:
                tolerated = postings.tolerance_booked(clears, difference)
                booked.append((on, JournalEntry(entry=tolerated, currency=currency, line_id=line_id, **about)))
        self._post_lines(booked, now=now)

    def suspend(self, lines: pd.DataFrame, *, now: datetime) -> None:
        """Book lines that match nothing against suspense, so that client_bank follows the bank all the same."""
        self._mark_lines(lines["line_id"].tolist(), LineState.SUSPENDED)
        booked = [
            (on, JournalEntry(entry=postings.line_suspended(amount), currency=currency, line_id=line_id))
            for line_id, on, currency, amount in frames.rows(lines, "line_id", "booking_date", "currency", "amount")
        ]
        self._post_lines(booked, now=now)

    def follow_opening(self, account: str, currency: str, *, now: datetime) -> None:
        """Let the posted opening balance be the earliest statement's: what an older one says differently is posted.

        What a lender was taken over with is on the same account, and no statement's.
        """
        first, taken_over = self.statements(account)[0], Opening(self.transaction).booked(currency)
        difference = first.opening + self._journal.balance(OPENING_BALANCE.name, currency) - taken_over
        if difference:
            self._journal.post(
                JournalEntry(entry=postings.opening(difference), currency=currency),
                settlement_date=first.business_date,
                now=now,
            )

    def _mark_lines(self, line_ids: Sequence[str], state: LineState) -> None:
        self.transaction.execute(
            sa.text("update ledger.statement_lines set state = :state where line_id = any(:ids)"),
            {"ids": list(line_ids), "state": state},
        )

    def _post_lines(self, booked: Sequence[tuple[date, JournalEntry]], *, now: datetime) -> None:
        """Post the entries of lines, each on the booking date of its line, events and then lines in order."""
        events = {event: place for place, event in enumerate(dict.fromkeys(made.entry.event for _, made in booked))}
        by_date: dict[tuple[int, date], list[JournalEntry]] = {}
        for on, made in booked:
            by_date.setdefault((events[made.entry.event], on), []).append(made)
        for (_, on), entries in sorted(by_date.items(), key=lambda item: item[0]):
            self._journal.post_all(entries, settlement_date=on, now=now)
