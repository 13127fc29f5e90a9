"""The part of the books that closes days: certificates, the seals of every row they cover, and what proves them.

A seal is six bytes of SHA-256 for each row. It is written once, when the first certificate after the row is issued; the
certificate covers the hash of all seals written with it, and the certificate before it. So a row, a seal or a
certificate that is changed later is found, and named. Columns that live on (states, what is derived) are not sealed but
derived again from rows that are: `INVARIANTS`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from settlement.adapters.ledger.outcome import digest
from settlement.domain import frames
from settlement.domain.frames import Outcome
from settlement.ports import DayRun

# What is sealed, in the order in which it is verified: rows by their key, and the columns that never change. A part
# (shares of an allocation, postings of an entry) is sealed under the key of its whole.
WHOLE = "*"
SEALED: Mapping[str, tuple[str, str]] = {
    "revisions": ("t.settlement_date || '/' || t.revision", WHOLE),
    "day_totals": ("t.settlement_date || '/' || t.revision || '/' || t.currency", WHOLE),
    "repayments": (
        "t.repayment_id",
        "repayment_id, loan_id, currency, received_at, amount, reverses_repayment_id, window_on, taken_on",
    ),
    "allocations": ("t.settlement_date || '/' || t.revision || '/' || t.position", WHOLE),
    "credits": ("t.settlement_date || '/' || t.revision || '/' || t.position", WHOLE),
    "quarantine": (
        "t.settlement_date || '/' || t.revision || '/' || t.repayment_id",
        "settlement_date, revision, loan_id, repayment_id, currency, amount, rule, evidence",
    ),
    "entries": ("t.entry_id::text", WHOLE),
    "payouts": (
        "t.payout_id",
        "payout_id, settlement_date, revision, investor_id, currency, chunk, attempt, amount, end_to_end_id,"
        " payee_name, payee_account, payee_bank, prepared_at",
    ),
    "payout_history": ("t.payout_id || '/' || t.step", WHOLE),
    "payout_files": ("t.file_id", "file_id, settlement_date, currency, payment_count, amount, content, sha256"),
    "bank_messages": ("t.sha256", "sha256, direction, kind, name, content, recorded_at"),
    "statements": ("t.statement_id", WHOLE),
    "statement_lines": (
        "t.line_id",
        "line_id, statement_id, booking_date, value_date, amount, currency, end_to_end_id, reference, remittance,"
        " bank_code, is_return, reason, bank_reference, file_id, counterparty_account, transaction_count, is_reversal,"
        " is_charge",
    ),
    "matches": ("t.line_id || '/' || t.subject_kind || '/' || t.subject_id", WHOLE),
    "breaks": ("t.break_id::text", "break_id, cause, side, opened_on, subject_kind, subject_id"),
    "break_history": ("t.break_id || '/' || t.step", WHOLE),
    "break_decisions": (
        "t.decision_id::text",
        "decision_id, break_id, kind, target, amount, currency, reason, requested_by, requested_at, needs_second",
    ),
}
PARTS: Mapping[str, tuple[str, str, str]] = {
    "shares": ("allocations", SEALED["allocations"][0], "t.note_id"),
    "postings": ("entries", SEALED["entries"][0], "t.account, t.amount"),
}

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
        select 'day_totals ' || t.settlement_date || '/' || t.revision || '/' || t.currency from ledger.day_totals t
          left join (select settlement_date, revision, currency, sum(net_amount) as net, sum(fee_amount) as fee,
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
         where l.state <> 'open' and b.booked is distinct from l.amount order by l.line_id limit 1""",
    "lines are matched where a match says so, with all of their amount": """
        select 'statement_lines ' || l.line_id from ledger.statement_lines l
          left join (select line_id, sum(amount) as matched from ledger.matches group by 1) m using (line_id)
         where case when l.state = 'matched' then m.matched is distinct from l.amount else m.matched is not null end
         order by l.line_id limit 1""",
    "closed days have a certificate": """
        select 'days ' || d.settlement_date from ledger.days d
         where d.state = 'closed' and not exists (select from ledger.certificates c
               where c.settlement_date = d.settlement_date) order by 1 limit 1""",
    "breaks that are over say so in their history": """
        select 'breaks ' || b.break_id from ledger.breaks b
          left join lateral (select what from ledger.break_history h where h.break_id = b.break_id
                              order by step desc limit 1) h on true
         where (b.state in ('resolved', 'written_off')) <> coalesce(h.what ~ '^(resolved|written off)', false)
         order by b.break_id limit 1""",
}

