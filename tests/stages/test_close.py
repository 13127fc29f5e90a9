"""The close of the worked day: what its certificate says, and that no row can be changed without verify naming it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from settlement import cli
from settlement.adapters import archive, reports
from settlement.adapters.ledger.bank_lines import in_transit as in_transit_items
from settlement.adapters.ledger.books import PostgresBooks
from settlement.adapters.ledger.close import repository as closing
from settlement.domain import policy
from settlement.domain.errors import Refused
from settlement.domain.shadow.causes import Cause
from settlement.stages import close, day_report, reconcile, refunds

from .conftest import Platform
from .payout_stories import worked_day
from .taking_over import first_date_is

ON = date(2026, 2, 16)


def closed(platform: Platform) -> None:
    worked_day(platform)
    platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))


def verified(platform: Platform) -> list[str]:
    with platform.services() as services:
        return [found["row"] for found in close.verify(services)]


def tamper(platform: Platform, sql: str) -> None:
    """Change rows as somebody would who has the server: past every trigger and constraint of foreign keys."""
    engine = sa.create_engine(platform.ledger_url.replace("settlement@", "postgres@"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("set session_replication_role = replica")
        connection.exec_driver_sql(sql)
    engine.dispose()


def test_the_certificate_says_what_came_what_went_and_what_is_open(platform: Platform) -> None:
    with platform.services() as services, services.ledger.books(read_only=True) as books, pytest.raises(Refused):
        close.certificate(books, ON)
    closed(platform)
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        said = close.certificate(books, ON)
    assert (said["number"], said["revision"], said["previous_sha256"]) == (1, 1, None)
    assert said["movements"] == {
        "bank KRW": {"opening": 50_000_000, "came": 95_000, "went": 0, "closing": 50_095_000},
        "ledger KRW": {"opening": 50_000_000, "came": 95_000, "went": 0, "closing": 50_095_000},
        "investors KRW": {"opening": 0, "came": 88_050, "went": 88_050, "closing": 0},
    }
    assert said["totals"]["KRW"]["received_amount"] == 95_000
    assert said["payouts"] == {"KRW booked": {"count": 3, "amount": 88_050}}
    assert [found["cause"] for found in said["open_breaks"]] == ["overpaid"]
    assert said["sealed"]["shares"]["rows"] == 2
    assert "ledger_bank_is_statement_closing" in said["controls"]
    assert verified(platform) == []


def test_a_replay_gives_the_same_bytes_and_finds_a_changed_share(platform: Platform) -> None:
    closed(platform)
    with platform.services() as services:
        assert close.replay(services, ON)["differs"] == []
    tamper(
        platform,
        "update ledger.shares set net_amount = net_amount + 10, fee_amount = fee_amount - 10 where note_id = 'N1'"
        " and component = 'interest'",
    )
    with platform.services() as services:
        (found,) = close.replay(services, ON)["differs"]
    assert found.startswith("shares [") and "N1" in found


def test_a_day_is_replayed_with_its_own_policy_when_another_is_in_use_and_its_file_is_gone(
    platform: Platform, tmp_path: Path
) -> None:
    closed(platform)
    used = Path(os.environ["SETTLEMENT_POLICY"]).read_bytes()
    assert platform.rows("select content from ledger.policies") == [(used,)]
    another = tmp_path / "another.toml"
    another.write_bytes(re.sub(rb"rate_ppm = 80000 ", b"rate_ppm = 90000 ", used))
    assert another.read_bytes() != used
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(another))
    with platform.services() as services:
        assert close.replay(services, ON)["differs"] == []
    tamper(platform, "delete from ledger.policies")
    with platform.services() as services, pytest.raises(Refused, match="whose text was not kept"):
        close.replay(services, ON)


def test_the_database_refuses_a_policy_that_is_not_what_its_hash_says(platform: Platform) -> None:
    closed(platform)
    for statement, said in (
        ("insert into ledger.policies values ('00', 'name', now())", "content_is_what_its_hash_says"),
        ("update ledger.policies set kept_at = now()", "ledger.policies only grows"),
    ):
        with pytest.raises(sa.exc.DBAPIError, match=said):
            platform.rows(statement)


def month_certificate(**said: Any) -> str:
    """Return the SQL that puts a certificate of January in, which has no entries; `said` is what it says otherwise."""
    says: dict[str, Any] = {
        "number": 1,
        "previous_sha256": None,
        "month": "2026-01",
        "first": "2026-01-01",
        "last": "2026-01-31",
        "revision": 1,
        "issued_at": "2026-02-01T06:00:00+00:00",
        "days": [],
        "journal": [],
        "entries_until": 0,
    }
    body = close.canonical(says | said)
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    columns = f"1, '2026-01-01', 1, 1, '{body}', '{sha256}', '2026-02-01 06:00+00'"
    return f"insert into ledger.month_certificates values ({columns})"


# What the worked day does not bring by itself, so that no table is empty when it is closed.
BESIDES = """
insert into ledger.backfills (backfill_id, started_at, ended_at) overriding system value values (7, now(), now());
insert into ledger.approvals values ('A-1', '2026-02-16', 1, 'x', 3, '{"KRW": 88050}', now(), now(), 'approved',
  'checker', now(), null);
