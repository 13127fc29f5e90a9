"""A source that says something else than before, or no date at all: what was taken stands, and no money is made up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from settlement.domain.errors import Refused
from settlement.stages import close

from .conftest import DAYS, Platform

WORKED_DAY = (DAYS / "2026-02-16" / "core.sql").read_text(encoding="utf-8")
ANOTHER_LOAN = """
insert into core.loans values ('L2', 'KRW', '2026-01-15');
insert into core.notes values ('N4', 'L2', 1000);
insert into core.note_holdings values ('N4', 'C', '{held_from}', {held_until});
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values
  ('L2-1-P', 'L2', 1, 'principal', '2026-02-16', 500);
"""
MORNING_AFTER = {
    "2026-02-16": "2026-02-17T06:00+09:00",
    "2026-02-19": "2026-02-20T06:00+09:00",
    "2026-02-20": "2026-02-21T06:00+09:00",
    "2026-02-23": "2026-02-24T06:00+09:00",
    "2026-02-24": "2026-02-25T06:00+09:00",
}


def another_loan(platform: Platform, *, held_from: str = "2026-01-15", held_until: str = "null") -> None:
    """A loan of C's, of 1 000, with 500 of principal due."""
    platform.source(WORKED_DAY)
    platform.source(ANOTHER_LOAN.format(held_from=held_from, held_until=held_until))


def came(platform: Platform, repayment_id: str, at: str, *, reverses: str | None = None) -> None:
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id)"
        " values (:id, 'L2', :at, 100, :reverses)",
        id=repayment_id,
        at=at,
        reverses=reverses,
    )


def settle(platform: Platform, on: str) -> None:
    platform.settle(on, at=MORNING_AFTER[on], run_id=f"run-{on}", stop_after="distribute", transfer=False)


def stands(platform: Platform, repayment_id: str) -> list[tuple[str, str | None]]:
    return platform.rows(
        "select state, settled_on::text from ledger.repayments where repayment_id = :id", id=repayment_id
    )


def paid(platform: Platform) -> list[tuple[str, int]]:
    return platform.rows(
        "select repayment_id, sum(net_amount)::bigint from reporting.shares where note_id = 'N4' group by 1 order by 1"
    )


def broken(platform: Platform) -> list[dict[str, str]]:
    with platform.services() as services:
        return close.verify(services)


def test_what_is_kept_back_is_tried_again_as_it_was_taken_or_not_at_all(platform: Platform) -> None:
    another_loan(platform, held_from="2026-03-01")
    came(platform, "R2", "2026-02-16 10:00+09")
    settle(platform, "2026-02-16")
    assert stands(platform, "R2") == [("quarantined", None)]
    platform.source("update core.note_holdings set held_from = '2026-01-15' where note_id = 'N4'")
    platform.source("update core.repayments set amount = 150 where repayment_id = 'R2'")
    settle(platform, "2026-02-19")
    assert (stands(platform, "R2"), paid(platform)) == ([("quarantined", None)], [])
    assert platform.rows("select amount from reporting.balances where account = 'repayments_unallocated'") == [(-100,)]
    assert platform.rows("select subject_id, amount from reporting.breaks where cause = 'source_changed'") == [
        ("R2", 100)
    ]
    platform.source("update core.repayments set amount = 100 where repayment_id = 'R2'")
    settle(platform, "2026-02-20")
    assert (stands(platform, "R2"), paid(platform)) == ([("settled", "2026-02-20")], [("R2", 100)])
    assert broken(platform) == []


def test_what_was_cancelled_ahead_of_its_window_is_not_settled_in_another(platform: Platform) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-23 10:00+09")
    came(platform, "R2-undone", "2026-02-16 10:00+09", reverses="R2")
    settle(platform, "2026-02-16")
    platform.source("update core.repayments set received_at = '2026-02-19 10:00+09' where repayment_id = 'R2'")
    settle(platform, "2026-02-19")
    settle(platform, "2026-02-23")
    assert (stands(platform, "R2"), paid(platform)) == ([("cancelled", None)], [])
    assert platform.rows("select subject_id from reporting.breaks where cause = 'source_changed'") == [("R2",)]
    assert broken(platform) == []


def test_a_settled_date_that_becomes_a_holiday_is_not_settled_again(platform: Platform, tmp_path: Path) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-19 10:00+09")
    settle(platform, "2026-02-16")
    settle(platform, "2026-02-19")
    policy = (DAYS / "2026-02-16" / "policy.toml").read_text(encoding="utf-8")
    closed = 'overrides = [{ date = 2026-02-19, business = false, reason = "announced late" }, '
    (tmp_path / "policy.toml").write_text(policy.replace("overrides = [", closed), encoding="utf-8")
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(tmp_path / "policy.toml"))
    settle(platform, "2026-02-20")
    settle(platform, "2026-02-23")
    assert (stands(platform, "R2"), paid(platform)) == ([("settled", "2026-02-19")], [("R2", 100)])
    assert broken(platform) == []


def test_a_holding_until_infinity_lasts_and_money_that_comes_then_is_in_no_window(platform: Platform) -> None:
    another_loan(platform, held_until="'infinity'")
    came(platform, "R2", "2026-02-16 10:00+09")
    came(platform, "R3", "infinity")
    settle(platform, "2026-02-16")
    settle(platform, "2026-02-19")
    assert paid(platform) == [("R2", 100)]
    assert stands(platform, "R3") == []


