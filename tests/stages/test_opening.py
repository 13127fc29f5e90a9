"""A lender is taken over: what its opening positions do at the bank, in the books, and in people's hands.

The worked day is the first that we settle. The former system owes A 1000 won, holds 300 of fees and 50 of which nobody
knows what they are; of its receipts 700 and 200 are on no statement so far, of its payouts 400. So its bank closed at
300 + 1000 + 50 + 400 - 900 = 850.
"""

from __future__ import annotations

import os
import sys
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from settlement import cli
from settlement.adapters import archive
from settlement.domain.errors import Refused, RequestRefused
from settlement.ports.days import RunRequest
from settlement.stages import breaks, close, compute, extract, open_day

from .payout_stories import DAY, MORNING, ON
from .spoken_bank import RECEIPT, Entry, Spoken, spoken
from .taking_over import first_date_is
from .test_close import tamper

__all__ = ["spoken"]

SECOND, SECOND_MORNING = "2026-02-19", "2026-02-20T06:00+09:00"
THEIRS = (Entry(700, ref="OLD-REF"), Entry(200, ref="OLD-REF"), Entry(-400, e2e="OLD-E2E"))
OPENING = """
insert into core.opening_positions values
  ('investor_payable', 'A', 'KRW', 1000), ('fee_income', '', 'KRW', 300), ('suspense', '', 'KRW', 50),
  ('receipt_in_transit', 'OLD-REF', 'KRW', 700), ('receipt_in_transit', 'OLD-REF#2', 'KRW', 200),
  ('payout_in_transit', 'OLD-E2E', 'KRW', 400);
"""
# A loan of which half was repaid before, with money held on it, a receipt that waits, and one that was settled.
HISTORY = """
insert into core.loans values ('L2', 'KRW', '2026-01-15');
insert into core.notes values ('N4', 'L2', 1000);
insert into core.note_holdings values ('N4', 'C', '2026-01-15', null);
insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values
  ('L2-1-P', 'L2', 1, 'principal', '2026-01-31', 600), ('L2-2-P', 'L2', 2, 'principal', '2026-02-16', 400);
insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id) values
  ('R0', 'L2', '2026-01-31 11:00+09', 500, null),
  ('RU', 'L2', '2026-02-12 11:00+09', 250, null),
  ('U0', 'L2', '2026-02-16 12:00+09', 500, 'R0');
insert into core.opening_positions values
  ('note_principal_repaid', 'N4', 'KRW', 500), ('receivable_paid', 'L2-1-P', 'KRW', 500),
  ('borrower_credit', 'L2', 'KRW', 20), ('repayment_unallocated', 'RU', 'KRW', 250);
"""


def taken_over(spoken: Spoken, *entries: Entry, opening: int = 850, more: str = "") -> None:
    """Settle the first date of a lender that was taken over, with these lines beside that of its receipt."""
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8") + OPENING + more)
    first_date_is(spoken, ON)
    spoken.closing = opening
    spoken.statement(ON, RECEIPT, *entries)
    spoken.settle(ON, at=MORNING)
    spoken.accept()
    spoken.hear("2026-02-17T07:00+09:00")


def matched(spoken: Spoken) -> list[tuple[Any, ...]]:
    return spoken.rows(
        "select subject_kind, subject_id, amount, rule from ledger.matches where starts_with(subject_id, 'opening-')"
        " order by 2"
    )


def test_what_the_former_system_had_under_way_is_matched_by_its_reference(spoken: Spoken) -> None:
    taken_over(spoken, *THEIRS)
    assert matched(spoken) == [
        ("payout", "opening-payout:KRW:OLD-E2E", -400, "end_to_end_id"),
        ("receipt", "opening-receipt:KRW:OLD-REF", 700, "bank_reference"),
        ("receipt", "opening-receipt:KRW:OLD-REF#2", 200, "bank_reference"),
    ]
    assert spoken.breaks() == [("unknown_at_bank", "opening", 50)]
    assert spoken.payouts()[0] == ("A", 44790, 1, "accepted")
    assert {name: spoken.balances().get(name) for name in ("opening_balance", "suspense", "receipts_in_transit")} == {
        "opening_balance": None,
        "suspense": -50,
        "receipts_in_transit": None,
    }
    assert spoken.verify() == []
    # Its payout comes back on the next day: whose money it is nobody here knows.
    spoken.statement(SECOND, Entry(400, e2e="OLD-E2E", reason="AC04"))
    spoken.hear(SECOND_MORNING)
    assert ("unknown_at_bank", "line", 400) in spoken.breaks()
    assert spoken.verify() == []


