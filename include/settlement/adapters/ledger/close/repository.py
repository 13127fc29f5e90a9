"""The part of the books that closes days: certificates, the seals of every row they cover, and what proves them.

A seal is the beginning of the SHA-256 of each row. It is written once, when the first certificate after the row is
issued; the certificate covers the hash of all seals written with it, and the certificate before it. So a row, a seal or
a certificate that is changed later is found, and named. Columns that live on (states, what is derived) are not sealed
but derived again from rows that are: `INVARIANTS`. What is neither is listed with the reason: `UNSEALED`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger import frames_io
from settlement.adapters.ledger.outcomes.repository import digest
from settlement.adapters.ledger.repository import Repository, sql
from settlement.domain import frames
from settlement.domain.frames import Outcome
from settlement.ports.close import SEAL_BYTES, Certificate, Movement, ReportTable, Revision
from settlement.ports.days import DayRun

WHOLE = "*"
HERE = __package__

OF_CERTIFICATE = "number, settlement_date, revision, body, sha256, issued_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What is sealed of a table: rows by their key, with the columns that do not change any more.

    `only` says which rows have come so far. `new` says where to look for rows that no seal covers, so that a day costs
    what it brought and not what the books hold: everywhere, where a table has few rows a day.
    """

    table: str
    key: str
    columns: str = WHOLE
    only: str = "true"
    new: str = "true"
    each: str = ""  # "revision", "date": `new` names the revisions, or dates, that are sealed with it, one by one


OF_REVISION = "t.settlement_date = :on and t.revision = :revision"
NEW_ENTRIES = "select {} from ledger.entries e where e.entry_id > :entries"
NEW_PAYOUTS = f"t.payout_id in ({NEW_ENTRIES.format('e.payout_id')} and e.event = 'payout_prepared')"
DAY_KEY = "t.settlement_date || '/' || t.revision"

