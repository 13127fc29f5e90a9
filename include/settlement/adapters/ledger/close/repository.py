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
from settlement.adapters.ledger.repository import Repository
from settlement.domain import frames
from settlement.domain.frames import Outcome
from settlement.ports.close import SEAL_BYTES, Certificate, Movement, ReportTable, Revision
from settlement.ports.days import DayRun

WHOLE = "*"


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
DAY_KEY = "t.settlement_date || '/' || t.revision"

# By the name under which it is sealed, in the order in which it is sealed and verified. A row that goes on living after
# it is sealed has a second name for what a person or the bank answers to it.
SEALED: Mapping[str, Sealed] = {
    "revisions": Sealed(table="revisions", key=DAY_KEY),
    "snapshots": Sealed(
        table="snapshots",
        key=DAY_KEY,
        only="(t.settlement_date, t.revision) in (select settlement_date, revision from ledger.revisions)",
    ),
    "day_totals": Sealed(table="day_totals", key=f"{DAY_KEY} || '/' || t.currency", new=OF_REVISION, each="revision"),
    "runs": Sealed(table="runs", key="t.run_id", columns="run_id, settlement_date, run_type, triggered_by"),
    "backfills": Sealed(table="backfills", key="t.backfill_id::text", columns="backfill_id, started_at"),
    "repayments": Sealed(
        table="repayments",
        key="t.repayment_id",
        columns="repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, window_on, taken_on",
        new="t.taken_on = :on",
        each="date",
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
    "entries": Sealed(table="entries", key="t.entry_id::text", new="t.entry_id > :entries"),
    "payouts": Sealed(
        table="payouts",
        key="t.payout_id",
        columns="payout_id, settlement_date, revision, investor_id, currency, chunk, attempt, amount, end_to_end_id,"
        " payee_name, payee_account, payee_bank, prepared_at, run_id",
        new=f"t.payout_id in ({NEW_ENTRIES.format('e.payout_id')} and e.event = 'payout_prepared')",
    ),
    "payout_history": Sealed(
        table="payout_history", key="t.payout_id || '/' || t.step", new="t.step > :payout_history"
    ),
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
    "refused_accounts": Sealed(table="refused_accounts", key="t.payout_id"),
    "bank_messages": Sealed(table="bank_messages", key="t.sha256", only="t.state <> 'new'"),
    "statements": Sealed(table="statements", key="t.statement_id"),
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
        key="t.line_id || '/' || t.subject_kind || '/' || t.subject_id",
        new=f"t.line_id in ({NEW_ENTRIES.format('e.line_id')})",
    ),
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
        table="break_decisions", key="t.decision_id::text", only="t.decided_at is not null"
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

UNSEALED: Mapping[str, str] = {
    "days": "it says where a day stands; its close and revision are derived from certificates and revisions",
    "balances": "the sums of postings, and derived from them",
    "holds": "written anew whenever payouts are prepared; what was held is in the certificate, what is owed a balance",
    "control_results": "the newest result of each control; that all held is in the certificate",
    "alembic_version": "the revision of this schema, which migrating changes",
    "books_version": "a counter that tells stale inputs from fresh ones",
    "certificates": "they are chained",
    "seals": "the certificate that they were written with holds their hash",
    "alert_roots": "how people were told; no money depends on it",
    "alert_outbox": "how people were told; no money depends on it",
    "alert_files": "how people were told; no money depends on it",
    "alert_attempts": "how people were told; no money depends on it",
}
"""The tables that are not sealed, and why not."""

# What must hold of the rows as they stand: each query returns the keys of the first rows that break it.
INVARIANTS: Mapping[str, str] = {
    "entries sum to zero in one currency": """
        select 'entries ' || e.entry_id from ledger.entries e left join ledger.postings p using (entry_id)
         group by e.entry_id having coalesce(sum(p.amount), 1) <> 0 or bool_or(p.currency <> e.currency)
         order by e.entry_id limit 1""",
    "postings have an entry": """
        select 'postings ' || p.entry_id from ledger.postings p left join ledger.entries e using (entry_id)
         where e.entry_id is null order by p.entry_id limit 1""",
    "balances are the sums of their postings": """
        select 'balances ' || account || ' ' || currency
          from (select account, currency, sum(amount) as amount from ledger.postings group by 1, 2) p
          full join ledger.balances b using (account, currency)
         where coalesce(p.amount, 0) <> coalesce(b.amount, 0) order by account, currency limit 1""",
    "shares sum to their allocations": """
        select 'shares ' || settlement_date || '/' || revision || '/' || position
          from (select settlement_date, revision, position, sum(gross_amount) as shared from ledger.shares
                 group by 1, 2, 3) s full join ledger.allocations a using (settlement_date, revision, position)
         where coalesce(shared, 0) <> case when component = 'cost' then 0 else coalesce(amount, 0) end
         order by settlement_date, revision, position limit 1""",
    "shares are net, fee, VAT and taxes": """
        select 'shares ' || settlement_date || '/' || revision || '/' || position || '/' || note_id from ledger.shares
         where gross_amount <> net_amount + fee_amount + vat_amount + national_tax_amount + local_tax_amount
         order by settlement_date, revision, position, note_id limit 1""",
    "totals of a day are the sums of its shares": """
        select 'day_totals ' || settlement_date || '/' || revision || '/' || currency from ledger.day_totals t
          full join (select settlement_date, revision, currency, sum(net_amount) as net, sum(fee_amount) as fee,
                            sum(vat_amount) as vat, sum(national_tax_amount) as national, sum(local_tax_amount) as local
                       from ledger.shares group by 1, 2, 3) s using (settlement_date, revision, currency)
         where (t.distributed_amount, t.fee_amount, t.vat_amount, t.national_tax_amount, t.local_tax_amount)
               is distinct from (coalesce(net, 0), coalesce(fee, 0), coalesce(vat, 0), coalesce(national, 0),
                                 coalesce(local, 0))
         order by 1 limit 1""",
    "payouts took exactly their amount": """
        select 'payouts ' || p.payout_id from ledger.payouts p
          left join (select e.payout_id, sum(x.amount) as taken from ledger.entries e
                       join ledger.postings x using (entry_id)
                      where e.event = 'payout_prepared' and x.amount > 0 group by 1) e using (payout_id)
         where taken is distinct from p.amount order by p.payout_id limit 1""",
    "payouts are where their history took them": """
        select 'payouts ' || p.payout_id from ledger.payouts p
          left join lateral (select to_state from ledger.payout_history h where h.payout_id = p.payout_id
                              order by step desc limit 1) h on true
         where p.state <> coalesce(h.to_state, 'prepared') order by p.payout_id limit 1""",
    "payouts are booked when their line says": """
        select 'payouts ' || p.payout_id from ledger.payouts p
          left join ledger.matches m on m.subject_kind = 'payout' and m.subject_id = p.payout_id
          left join ledger.statement_lines l using (line_id)
         group by p.payout_id having p.booked_on is distinct from max(l.booking_date) order by 1 limit 1""",
    "payment files are what was sent": """
        select 'payout_files ' || file_id from ledger.payout_files
         where encode(sha256(content), 'hex') <> sha256 order by file_id limit 1""",
    "messages are what was received": """
        select 'bank_messages ' || sha256 from ledger.bank_messages
         where encode(sha256(content), 'hex') <> sha256 order by sha256 limit 1""",
    "opening and lines of a statement make its closing": """
        select 'statements ' || s.statement_id from ledger.statements s
          left join ledger.statement_lines l using (statement_id)
         group by s.statement_id having s.opening + coalesce(sum(l.amount), 0) <> s.closing
             or count(l.line_id) <> s.line_count order by s.statement_id limit 1""",
    "lines are booked on client_bank with their amount": """
        select 'statement_lines ' || l.line_id from ledger.statement_lines l
          left join (select e.line_id, sum(p.amount) as booked from ledger.entries e
                       join ledger.postings p using (entry_id) where p.account = 'client_bank' group by 1) b
               using (line_id)
         where b.booked is distinct from case when l.state <> 'open' then l.amount end order by l.line_id limit 1""",
    "lines are matched where a match says so, with all of their amount": """
        select 'statement_lines ' || l.line_id from ledger.statement_lines l
          left join (select line_id, sum(amount) as matched from ledger.matches group by 1) m using (line_id)
         where case when l.state = 'matched' then m.matched is distinct from l.amount else m.matched is not null end
         order by l.line_id limit 1""",
    "payouts say what their history says": """
        select 'payouts ' || p.payout_id from ledger.payouts p
          left join lateral (
            select max(h.at) filter (where h.to_state = 'submitted') as submitted_at,
                   (array_agg(h.evidence ->> 'bank_reason' order by h.step desc)
                     filter (where h.evidence ->> 'bank_reason' is not null))[1] as bank_reason
              from ledger.payout_history h where h.payout_id = p.payout_id) h on true
         where (p.submitted_at, p.bank_reason) is distinct from (h.submitted_at, h.bank_reason)
         order by p.payout_id limit 1""",
    "payment files hold the payouts that name them": """
        select 'payout_files ' || f.file_id from ledger.payout_files f
          left join ledger.payouts p using (file_id)
         group by f.file_id having count(p.payout_id) <> f.payment_count or coalesce(sum(p.amount), 0) <> f.amount
         order by f.file_id limit 1""",
    "repayments stand where the books took them": """
        select 'repayments ' || r.repayment_id from ledger.repayments r
          left join ledger.repayments x on x.reverses_repayment_id = r.repayment_id and x.state <> 'quarantined'
         where r.is_extracted <> exists (select from ledger.entries e
                 where e.repayment_id = r.repayment_id and e.event = 'repayment_extracted')
            or (r.state = 'quarantined') <> exists (select from ledger.quarantine q
                 where q.repayment_id = r.repayment_id and q.released_on is null)
            or r.reversed_by is distinct from x.repayment_id
            or r.settled_on is not null
               and not exists (select from ledger.entries e
                 where e.repayment_id = r.repayment_id and e.settlement_date = r.settled_on)
         order by r.repayment_id limit 1""",
    "days are at their newest revision, and closed if that is certified": """
        select 'days ' || d.settlement_date from ledger.days d
          left join lateral (select max(revision) as newest from ledger.revisions r
                              where r.settlement_date = d.settlement_date) r on true
         where d.revision <> coalesce(r.newest, 0)
            or (d.state = 'closed') <> exists (select from ledger.certificates c
                 where c.settlement_date = d.settlement_date and c.revision = d.revision)
         order by d.settlement_date limit 1""",
    "frozen inputs are those that their revision was computed with": """
        select 'snapshots ' || r.settlement_date || '/' || r.revision from ledger.revisions r
          left join ledger.snapshots s using (settlement_date, revision)
         where s.input_sha256 is distinct from r.input_sha256 order by 1 limit 1""",
    "credits are held up to their repayment, and not below zero": """
        select 'credits ' || c.loan_id || '/' || c.repayment_id from ledger.credits c
          join ledger.days d using (settlement_date, revision) left join ledger.repayments r using (repayment_id)
         group by c.loan_id, c.repayment_id, c.currency, r.amount
        having sum(c.amount) < 0 or sum(c.amount) > r.amount order by 1 limit 1""",
    "breaks that are over say so in their history": """
        select 'breaks ' || b.break_id from ledger.breaks b
          left join lateral (select what from ledger.break_history h where h.break_id = b.break_id
                              order by step desc limit 1) h on true
         where (b.state in ('resolved', 'written_off')) <> coalesce(h.what ~ '^(resolved|written off)', false)
         order by b.break_id limit 1""",
}

# What moved in all, by what it moved of; the frozen inputs say the most that each can move. Newest revisions count.
MOVED: Mapping[str, str] = {
    "receivables": """
        select receivable_id, sum(amount)::bigint from ledger.allocations
          join ledger.days using (settlement_date, revision) group by receivable_id order by receivable_id""",
    "notes": """
        select note_id, sum(gross_amount)::bigint from ledger.shares
          join ledger.days using (settlement_date, revision) where component = 'principal'
         group by note_id order by note_id""",
}

MOVEMENTS = """
-- One row per currency and side: what the bank, client_bank and the investors had before, what came, what went, what
-- they have. Balances are as of now, and what has moved since is taken from them.
with lines as (
  select l.line_id, s.currency, l.amount, s.business_date <= :on as is_of_day
    from ledger.statements s join ledger.statement_lines l using (statement_id) where s.business_date > :before),
of_ledger as (
  select l.currency, p.amount, l.is_of_day
    from lines l join ledger.entries e using (line_id) join ledger.postings p using (entry_id)
   where p.account = 'client_bank' and p.settlement_date >= :first),
of_investors as (
  select currency, -amount as amount, settlement_date <= :on as is_of_day from ledger.postings
   where settlement_date > :before and starts_with(account, 'investor_payable:')),
moved as (
  (select distinct on (currency) 'bank' as side, currency, opening as amount, false as is_of_day
     from ledger.statements order by currency, business_date, sequence nulls first, position)
  union all
  select 'bank', currency, closing - opening, false from ledger.statements where business_date <= :before
  union all
  select 'bank', currency, amount, true from lines where is_of_day
  union all
  select 'ledger', currency, amount, false from ledger.balances where account = 'client_bank'
  union all
  select 'ledger', currency, -amount, false from of_ledger
  union all
  select 'ledger', currency, amount, true from of_ledger where is_of_day
  union all
  select 'investors', currency, -amount, false from ledger.balances where starts_with(account, 'investor_payable:')
  union all
  select 'investors', currency, -amount, false from of_investors
  union all
  select 'investors', currency, amount, true from of_investors where is_of_day)
select side, currency,
       coalesce(sum(amount) filter (where not is_of_day), 0)::bigint as opening,
       coalesce(sum(amount) filter (where is_of_day and amount > 0), 0)::bigint as came,
       coalesce(-sum(amount) filter (where is_of_day and amount < 0), 0)::bigint as went,
       sum(amount)::bigint as closing
  from moved group by side, currency order by side, currency
"""

FIRST_BOOKED = """
-- One row: the first day on which a line is booked that a statement after the day `before` shows.
select coalesce(min(l.booking_date), cast(:before as date))
  from ledger.statements s join ledger.statement_lines l using (statement_id) where s.business_date > :before
"""

# The tables of a day's report, each in an order that its rows alone decide.
REPORTS: Mapping[str, str] = {
    "shares": """
        select repayment_id, receivable_id, note_id, investor_id, currency, component, gross_amount, fee_amount,
               vat_amount, national_tax_amount, local_tax_amount, net_amount
          from reporting.shares where settlement_date = :on
         order by repayment_id, receivable_id, note_id, gross_amount""",
    "payouts": """
        select payout_id, investor_id, currency, amount, state, end_to_end_id, file_id, attempt, bank_reason, booked_on
          from reporting.payouts where settlement_date = :on order by payout_id""",
    "breaks": """
        select break_id::text, cause, side, subject_kind, subject_id, currency, amount, opened_on, age_business_days,
               state, owner, resolved_on, resolution
          from reporting.breaks where opened_on <= :on and (resolved_on is null or resolved_on >= :on)
         order by break_id""",
    "journal": """
        select event, account, currency, sum(amount) filter (where amount > 0)::bigint as debit,
               -sum(amount) filter (where amount < 0)::bigint as credit
          from (select event, case when account like 'investor_payable:%' then 'investor_payable'
                       when account like 'borrower_credit:%' then 'borrower_credit' else account end as account,
                       currency, amount from reporting.journal where settlement_date = :on) j
         group by 1, 2, 3 order by 1, 2, 3""",
}

TAXES = """
-- One row per tax class, currency and component of a day. A share that a reversal takes back may be of an investor whom
-- the day's inputs do not name any more.
select coalesce(c.tax_class, 'of earlier days') as tax_class, s.currency, s.component,
       sum(s.gross_amount)::bigint as gross_amount, sum(s.national_tax_amount)::bigint as national_tax_amount,
       sum(s.local_tax_amount)::bigint as local_tax_amount
  from reporting.shares s
  left join unnest(cast(:ids as text[]), cast(:classes as text[])) as c (investor_id, tax_class)
       on c.investor_id = s.investor_id
 where s.settlement_date = :on and s.component in ('interest', 'late_interest')
 group by 1, 2, 3 order by 1, 2, 3
"""


class Close(Repository):
    """Certificates and seals."""

    def revision(self, settlement_date: date) -> Revision | None:
        """Return the newest computed revision of a day, with its hashes."""
        row = self._first("select * from ledger.revisions where settlement_date = :on order by revision desc limit 1",
                          on=settlement_date)  # fmt: skip
        return Revision(**row) if row else None

    def movements(self, *, on: date, before: date) -> list[Movement]:
        """Return what bank, ledger and investors had after the day `before`, what moved until `on`, and have then."""
        run = self.transaction.execute
        first = run(sa.text(FIRST_BOOKED), {"before": before}).scalar_one()
        rows = run(sa.text(MOVEMENTS), {"on": on, "before": before, "first": first}).mappings()
        return [Movement(**row) for row in rows]

    def report_table(self, name: str, on: date) -> ReportTable:
        """Return one table of a day's report."""
        return self._table(REPORTS[name], on=on)

    def taxes(self, on: date, classes: Mapping[str, str]) -> ReportTable:
        """Return what was withheld on a day by tax class, where `classes` are those of the investors."""
        return self._table(TAXES, on=on, ids=list(classes), classes=list(classes.values()))

    def certificates(self) -> list[Certificate]:
        """Return every certificate in the order in which they were issued."""
        rows = self.transaction.execute(sa.text("select * from ledger.certificates order by number")).mappings()
        return [Certificate(**row) for row in rows]

    def newest_certificate(self) -> Certificate | None:
        """Return the certificate that was issued last."""
        row = self._first("select * from ledger.certificates order by number desc limit 1")
        return Certificate(**row) if row else None

    def certificate(self, settlement_date: date) -> Certificate | None:
        """Return the newest certificate of a day."""
        row = self._first("select * from ledger.certificates where settlement_date = :on order by number desc limit 1",
                          on=settlement_date)  # fmt: skip
        return Certificate(**row) if row else None

    def _first(self, query: str, **named: Any) -> sa.RowMapping | None:
        return self.transaction.execute(sa.text(query), named).mappings().first()

    def _table(self, query: str, **named: Any) -> ReportTable:
        found = self.transaction.execute(sa.text(query), named)
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
            return [{"on": on} for on in sorted({on for on, _ in rows})]
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
        past = {
            **dict.fromkeys(
                ("day_totals", "allocations", "credits", "quarantine"),
                f"exists (select from ledger.seals r where r.table_name = 'revisions' and r.key = {DAY_KEY})",
            ),
            "entries": "t.entry_id <= :entries",
            "payout_history": "t.step <= :payout_history",
            "statement_lines": "exists (select from ledger.seals r where r.table_name = 'statements'"
            " and r.key = t.statement_id)",
        }
        found = []
        for name, condition in past.items():
            key = SEALED[name].key
            row = self.transaction.execute(
                sa.text(
                    f"select {key} from ledger.{name} t where {condition} and not exists (select from ledger.seals s"
                    f" where s.table_name = '{name}' and s.key = {key}) order by 1 limit 1"
                ),
                reached,
            ).scalar()
            if row is not None:
                found.append(f"{name} {row} was put in")
        return found

    def broken_invariants(self) -> list[tuple[str, str]]:
        """Return every invariant that does not hold, with the first row that breaks it."""
        found = ((name, self.transaction.execute(sa.text(query)).scalar()) for name, query in INVARIANTS.items())
        return [(name, str(row)) for name, row in found if row is not None]

    def computed(self) -> list[Revision]:
        """Return the newest revision of every computed day, oldest first."""
        rows = self.transaction.execute(
            sa.text(
                "select r.* from ledger.revisions r join ledger.days using (settlement_date, revision)"
                " order by settlement_date"
            )
        ).mappings()
        return [Revision(**row) for row in rows]

    def moved(self, table: str) -> "pd.Series[int]":
        """Return what was allocated to each of the `receivables`, or of principal repaid on each of the `notes`."""
        rows = frames_io.amounts(self.transaction, MOVED[table], {})
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
            "day_totals": outcome.totals,
        }
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
