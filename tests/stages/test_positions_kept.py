"""Positions in a whole platform: what the source shows no longer still stands, and older databases come to the same."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from settlement.adapters.ledger import migrate

from .conftest import Platform
from .test_changed_source import another_loan, broken, came, settle
from .test_verify_sees import two_days

POSITIONS = """
select loan_id, settlement_date::text, x.id, x.amount
  from ledger.positions, unnest(note_ids || receivable_ids, repaid || allocated) as x (id, amount)
 order by 1, 2, 3
"""
WINDOWS = "select window_on::text, receipts, digest from ledger.windows_taken order by 1"
MIGRATION = Path(migrate.__file__).with_name("migrations") / "versions" / "0013_positions.sql"
MADE_BY_IT = """
drop table ledger.positions, ledger.windows_taken;
drop function ledger.number_of_receipt;
drop function ledger.count_taken cascade;
drop function ledger.count_taken_again cascade;
"""


def test_a_database_from_before_comes_to_the_same_positions(platform: Platform) -> None:
    two_days(platform)
    kept, counted = platform.rows(POSITIONS), platform.rows(WINDOWS)
    engine = sa.create_engine(platform.ledger_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(MADE_BY_IT)
        connection.connection.cursor().execute(MIGRATION.read_text(encoding="utf-8"))
    engine.dispose()
    assert kept == [
        ("L1", "2026-02-16", "L1-1-I", 10000),
        ("L1", "2026-02-16", "L1-1-P", 80000),
        ("L1", "2026-02-16", "N1", 40000),
        ("L1", "2026-02-16", "N2", 24000),
        ("L1", "2026-02-16", "N3", 16000),
        ("L1", "2026-02-20", "L1-1-I", 10000),
        ("L1", "2026-02-20", "L1-1-P", 80000),
        ("L1", "2026-02-20", "L1-2-I", 9000),
        ("L1", "2026-02-20", "N1", 40000),
        ("L1", "2026-02-20", "N2", 24000),
        ("L1", "2026-02-20", "N3", 16000),
    ]
    assert [receipts for _, receipts, _ in counted] == [1, 1]
    assert (platform.rows(POSITIONS), platform.rows(WINDOWS)) == (kept, counted)


def test_what_the_source_shows_no_longer_stands_as_it_stood_and_can_be_reversed(platform: Platform) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-16 10:00+09")
    settle(platform, "2026-02-16")
    platform.source("delete from core.receivables where loan_id = 'L2'")
    platform.source(
        "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
        " values ('L2-2-P', 'L2', 2, 'principal', '2026-02-19', 500)"
    )
    came(platform, "R3", "2026-02-19 10:00+09")
    settle(platform, "2026-02-19")
    came(platform, "R2-undone", "2026-02-20 10:00+09", reverses="R2")
    settle(platform, "2026-02-20")
    assert [row[1:] for row in platform.rows(POSITIONS) if row[0] == "L2"] == [
        ("2026-02-16", "L2-1-P", 100),
        ("2026-02-16", "N4", 100),
        ("2026-02-19", "L2-1-P", 100),
        ("2026-02-19", "L2-2-P", 100),
        ("2026-02-19", "N4", 200),
        ("2026-02-20", "L2-2-P", 100),
        ("2026-02-20", "N4", 100),
    ]
    assert broken(platform) == []
