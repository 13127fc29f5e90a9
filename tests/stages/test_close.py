"""The close of the worked day: what its certificate says, and that no row can be changed without verify naming it."""

from __future__ import annotations

import json
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from settlement.adapters import archive
from settlement.adapters.ledger.books import PostgresBooks
from settlement.ports import Refused
from settlement.stages import close, day_report, reconcile

from .conftest import Platform
from .payout_stories import worked_day

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


# One change for each table, and the row that verify must name.
TAMPERINGS = {
    "revisions": ("update ledger.revisions set code_version = 'x'", "revisions 2026-02-16/1"),
    "day_totals": (
        "update ledger.day_totals set fee_amount = fee_amount + 1, vat_amount = vat_amount - 1",
        "day_totals 2026-02-16/1/KRW",
    ),
    "repayments": ("update ledger.repayments set amount = amount + 1", "repayments R1"),
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
    "credits": ("update ledger.credits set amount = amount + 1", "credits 2026-02-16/1/1"),
    "entries": ("update ledger.entries set event = 'credit_applied' where entry_id = 1", "entries 1"),
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
        "update ledger.payouts set payee_account = 'mine' where investor_id = 'A'",
        "payouts 20260216.1.A.KRW.1.1",
    ),
    "a payout's state": (
        "update ledger.payouts set state = 'returned' where investor_id = 'B'",
        "payouts 20260216.1.B.KRW.1.1",
    ),
    "a payout's booking": (
        "update ledger.payouts set booked_on = '2026-02-20' where investor_id = 'C'",
        "payouts 20260216.1.C.KRW.1.1",
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
    "statements": ("update ledger.statements set closing = closing + 1, opening = opening + 1", "statements "),
    "matches": ("update ledger.matches set rule = 'x' where subject_kind = 'receipt'", "matches L"),
    "payout_files": ("update ledger.payout_files set content = 'x'", "payout_files SF"),
    "bank_messages": ("update ledger.bank_messages set content = 'x' where kind like 'camt.053%%'", "bank_messages "),
    "breaks": ("update ledger.breaks set subject_id = 'L2'", "breaks 1"),
    "break_history": ("update ledger.break_history set what = 'x'", "break_history 1/1"),
    "certificates": (
        "update ledger.certificates set body = replace(body, '\"received_amount\":95000', '\"received_amount\":95001')",
        "certificates 1",
    ),
    "a certificate made whole again": (
        "update ledger.certificates set issued_at = issued_at + interval '1 day'",
        "certificates 1",
    ),
    "a certificate gone": ("delete from ledger.certificates", "seals of no certificate"),
    "seals": ("update ledger.seals set hashes = 'xxxxxx' where table_name = 'repayments'", "seals 1/repayments"),
}


def test_every_tampered_row_is_found_and_named(platform: Platform) -> None:
    closed(platform)
    assert verified(platform) == []
    engine = sa.create_engine(platform.ledger_url.replace("settlement@", "postgres@"), poolclass=sa.NullPool)
    missed = {}
    with engine.begin() as connection:
        connection.exec_driver_sql("set session_replication_role = replica")
        for name, (sql, expected) in TAMPERINGS.items():
            point = connection.begin_nested()
            assert connection.exec_driver_sql(sql).rowcount, name
            found = [row["row"] for row in close.broken(PostgresBooks(connection))]
            point.rollback()
            if not any(row.startswith(expected) for row in found):
                missed[name] = found
    engine.dispose()
    assert missed == {}


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
    assert list(sheets) == ["summary", "shares", "payouts", "breaks", "taxes", "journal"]
    assert ("received - all of these", "KRW", 0) in sheets["summary"].rows
    assert sheets["taxes"].rows == [
        ("corporation", "KRW", "interest", 3000, 0, 0),
        ("individual", "KRW", "interest", 7000, 980, 90),
    ]
    assert [row[3] for row in sheets["payouts"].rows] == [43790, 26736, 17524]


def test_an_exported_day_is_verified_without_the_database(platform: Platform, tmp_path: Path) -> None:
    closed(platform)
    path, again = tmp_path / "days.zip", tmp_path / "again.zip"
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        for target in (path, again):
            found = books.certificates()
            archive.write(target, found, {c["number"]: books.sealed_rows(c["number"]) for c in found})
    assert path.read_bytes() == again.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert archive.broken(path) == []
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(again, "w") as changed:
        for name in whole.namelist():
            changed.writestr(name, whole.read(name).replace(b"R1,L1,", b"R1,L2,"))
    assert "allocations of certificate 1 (2026-02-16) is not what was certified" in archive.broken(again)
    with pytest.raises(ValueError, match="no archive"):
        archive.broken(tmp_path / "absent.zip")