def test_what_falls_due_at_infinity_is_not_paid_today(platform: Platform) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-16 10:00+09")
    platform.source("update core.receivables set due_on = 'infinity' where loan_id = 'L2'")
    with pytest.raises(Refused, match=r"row \[receivable_id=L2-1-P\]: must be a date from 0001-01-01 to 9999-12-31"):
        settle(platform, "2026-02-16")


def test_a_currency_that_is_mended_takes_what_was_kept_back_anew(platform: Platform) -> None:
    another_loan(platform)
    platform.source("update core.loans set currency = 'krw' where loan_id = 'L2'")
    came(platform, "R2", "2026-02-16 10:00+09")
    settle(platform, "2026-02-16")
    assert stands(platform, "R2") == [("quarantined", None)]
    platform.source("update core.loans set currency = 'KRW' where loan_id = 'L2'")
    settle(platform, "2026-02-19")
    assert (stands(platform, "R2"), paid(platform)) == ([("settled", "2026-02-19")], [("R2", 100)])
    assert platform.rows(
        "select settlement_date::text, event, account, currency, amount from reporting.journal"
        " where repayment_id = 'R2' order by entry_id, account"
    ) == [
        ("2026-02-16", "repayment_extracted", "receipts_in_transit", "krw", 100),
        ("2026-02-16", "repayment_extracted", "repayments_unallocated", "krw", -100),
        ("2026-02-19", "repayment_reversed", "receipts_in_transit", "krw", -100),
        ("2026-02-19", "repayment_reversed", "repayments_unallocated", "krw", 100),
        ("2026-02-19", "repayment_extracted", "receipts_in_transit", "KRW", 100),
        ("2026-02-19", "repayment_extracted", "repayments_unallocated", "KRW", -100),
        ("2026-02-19", "repayment_distributed", "investor_payable:C", "KRW", -100),
        ("2026-02-19", "repayment_distributed", "repayments_unallocated", "KRW", 100),
    ]
    assert broken(platform) == []


def test_a_loan_whose_currency_is_another_than_its_money_was_settled_in_waits_until_the_source_says_so_again(
    platform: Platform,
) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-16 10:00+09")
    settle(platform, "2026-02-16")
    platform.source("update core.loans set currency = 'USD' where loan_id = 'L2'")
    came(platform, "R3", "2026-02-19 10:00+09", reverses="R2")
    came(platform, "R4", "2026-02-19 11:00+09")
    settle(platform, "2026-02-19")
    assert paid(platform) == [("R2", 100)]
    assert platform.rows(
        "select subject_id, currency, amount from reporting.breaks where cause = 'source_changed' order by 1"
    ) == [("R3", "KRW", 100), ("R4", "KRW", 100)]
    platform.source("update core.loans set currency = 'KRW' where loan_id = 'L2'")
    settle(platform, "2026-02-20")
    assert sorted(paid(platform)) == [("R2", 100), ("R3", -100), ("R4", 100)]
    assert platform.rows("select 1 from reporting.breaks where cause = 'source_changed' and state = 'open'") == []
    assert broken(platform) == []


@pytest.mark.parametrize(
    ("id_", "where"),
    [
        ("L2", "[loans] column [loan_id]"),
        ("N4", "[notes] column [note_id]"),
        ("C", "[holdings] column [investor_id]"),
        ("L2-1-P", "[receivables] column [receivable_id]"),
        ("R2", "[repayments] column [repayment_id]"),
    ],
)
def test_an_id_that_is_too_long_for_the_books_refuses_the_day_by_name_before_anything_is_posted(
    platform: Platform, id_: str, where: str
) -> None:
    said = WORKED_DAY + ANOTHER_LOAN.format(held_from="2026-01-15", held_until="null")
    said += "insert into core.repayments values ('R2', 'L2', '2026-02-16 12:00+09', 100);"
    platform.source(said.replace(f"'{id_}'", f"'{id_ * 1000}'"))
    with pytest.raises(Refused, match=re.escape(f"Frame {where}") + ".* must have at most 140 characters"):
        settle(platform, "2026-02-16")
    assert platform.rows("select count(*) from ledger.entries") == [(0,)]


def test_what_is_gone_at_the_source_is_found_and_told_once_by_a_run_of_a_settled_date_too(platform: Platform) -> None:
    another_loan(platform)
    came(platform, "R2", "2026-02-16 10:00+09")
    settle(platform, "2026-02-16")
    settle(platform, "2026-02-19")
    platform.source("update core.repayments set amount = 90 where repayment_id = 'R2'")
    asked = "select subject_id, amount, state from reporting.breaks where cause = 'source_changed'"
    told = "select count(*) from reporting.alerts where event = 'input.changed'"
    platform.settle(
        "2026-02-19", at=MORNING_AFTER["2026-02-19"], run_id="run-dry", stop_after="freeze_inputs", dry_run=True
    )
    assert (platform.rows(asked), platform.rows(told)) == ([], [(0,)])
    for run_id in ("run-again", "run-once-more"):
        platform.settle("2026-02-19", at=MORNING_AFTER["2026-02-19"], run_id=run_id, transfer=False)
        assert platform.rows(asked) == [("R2", 100, "open")]
        assert platform.rows(told) == [(1,)]
