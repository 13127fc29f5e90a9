"""What is older than the policy's look-back: the source may archive it, and what still comes for it is told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import DAYS, Platform
from .test_changed_source import another_loan, broken, came, paid, settle, stands

BREAKS = """
select cause, subject_id, currency, amount, opened_on::text, state from ledger.breaks
 where cause in ('source_changed', 'late_arrival_too_old') order by break_id
"""


@pytest.fixture
def two_days_back(platform: Platform, tmp_path: Path) -> Platform:
    """A platform that compares the newest settled date and the two days before it."""
    policy = (DAYS / "2026-02-16" / "policy.toml").read_text(encoding="utf-8")
    (tmp_path / "policy.toml").write_text(policy + "\n[source]\nlook_back_days = 2\n", encoding="utf-8")
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(tmp_path / "policy.toml"))
    platform.source("alter table core.repayments drop constraint repayments_reverses_repayment_id_fkey")
    return platform


def settled_on_the_16th_and_19th(platform: Platform) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-16 10:00+09")
    settle(platform, "2026-02-16")
    came(platform, "R3", "2026-02-19 10:00+09")
    settle(platform, "2026-02-19")


def test_what_is_archived_before_the_look_back_is_no_break(two_days_back: Platform) -> None:
    settled_on_the_16th_and_19th(two_days_back)
    two_days_back.source("delete from core.repayments where received_at < '2026-02-17'")
    settle(two_days_back, "2026-02-20")
    assert two_days_back.rows(BREAKS) == []
    assert broken(two_days_back) == []


def test_what_is_gone_within_the_look_back_is_a_break_and_stays_one_beyond_it(two_days_back: Platform) -> None:
    settled_on_the_16th_and_19th(two_days_back)
    two_days_back.source("delete from core.repayments where repayment_id = 'R3'")
    settle(two_days_back, "2026-02-20")
    assert two_days_back.rows(BREAKS) == [("source_changed", "R3", "KRW", 100, "2026-02-20", "open")]
    settle(two_days_back, "2026-02-23")
    came(two_days_back, "R5", "2026-02-24 10:00+09")
    settle(two_days_back, "2026-02-24")
    assert two_days_back.rows(BREAKS) == [("source_changed", "R3", "KRW", 100, "2026-02-20", "open")]


def test_a_late_arrival_from_before_the_look_back_is_told_of_and_not_taken(two_days_back: Platform) -> None:
    settled_on_the_16th_and_19th(two_days_back)
    came(two_days_back, "R4", "2026-02-16 11:00+09")
    came(two_days_back, "R5", "2026-02-20 11:00+09")
    settle(two_days_back, "2026-02-20")
    assert (stands(two_days_back, "R4"), stands(two_days_back, "R5")) == ([], [("settled", "2026-02-20")])
    assert two_days_back.rows(BREAKS) == [("late_arrival_too_old", "R4", "KRW", 100, "2026-02-20", "open")]
    evidence = two_days_back.rows("select evidence from ledger.breaks where cause = 'late_arrival_too_old'")
    assert evidence == [({"loan_id": "L2", "received_at": "2026-02-16 02:00:00+00:00", "amount": 100},)]
    two_days_back.source("delete from core.repayments where repayment_id in ('R2', 'R4')")
    settle(two_days_back, "2026-02-23")
    assert two_days_back.rows(BREAKS) == [("late_arrival_too_old", "R4", "KRW", 100, "2026-02-20", "resolved")]
    assert broken(two_days_back) == []


def test_a_late_arrival_beside_archived_receipts_is_told_of(two_days_back: Platform) -> None:
    settled_on_the_16th_and_19th(two_days_back)
    two_days_back.source("delete from core.repayments where received_at < '2026-02-17'")
    came(two_days_back, "R4", "2026-02-16 11:00+09")
    settle(two_days_back, "2026-02-20")
    assert two_days_back.rows(BREAKS) == [("late_arrival_too_old", "R4", "KRW", 100, "2026-02-20", "open")]


def test_a_reversal_undoes_an_original_that_the_books_alone_still_have(two_days_back: Platform) -> None:
    settled_on_the_16th_and_19th(two_days_back)
    two_days_back.source("delete from core.repayments where received_at < '2026-02-17'")
    came(two_days_back, "R2-undone", "2026-02-20 11:00+09", reverses="R2")
    settle(two_days_back, "2026-02-20")
    assert stands(two_days_back, "R2-undone") == [("settled", "2026-02-20")]
    assert paid(two_days_back) == [("R2", 100), ("R2-undone", -100), ("R3", 100)]
    assert broken(two_days_back) == []


def test_what_is_kept_back_and_gone_is_a_break_however_old_it_is(two_days_back: Platform) -> None:
    another_loan(two_days_back, held_from="2026-03-01")
    came(two_days_back, "R2", "2026-02-16 10:00+09")
    settle(two_days_back, "2026-02-16")
    settle(two_days_back, "2026-02-19")
    assert stands(two_days_back, "R2") == [("quarantined", None)]
    two_days_back.source("delete from core.repayments")
    settle(two_days_back, "2026-02-20")
    assert two_days_back.rows(BREAKS) == [("source_changed", "R2", "KRW", 100, "2026-02-20", "open")]
