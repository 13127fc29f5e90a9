"""What verify exists for: each of its checks is fed the smallest false row, and names it and nothing else.

The 16th is closed, so that its rows are sealed; the 20th is settled and not closed. What is false in rows of the 20th
no seal can tell: the invariant alone must. Every lie is told inside one transaction that is never committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from settlement.adapters.ledger.books import PostgresBooks
from settlement.adapters.ledger.close.repository import INVARIANTS
from settlement.domain import controls
from settlement.domain.errors import Broken
from settlement.ports.services import Services
from settlement.stages import close, reconcile

from .conftest import Platform
from .payout_stories import worked_day
from .test_close import month_certificate

CLOSED = date(2026, 2, 16)

# What the bank or a hash gave a name, of the 20th: the file, the statement, the message that brought it, the line that
# is matched with R2, the line that is in suspense.
NAMES = """
select (select file_id from ledger.payout_files where settlement_date = '2026-02-20'), s.statement_id, s.sha256,
       l.line_id, u.line_id
  from ledger.statements s join ledger.statement_lines l using (statement_id)
  join ledger.statement_lines u using (statement_id)
 where s.business_date = '2026-02-20' and l.state = 'matched' and u.state = 'suspended'
"""

REWRITTEN = """
update ledger.certificates set body = replace(body, '{was}', '{now}');
update ledger.certificates set sha256 = encode(sha256(convert_to(body, 'UTF8')), 'hex')
"""


def rewritten(was: str, now: str) -> str:
    """Return the SQL that changes what a certificate says, and its hash with it."""
    return REWRITTEN.format(was=was, now=now)


def january(**said: Any) -> str:
    """Return the SQL that puts a month's certificate in, as it is formatted."""
    return month_certificate(**said).replace("{", "{{").replace("}", "}}")


def posted(entry_id: int, *legs: tuple[str, int]) -> str:
    """Return the SQL that adds postings to an entry of the 20th, and to the balances."""
    return ";".join(
        f"insert into ledger.postings values ('2026-02-20', 0, {entry_id}, '{account}', 'KRW', {amount});"
        f"update ledger.balances set amount = amount + {amount} where account = '{account}'"
        for account, amount in legs
    )


def moved(entry_id: int, account: str, to: str) -> str:
    """Return the SQL that lets a leg of an entry stand in another account, and the balances with it."""
    leg = f"from ledger.postings p where p.entry_id = {entry_id} and p.account = '{account}'"
    return (
        f"update ledger.balances b set amount = b.amount - p.amount {leg} and b.account = p.account;"
        f"update ledger.balances b set amount = b.amount + p.amount {leg} and b.account = '{to}';"
        f"update ledger.postings set account = '{to}' where entry_id = {entry_id} and account = '{account}'"
    )


def moved_to_fees(entry_id: int, account: str) -> str:
    """Return the SQL that lets a leg of an entry stand in fee_income, and the balances with it."""
    return moved(entry_id, account, "fee_income")


# What the shares and allocations of L1 come to by the 20th, as its positions say it.
FOLLOWED = """;
update ledger.positions set
  (note_ids, repaid) = (
    select coalesce(array_agg(note_id), '{{}}'), coalesce(array_agg(amount), '{{}}')
      from (select note_id, sum(gross_amount)::bigint as amount from ledger.shares
             where loan_id = 'L1' and component = 'principal' group by 1 having sum(gross_amount) <> 0) moved),
  (receivable_ids, allocated) = (
    select coalesce(array_agg(receivable_id), '{{}}'), coalesce(array_agg(amount), '{{}}')
      from (select receivable_id, sum(amount)::bigint as amount from ledger.allocations
             where loan_id = 'L1' group by 1 having sum(amount) <> 0) moved)
 where loan_id = 'L1' and {20th}
"""