insert into ledger.objections values
  ('2026-02-16', 'usual_totals', 'It is twice the usual', now(), 'run-1', null, null, null),
  ('2026-02-16', 'usual_totals', 'It is thrice the usual', now(), 'run-1', 'checker', 'New Year', now());
insert into ledger.refused_accounts (payee_kind, payee_id, payee_account, payee_bank, reason, refused_at, payout_id)
values ('investor', 'Z', '110-9', '', 'AC04', now(), '20260216.1.A.KRW.1.1');
insert into ledger.payout_facts (payout_id, kind, source, amount, recorded_at)
  values ('20260216.1.X.KRW.1.1', 'credit_explained', 'L8', 7, now());
insert into ledger.bank_messages (sha256, direction, kind, name, content, recorded_at, state, read_with)
  values (encode(sha256('theirs'), 'hex'), 'in', 'file', 'theirs', 'theirs', now(), 'foreign', 'KRW 110');
insert into ledger.uploads values (encode(sha256('theirs'), 'hex'), 'theirs', 'theirs', 'maker', 'by phone', now());
insert into ledger.messages_read_again (sha256, state, read_at)
  values (encode(sha256('theirs'), 'hex'), 'applied', now());
insert into ledger.quarantine values ('2026-02-16', 1, 'L9', 'R9', 'KRW', 10, 'no_notes', '{}', '2026-02-19');
insert into ledger.breaks (break_id, cause, side, opened_on, currency, amount, subject_kind, subject_id, state,
    resolved_on, resolution) overriding system value
  values (7, 'unknown_at_bank', 'bank', '2026-02-16', 'KRW', 900, 'line', 'L9', 'written_off', '2026-02-16', 'small');
insert into ledger.remittances values ('L7', 'fee', '2026-01-01', 'KRW', 700, now());
insert into ledger.break_history (break_id, at, by, what) values (7, now(), 'maker', 'written off to difference');
insert into ledger.break_decisions (break_id, kind, target, amount, currency, reason, requested_by, requested_at,
    needs_second, decided_by, decided_at)
  values (7, 'write_off', 'difference', 900, 'KRW', 'rounding', 'maker', now(), true, 'checker', now());
"""

# One refund that has no account that a bank could pay, and one of more than is held.
REFUNDS = """
insert into core.refunds values ('F1', 'L1', 'KRW', 100, '홍길동', '계좌', null, '2026-02-16 12:00+09'),
  ('F2', 'L1', 'KRW', 5000, '홍길동', '110-9', '004', '2026-02-16 13:00+09');
"""

# What was taken over of a loan that nothing else moves.
OPENING = """
insert into core.loans values ('L8', 'KRW', '2026-01-15');
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)
  values ('X8', 'L8', 1, 'interest', '2026-01-31', 10);