# By the name under which it is sealed, in the order in which it is sealed and verified. A row that goes on living after
# it is sealed has a second name for what a person or the bank answers to it.
SEALED: Mapping[str, Sealed] = {
    "revisions": Sealed(
        table="revisions",
        key=DAY_KEY,
        columns="settlement_date, revision, run_id, reason, policy_name, policy_version, policy_sha256, input_sha256,"
        " output_sha256, code_version, computed_at",
    ),
    "revisions asked for": Sealed(table="revisions", key=DAY_KEY, columns="settlement_date, revision, requested_by"),
    "snapshots": Sealed(
        table="snapshots",
        key=DAY_KEY,
        only="(t.settlement_date, t.revision) in (select settlement_date, revision from ledger.revisions)",
    ),
    "day_totals": Sealed(
        table="day_totals",
        key=f"{DAY_KEY} || '/' || t.currency",
        columns="settlement_date, revision, currency, repayment_count, received_amount, distributed_amount, fee_amount,"
        " vat_amount, national_tax_amount, local_tax_amount, cost_amount, credit_amount, quarantined_amount",
        new=OF_REVISION,
        each="revision",
    ),
    "day_totals of refunds": Sealed(
        table="day_totals",
        key=f"{DAY_KEY} || '/' || t.currency",
        columns="settlement_date, revision, currency, refunded_amount",
        new=OF_REVISION,
        each="revision",
    ),
    "runs": Sealed(table="runs", key="t.run_id", columns="run_id, settlement_date, run_type, triggered_by"),
    "backfills": Sealed(table="backfills", key="t.backfill_id::text", columns="backfill_id, started_at"),
    "repayments": Sealed(
        table="repayments",
        key="t.repayment_id",
        columns="repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, window_on, taken_on",
        new="t.taken_on = :on",
        each="date",
    ),
    "opening": Sealed(table="opening", key="t.first_date::text", new=":number = 0"),
    "opening_positions": Sealed(
        table="opening_positions",
        key="t.kind || '/' || t.subject_id || '/' || t.currency",
        new=":number = 0",
    ),
    "allocations": Sealed(table="allocations", key=f"{DAY_KEY} || '/' || t.position", new=OF_REVISION, each="revision"),
    "credits": Sealed(table="credits", key=f"{DAY_KEY} || '/' || t.position", new=OF_REVISION, each="revision"),
    "quarantine": Sealed(
        table="quarantine",
        key=f"{DAY_KEY} || '/' || t.repayment_id",
        columns="settlement_date, revision, loan_id, repayment_id, currency, amount, rule, evidence",
        new=OF_REVISION,
        each="revision",
    ),
    "refunds": Sealed(
        table="refunds",
        # One that is taken again is sealed beside the first, which is sealed as it was before there were others.
        key="t.refund_id || left('/' || t.number, 9 * (t.number - 1))",
        columns="refund_id, settlement_date, revision, loan_id, currency, amount",
        new=OF_REVISION,
        each="revision",
    ),
    "replayed_loans": Sealed(
        table="replayed_loans", key=f"{DAY_KEY} || '/' || t.loan_id", new=OF_REVISION, each="revision"
    ),
    "refused_refunds": Sealed(
        table="refused_refunds",
        key=f"{DAY_KEY} || '/' || t.refund_id",
        columns="settlement_date, revision, refund_id, loan_id, currency, amount, rule, evidence",
        new=OF_REVISION,
        each="revision",
    ),
    "refunds_undone": Sealed(
        table="refunds_undone",
        key="t.entry_id::text",
        columns="entry_id, settlement_date, refund_id, loan_id, repayment_id, currency, amount, reason, undone_by,"
        " undone_at",
        new="t.entry_id > :entries",
    ),
    "refunds undone again": Sealed(
        table="refunds_undone", key="t.entry_id::text", columns="entry_id, is_again", new="t.entry_id > :entries"
    ),
    "entries": Sealed(table="entries", key="t.entry_id::text", new="t.entry_id > :entries"),
    "payouts": Sealed(
        table="payouts",
        key="t.payout_id",
        columns="payout_id, settlement_date, revision, payee_id, currency, chunk, attempt, amount, end_to_end_id,"
        " payee_name, payee_account, payee_bank, prepared_at, run_id",
        new=NEW_PAYOUTS,
    ),
    "payees of payouts": Sealed(
        table="payouts", key="t.payout_id", columns="payout_id, payee_kind, payee_id", new=NEW_PAYOUTS
    ),
    "payout_history": Sealed(
        table="payout_history", key="t.payout_id || '/' || t.step", new="t.step > :payout_history"
    ),
    "payout_facts": Sealed(table="payout_facts", key="t.payout_id || '/' || t.kind || '/' || t.source"),
    "payout_steps": Sealed(table="payout_steps", key="t.from_state || '/' || t.to_state"),
    "payout_files": Sealed(
        table="payout_files",
        key="t.file_id",
        columns="file_id, settlement_date, currency, payment_count, amount, content, sha256, created_at",
    ),
    "transmissions": Sealed(table="transmissions", key="t.file_id || '/' || t.number", only="t.outcome is not null"),
    "approvals": Sealed(
        table="approvals", key="t.approval_id", only="t.decision is not null and t.decision <> 'superseded'"
    ),
    "objections": Sealed(
        table="objections",
        key="t.settlement_date || '/' || t.control || '/' || md5(t.said)",
        columns="settlement_date, control, said, raised_at, run_id",
    ),
    "objections answered": Sealed(
        table="objections",
        key="t.settlement_date || '/' || t.control || '/' || md5(t.said)",
        only="t.overridden_at is not null",
    ),
    "refused_accounts": Sealed(
        table="refused_accounts",
        key="t.payout_id",
        columns="payee_id, payee_account, payee_bank, reason, refused_at, payout_id",
    ),
    "payees of refused_accounts": Sealed(
        table="refused_accounts", key="t.payout_id", columns="payout_id, payee_kind, payee_id"
    ),
    "bank_messages": Sealed(
        table="bank_messages",
        key="t.sha256",
        columns="sha256, direction, kind, name, content, recorded_at, state, refusal, statement_id, difference",
        only="t.state <> 'new'",
    ),
    "uploads": Sealed(table="uploads", key="t.sha256"),
    "messages_read_again": Sealed(
        table="messages_read_again",
        # What a message came to when it was read again first is sealed as it was before there was more than that.
        key="t.sha256 || left('/' || t.number, 9 * (t.number - 1))",
        columns="sha256, state, refusal, statement_id, difference, read_at",
    ),
    "statements": Sealed(
        table="statements",
        key="t.statement_id",
        columns="statement_id, sha256, account, currency, sequence, business_date, opening, closing, line_count,"
        " content_key, applied_at, position",
    ),
    "statements of a day": Sealed(
        table="statements", key="t.statement_id", columns="statement_id, bank_name, page, is_last"
    ),
    "statement_lines": Sealed(
        table="statement_lines",
        key="t.line_id",
        columns="line_id, statement_id, booking_date, value_date, amount, currency, end_to_end_id, reference,"
        " remittance, bank_code, is_return, reason, bank_reference, file_id, counterparty_account, transaction_count,"
        " is_reversal, is_charge",
        new="t.statement_id in (select key from ledger.seals where number = :number and table_name = 'statements')",
    ),
    "matches": Sealed(
        table="matches",
        # A match of a subject's first time is sealed as it was before there were others.
        key="t.line_id || '/' || t.subject_kind || '/' || t.subject_id"
        " || left('/' || t.occurrence, 9 * (t.occurrence - 1))",
        columns="line_id, subject_kind, subject_id, amount, rule, explanation, matched_at, match_id, difference,"
        " matched_by",
        new=f"t.line_id in ({NEW_ENTRIES.format('e.line_id')})",
    ),
    "remittances": Sealed(table="remittances", key="t.line_id || '/' || t.kind || '/' || t.month"),
    "month_certificates": Sealed(table="month_certificates", key="t.number::text"),
    "breaks": Sealed(
        table="breaks",
        key="t.break_id::text",
        columns="break_id, cause, side, opened_on, subject_kind, subject_id",
    ),
    "breaks that are over": Sealed(table="breaks", key="t.break_id::text", only="t.resolved_on is not null"),
    "break_history": Sealed(table="break_history", key="t.break_id || '/' || t.step"),
    "break_decisions": Sealed(
        table="break_decisions",
        key="t.decision_id::text",
        columns="decision_id, break_id, kind, target, amount, currency, reason, requested_by, requested_at,"
        " needs_second",
    ),
    "break_decisions that were taken": Sealed(
        table="break_decisions",
        key="t.decision_id::text",
        columns="decision_id, break_id, kind, target, amount, currency, reason, requested_by, requested_at,"
        " needs_second, decided_by, decided_at",
        only="t.decided_at is not null",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A table whose rows are parts of a sealed whole, and are sealed under its key, in an order of their own."""

    whole: str
    order: str
    new: str
    each: str = ""

    @property
    def key(self) -> str:
        """The key of the whole, as it is made of the part."""
        return SEALED[self.whole].key


PARTS: Mapping[str, Part] = {
    "shares": Part(whole="allocations", order="t.note_id", new=OF_REVISION, each="revision"),
    "postings": Part(whole="entries", order="t.account, t.amount", new="t.entry_id > :entries"),
}

# By sealed name: which rows must have a seal, for the certificates are past them.
COVERED: Mapping[str, str] = {
    **dict.fromkeys(
        ("day_totals", "allocations", "credits", "quarantine", "refunds", "refused_refunds"),
        f"exists (select from ledger.seals r where r.table_name = 'revisions' and r.key = {DAY_KEY})",
    ),
    # One of a revision that there is not would hide rows all the same.
    "replayed_loans": "not exists (select from ledger.revisions r where (r.settlement_date, r.revision)"
    " = (t.settlement_date, t.revision)) or exists (select from ledger.seals r where r.table_name = 'revisions'"
    f" and r.key = {DAY_KEY})",
    "opening_positions": "true",
    "entries": "t.entry_id <= :entries",
    "refunds_undone": "t.entry_id <= :entries",
    "payout_history": "t.step <= :payout_history",
    "statement_lines": "exists (select from ledger.seals r where r.table_name = 'statements'"
    " and r.key = t.statement_id)",
}

UNSEALED: Mapping[str, str] = {
    "days": "it says where a day stands; its close and revision are derived from certificates and revisions",
    "balances": "the sums of postings, and derived from them",
    "positions": "the sums of allocations and shares, and derived from them",
    "windows_taken": "counts of repayments, and derived from them",
    "holds": "written anew whenever payouts are prepared; what was held is in the certificate, what is owed a balance",
    "control_results": "the newest result of each control; that all held is in the certificate",
    "alembic_version": "the revision of this schema, which migrating changes",
    "policies": "the key of each is the hash of its text, which PostgreSQL proves, and sealed revisions name it",
    "books_version": "a counter that tells stale inputs from fresh ones",
    "certificates": "they are chained",
    "seals": "the certificate that they were written with holds their hash",
    "alert_roots": "how people were told; no money depends on it",
    "alert_outbox": "how people were told; no money depends on it",
    "alert_files": "how people were told; no money depends on it",
    "alert_attempts": "how people were told; no money depends on it",
}
"""The tables that are not sealed, and why not."""

# What must hold of the rows as they stand, with the query in `invariants` that returns the first row that breaks it.
INVARIANTS: Mapping[str, str] = {
    "entries sum to zero in one currency": "entries_sum_to_zero",
    "postings have an entry": "postings_have_an_entry",
    "balances are the sums of their postings": "balances_are_sums",
    "shares sum to their allocations": "shares_sum_to_allocations",
    "shares are net, fee, VAT and taxes": "shares_add_up",
    "totals of a day are the sums of its shares": "totals_are_sums",
    "payouts took exactly their amount": "payouts_took_their_amount",
    "payouts are where their history took them": "payouts_are_where_history_took_them",
    "payouts are booked when their line says": "payouts_are_booked_with_their_line",
    "payment files are what was sent": "payment_files_are_what_was_sent",
    "messages are what was received": "messages_are_what_was_received",
    "opening and lines of a statement make its closing": "statements_add_up",
    "lines are booked on client_bank with their amount": "lines_are_booked",
    "lines are matched where a match says so, with all of their amount": "lines_are_matched",
    "payouts say what their history says": "payouts_say_what_history_says",
    "payment files hold the payouts that name them": "payment_files_hold_their_payouts",
    "repayments stand where the books took them": "repayments_stand_where_taken",
    "days are at their newest revision, and closed if that is certified": "days_are_at_their_newest_revision",
    "frozen inputs are those that their revision was computed with": "inputs_are_those_computed_with",
    "positions are the sums of what moved": "positions_are_sums",
    "windows are counted with what was taken of them": "windows_are_counted",
    "credits are held up to their repayment, and not below zero": "credits_are_within_their_repayment",
    "a loan's credit is what came to be held, less what was applied and refunded": "credits_are_in_the_books",
    "refunds took exactly their amount of held credits": "refunds_took_their_amount",
    "opening positions are what was taken over, and booked": "opening_is_booked",
    "totals of a day are the sums of its refunds": "refunds_are_in_the_totals",
    "breaks that are over say so in their history": "breaks_are_over_by_history",
}


class Close(Repository):
    """Certificates and seals."""

    def revision(self, settlement_date: date) -> Revision | None:
        """Return the newest computed revision of a day, with its hashes."""
        row = self._first("select * from ledger.revisions where settlement_date = :on order by revision desc limit 1",
                          on=settlement_date)  # fmt: skip
        return Revision(**row) if row else None

    def revisions(self, settlement_date: date) -> list[Revision]:
        """Return every computed revision of a day, with its hashes, oldest first."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.revisions where settlement_date = :on order by revision"),
            {"on": settlement_date},
        ).mappings()
        return [Revision(**row) for row in rows]

    def changes(self, settlement_date: date) -> dict[int, dict[str, dict[str, int]]]:
        """Return by how much each revision of a day changed each of its totals: by revision, currency and total."""
        rows = self.transaction.execute(
            sa.text("select * from reporting.revisions where settlement_date = :on order by revision, currency"),
            {"on": settlement_date},
        ).mappings()
        found: dict[int, dict[str, dict[str, int]]] = {}
        for row in rows:
            changed = {name: value for name, value in row.items() if name.endswith("_change")}
            found.setdefault(row["revision"], {})[row["currency"]] = changed
        return found

    def policy(self, sha256: str) -> bytes | None:
        """Return the text of a policy that a revision was computed with, or None where it was not kept."""
        found = sa.text("select content from ledger.policies where sha256 = :sha256")
        content = self.transaction.execute(found, {"sha256": sha256}).scalar()
        return None if content is None else bytes(content)

    def movements(self, *, on: date, before: date) -> list[Movement]:
        """Return what bank, ledger and investors had after the day `before`, what moved until `on`, and have then."""
        run = self.transaction.execute
        first = run(sql(HERE, "first_booked"), {"before": before}).scalar_one()
        rows = run(sql(HERE, "movements"), {"on": on, "before": before, "first": first}).mappings()
        return [Movement(**row) for row in rows]

    def report_table(self, name: str, on: date) -> ReportTable:
        """Return one table of a day's report, in an order that its rows alone decide."""
        return self._table(name, on=on)

    def taxes(self, on: date, classes: Mapping[str, str]) -> ReportTable:
        """Return what was withheld on a day by tax class, where `classes` are those of the investors."""
        return self._table("taxes", on=on, ids=list(classes), classes=list(classes.values()))

    def certificates(self) -> list[Certificate]:
        """Return every certificate in the order in which they were issued."""
        rows = self.transaction.execute(
            sa.text(f"select {OF_CERTIFICATE} from ledger.certificates order by number")
        ).mappings()
        return [Certificate(**row) for row in rows]

    def certified_until(self) -> date | None:
        """Return the newest settlement date that has a certificate, or None before the first."""
        newest: date | None = self.transaction.execute(
            sa.text("select max(settlement_date) from ledger.certificates")
        ).scalar()
        return newest

    def newest_certificate(self) -> Certificate | None:
        """Return the certificate that was issued last."""
        row = self._first(f"select {OF_CERTIFICATE} from ledger.certificates order by number desc limit 1")
        return Certificate(**row) if row else None

    def certificate(self, settlement_date: date) -> Certificate | None:
        """Return the newest certificate of a day."""
        row = self._first(f"select {OF_CERTIFICATE} from ledger.certificates where settlement_date = :on"
                          " order by number desc limit 1", on=settlement_date)  # fmt: skip
        return Certificate(**row) if row else None

    def _first(self, query: str, **named: Any) -> sa.RowMapping | None:
        return self.transaction.execute(sa.text(query), named).mappings().first()

    def _table(self, name: str, **named: Any) -> ReportTable:
        found = self.transaction.execute(sql(HERE, f"reports/{name}"), named)
        return ReportTable(columns=tuple(found.keys()), rows=[tuple(row) for row in found])

    def seal(self, number: int, *, since: Mapping[str, int]) -> dict[str, int]:
        """Seal every row that has come since a certificate and that no seal covers, and return how far that goes.

        `since` and what is returned are the newest entry and payout step. Both are written only under the lock under
        which everything is posted, as this is: whatever is not there yet will have a greater number.
        """
        run = self.transaction.execute
        run(sa.text("set local timezone = 'UTC'"))
        reached = {
            "entries": int(run(sa.text("select coalesce(max(entry_id), 0) from ledger.entries")).scalar_one()),
            "payout_history": int(
                run(sa.text("select coalesce(max(step), 0) from ledger.payout_history")).scalar_one()
            ),
        }
        values = {"number": number, **{name: since.get(name, 0) for name in reached}}
        for name, sealed in SEALED.items():
            for scope in self._scopes(number, sealed.each):
                run(
                    sa.text(
                        f"insert into ledger.seals (number, table_name, key, hashes) select :number, '{name}',"
                        f" {sealed.key}, {_hash(sealed.columns)} from ledger.{sealed.table} t"
                        f" where {sealed.new} and {sealed.only} and not exists (select from ledger.seals s"
                        f" where s.table_name = '{name}' and s.key = {sealed.key})"
                    ),
                    values | scope,
                )
        for name, part in PARTS.items():
            for scope in self._scopes(number, part.each):
                run(
                    sa.text(
                        f"insert into ledger.seals (number, table_name, key, hashes) select :number, '{name}',"
                        f" {part.key}, string_agg({_hash(WHOLE)}, '' order by {part.order}) from ledger.{name} t"
                        f" where {part.new} group by {part.key}"
                    ),
                    values | scope,
                )
        return reached

    def _scopes(self, number: int, each: str) -> list[dict[str, Any]]:
        """Return what a statement of sealing is run for: once, or for each revision or date that is sealed now."""
        if not each:
            return [{}]
        rows = self.transaction.execute(
            sa.text(
                "select r.settlement_date, r.revision from ledger.seals s join ledger.revisions r"
                f" on s.key = {DAY_KEY.replace('t.', 'r.')} where s.number = :number and s.table_name = 'revisions'"
                " order by 1, 2"
            ),
            {"number": number},
        ).all()
        if each == "date":
            opening = sa.text("select opened_on from ledger.opening where :number = 0")
            opened = self.transaction.execute(opening, {"number": number}).scalars()
            return [{"on": on} for on in sorted({*opened, *(on for on, _ in rows)})]
        return [{"on": on, "revision": revision} for on, revision in rows]

    def sealed(self, number: int) -> dict[str, dict[str, Any]]:
        """Return the count and hash of the seals that were written with a certificate, by table."""
        rows = self.transaction.execute(
            sa.text(
                "select table_name, count(*) as rows, encode(sha256(string_agg(convert_to(key, 'UTF8') || hashes, ''"
                " order by key)), 'hex') as sha256 from ledger.seals where number = :number"
                " group by table_name order by table_name"
            ),
            {"number": number},
        )
        return {row.table_name: {"rows": row.rows, "sha256": row.sha256} for row in rows}

    def keep_certificate(self, number: int, *, on: date, revision: int, body: str, now: datetime) -> None:
        """Write a certificate; nothing changes it afterwards."""
        self.transaction.execute(
            sa.text(
                "insert into ledger.certificates (number, settlement_date, revision, body, sha256, issued_at)"
                " values (:number, :on, :revision, :body, :sha, :now)"
            ),
            {
                "number": number,
                "on": on,
                "revision": revision,
                "body": body,
                "sha": hashlib.sha256(body.encode()).hexdigest(),
                "now": now,
            },
        )

    def sealed_rows(self, number: int) -> Iterator[tuple[str, str, list[str]]]:
        """Yield what a certificate seals, by table and in the order of keys: the texts that were hashed."""
        run = self.transaction.execute
        run(sa.text("set local timezone = 'UTC'"))
        for table in sorted([*SEALED, *PARTS]):
            if table in SEALED:
                key, source = SEALED[table].key, SEALED[table].table
                said, order = f"array[{_said(SEALED[table].columns)}]", ""
            else:
                key, source = PARTS[table].key, table
                said, order = f"array_agg({_said(WHOLE)} order by {PARTS[table].order})", f"group by {key}, s.key"
            for row in run(
                sa.text(
                    f"select s.key, {said} as said from ledger.seals s join ledger.{source} t on {key} = s.key"
                    f" where s.number = :number and s.table_name = '{table}' {order} order by s.key"
                ),
                {"number": number},
            ):
                yield table, row.key, row.said

    def broken_seals(self) -> list[str]:
        """Return, for each table, the first row that is not what was sealed: changed, gone, or put in."""
        run = self.transaction.execute
        run(sa.text("set local timezone = 'UTC'"))
        found = []
        for name, sealed in SEALED.items():
            row = run(
                sa.text(
                    f"select s.key, {sealed.key} is null as is_gone from ledger.seals s"
                    f" left join ledger.{sealed.table} t on {sealed.key} = s.key where s.table_name = '{name}'"
                    f" and ({sealed.key} is null or {_hash(sealed.columns)} <> s.hashes)"
                    " order by s.number, s.key limit 1"
                )
            ).first()
            if row is not None:
                found.append(f"{name} {row.key}" + (" is gone" if row.is_gone else ""))
        for name, part in PARTS.items():
            row = run(
                sa.text(
                    f"select s.key, s.hashes, t.hashes as now, t.names from ledger.seals s full join"
                    f" (select {part.key} as key, string_agg({_hash(WHOLE)}, '' order by {part.order}) as hashes,"
                    f" array_agg({part.order.split(',')[0]} order by {part.order}) as names from ledger.{name} t"
                    f" group by 1) t on t.key = s.key where s.table_name = '{name}'"
                    " and t.hashes is distinct from s.hashes order by s.number, s.key limit 1"
                )
            ).first()
            if row is not None:
                found.append(f"{name} {row.key}/{_first_other(row.hashes, row.now, row.names)}")
        return [*found, *self._put_in()]

    def _put_in(self) -> list[str]:
        """Return, for each table, the first row that no seal covers although the certificates are past it."""
        newest = self.newest_certificate()
        if newest is None:
            return []
        reached = json.loads(newest.body)["sealed_until"]
        found = []
        for name, condition in COVERED.items():
            key = SEALED[name].key
            row = self.transaction.execute(
                sa.text(
                    f"select {key} from ledger.{name} t where ({condition}) and not exists (select from ledger.seals s"
                    f" where s.table_name = '{name}' and s.key = {key}) order by 1 limit 1"
                ),
                reached,
            ).scalar()
            if row is not None:
                found.append(f"{name} {row} was put in")
        return found

    def broken_invariants(self) -> list[tuple[str, str]]:
        """Return every invariant that does not hold, with the first row that breaks it."""
        run = self.transaction.execute
        found = ((name, run(sql(HERE, f"invariants/{query}")).scalar()) for name, query in INVARIANTS.items())
        return [(name, str(row)) for name, row in found if row is not None]

    def computed(self) -> list[Revision]:
        """Return every computed revision of every day, oldest first."""
        rows = self.transaction.execute(
            sa.text("select * from ledger.revisions order by settlement_date, revision")
        ).mappings()
        return [Revision(**row) for row in rows]

    def moved(self, table: str) -> "pd.Series[int]":
        """Return what was allocated to each of the `receivables`, or of principal repaid on each of the `notes`."""
        rows = frames_io.amounts(self.transaction, sql(HERE, f"moved/{table}").text, {})
        return pd.Series(rows["amount"].to_numpy(), index=rows["key"].to_pandas(), dtype="int64")

    def differs_from(self, day: DayRun, outcome: Outcome) -> list[str]:
        """Return where the books do not hold this outcome: its hash, then the first row of each table that differs."""
        on_record = self.transaction.execute(
            sa.text("select output_sha256 from ledger.revisions where settlement_date = :on and revision = :revision"),
            {"on": day.settlement_date, "revision": day.revision},
        ).scalar_one()
        found = [] if digest([outcome]) == on_record else [f"the outcome's sha256 is not [{on_record}]"]
        computed = {
            "allocations": outcome.allocations.rename(columns={"allocation_no": "position"}),
            "shares": frames.widen(outcome.shares, outcome.allocations).rename(columns={"allocation_no": "position"}),
            "credits": outcome.credits.assign(position=range(1, len(outcome.credits) + 1)),
            "refunds": outcome.refunds,
        }
        if day.revision == 1:  # totals of a later one are those of the whole day, of which it ran a part
            computed["day_totals"] = outcome.totals
        for table, frame in computed.items():
            row = self._first_difference(table, frame, day)
            if row is not None:
                found.append(row)
        return found

    def _first_difference(self, table: str, frame: pd.DataFrame, day: DayRun) -> str | None:
        columns = sorted(frame.columns)
        rows = self.transaction.execute(
            sa.text(
                f"select {', '.join(columns)} from ledger.{table} where settlement_date = :on and revision = :revision"
            ),
            {"on": day.settlement_date, "revision": day.revision},
        )
        booked = Counter("\x1f".join(str(value) for value in row) for row in rows)
        plain = (frame[name].astype("object").tolist() for name in columns)
        wanted = Counter("\x1f".join(str(value) for value in row) for row in zip(*plain, strict=True))
        if booked == wanted:
            return None
        first = min([*(booked - wanted), *(wanted - booked)])
        what = "is booked and not computed" if first in booked - wanted else "is computed and not booked"
        return f"{table} [{first.replace(chr(31), ', ')}] {what}"

    def unknown_seals(self) -> int:
        """Return how many seals belong to no certificate."""
        return int(
            self.transaction.execute(
                sa.text(
                    "select count(*) from ledger.seals s where not exists"
                    " (select from ledger.certificates c where c.number = s.number)"
                )
            ).scalar_one()
        )


def _said(columns: str) -> str:
    """Return the SQL of what is sealed of a row, as text."""
    if columns == WHOLE:
        return "t::text"
    return "row(" + ", ".join(f"t.{column.strip()}" for column in columns.split(",")) + ")::text"


def _hash(columns: str) -> str:
    return f"substring(sha256(convert_to({_said(columns)}, 'UTF8')) for {SEAL_BYTES})"


def _first_other(sealed: bytes, now: bytes | None, names: Sequence[str] | None) -> str:
    """Return the name of the first row of a whole that is not what was sealed."""
    if now is None or names is None:
        return "all are gone"
    for place, name in enumerate(names):
        own = slice(place * SEAL_BYTES, (place + 1) * SEAL_BYTES)
        if bytes(now[own]) != bytes(sealed[own]):
            return name
    return "the last is gone"