# What is counted of the windows, as the repayments say it.
COUNTED = """;
delete from ledger.windows_taken;
insert into ledger.windows_taken
select window_on, count(*),
       sum(ledger.number_of_receipt(repayment_id, loan_id, amount, received_at, reverses_repayment_id))
  from ledger.repayments group by 1
"""


def principal_of_n1(amount: int) -> str:
    """Return the SQL that lets a share of N1 on the 20th be a principal of this amount, at the cost of N2."""
    more = f"{amount - 2000} * case note_id when 'N1' then 1 else -1 end"
    return (
        f"update ledger.shares set gross_amount = gross_amount + {more}, net_amount = net_amount + {more},"
        " component = case note_id when 'N1' then 'principal' else component end"
        " where {20th} and position = 2 and note_id in ('N1', 'N2')" + FOLLOWED
    )


def credited(amount: int) -> str:
    """Return the SQL that lets so much of R2 be held instead of its 6000, in the books too."""
    more = amount - 6000
    return f"update ledger.credits set amount = {amount} where {{20th}} and repayment_id = 'R2';" + posted(
        13, ("borrower_credit:L1", -more), ("fee_income", more)
    )


def allocated(receivable_id: str, amount: int) -> str:
    """Return the SQL that puts in an allocation of the 20th that is not shared."""
    return (
        "insert into ledger.allocations values"
        f" ('2026-02-20', 1, 3, 'R2', 'L1', '{receivable_id}', 'KRW', 'cost', {amount})" + FOLLOWED
    )