@pytest.mark.slow  # ten seconds
def test_what_the_opening_does_not_explain_of_the_first_statement_is_a_break_until_somebody_does(
    spoken: Spoken,
) -> None:
    taken_over(spoken, *THEIRS, opening=860)
    assert spoken.breaks() == [("opening_difference", "account", 10), ("unknown_at_bank", "opening", 50)]
    now = spoken.at("2026-02-17T08:00+09:00")
    with spoken.services() as services:
        number = spoken.break_of("opening_difference", "account")
        breaks.answer(services, number, reason="interest of the last day", by="maker", now=now)
        number = spoken.break_of("unknown_at_bank", "opening")
        breaks.write_off(services, number, reason="nobody asked for it", by="maker", now=now)
    spoken.hear("2026-02-17T09:00+09:00")
    assert spoken.breaks() == []
    assert spoken.balances()["opening_balance"] == -10
    assert spoken.balances()["difference"] == -50
    assert spoken.verify() == []


def test_what_the_former_system_has_sent_is_not_paid_out_again(spoken: Spoken) -> None:
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8") + OPENING)
    spoken.source("update core.opening_positions set amount = 7000 where kind = 'payout_in_transit'")
    first_date_is(spoken, ON)
    spoken.closing = 850
    spoken.statement(ON, RECEIPT)
    # 850 were there and 95 000 came; 7 000 of it leave by the former system's hand.
    with pytest.raises(Refused, match=r"\[89050 KRW\] against proven money of \[88850\]"):
        spoken.settle(ON, at=MORNING)


@pytest.mark.slow  # ten seconds
def test_what_never_comes_is_missing_and_is_written_off_until_it_comes_after_all(spoken: Spoken) -> None:
    taken_over(spoken)
    spoken.statement(SECOND)
    spoken.hear(SECOND_MORNING)
    missing = [("missing_at_bank", "opening", amount) for amount in (-400, 200, 700)]
    assert [found for found in spoken.breaks() if found[:2] == ("missing_at_bank", "opening")] == missing
    ((number,),) = spoken.rows("select break_id from ledger.breaks where amount = -400")
    with spoken.services() as services:
        breaks.write_off(services, number, reason="it was rejected", by="maker", now=spoken.at(SECOND_MORNING))
    spoken.hear("2026-02-20T07:00+09:00")
    assert ("missing_at_bank", "opening", -400) not in spoken.breaks()
    assert spoken.balances()["difference"] == -400
    assert spoken.verify() == []
    spoken.statement("2026-02-20", Entry(-400, e2e="OLD-E2E"))
    spoken.hear("2026-02-21T06:00+09:00")
    assert "difference" not in spoken.balances()
    assert spoken.verify() == []


def test_a_loan_goes_on_where_it_stood_and_what_was_settled_before_is_not_undone_by_us(spoken: Spoken) -> None:
    taken_over(spoken, *THEIRS, opening=850 + 270, more=HISTORY)
    # 20 that were held and 250 that waited pay what was left open: 100 of the first instalment, 170 of the second.
    assert spoken.rows(
        "select repayment_id, receivable_id, amount from ledger.allocations where loan_id = 'L2' order by position"
    ) == [("opening:L2", "L2-1-P", 20), ("RU", "L2-1-P", 80), ("RU", "L2-2-P", 170)]
    assert ("before_opening", "repayment", 500) in spoken.breaks()
    assert spoken.rows("select repayment_id, rule from reporting.quarantine") == [("U0", "before_opening")]
    assert spoken.rows("select repaid from ledger.positions where loan_id = 'L2' order by settlement_date") == [
        ([500],),
        ([770],),
    ]
    # The receipt that waited bounces: it goes out of what is in transit, where its line will take it.
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference,"
        " reverses_repayment_id) values ('UU', 'L2', '2026-02-19 11:00+09', 250, 'REF-UU', 'RU')"
    )
    spoken.statement(SECOND, Entry(-250, ref="REF-UU"))
    spoken.settle(SECOND, at=SECOND_MORNING, run_id="run-2")
    assert "receipts_in_transit" not in spoken.balances()
    assert "repayments_unallocated" not in spoken.balances()
    assert spoken.balances()["investor_payable:C"] == 250  # C was paid what came back
    assert spoken.verify() == []


def test_an_opening_that_contradicts_itself_is_refused_whole_and_names_every_row(spoken: Spoken) -> None:
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8") + OPENING)
    spoken.source(
        "insert into core.opening_positions values ('note_principal_repaid', 'N1', 'KRW', 500001),"
        " ('investor_payable', 'Z', 'KRW', 1), ('receivable_paid', 'L1-1-P', 'EUR', 1)"
    )
    first_date_is(spoken, ON)
    with pytest.raises(Refused) as refused:
        spoken.settle(ON, at=MORNING, stop_after="freeze_inputs")
    assert str(refused.value).splitlines()[1:] == [
        "investor_payable [Z] 1 KRW: the source does not have its subject",
        "note_principal_repaid [N1] 500001 KRW: it is [500000] in all",
        "receivable_paid [L1-1-P] 1 EUR: the policy does not name its currency",
        "receivable_paid [L1-1-P] 1 EUR: its loan [L1] is in [KRW]",
    ]
    for table in ("opening", "opening_positions", "entries", "certificates"):
        assert spoken.rows(f"select count(*) from ledger.{table}") == [(0,)], table


