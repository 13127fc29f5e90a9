"""One reference for all instalments, a batch less its fee, and no reference at all, through the real books."""

from __future__ import annotations

from pathlib import Path

import pytest
from settlement.domain.errors import Refused
from settlement.stages import breaks

from .payout_stories import DAY, MORNING, ON, use_policy
from .spoken_bank import Entry, Spoken, spoken
from .test_evidence import debits

__all__ = ["spoken"]

VA = "VA-110-77"


def settled(spoken: Spoken, *entries: Entry, source: str = "") -> None:
    """Settle the worked day, of which the source also says this, with these lines on its statement."""
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    if source:
        spoken.source(source)
    spoken.closing = 1_000_000
    spoken.statement(ON, *entries)
    spoken.settle(ON, at=MORNING)
    if spoken.payouts():
        spoken.accept()
    spoken.hear("2026-02-17T07:00+09:00")


def paid(spoken: Spoken) -> None:
    spoken.statement("2026-02-19", *debits(spoken, "A", "B", "C"))
    spoken.hear("2026-02-20T05:00+09:00")


def receipt(repayment_id: str, received_at: str, reference: str = VA, amount: int = 95000) -> str:
    return (
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        f" ('{repayment_id}', 'L1', '{received_at}', {amount}, '{reference}');"
    )


def lines(spoken: Spoken) -> list[tuple[str | None, str | None]]:
    """What the lines with money of borrowers are, and by which rule."""
    return spoken.rows(
        "select matched_to, rule from reporting.statement_lines where amount > 0 order by booking_date, amount"
    )


def test_one_reference_for_all_instalments_and_years_of_history_before_the_first_date(spoken: Spoken) -> None:
    settled(
        spoken,
        Entry(95000, ref=VA),
        source="update core.repayments set bank_reference = 'VA-110-77';"
        + receipt("R0", "2026-01-30 11:00+09")
        + receipt("R00", "2026-02-12 11:00+09"),
    )
    paid(spoken)
    assert lines(spoken) == [("receipt:R1", "bank_reference")]
    assert (spoken.breaks(), spoken.day(ON), spoken.verify()) == ([], "closed", [])


def test_a_receipt_of_years_ago_is_not_the_line_whose_own_is_recorded_late(spoken: Spoken) -> None:
    settled(
        spoken,
        Entry(95000, ref=VA),
        source="update core.repayments set repayment_id = 'OLD', received_at = '2024-02-16 11:00+09',"
        " bank_reference = 'VA-110-77'",
    )
    assert (lines(spoken), spoken.breaks()) == ([(None, None)], [("unknown_at_bank", "line", 95000)])
    number = spoken.break_of("unknown_at_bank", "line")
    now = spoken.at("2026-02-17T08:00+09:00")
    with spoken.services() as services, pytest.raises(Refused, match=r"\[receipt:OLD\] came on \[2024-02-16\], before"):
        breaks.match_by_hand(services, number, subject="receipt:OLD", reason="it is the money", by="maker", now=now)
    spoken.source(receipt("R1", "2026-02-16 11:00+09"))
    spoken.statement("2026-02-19")
    spoken.settle("2026-02-19", at="2026-02-20T06:00+09:00", run_id="run-2")
    assert lines(spoken) == [("receipt:R1", "bank_reference")]
    assert (spoken.breaks(), spoken.verify()) == ([], [])


def test_a_batch_that_is_booked_less_the_collectors_fee_leaves_the_fee_in_difference(
    spoken: Spoken, tmp_path: Path
) -> None:
    use_policy(spoken, tmp_path, tolerance="tolerance = { KRW = 99 }")
    settled(
        spoken,
        Entry(124901, text="L1 collected"),
        source=receipt("R2", "2026-02-16 12:00+09", "REF-R2", 30000),
    )
    paid(spoken)
    assert lines(spoken) == [("receipt:R1,receipt:R2", "tolerance")]
    balances = spoken.balances()
    assert (balances["difference"], balances.get("receipts_in_transit"), balances.get("suspense")) == (99, None, None)
    assert (spoken.breaks(), spoken.day(ON), spoken.verify()) == ([], "closed", [])


def test_what_is_matched_by_amount_and_date_alone_is_counted_where_the_day_is_told(spoken: Spoken) -> None:
    settled(spoken, Entry(95000))
    paid(spoken)
    assert lines(spoken) == [("receipt:R1", "amount_and_date")]
    assert spoken.rows(
        "select max((told.matches ->> 'by_amount_count')::int) from ledger.alert_outbox,"
        " jsonb_path_query(payload::jsonb, '$.**.matches[*]') told (matches)"
    ) == [(1,)]