# By check: lies, each as the row that verify must name and the SQL that makes it false. A new check needs a line here.
LIES: Mapping[str, Sequence[tuple[str, str]]] = {
    close.CHAIN: [
        ("certificates 1", "update ledger.certificates set body = body || ' '"),
        ("certificates 1", "update ledger.certificates set issued_at = issued_at + interval '1 second'"),
        ("certificates 1", rewritten('"previous_sha256":null', '"previous_sha256":"x"')),
        ("certificates 1", rewritten('"revision":1', '"revision":2')),
        ("certificates 1", rewritten('"settlement_date":"2026-02-16"', '"settlement_date":"2026-02-19"')),
        ("certificates 1", rewritten('"number":1', '"number":2')),
        ("certificates 2", rewritten('"number":1', '"number":2') + ";update ledger.certificates set number = 2;"),
        ("seals 1/runs", "delete from ledger.seals where table_name = 'runs'"),
        ("seals 1/nothing", "insert into ledger.seals values (1, 'nothing', 'x', 'x')"),
        ("seals of no certificate", "insert into ledger.seals values (2, 'nothing', 'x', 'x')"),
    ],
    close.MONTHS: [
        ("month_certificates 1", january() + ";update ledger.month_certificates set body = body || ' '"),
        ("month_certificates 1", january(previous_sha256="x")),
        ("month_certificates 1", january(month="2026-02")),
        ("month_certificates 1", january(revision=2)),
        ("month_certificates 1", january(issued_at="2026-02-01T06:00:01+00:00")),
        ("month_certificates 2", january(number=2) + ";update ledger.month_certificates set number = 2"),
        (
            "month_certificates 1: the certificate of 2026-02-16",
            january(days=[{"settlement_date": "2026-02-16", "certificate": 1, "sha256": "x"}]),
        ),
        ("month_certificates 1: the journal", january(last="2026-02-16", entries_until=1)),
    ],
    close.SEALS: [
        (
            "payouts 20260216.1.A.KRW.1.1",
            "update ledger.payouts set payee_account = 'mine' where payout_id = '20260216.1.A.KRW.1.1'",
        ),
        ("runs run-1 is gone", "delete from ledger.runs where run_id = 'run-1'"),
        (
            "day_totals 2026-02-16/1/EUR was put in",
            "insert into ledger.day_totals values ('2026-02-16', 1, 'EUR', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
        ),
        (
            "credits 2026-02-16/1/8 was put in",
            "insert into ledger.credits values ('2026-02-16', 1, 8, 'L1', 'R1', 'KRW', 1, 'held'),"
            " ('2026-02-16', 1, 9, 'L1', 'R1', 'KRW', -1, 'applied')",
        ),
        (
            "quarantine 2026-02-16/1/R9 was put in",
            "insert into ledger.quarantine values ('2026-02-16', 1, 'L9', 'R9', 'KRW', 1, 'x', '{{}}', '2026-02-19')",
        ),
        ("shares 2026-02-16/1/1/N2", "update ledger.shares set investor_id = 'C' where {16th} and {N2}"),
    ],
    close.ITEMS: [
        ("balances receipts_in_transit KRW", moved_to_fees(14, "receipts_in_transit")),
        ("balances payouts_in_transit KRW", moved_to_fees(16, "payouts_in_transit")),
        ("balances suspense KRW", moved_to_fees(15, "suspense")),
    ],
    close.INPUTS: [
        (
            "snapshots 2026-02-20/1",
            "update ledger.snapshots set input_sha256 = 'x' where {20th};"
            "update ledger.revisions set input_sha256 = 'x' where {20th}",
        )
    ],
    "receivables are allocated up to their amount, and not below zero": [
        ("receivables L1-2-I", allocated("L1-2-I", 1)),
        ("receivables L1-2-I", allocated("L1-2-I", -9001)),
        ("receivables X", allocated("X", 1)),
    ],
    "notes are repaid up to their principal, and not below zero": [
        ("notes N1", principal_of_n1(460_001)),
        ("notes N1", principal_of_n1(-40_001)),
    ],
    "positions are the sums of what moved": [
        ("positions L1/2026-02-20 note N1", "update ledger.positions set repaid[1] = repaid[1] + 1 where {20th}"),
        ("positions L1/2026-02-16 note N1", "update ledger.positions set note_ids[1] = 'N9' where {16th}"),
        (
            "positions L1/2026-02-20 receivable L1-2-I",
            "update ledger.positions set receivable_ids = array_remove(receivable_ids, 'L1-2-I'),"
            " allocated = array_remove(allocated, 9000) where {20th}",
        ),
        ("positions L1/2026-02-20 is missing", "delete from ledger.positions where {20th}"),
        (
            "positions L9/2026-02-20 receivable X",
            "insert into ledger.positions values ('L9', '2026-02-20', '{{}}', '{{}}', '{{X}}', '{{1}}')",
        ),
    ],
    "windows are counted with what was taken of them": [
        ("windows_taken 2026-02-20", "update ledger.windows_taken set receipts = 2 where window_on = '2026-02-20'"),
        ("windows_taken 2026-02-16", "update ledger.windows_taken set digest = digest + 1"),
        ("windows_taken 2026-02-20", "delete from ledger.windows_taken where window_on = '2026-02-20'"),
        ("windows_taken 2026-02-19", "insert into ledger.windows_taken values ('2026-02-19', 1, 1)"),
    ],
    "credits are held up to their repayment, and not below zero": [
        ("credits L1/R2", credited(10001)),
        ("credits L1/R2", credited(-1)),
        ("credits L1/R0", "update ledger.credits set repayment_id = 'R0' where {20th} and repayment_id = 'R2'"),
    ],
    "a loan's credit is what came to be held, less what was applied and refunded": [
        ("credits L1 KRW", moved_to_fees(13, "borrower_credit:L1")),
        ("credits L1 KRW", "update ledger.credits set amount = amount - 1 where {20th} and repayment_id = 'R2'"),
        (
            "credits L1 KRW",
            "insert into ledger.refunds_undone values (13, '2026-02-20', 'F1', 'L1', 'R2', 'KRW', 1, 'x', 'x', now())",
        ),
    ],
    "refunds took exactly their amount of held credits": [
        ("refunds F1", "insert into ledger.refunds values ('F1', '2026-02-20', 1, 'L1', 'KRW', 1)"),
    ],
    "totals of a day are the sums of its refunds": [
        (
            "day_totals 2026-02-20/1/KRW",
            "update ledger.day_totals set refunded_amount = 1, received_amount = received_amount + 1 where {20th}",
        ),
    ],
    "entries sum to zero in one currency": [
        ("entries 12", posted(12, ("fee_income", -1))),
        ("entries 99", "insert into ledger.entries values (99, '2026-02-20', 1, now(), 'remitted', 'KRW')"),
        ("entries 13", "update ledger.entries set currency = 'EUR' where entry_id = 13"),
    ],
    "postings have an entry": [
        ("postings 99", posted(99, ("fee_income", -1), ("suspense", 1), ("suspense", -1), ("fee_income", 1)))
    ],
    "balances are the sums of their postings": [
        ("balances fee_income KRW", "update ledger.balances set amount = amount - 1 where account = 'fee_income'"),
        ("balances fee_income KRW", "delete from ledger.balances where account = 'fee_income'"),
        ("balances fee_income EUR", "insert into ledger.balances values ('fee_income', 'EUR', 1)"),
    ],
    "shares sum to their allocations": [
        (
            "shares 2026-02-20/1/1",  # a won of the one allocation is shared with the other
            "update ledger.shares set gross_amount = gross_amount + 3 - 2 * position,"
            " net_amount = net_amount + 3 - 2 * position where {20th} and note_id = 'N1'",
        ),
        ("shares 2026-02-20/1/2", "update ledger.allocations set component = 'cost' where {20th} and position = 2"),
        (
            "shares 2026-02-20/1/3",
            "insert into ledger.allocations values ('2026-02-20', 1, 3, 'R2', 'L1', 'L1-2-I', 'KRW', 'interest', -1)"
            + FOLLOWED,
        ),
        ("shares 2026-02-20/1/1", "delete from ledger.allocations where {20th} and position = 1" + FOLLOWED),
    ],
    "shares are net, fee, VAT and taxes": [
        (
            "shares 2026-02-20/1/1/N1",  # a won of the one note is another's, in what they earned and not in the rest
            "alter table ledger.shares drop constraint shares_add_up;"
            "alter table ledger.shares_20260220_1 drop constraint if exists shares_add_up;"
            "update ledger.shares set gross_amount = gross_amount + case note_id when 'N1' then 1 else -1 end"
            " where {20th} and position = 1 and note_id in ('N1', 'N2')",
        )
    ],
    "totals of a day are the sums of its shares": [
        *(
            (
                "day_totals 2026-02-20/1/KRW",
                f"update ledger.day_totals set {part} = {part} + 1, received_amount = received_amount + 1"
                " where {20th}",
            )
            for part in ("distributed_amount", "fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount")
        ),
        (
            "day_totals 2026-02-20/1/EUR",
            "insert into ledger.day_totals values ('2026-02-20', 1, 'EUR', 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)",
        ),
        ("day_totals 2026-02-20/1/KRW", "delete from ledger.day_totals where {20th}"),
    ],
    "payouts took exactly their amount": [
        (
            "payouts 20260220.1.A.KRW.1.1",  # A pays a won of B's payout
            "update ledger.postings set amount = amount + sign(amount) * (33 - 2 * entry_id)"
            " where entry_id in (16, 17);"
            "update ledger.balances set amount = amount + case account when 'investor_payable:A' then 1 else -1 end"
            " where account in ('investor_payable:A', 'investor_payable:B')",
        ),
        ("payouts 20260220.1.A.KRW.1.1", "update ledger.entries set event = 'remitted' where entry_id = 16"),
    ],
    "payouts are where their history took them": [
        ("payouts 20260220.1.A.KRW.1.1", "update ledger.payouts set state = 'unknown' where {A}"),
        (
            "payouts 20260220.1.A.KRW.1.1",
            "delete from ledger.payout_history where {A} and to_state = 'accepted'",
        ),
        (
            "payouts 20260220.1.A.KRW.1.1",
            "delete from ledger.payout_history where {A};update ledger.payouts set submitted_at = null where {A}",
        ),
    ],
    "payouts are booked when their line says": [
        ("payouts 20260220.1.A.KRW.1.1", "update ledger.payouts set booked_on = '2026-02-20' where {A}"),
        ("payouts 20260216.1.A.KRW.1.1", "update ledger.payouts set booked_on = booked_on + 1 where {A of 16th}"),
        ("payouts 20260216.1.A.KRW.1.1", "update ledger.payouts set booked_on = null where {A of 16th}"),
    ],
    "payment files are what was sent": [
        ("payout_files {file}", "update ledger.payout_files set content = content || ' '::bytea where {20th}")
    ],
    "messages are what was received": [
        (
            "bank_messages {message}",
            "update ledger.bank_messages set content = content || ' '::bytea where sha256 = '{message}'",
        )
    ],
    "opening and lines of a statement make its closing": [
        (
            "statements {statement}",
            "update ledger.statements set closing = closing + 1 where statement_id = '{statement}'",
        ),
        (
            "statements {statement}",
            "update ledger.statements set line_count = line_count + 1 where statement_id = '{statement}'",
        ),
        (
            "statements X",  # without lines, and closes with another balance than it opens
            "insert into ledger.statements overriding system value select"
            ' (jsonb_populate_record(s, \'{{"statement_id": "X", "line_count": 0, "sha256": "X", "position": 9,'
            ' "content_key": "X"}}\')).*'
            " from ledger.statements s where statement_id = '{statement}'",
        ),
    ],
    "lines are booked on client_bank with their amount": [
        ("statement_lines {line}", posted(14, ("client_bank", 1), ("fee_income", -1))),
        ("statement_lines {unknown}", "update ledger.entries set line_id = null where entry_id = 15"),
        (
            "statement_lines {unknown}",
            "update ledger.statement_lines set state = 'open' where line_id = '{unknown}';"
            + moved_to_fees(15, "suspense"),
        ),
    ],
    "lines are matched where a match says so, with all of their amount": [
        (
            "statement_lines {line}",
            "update ledger.matches set amount = amount + 1, difference = -1 where line_id = '{line}'",
        ),
        (
            "statement_lines {unknown}",
            "update ledger.statement_lines set state = 'matched' where line_id = '{unknown}';"
            + moved_to_fees(15, "suspense"),
        ),
        (
            "statement_lines {unknown}",
            "insert into ledger.matches values"
            " ('{unknown}', 'account', 'bank_charges', 30, 'x', 'x', now(), '{unknown}', 0, 'x')",
        ),
    ],
    "payouts say what their history says": [
        ("payouts 20260220.1.A.KRW.1.1", "update ledger.payouts set bank_reason = 'AC04' where {A}"),
        ("payouts 20260220.1.A.KRW.1.1", "update ledger.payouts set submitted_at = null where {A}"),
    ],
    "payment files hold the payouts that name them": [
        ("payout_files {file}", "update ledger.payout_files set amount = amount + 1 where {20th}"),
        ("payout_files {file}", "update ledger.payout_files set payment_count = payment_count + 1 where {20th}"),
    ],
    "repayments stand where the books took them": [
        ("repayments R2", "update ledger.entries set event = 'remitted' where entry_id = 12"),
        (
            "repayments R2",
            "update ledger.repayments set state = 'quarantined', settled_on = null, ended_on = null"
            " where repayment_id = 'R2'",
        ),
        (
            "repayments R2",
            "update ledger.repayments set is_extracted = false where repayment_id = 'R2';"
            + moved_to_fees(12, "receipts_in_transit"),
        ),
        (
            "repayments R2",
            "insert into ledger.quarantine values ('2026-02-20', 1, 'L1', 'R2', 'KRW', 1, 'x', '{{}}', null)",
        ),
        ("repayments R2", "update ledger.repayments set reversed_by = 'R9' where repayment_id = 'R2'"),
        (
            "repayments R2",
            "insert into ledger.repayments values ('R9', 'L1', 'KRW', now(), 1, 'R2', 'cancelled', '2026-02-20',"
            " '2026-02-20', null, false, null, '2026-02-20', '2026-02-20')" + COUNTED,
        ),
        ("repayments R2", "update ledger.repayments set settled_on = '2026-02-19' where repayment_id = 'R2'"),
    ],
    "days are at their newest revision, and closed if that is certified": [
        ("days 2026-02-20", "update ledger.days set revision = 2 where {20th}"),
        (
            "days 2026-02-19",
            "insert into ledger.days values ('2026-02-19', 'computed', 1, 'run-3', now(), null, null, null)",
        ),
        ("days 2026-02-20", "update ledger.days set state = 'closed' where {20th}"),
        ("days 2026-02-16", "update ledger.days set state = 'settled' where {16th}"),
    ],
    "frozen inputs are those that their revision was computed with": [
        ("snapshots 2026-02-20/1", "update ledger.snapshots set input_sha256 = 'x' where {20th}"),
        ("snapshots 2026-02-20/1", "delete from ledger.snapshots where {20th}"),
    ],
    "opening positions are what was taken over, and booked": [
        (
            "opening_positions client_bank KRW",
            "update ledger.entries set event = 'opening_position'"
            " where line_id = '{unknown}' and event = 'line_suspended'",
        ),
    ],
    "breaks that are over say so in their history": [
        ("breaks 2", "update ledger.breaks set state = 'resolved', resolved_on = opened_on where break_id = 2"),
        ("breaks 2", "update ledger.breaks set state = 'written_off', resolved_on = opened_on where break_id = 2"),
        (
            "breaks 2",
            "update ledger.breaks set state = 'resolved', resolved_on = opened_on where break_id = 2;"
            "delete from ledger.break_history where break_id = 2",
        ),
        *(
            ("breaks 2", f"insert into ledger.break_history (break_id, at, by, what) values (2, now(), 'x', '{over}')")
            for over in ("resolved", "written off to difference")
        ),
    ],
}