def test_an_opening_needs_a_first_date_and_no_date_before_it_is_settled(spoken: Spoken) -> None:
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8") + OPENING)
    with pytest.raises(Refused, match="the policy names no first_settlement_date"):
        spoken.settle(ON, at=MORNING, stop_after="freeze_inputs")
    assert spoken.rows("select count(*) from ledger.opening") == [(0,)]
    policy = os.environ["SETTLEMENT_POLICY"]
    first_date_is(spoken, ON)
    with pytest.raises(RequestRefused, match=r"the policy's first settlement date is \[2026-02-16\]"):
        spoken.settle("2026-02-12", at=MORNING, run_id="run-0")
    spoken.settle(ON, at=MORNING, stop_after="freeze_inputs")
    spoken.monkeypatch.setenv("SETTLEMENT_POLICY", policy)  # and names one no more
    with pytest.raises(
        Refused, match=r"\[2026-02-12\] cannot be settled: the lender was taken over for \[2026-02-16\]"
    ):
        spoken.settle("2026-02-12", at=MORNING, run_id="run-0")


def dry(spoken: Spoken) -> tuple[dict[str, Any], dict[str, Any]]:
    now = spoken.at(MORNING)
    with spoken.services() as services:
        request = RunRequest(settlement_date=date.fromisoformat(ON), run_id="run-dry", dry_run=True)
        day = open_day.open_day(services, request, now=now)
        return extract.freeze_inputs(services, day, now=now), compute.distribute(services, day, now=now)


def test_a_dry_run_says_what_the_opening_would_do_and_writes_nothing(spoken: Spoken) -> None:
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8") + OPENING + HISTORY)
    first_date_is(spoken, ON)
    frozen, computed = dry(spoken)
    assert (frozen["repayments"], frozen["loans"]) == (3, 2)
    assert frozen["opening"]["opened_on"] == "2026-02-13"
    assert frozen["opening"]["positions"]["KRW investor_payable"] == {"count": 1, "amount": 1000}
    assert frozen["opening"]["positions"]["KRW receipt_in_transit"] == {"count": 2, "amount": 900}
    assert computed["totals"]["KRW"]["credit_amount"] == 5000 - 20
    assert computed["owed"] == {"KRW": {"investors": 3, "amount": 88_050 + 1_000 + 270}}
    for table in ("opening", "opening_positions", "days", "entries", "certificates", "repayments", "positions"):
        assert spoken.rows(f"select count(*) from ledger.{table}") == [(0,)], table


def said(spoken: Spoken, *arguments: str) -> int:
    """Type a command; return its exit status."""
    spoken.monkeypatch.setattr(sys, "argv", ["settlement", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.slow  # ten seconds
def test_the_opening_is_certificate_zero_and_leaves_with_the_first_day(
    spoken: Spoken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_over(spoken, *THEIRS, more=HISTORY, opening=850 + 270)
    with spoken.services() as services, services.ledger.books(read_only=True) as books:
        zero = close.certificate(books, date(2026, 2, 13))
    assert (zero["number"], zero["previous_sha256"], zero["revision"]) == (0, None, 0)
    assert zero["opening"]["positions"]["KRW note_principal_repaid"] == {"count": 1, "amount": 500}
    assert spoken.rows("select sha256 from ledger.opening") == [(zero["input_sha256"],)]
    assert zero["sealed"]["opening_positions"]["rows"] == 10
    assert zero["sealed"]["repayments"]["rows"] == 1
    payouts = (("A", 44790), ("B", 26736), ("C", 17524 + 270))
    spoken.statement(SECOND, *(Entry(-amount, e2e=spoken.e2e(investor)) for investor, amount in payouts))
    spoken.hear(SECOND_MORNING)
    assert spoken.day(ON) == "closed"
    path = tmp_path / "days.zip"
    assert said(spoken, "export", ON, ON, "--to", str(path)) == 0
    assert archive.broken(path) == []
    with zipfile.ZipFile(path) as whole:
        assert {"rows-0.jsonl", "rows-1.jsonl"} <= {*whole.namelist()}
    assert said(spoken, "verify", "--from", str(path)) == 0
    assert said(spoken, "certify", "2026-02-13", "--lang", "en") == 0
    assert "KRW note_principal_repaid" in capsys.readouterr().out
    tamper(spoken, "update ledger.opening_positions set amount = 501 where kind = 'note_principal_repaid'")
    assert [found["row"] for found in spoken.verify()] == [
        "opening_positions note_principal_repaid/N4/KRW",
        "positions L2/2026-02-13 note N4",
        "opening 2026-02-16",
    ]