MOVEMENTS = """
-- One row per currency: what the bank, client_bank and the investors had before, what came, what went, what they have.
with of_bank as (
  select s.currency, s.business_date > :before as is_of_day, l.amount
    from ledger.statements s join ledger.statement_lines l using (statement_id) where s.business_date <= :on
  union all
  (select distinct on (currency) currency, false, opening from ledger.statements
    order by currency, business_date, sequence nulls first, position)),
of_ledger as (
  select e.currency, coalesce(s.business_date > :before, false) as is_of_day, p.amount
    from ledger.postings p join ledger.entries e using (entry_id)
    left join ledger.statement_lines l using (line_id) left join ledger.statements s using (statement_id)
   where p.account = 'client_bank' and coalesce(s.business_date <= :on, true)),
of_investors as (
  select p.currency, p.settlement_date > :before as is_of_day, -p.amount as amount from ledger.postings p
   where starts_with(p.account, 'investor_payable:') and p.settlement_date <= :on),
moved as (
  select 'bank' as side, * from of_bank union all select 'ledger', * from of_ledger
  union all select 'investors', * from of_investors)
select side, currency,
       coalesce(sum(amount) filter (where not is_of_day), 0)::bigint as opening,
       coalesce(sum(amount) filter (where is_of_day and amount > 0), 0)::bigint as came,
       coalesce(-sum(amount) filter (where is_of_day and amount < 0), 0)::bigint as went,
       sum(amount)::bigint as closing
  from moved group by side, currency order by side, currency
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


class Closing:
    """Certificates and seals."""

    transaction: sa.Connection

    def revision(self, settlement_date: date) -> dict[str, Any] | None:
        """Return the newest computed revision of a day, with its hashes."""
        row = self.transaction.execute(
            sa.text("select * from ledger.revisions where settlement_date = :on order by revision desc limit 1"),
            {"on": settlement_date},
        ).first()
        return row._asdict() if row else None

    def movements(self, *, on: date, before: date) -> list[dict[str, Any]]:
        """Return what bank, ledger and investors had after the day `before`, what moved until `on`, and have then."""
        rows = self.transaction.execute(sa.text(MOVEMENTS), {"on": on, "before": before}).mappings()
        return [dict(row) for row in rows]

    def report_rows(self, name: str, on: date) -> list[dict[str, Any]]:
        """Return the rows of one table of a day's report."""
        rows = self.transaction.execute(sa.text(REPORTS[name]), {"on": on}).mappings()
        return [dict(row) for row in rows]

    def taxes(self, on: date, classes: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return what was withheld on a day by tax class, where `classes` are those of the investors."""
        rows = self.transaction.execute(
            sa.text(TAXES), {"on": on, "ids": list(classes), "classes": list(classes.values())}
        ).mappings()
        return [dict(row) for row in rows]

    def certificates(self) -> list[dict[str, Any]]:
        """Return every certificate in the order in which they were issued."""
        rows = self.transaction.execute(sa.text("select * from ledger.certificates order by number")).mappings()
        return [dict(row) for row in rows]

    def certificate(self, settlement_date: date) -> dict[str, Any] | None:
        """Return the newest certificate of a day."""
        row = self.transaction.execute(
            sa.text("select * from ledger.certificates where settlement_date = :on order by number desc limit 1"),
            {"on": settlement_date},
        ).first()
        return row._asdict() if row else None

    def seal(self, number: int) -> dict[str, dict[str, Any]]:
        """Seal every row that no seal covers yet, and return the count and hash of what was sealed, by table."""
        run = self.transaction.execute
        run(sa.text("set local timezone = 'UTC'"))
        for table, (key, columns) in SEALED.items():
            run(
                sa.text(
                    f"insert into ledger.seals (number, table_name, key, hashes) select :number, '{table}', {key},"
                    f" {_hash(columns)} from ledger.{table} t where not exists (select from ledger.seals s"
                    f" where s.table_name = '{table}' and s.key = {key})"
                ),
                {"number": number},
            )
        for table, (whole, key, order) in PARTS.items():
            run(
                sa.text(
                    f"insert into ledger.seals (number, table_name, key, hashes) select :number, '{table}', {key},"
                    f" string_agg({_hash(WHOLE)}, '' order by {order}) from ledger.{table} t"
                    f" where {key} in (select key from ledger.seals where number = :number and"
                    f" table_name = '{whole}') group by {key}"
                ),
                {"number": number},
            )
        return self.sealed(number)

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
                key, columns = SEALED[table]
                said, order = f"array[{_said(columns)}]", ""
            else:
                _, key, order = PARTS[table]
                said, order = f"array_agg({_said(WHOLE)} order by {order})", f"group by {key}, s.key"
            for row in run(
                sa.text(
                    f"select s.key, {said} as said from ledger.seals s join ledger.{table} t on {key} = s.key"
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
        for table, (key, columns) in SEALED.items():
            row = run(
                sa.text(
                    f"select s.key, {key} is null as is_gone from ledger.seals s left join ledger.{table} t on {key} ="
                    f" s.key where s.table_name = '{table}' and ({key} is null or {_hash(columns)} <> s.hashes)"
                    " order by s.number, s.key limit 1"
                )
            ).first()
            if row is not None:
                found.append(f"{table} {row.key}" + (" is gone" if row.is_gone else ""))
        for table, (_, key, order) in PARTS.items():
            row = run(
                sa.text(
                    f"select s.key, s.hashes, t.hashes as now, t.names from ledger.seals s full join (select {key} as"
                    f" key, string_agg({_hash(WHOLE)}, '' order by {order}) as hashes,"
                    f" array_agg({order.split(',')[0]} order by {order}) as names from ledger.{table} t group by 1) t"
                    f" on t.key = s.key where s.table_name = '{table}' and t.hashes is distinct from s.hashes"
                    " order by s.number, s.key limit 1"
                )
            ).first()
            if row is not None:
                found.append(f"{table} {row.key}/{_first_other(row.hashes, row.now, row.names)}")
        return found

    def broken_invariants(self) -> list[tuple[str, str]]:
        """Return every invariant that does not hold, with the first row that breaks it."""
        found = ((name, self.transaction.execute(sa.text(query)).scalar()) for name, query in INVARIANTS.items())
        return [(name, str(row)) for name, row in found if row is not None]

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
    return f"substring(sha256(convert_to({_said(columns)}, 'UTF8')) for 6)"


def _first_other(sealed: bytes, now: bytes | None, names: Sequence[str] | None) -> str:
    """Return the name of the first row of a whole that is not what was sealed."""
    if now is None or names is None:
        return "all are gone"
    for place, name in enumerate(names):
        if bytes(now[place * 6 : place * 6 + 6]) != bytes(sealed[place * 6 : place * 6 + 6]):
            return name
    return "the last is gone"