# What looks like a lie and is none: verify must not say anything.
TRUTHS: Sequence[str] = (
    # a refusal that was released later
    "insert into ledger.quarantine values ('2026-02-20', 1, 'L1', 'R2', 'KRW', 1, 'x', '{{}}', '2026-02-20')",
    # a reversal that is refused has undone nothing
    "insert into ledger.repayments values ('R9', 'L1', 'KRW', now(), 1, 'R2', 'quarantined', '2026-02-20',"
    " '2026-02-20', null, false, null, '2026-02-20', null);"
    "insert into ledger.quarantine values ('2026-02-20', 1, 'L1', 'R9', 'KRW', 1, 'x', '{{}}', null)" + COUNTED,
    # a payout that came back is booked on the day on which it went
    "insert into ledger.matches values"
    " ('{unknown}', 'payout_return', '20260216.1.A.KRW.1.1', 30, 'x', 'x', now(), '{unknown}', 0, 'x');"
    "update ledger.statement_lines set state = 'matched' where line_id = '{unknown}';"
    + moved(15, "suspense", "payouts_in_transit"),
)

WHERE = {
    "16th": "settlement_date = '2026-02-16'",
    "20th": "settlement_date = '2026-02-20'",
    "A": "payout_id = '20260220.1.A.KRW.1.1'",
    "A of 16th": "payout_id = '20260216.1.A.KRW.1.1'",
    "N2": "note_id = 'N2' and position = 1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTransaction:
    """The ledger as it looks inside one transaction of somebody who has the server."""

    connection: sa.Connection
    services: Services

    @contextmanager
    def books(self, **_: Any) -> Iterator[PostgresBooks]:
        yield PostgresBooks(self.connection, alerts=self.services.policy.alerts)

    @contextmanager
    def lie(self, sql: str) -> Iterator[None]:
        """Let something be false for a while."""
        point = self.connection.begin_nested()
        try:
            self.connection.exec_driver_sql(sql)
            yield
        finally:
            point.rollback()


@contextmanager
def one_transaction(platform: Platform) -> Iterator[OneTransaction]:
    """Open a transaction past every trigger and foreign key, and roll it back."""
    engine = sa.create_engine(platform.ledger_url.replace("settlement@", "postgres@"), poolclass=sa.NullPool)
    with platform.services() as services, engine.connect() as connection:
        connection.exec_driver_sql("set session_replication_role = replica")
        yield OneTransaction(connection=connection, services=services)
    engine.dispose()


def two_days(platform: Platform) -> None:
    """Close the worked day, and settle the 20th: R2 of 10 000 pays an interest of 9000, and 30 are nobody's."""
    worked_day(platform)
    platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-20T06:00+09:00"))
    platform.source(
        "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
        " values ('L1-2-I', 'L1', 2, 'interest', '2026-02-20', 9000);"
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-20 11:00+09', 10000, 'REF-R2')"
    )
    platform.bank.receive(reference="REF-R2", amount=10_000, on=date(2026, 2, 20), payer="홍길동")
    platform.bank.receive(reference="REF-?", amount=30, on=date(2026, 2, 20), payer="홍길동")
    platform.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-2")


def test_every_check_of_verify_is_fed_a_false_row() -> None:
    assert set(LIES) == {*close.CHECKS, *INVARIANTS}


def test_the_smallest_false_row_is_named_by_its_check_and_no_other(platform: Platform) -> None:
    two_days(platform)
    names = WHERE | dict(zip(("file", "statement", "message", "line", "unknown"), *platform.rows(NAMES), strict=True))
    lies = [(check, row.format(**names), sql.format(**names)) for check, told in LIES.items() for row, sql in told]
    truths = [sql.format(**names) for sql in TRUTHS]
    seen = []
    with one_transaction(platform) as ledger:
        services = replace(ledger.services, ledger=ledger)
        assert close.verify(services) == []
        for _, _, sql in lies:
            with ledger.lie(sql):
                seen.append((sql, [(found["check"], found["row"]) for found in close.verify(services)]))
        for sql in truths:
            with ledger.lie(sql):
                assert (sql, close.verify(services)) == (sql, [])
        assert close.verify(services) == []
    assert seen == [(sql, [(check, row)]) for check, row, sql in lies]


# By control of a day's movements: what is false of the bank or the books when the day is certified.
FALSE_MOVEMENTS = {
    # the statement closes with one won more than its lines make
    "movements_make_the_closing": "update ledger.statements set closing = closing + 1",
    # one won more came in the books, and one more went
    "ledger_moves_as_the_bank": "insert into ledger.postings values"
    " ('2026-02-16', 0, 4, 'client_bank', 'KRW', 1), ('2026-02-16', 0, 4, 'client_bank', 'KRW', -1)",
}


def test_a_day_whose_movements_are_false_gets_no_certificate(platform: Platform) -> None:
    worked_day(platform)
    platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    now = platform.at("2026-02-17T07:00+09:00")
    seen = {}
    with one_transaction(platform) as ledger, ledger.books() as books:
        for control, sql in FALSE_MOVEMENTS.items():
            with ledger.lie(sql), pytest.raises(Broken) as broken:
                close.issue(ledger.services, books, CLOSED, now=now)
            seen[control] = broken.value.control
        assert close.issue(ledger.services, books, CLOSED, now=now)["number"] == 1
    assert seen == {control.__name__: control.__name__ for control in controls.MOVEMENT_CONTROLS}