insert into core.opening_positions values ('receivable_paid', 'X8', 'KRW', 4);
"""

# A reversal of another amount than what it undoes: it is kept back, and its loan is run again.
LATE = "insert into core.repayments values ('R8', 'L1', '2026-02-16 15:00+09', 5, null, 'R1')"

# One change for each table, and the row that verify must name.
TAMPERINGS = {
    "revisions": ("update ledger.revisions set code_version = 'x'", "revisions 2026-02-16/1"),
    "revisions asked for": (
        "update ledger.revisions set requested_by = 'boss'",
        "revisions asked for 2026-02-16/1",
    ),
    "opening": ("update ledger.opening set sha256 = 'x'", "opening 2026-02-16"),
    "opening_positions": (
        "update ledger.opening_positions set amount = 5",
        "opening_positions receivable_paid/X8/KRW",
    ),
    "an opening position put in": (
        "insert into ledger.opening_positions values ('receivable_paid', 'X9', 'KRW', 5, 'L8')",
        "opening_positions receivable_paid/X9/KRW was put in",
    ),
    "replayed_loans": ("update ledger.replayed_loans set loan_id = 'L7'", "replayed_loans 2026-02-16/2/L1 is gone"),
    "day_totals": (
        "update ledger.day_totals set fee_amount = fee_amount + 1, vat_amount = vat_amount - 1",
        "day_totals 2026-02-16/1/KRW",
    ),
    "a day's refunds": (
        "update ledger.day_totals set refunded_amount = refunded_amount + 1, received_amount = received_amount + 1",
        "day_totals of refunds 2026-02-16/1/KRW",
    ),
    "refunds": ("update ledger.refunds set loan_id = 'L2'", "refunds F1"),
    "a refund put in": (
        "insert into ledger.refunds values ('F9', '2026-02-16', 1, 'L1', 'KRW', 1)",
        "refunds F9 was put in",
    ),
    "refused_refunds": ("update ledger.refused_refunds set amount = 4900", "refused_refunds 2026-02-16/1/F2"),
    "a refused refund put in": (
        "insert into ledger.refused_refunds values ('2026-02-16', 1, 'F9', 'L1', 'KRW', 1, 'x', '{}', null)",
        "refused_refunds 2026-02-16/1/F9 was put in",
    ),
    "a loan that is said to be replayed": (
        "insert into ledger.replayed_loans values ('2026-02-16', 3, 'L1')",
        "replayed_loans 2026-02-16/3/L1 was put in",
    ),
    "refunds_undone": ("update ledger.refunds_undone set undone_by = 'boss'", "refunds_undone "),
    "whose word an undone refund is": ("update ledger.refunds_undone set is_again = true", "refunds undone again "),
    "an undone refund put in": (
        "insert into ledger.refunds_undone values (1, '2026-02-16', 'F1', 'L1', 'R1', 'KRW', 1, 'x', 'x', now())",
        "refunds_undone 1 was put in",
    ),
    "snapshots": ("update ledger.snapshots set frozen_at = now()", "snapshots 2026-02-16/1"),
    "frozen inputs of another day": ("update ledger.snapshots set input_sha256 = 'x'", "snapshots 2026-02-16/1"),
    "runs": ("update ledger.runs set triggered_by = 'nobody'", "runs run-1"),
    "backfills": ("update ledger.backfills set started_at = 'epoch'", "backfills 7"),
    "repayments": ("update ledger.repayments set amount = amount + 1", "repayments R1"),
    "a repayment's state": (
        "update ledger.repayments set state = 'quarantined', settled_on = null, ended_on = null",
        "repayments R1",
    ),
    "a repayment's day": (
        "update ledger.repayments set settled_on = '2026-02-19' where settled_on is not null",
        "repayments R1",
    ),
    "a repayment's reversal": ("update ledger.repayments set reversed_by = 'R2'", "repayments R1"),
    "allocations": (
        "update ledger.allocations set receivable_id = 'X' where position = 2",
        "allocations 2026-02-16/1/2",
    ),
    "shares": (
        "update ledger.shares set investor_id = 'C' where note_id = 'N2' and position = 1",
        "shares 2026-02-16/1/1/N2",
    ),
    "a share gone": (
        "delete from ledger.shares where note_id = 'N3' and position = 1",
        "shares 2026-02-16/1/1/the last is gone",
    ),
    "an allocation put in": (
        "insert into ledger.allocations select settlement_date, revision, 99, repayment_id, loan_id, receivable_id,"
        " currency, 'cost', 1 from ledger.allocations order by revision desc limit 1",
        "allocations 2026-02-16/2/99 was put in",
    ),
    "a refusal put in": (
        "insert into ledger.quarantine values ('2026-02-16', 1, 'L9', 'R8', 'KRW', 1, 'x', '{}', '2026-02-19')",
        "quarantine 2026-02-16/1/R8 was put in",
    ),
    "a day's totals put in": (
        "insert into ledger.day_totals values ('2026-02-16', 1, 'EUR', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
        "day_totals 2026-02-16/1/EUR was put in",
    ),
    "a credit put in": (
        "insert into ledger.credits values ('2026-02-16', 1, 9, 'L1', 'R1', 'KRW', 1, 'held')",
        "credits 2026-02-16/1/9 was put in",
    ),
    "a line put in": (
        "insert into ledger.statement_lines (line_id, statement_id, booking_date, amount, currency)"
        " select 'X', statement_id, booking_date, 1, 'KRW' from ledger.statements s join ledger.statement_lines l"
        " using (statement_id) where l.amount = 95000",
        "statement_lines X was put in",
    ),
    "a closed day computed again and not opened": (
        "insert into ledger.revisions select (jsonb_populate_record(r, '{\"revision\": 3}')).*"
        " from ledger.revisions r where revision = 2; update ledger.days set revision = 3",
        "days 2026-02-16",
    ),
    "quarantine": ("update ledger.quarantine set rule = 'no_holder'", "quarantine 2026-02-16/1/R9"),
    "credits": ("update ledger.credits set amount = amount + 1", "credits 2026-02-16/1/1"),
    "a credit below zero": ("update ledger.credits set amount = -1000", "credits L1/R1"),
    "a credit above its repayment": ("update ledger.credits set amount = 95001", "credits L1/R1"),
    "a receivable allocated beyond its amount": (
        "insert into ledger.allocations select settlement_date, revision, 99, repayment_id, loan_id, 'L1-1-P',"
        " currency, 'principal', 1 from ledger.allocations order by revision desc limit 1",
        "receivables L1-1-P",
    ),
    "a receivable allocated below zero": (
        "insert into ledger.allocations select settlement_date, revision, 99, repayment_id, loan_id, 'L1-1-I',"
        " currency, 'interest', -10001 from ledger.allocations order by revision desc limit 1",
        "receivables L1-1-I",
    ),
    "a receivable that nobody knows": (
        "insert into ledger.allocations select settlement_date, revision, 99, repayment_id, loan_id, 'X', currency,"
        " 'cost', 1 from ledger.allocations order by revision desc limit 1",
        "receivables X",
    ),
    "a note repaid beyond its principal": (
        "update ledger.shares set gross_amount = 300001, net_amount = 300001 where note_id = 'N2'"
        " and component = 'principal'",
        "notes N2",
    ),
    "a note repaid below zero": (
        "update ledger.shares set gross_amount = -1, net_amount = -1 where note_id = 'N2' and component = 'principal'",
        "notes N2",
    ),
    "entries": ("update ledger.entries set event = 'credit_applied' where entry_id = 1", "entries 1"),
    "an entry put in": (
        "insert into ledger.entries (entry_id, settlement_date, revision, recorded_at, event, currency)"
        " values (-1, '2026-02-16', 1, now(), 'remitted', 'KRW')",
        "entries -1 was put in",
    ),
    "an entry gone": ("delete from ledger.entries where entry_id = 1", "entries 1 is gone"),
    "postings": (
        "update ledger.postings set account = 'cost_recovered' where account = 'fee_income'",
        "postings 2/cost_recovered",
    ),
    "balances": (
        "update ledger.balances set amount = amount + 1 where account = 'fee_income'",
        "balances fee_income KRW",
    ),
    "payouts": (
        "update ledger.payouts set payee_account = 'mine' where payee_id = 'A'",
        "payouts 20260216.1.A.KRW.1.1",
    ),
    "whom a payout pays": (
        "update ledger.payouts set payee_kind = 'borrower' where payee_id = 'A'",
        "payees of payouts 20260216.1.A.KRW.1.1",
    ),
    "whose account was refused": (
        "update ledger.refused_accounts set payee_kind = 'borrower'",
        "payees of refused_accounts 20260216.1.A.KRW.1.1",
    ),
    "a payout's state": (
        "update ledger.payouts set state = 'returned' where payee_id = 'B'",
        "payouts 20260216.1.B.KRW.1.1",
    ),
    "a payout's booking": (
        "update ledger.payouts set booked_on = '2026-02-20' where payee_id = 'C'",
        "payouts 20260216.1.C.KRW.1.1",
    ),
    "a payout's file": ("update ledger.payouts set file_id = null where payee_id = 'C'", "payout_files SF"),
    "what the bank said of a payout": (
        "update ledger.payouts set bank_reason = 'AC04' where payee_id = 'B'",
        "payouts 20260216.1.B.KRW.1.1",
    ),
    "when a payout was sent": (
        "update ledger.payouts set submitted_at = 'epoch' where payee_id = 'B'",
        "payouts 20260216.1.B.KRW.1.1",
    ),
    "payout_facts": (
        "update ledger.payout_facts set amount = 8",
        "payout_facts 20260216.1.X.KRW.1.1/credit_explained/L8",
    ),
    "payout_steps": (
        "update ledger.payout_steps set to_state = 'prepared' where from_state = 'booked'",
        "payout_steps ",
    ),
    "a step put in": (
        "insert into ledger.payout_history overriding system value values"
        " ('20260216.1.A.KRW.1.1', 0, 'prepared', 'approved', now(), 'x', '{}')",
        "payout_history 20260216.1.A.KRW.1.1/0 was put in",
    ),
    "transmissions": ("update ledger.transmissions set outcome = 'refused'", "transmissions SF"),
    "refused_accounts": ("update ledger.refused_accounts set reason = 'x'", "refused_accounts 20260216.1.A.KRW.1.1"),
    "approvals": ("update ledger.approvals set decided_by = 'maker'", "approvals A-1"),
    "objections": (
        "update ledger.objections set raised_at = 'epoch' where overridden_at is null",
        "objections 2026-02-16/usual_totals/",
    ),
    "who answered for an objection": (
        "update ledger.objections set overridden_by = 'boss' where overridden_at is not null",
        "objections answered 2026-02-16/usual_totals/",
    ),
    "payout_history": (
        "update ledger.payout_history set cause = 'x' where step = 1",
        "payout_history 20260216.1.A.KRW.1.1/1",
    ),
    "statement_lines": ("update ledger.statement_lines set remittance = 'x' where amount = 95000", "statement_lines L"),
    "a line's state": (
        "update ledger.statement_lines set state = 'suspended' where amount = 95000",
        "statement_lines L",
    ),
    "a line that was never booked": (
        "update ledger.statement_lines set state = 'open' where amount = 95000",
        "statement_lines L",
    ),
    "statements": ("update ledger.statements set closing = closing + 1, opening = opening + 1", "statements "),
    "which page a statement is": ("update ledger.statements set is_last = false", "statements of a day "),
    "who uploaded a statement": ("update ledger.uploads set uploaded_by = 'boss'", "uploads "),
    "what became of a message that was read again": (
        "update ledger.messages_read_again set state = 'refused'",
        "messages_read_again ",
    ),
    "matches": ("update ledger.matches set rule = 'x' where subject_kind = 'receipt'", "matches L"),
    "payout_files": ("update ledger.payout_files set content = 'x'", "payout_files SF"),
    "bank_messages": ("update ledger.bank_messages set content = 'x' where kind like 'camt.053%%'", "bank_messages "),
    "what became of a message": (
        "update ledger.bank_messages set state = 'refused' where kind like 'camt.053%%'",
        "bank_messages ",
    ),
    "how a break ended": ("update ledger.breaks set resolution = 'x' where break_id = 7", "breaks that are over 7"),
    "who asked for a decision": (
        "update ledger.break_decisions set requested_by = 'x'",
        "break_decisions 1",
    ),
    "who took a decision": (
        "update ledger.break_decisions set decided_by = 'boss'",
        "break_decisions that were taken 1",
    ),
    "a closed day opened": ("update ledger.days set state = 'settled' where state = 'closed'", "days 2026-02-16"),
    "another revision of a day": ("update ledger.days set revision = 1 where state = 'closed'", "days 2026-02-16"),
    "breaks": ("update ledger.breaks set subject_id = 'L2'", "breaks 1"),
    "break_history": ("update ledger.break_history set what = 'x'", "break_history 1/1"),
    "certificates": (
        "update ledger.certificates set body = replace(body, '\"received_amount\":95000', '\"received_amount\":95001')",
        "certificates 1",
    ),
    "remittances": (
        "update ledger.remittances set amount = 701",
        "remittances L7/fee/2026-01-01",
    ),
    "month_certificates": (
        "update ledger.month_certificates set issued_at = issued_at + interval '1 day'",
        "month_certificates 1",
    ),
    "a certificate made whole again": (
        "update ledger.certificates set issued_at = issued_at + interval '1 day' where number = 1",
        "certificates 1",
    ),
    "a certificate gone": ("delete from ledger.certificates", "seals of no certificate"),
    "seals": ("update ledger.seals set hashes = 'xxxxxx' where table_name = 'repayments'", "seals 1/repayments"),
}


def test_every_tampered_row_is_found_and_named(platform: Platform) -> None:
    worked_day(platform)
    platform.source(REFUNDS + OPENING)
    first_date_is(platform, "2026-02-16")
    platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    platform.source(LATE)
    platform.settle("2026-02-16", at="2026-02-17T06:30+09:00", run_id="run-again", reason="a reversal came late")
    tamper(platform, BESIDES + month_certificate())
    with platform.services() as services:
        now = platform.at("2026-02-17T07:00+09:00")
        refunds.undo(services, "F1", reason="the account is none", by="maker", now=now)
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))
    assert verified(platform) == []
    engine = sa.create_engine(platform.ledger_url.replace("settlement@", "postgres@"), poolclass=sa.NullPool)
    missed, by_seal = {}, set()
    with platform.services() as services, engine.begin() as connection:
        connection.exec_driver_sql("set session_replication_role = replica")
        for name, (sql, expected) in TAMPERINGS.items():
            point = connection.begin_nested()
            assert connection.exec_driver_sql(sql).rowcount, name
            books = PostgresBooks(connection, alerts=policy.Alerts())
            broken = close.broken(services.snapshots, books)
            point.rollback()
            found = [row["row"] for row in broken]
            if not any(row.startswith(expected) for row in found):
                missed[name] = found
            by_seal |= {_sealed(row["row"]) for row in broken if row["check"] == close.SEALS}
    engine.dispose()
    assert missed == {}
    wanted = {*closing.SEALED, *closing.PARTS} | {f"{name} put in" for name in closing.COVERED}
    assert by_seal == wanted


def _sealed(row: str) -> str:
    """Return the name under which the row is sealed, and whether it was put in; a name may begin with another one."""
    name = max((name for name in (*closing.SEALED, *closing.PARTS) if row.startswith(f"{name} ")), key=len)
    return f"{name} put in" if row.endswith(" was put in") else name


def test_every_table_is_sealed_and_tampered_with_or_is_left_out_for_a_reason(settlement_db_url: str) -> None:
    engine = sa.create_engine(settlement_db_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "select relname from pg_class where relnamespace = 'ledger'::regnamespace and relkind in ('r', 'p')"
            " and not relispartition"
        )
        tables = set(found.scalars())
    engine.dispose()
    sealed = {found.table for found in closing.SEALED.values()} | set(closing.PARTS)
    assert sealed | set(closing.UNSEALED) == tables
    assert not sealed & set(closing.UNSEALED)
    tampered = {re.findall(r"ledger\.(\w+)", sql)[0] for sql, _ in TAMPERINGS.values()}
    derived = {"days", "balances", "certificates", "seals"}
    assert tampered == sealed | derived


def test_a_certificate_seals_what_has_come_since_the_one_before(platform: Platform) -> None:
    closed(platform)
    platform.settle("2026-02-19", at="2026-02-23T07:00+09:00", run_id="run-2")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-25T06:00+09:00"))
    sealed = dict(platform.rows("select table_name, count(*) from ledger.seals group by 1"))
    for table in ("entries", "payout_history", "payouts", "matches", "statement_lines", "repayments", "allocations"):
        assert platform.rows(f"select count(*) from ledger.{table}") == [(sealed.get(table, 0),)], table
    counts = platform.rows("select number, count(*) from ledger.seals group by 1 order by 1")
    assert counts[1][1] < counts[0][1]
    assert verified(platform) == []


@pytest.mark.parametrize("most_named", [0, 1000])
def test_what_is_in_transit_is_counted_from_what_the_certificate_names_and_what_came_since(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, most_named: int
) -> None:
    def in_transit(*, is_whole: bool) -> dict[tuple[str, str], int]:
        with platform.services() as services, services.ledger.books(read_only=True) as books:
            return books.in_transit.by_item(is_whole=is_whole)

    monkeypatch.setattr(in_transit_items, "MOST_NAMED", most_named)
    worked_day(platform)
    platform.settle("2026-02-16", at="2026-02-17T06:00+09:00")
    # On the statement of the 19th, and in the source; no run has extracted it when the 16th is closed.
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 12:00+09', 700, 'REF-R9')"
    )
    platform.bank.receive(reference="REF-R9", amount=700, on=date(2026, 2, 19), payer="홍길동")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))
    early = {("receipts_in_transit", "KRW"): -700}
    assert in_transit(is_whole=False) == in_transit(is_whole=True) == early
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        said = close.certificate(books, ON)["in_transit"]
    item = {"account": "receipts_in_transit", "subject_id": "R9", "currency": "KRW", "amount": -700}
    assert said["named"] == ([item] if most_named else [])
    platform.settle("2026-02-19", at="2026-02-23T07:00+09:00", run_id="run-2", stop_after="distribute")
    assert in_transit(is_whole=False) == in_transit(is_whole=True) == {}


def test_certificates_are_chained(platform: Platform) -> None:
    closed(platform)
    platform.settle("2026-02-19", at="2026-02-23T07:00+09:00", run_id="run-2")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-25T06:00+09:00"))
    rows = platform.rows("select number, sha256, body from ledger.certificates order by number")
    assert [number for number, _, _ in rows] == [1, 2]
    assert json.loads(rows[1][2])["previous_sha256"] == rows[0][1]
    assert verified(platform) == []
    assert datetime.fromisoformat(json.loads(rows[1][2])["issued_at"]).tzinfo is not None


def test_closing_again_certifies_nothing_again(platform: Platform) -> None:
    closed(platform)
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-24T06:00+09:00"))
    assert platform.rows("select count(*) from ledger.certificates") == [(1,)]


def test_the_report_of_a_day_adds_up_and_is_the_same_again(platform: Platform) -> None:
    closed(platform)
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        said, again = (day_report.day_report(services, books, ON) for _ in range(2))
    assert said == again
    sheets = {sheet.name: sheet for sheet in said.sheets}
    assert list(sheets) == ["summary", "shares", "payouts", "refunds", "breaks", "taxes", "journal"]
    assert ("received - all of these", "KRW", 0) in sheets["summary"].rows
    words = reports.catalogue("ko")
    assert {*sheets, "causes", *Cause} == set(words["sheets"]), "a shadow has the others"
    assert {name for sheet in sheets.values() for name in sheet.columns} <= set(words["columns"])
    assert {row[0] for row in sheets["summary"].rows} <= set(words["what"])
    assert sheets["taxes"].rows == [
        ("corporation", "KRW", "interest", 3000, 0, 0),
        ("individual", "KRW", "interest", 7000, 980, 90),
    ]
    assert [row[5] for row in sheets["payouts"].rows] == [43790, 26736, 17524]


def test_a_report_into_a_folder_that_cannot_be_written_is_a_sentence_and_status_one(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    closed(platform)
    capsys.readouterr()
    platform.monkeypatch.setattr(sys, "argv", ["settlement", "report", "2026-02-16", "--to", "/proc/no/where"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    assert said.err == "settlement: [/proc/no/where] cannot be written: No such file or directory\n"


def test_an_exported_day_is_verified_without_the_database(platform: Platform, tmp_path: Path) -> None:
    closed(platform)
    path, again = tmp_path / "days.zip", tmp_path / "again.zip"
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        for target in (path, again):
            found = books.close.certificates()
            archive.write(target, found, {c.number: books.close.sealed_rows(c.number) for c in found})
    assert path.read_bytes() == again.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert archive.broken(path) == []
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(again, "w") as changed:
        for name in whole.namelist():
            changed.writestr(name, whole.read(name).replace(b"R1,L1,", b"R1,L2,"))
    assert "allocations of certificate 1 (2026-02-16) is not what was certified" in archive.broken(again)
    with pytest.raises(ValueError, match="no archive"):
        archive.broken(tmp_path / "absent.zip")
