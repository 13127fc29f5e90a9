"""Held credit goes back to the borrower: paid, returned and paid again, rejected, refused, undone, overdrawn.

The worked day leaves 5000 won of R1 held on the loan. The bank is one of words. The slow ones take a minute.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from settlement import wiring
from settlement.domain.errors import Refused
from settlement.ports.days import RunRequest
from settlement.stages import breaks, close, compute, extract, open_day, prepare, refunds

from .payout_stories import DAY, MORNING, ON, returned, status_report
from .spoken_bank import RECEIPT, Entry, Spoken, spoken
from .test_evidence import PAID, debits, worked_day

__all__ = ["spoken"]

SECOND, SECOND_MORNING = "2026-02-19", "2026-02-20T06:00+09:00"
THIRD, THIRD_MORNING = "2026-02-20", "2026-02-21T06:00+09:00"


def ask(
    spoken: Spoken,
    refund_id: str,
    amount: int,
    *,
    at: str = "2026-02-19 10:00+09",
    account: str = "110-33",
    **more: Any,
) -> None:
    """Let the source ask for a refund of loan L1 to its borrower."""
    values = {"loan": "L1", "currency": "KRW"} | more
    spoken.source(
        "insert into core.refunds values (:id, :loan, :currency, :amount, '홍길동', :account, '088', :at)",
        id=refund_id,
        amount=amount,
        account=account,
        at=at,
        **values,
    )


def owe(spoken: Spoken, amount: int, *, on: str) -> None:
    """Let an instalment of principal fall due."""
    spoken.source(
        "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
        " values ('L1-2-P', 'L1', 2, 'principal', :on, :amount)",
        on=on,
        amount=amount,
    )


def reverse(spoken: Spoken, *, on: str) -> None:
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id)"
        " values ('U1', 'L1', :at, 95000, 'R1')",
        at=f"{on} 11:00+09",
    )


def second_day(spoken: Spoken) -> dict[str, Any]:
    """Let the worked day be paid, and settle the next one."""
    spoken.statement(SECOND, *debits(spoken, "A", "B", "C"))
    return spoken.settle(SECOND, at=SECOND_MORNING, run_id="run-2")


def third_day(spoken: Spoken, *entries: Entry) -> dict[str, Any]:
    spoken.statement(THIRD, *entries)
    return spoken.settle(THIRD, at=THIRD_MORNING, run_id="run-3")


def of_refunds(spoken: Spoken) -> list[tuple[Any, ...]]:
    """Every posting of a refund and of its payouts, as (event, account, amount)."""
    return spoken.rows(
        "select event, account, amount from reporting.journal where entry_id in (select entry_id from reporting.journal"
        " where account like 'borrower_payable:%') order by entry_id, account"
    )


def of_borrowers(spoken: Spoken) -> list[tuple[Any, ...]]:
    """Every payout to a borrower as reports see it: (investor, kind, payee, amount, attempt, state)."""
    return spoken.rows(
        "select investor_id, payee_kind, payee_id, amount, attempt, state from reporting.payouts"
        " where payee_kind = 'borrower' order by settlement_date, attempt"
    )


def refused(spoken: Spoken) -> list[tuple[Any, ...]]:
    return spoken.rows(
        "select loan_id, repayment_id, currency, amount, rule, evidence, released_on::text from reporting.quarantine"
        " where rule = 'refund_exceeds_credit' order by settlement_date, amount"
    )


def replayed(spoken: Spoken, on: str) -> list[str]:
    with spoken.services() as services:
        found: list[str] = close.replay(services, date.fromisoformat(on))["differs"]
        return found


PREPARED = ("payout_prepared", "borrower_payable:F1", 5000)


def test_a_refund_takes_what_is_held_and_is_paid_like_a_balance_of_an_investor(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    said = second_day(spoken)
    assert (
        said["distribute"]["totals"]["KRW"] | {"credit_amount": -5000, "refunded_amount": 5000}
        == (said["distribute"]["totals"]["KRW"])
    )
    assert (said["prepare"]["payouts"], said["prepare"]["amounts"]) == (1, {"KRW": 5000})
    assert of_refunds(spoken) == [
        ("refund_ordered", "borrower_credit:L1", 5000),
        ("refund_ordered", "borrower_payable:F1", -5000),
        PREPARED,
        ("payout_prepared", "payouts_in_transit", -5000),
    ]
    assert of_borrowers(spoken) == [(None, "borrower", "F1", 5000, 1, "submitted")]
    assert spoken.rows("select payee_name, payee_account, payee_bank from ledger.payouts where payee_id = 'F1'") == [
        ("홍길동", "110-33", "088")
    ]
    assert spoken.rows("select cause, state, resolution from ledger.breaks") == [
        ("overpaid", "resolved", "the held credit was taken")
    ]
    spoken.accept()
    third_day(spoken, Entry(-5000, e2e=spoken.e2e("F1")))
    assert spoken.payouts() == [*PAID, ("F1", 5000, 1, "booked")]
    assert (spoken.day("2026-02-16"), spoken.day(SECOND)) == ("closed", "closed")
    assert "borrower_credit:L1" not in spoken.balances()
    assert "borrower_payable:F1" not in spoken.balances()
    assert spoken.balances()["client_bank"] == spoken.closing
    assert spoken.verify() == []
    assert [replayed(spoken, on) for on in ("2026-02-16", SECOND, THIRD)] == [[], [], []]


def test_a_refund_of_the_same_day_takes_what_the_repayment_leaves_and_the_break_tells_of_the_rest(
    spoken: Spoken,
) -> None:
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    ask(spoken, "F1", 3000, at="2026-02-16 23:59:59+09")
    ask(spoken, "F2", 2000, at="2026-02-17 00:00+09")  # of the next window
    spoken.closing = 1_000_000
    spoken.statement(ON, RECEIPT)
    totals = spoken.settle(ON, at=MORNING)["distribute"]["totals"]["KRW"]
    assert (totals["received_amount"], totals["credit_amount"], totals["refunded_amount"]) == (95000, 2000, 3000)
    assert of_borrowers(spoken) == [(None, "borrower", "F1", 3000, 1, "submitted")]
    assert spoken.rows("select cause, amount from ledger.breaks") == [("overpaid", 2000)]
    assert spoken.verify() == []


@pytest.mark.slow
def test_the_certificate_tells_of_borrowers_and_of_what_went_back(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    second_day(spoken)
    spoken.accept()
    third_day(spoken, Entry(-5000, e2e=spoken.e2e("F1")))
    (body,) = spoken.rows("select body from ledger.certificates where settlement_date = :on", on=date(2026, 2, 19))[0]
    certified = json.loads(body)
    assert certified["movements"]["borrowers KRW"] == {"opening": 0, "came": 5000, "went": 5000, "closing": 0}
    assert certified["totals"]["KRW"]["refunded_amount"] == 5000
    assert spoken.rows("select key from ledger.seals where table_name = 'refunds'") == [("F1",)]


def test_a_refund_that_the_bank_returns_is_paid_again_by_the_next_run(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    second_day(spoken)
    spoken.accept()
    spoken.say(returned(spoken.e2e("F1"), 5000), kind="pacs.004")
    third_day(spoken, Entry(-5000, e2e=spoken.e2e("F1")), Entry(5000, e2e=spoken.e2e("F1"), reason="MS03"))
    assert of_borrowers(spoken) == [
        (None, "borrower", "F1", 5000, 1, "returned"),
        (None, "borrower", "F1", 5000, 2, "submitted"),
    ]
    assert of_refunds(spoken)[2:] == [
        PREPARED,
        ("payout_prepared", "payouts_in_transit", -5000),
        ("payout_returned", "borrower_payable:F1", -5000),
        ("payout_returned", "payouts_in_transit", 5000),
        PREPARED,
        ("payout_prepared", "payouts_in_transit", -5000),
    ]
    assert spoken.verify() == []


def reject(spoken: Spoken, *, reason: str = "AC04") -> None:
    """Say that the bank rejects the payment to the borrower."""
    ((file_id,),) = spoken.rows(
        "select file_id from ledger.payouts where payee_id = 'F1' order by prepared_at desc limit 1"
    )
    report = status_report("P-F1", file_id, {spoken.e2e("F1"): ("RJCT", reason)})
    spoken.say(report, kind="pain.002")
    spoken.hear("2026-02-20T07:00+09:00")


def test_a_refund_to_an_account_that_the_bank_refuses_is_held_until_a_person_returns_it_to_the_credit(
    spoken: Spoken,
) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    second_day(spoken)
    reject(spoken)
    owe(spoken, 2000, on="2026-02-23")
    third_day(spoken)
    assert of_borrowers(spoken) == [(None, "borrower", "F1", 5000, 1, "rejected")]
    assert spoken.rows("select * from reporting.held") == [(None, "borrower", "F1", "KRW", 5000, "account_refused")]
    now = spoken.at("2026-02-21T08:00+09:00")
    with wiring.operators() as services:  # as in the operator's pages, whose role can do it
        (waits,) = refunds.waiting(services)
        assert (waits.refund_id, waits.owed_amount, waits.reason) == ("F1", 5000, "account_refused")
        said = refunds.undo(services, "F1", reason="the account is closed", by="kim", now=now)
        assert said == {"refund_id": "F1", "loan_id": "L1", "currency": "KRW", "undone_amount": 5000}
        assert refunds.waiting(services) == []
        with pytest.raises(Refused, match=r"Nothing of refund \[F1\] is unpaid"):
            refunds.undo(services, "F1", reason="again", by="kim", now=now)
        with pytest.raises(Refused, match=r"No run has taken a refund \[F9\]"):
            refunds.undo(services, "F9", reason="again", by="kim", now=now)
    assert of_refunds(spoken)[-2:] == [
        ("refund_undone", "borrower_credit:L1", -5000),
        ("refund_undone", "borrower_payable:F1", 5000),
    ]
    # The instalment of the 23rd takes the credit first; a new instruction gets the rest, and the old one nothing.
    ask(spoken, "F2", 3000, at="2026-02-23 10:00+09", account="110-34")
    spoken.statement("2026-02-23")
    said = spoken.settle("2026-02-23", at="2026-02-24T06:00+09:00", run_id="run-4")
    totals = said["distribute"]["totals"]["KRW"]
    assert (totals["distributed_amount"], totals["credit_amount"], totals["refunded_amount"]) == (2000, -5000, 3000)
    assert [row[2:] for row in of_borrowers(spoken)] == [("F1", 5000, 1, "rejected"), ("F2", 3000, 1, "submitted")]
    assert spoken.verify() == []
    assert replayed(spoken, "2026-02-23") == []


def test_what_is_undone_makes_inputs_stale_that_were_read_before(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000, account="계좌")
    second_day(spoken)
    owe(spoken, 5000, on=THIRD)
    now = spoken.at(THIRD_MORNING)
    with spoken.services() as services:
        asked = RunRequest(settlement_date=date.fromisoformat(THIRD), run_id="run-3")
        day = open_day.open_day(services, asked, now=now)
        extract.freeze_inputs(services, day, now=now)
        refunds.undo(services, "F1", reason="it is no account", by="kim", now=now)
        totals = compute.distribute(services, day, now=now)["totals"]["KRW"]
    assert (totals["distributed_amount"], totals["credit_amount"]) == (5000, -5000)
    assert spoken.verify() == []


def test_credit_that_is_due_first_is_not_refunded_and_the_refund_is_tried_again(spoken: Spoken) -> None:
    worked_day(spoken)
    owe(spoken, 2000, on=SECOND)
    ask(spoken, "F1", 5000)
    second_day(spoken)
    evidence = {"refund_id": "F1", "loan_id": "L1", "amount": 5000, "currency": "KRW", "held": 3000, "held_in": "KRW"}
    assert refused(spoken) == [("L1", None, "KRW", 5000, "refund_exceeds_credit", evidence, None)]
    assert spoken.rows("select quarantined_amount from reporting.settlement_days order by settlement_date") == [
        (0,),
        (0,),
    ]
    assert spoken.breaks() == [("refund_exceeds_credit", "refund", 5000)]
    assert of_borrowers(spoken) == []
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-20 11:00+09', 2500, 'REF-R2')"
    )
    third_day(spoken, Entry(2500, ref="REF-R2"))
    assert refused(spoken) == [("L1", None, "KRW", 5000, "refund_exceeds_credit", evidence, THIRD)]
    assert spoken.breaks() == []
    # The 3000 that are left of R1 first, as the older ones, then 2000 of R2.
    assert spoken.rows(
        "select repayment_id, amount from reporting.journal where event = 'refund_ordered' and amount > 0"
        " order by entry_id"
    ) == [("R1", 3000), ("R2", 2000)]
    assert spoken.balances()["borrower_credit:L1"] == -500
    assert of_borrowers(spoken) == [(None, "borrower", "F1", 5000, 1, "submitted")]
    assert spoken.verify() == []


@pytest.mark.slow
def test_a_refund_in_another_currency_or_of_a_loan_without_credit_is_refused_once_and_takes_nothing(
    spoken: Spoken,
) -> None:
    spoken.source("insert into core.loans values ('L2', 'KRW', '2026-01-15')")
    worked_day(spoken)
    ask(spoken, "F1", 5, currency="EUR")
    ask(spoken, "F2", 6, loan="L2")
    second_day(spoken)
    third_day(spoken)
    assert [(row[0], row[2], row[3], row[5]["held"], row[5]["held_in"]) for row in refused(spoken)] == [
        ("L1", "EUR", 5, 5000, "KRW"),
        ("L2", "KRW", 6, 0, "KRW"),
    ]
    assert spoken.breaks() == [
        ("refund_exceeds_credit", "refund", 5),
        ("refund_exceeds_credit", "refund", 6),
    ]
    now = spoken.at("2026-02-21T08:00+09:00")
    with spoken.services() as services:
        assert [(one.refund_id, one.owed_amount, one.reason) for one in refunds.waiting(services)] == [
            ("F1", 0, "refund_exceeds_credit"),
            ("F2", 0, "refund_exceeds_credit"),
        ]
        ((number,),) = spoken.rows("select break_id from ledger.breaks where subject_id = 'F2'")
        breaks.answer(services, number, reason="the borrower was told", by="kim", now=now)
    assert spoken.breaks() == [("refund_exceeds_credit", "refund", 5)]
    assert spoken.balances()["borrower_credit:L1"] == -5000
    assert spoken.verify() == []


@pytest.mark.slow
def test_a_refund_on_a_quarantined_loan_waits_without_a_row(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    spoken.source(
        "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
        " values ('L1-9', 'L1', 9, 'penalty', '2026-06-01', 7)"
    )
    second_day(spoken)
    assert (refused(spoken), of_borrowers(spoken), of_refunds(spoken)) == ([], [], [])
    spoken.source("update core.receivables set component = 'late_interest' where receivable_id = 'L1-9'")
    third_day(spoken)
    assert of_borrowers(spoken) == [(None, "borrower", "F1", 5000, 1, "submitted")]
    assert spoken.verify() == []


def paid_and_reversed(spoken: Spoken) -> None:
    """Pay the refund, and then undo the repayment that it came of: all are overdrawn."""
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    second_day(spoken)
    spoken.accept()
    reverse(spoken, on=THIRD)
    third_day(spoken, Entry(-5000, e2e=spoken.e2e("F1")), Entry(-95000, ref="REF-U1"))


OVERDRAWN = [
    ("borrower_overdrawn", "refund", 5000),
    *(("investor_overdrawn", "investor", amount) for amount in (17524, 26736, 43790)),
]


def test_a_reversal_undoes_the_part_of_the_refund_and_a_paid_one_is_overdrawn(spoken: Spoken) -> None:
    paid_and_reversed(spoken)
    assert [row for row in of_refunds(spoken) if row[0] == "repayment_reversed"] == [
        ("repayment_reversed", "borrower_credit:L1", -5000),
        ("repayment_reversed", "borrower_payable:F1", 5000),
    ]
    assert spoken.balances()["borrower_payable:F1"] == 5000
    assert [found for found in spoken.breaks() if found[0].endswith("overdrawn")] == OVERDRAWN
    assert spoken.rows(
        "select received_amount, credit_amount, refunded_amount from reporting.settlement_days"
        " where settlement_date = :on",
        on=date(2026, 2, 20),
    ) == [(-95000, 0, -5000)]
    assert spoken.verify() == []
    assert replayed(spoken, THIRD) == []
    # Once more is held on the loan, the refund stays taken: it is not paid a second time.
    spoken.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-23 11:00+09', 200000, 'REF-R2')"
    )
    spoken.statement("2026-02-23", Entry(200000, ref="REF-R2"))
    spoken.settle("2026-02-23", at="2026-02-24T06:00+09:00", run_id="run-4")
    assert [row[2:] for row in of_borrowers(spoken)] == [("F1", 5000, 1, "booked")]


def test_an_overdrawn_refund_is_written_off_or_made_good_by_a_line(spoken: Spoken) -> None:
    paid_and_reversed(spoken)
    spoken.statement("2026-02-23", Entry(5000, text="the borrower pays the refund back"))
    spoken.hear("2026-02-24T05:00+09:00")
    now = spoken.at("2026-02-24T06:00+09:00")
    ((number,),) = spoken.rows(
        "select break_id from ledger.breaks where cause = 'unknown_at_bank' and amount = 5000 and state = 'open'"
    )
    with spoken.services() as services:
        with pytest.raises(Refused, match=r"\[borrower_payable:F2\] is not an account"):
            breaks.book(services, number, account="borrower_payable:F2", reason="paid back", by="kim", now=now)
        breaks.book(services, number, account="borrower_payable:F1", reason="paid back", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    assert "borrower_payable:F1" not in spoken.balances()
    spoken.hear("2026-02-24T07:00+09:00")
    assert [found for found in spoken.breaks() if found[0] == "borrower_overdrawn"] == []
    assert spoken.verify() == []


@pytest.mark.slow
def test_an_overdrawn_refund_may_be_written_off_by_two_people(spoken: Spoken) -> None:
    paid_and_reversed(spoken)
    number = spoken.break_of("borrower_overdrawn", "refund")
    now = spoken.at("2026-02-21T08:00+09:00")
    with spoken.services() as services:
        breaks.write_off(services, number, reason="the borrower is gone", by="kim", now=now)
        breaks.approve(services, number, by="lee", now=now)
    assert "borrower_payable:F1" not in spoken.balances()
    assert spoken.balances()["difference"] == 5000
    assert spoken.verify() == []


def test_a_reversal_before_the_refund_is_paid_leaves_nothing_to_pay(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000, account="계좌")
    second_day(spoken)
    reverse(spoken, on=THIRD)
    third_day(spoken, Entry(-95000, ref="REF-U1"))
    assert spoken.rows("select * from reporting.held where payee_kind = 'borrower'") == []
    assert "borrower_payable:F1" not in spoken.balances()
    assert spoken.verify() == []


@pytest.mark.slow
def test_a_reversal_after_the_refund_was_undone_takes_the_credit_back_and_both_of_its_entries(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 4000, account="계좌")
    second_day(spoken)
    now = spoken.at("2026-02-20T08:00+09:00")
    with spoken.services() as services:
        refunds.undo(services, "F1", reason="it is no account", by="kim", now=now)
    reverse(spoken, on=THIRD)
    third_day(spoken, Entry(-95000, ref="REF-U1"))
    assert {"borrower_payable:F1", "borrower_credit:L1"}.isdisjoint(spoken.balances())
    assert spoken.rows(
        "select credit_amount, refunded_amount from reporting.settlement_days where settlement_date = :on",
        on=date(2026, 2, 20),
    ) == [(-5000, 0)]
    assert spoken.verify() == []
    assert replayed(spoken, THIRD) == []


def test_a_restatement_that_takes_a_paid_refund_back_needs_a_second_person(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    second_day(spoken)
    # The 5000 that were held pay interest, as it turns out: investors are owed more, the refund has nothing to take.
    spoken.source("update core.receivables set amount = 15000 where receivable_id = 'L1-1-I'")
    with pytest.raises(Refused, match=r"takes back \[5000 KRW\] that was paid out, which needs a second person"):
        spoken.settle(ON, at=SECOND_MORNING, run_id="run-3", reason="interest was 15 000", triggered_by="maker")


@pytest.mark.slow
def test_what_was_returned_of_a_refund_follows_when_the_past_takes_the_credit_that_it_came_from(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    spoken.settle(SECOND, at=SECOND_MORNING, run_id="run-2", transfer=False)
    with spoken.services() as services:
        refunds.undo(services, "F1", reason="it is no account", by="kim", now=spoken.at(SECOND_MORNING))
    same = spoken.balances()
    assert (same["borrower_credit:L1"], "borrower_payable:F1" in same) == (-5000, False)

    owe(spoken, 5000, on=ON)  # R1 pays it on the worked day, so that nothing was ever held for F1
    spoken.settle(ON, at=SECOND_MORNING, run_id="run-3", transfer=False, reason="an instalment was missing")
    assert {"borrower_payable:F1", "borrower_credit:L1"}.isdisjoint(spoken.balances())
    assert [spoken.balances()[f"investor_payable:{who}"] for who in "ABC"] == [-2500, -1500, -1000]
    assert spoken.breaks() == [("refund_exceeds_credit", "refund", 5000)]
    assert spoken.verify() == []

    spoken.source("delete from core.receivables where receivable_id = 'L1-2-P'")
    spoken.settle(ON, at=SECOND_MORNING, run_id="run-4", transfer=False, reason="it was not")
    assert spoken.balances() == same  # what a person returned stays returned
    assert of_refunds(spoken)[-2:] == [
        ("refund_undone", "borrower_credit:L1", -5000),
        ("refund_undone", "borrower_payable:F1", 5000),
    ]
    assert spoken.breaks() == []
    assert spoken.verify() == []
    assert [replayed(spoken, on) for on in (ON, SECOND)] == [[], []]


def test_a_refund_whose_instruction_is_gone_from_the_source_is_held(spoken: Spoken) -> None:
    worked_day(spoken)
    ask(spoken, "F1", 5000)
    spoken.statement(SECOND, *debits(spoken, "A", "B", "C"))
    spoken.settle(SECOND, at=SECOND_MORNING, run_id="run-2", stop_after="distribute")
    spoken.source("delete from core.refunds")
    now = spoken.at(SECOND_MORNING)
    with spoken.services() as services:
        asked = RunRequest(settlement_date=date.fromisoformat(SECOND), run_id="run-2")
        day = open_day.open_day(services, asked, now=now)
        assert prepare.prepare(services, day, now=now)["held_amounts"] == {"KRW": 5000}
    assert spoken.rows("select * from reporting.held") == [(None, "borrower", "F1", "KRW", 5000, "no_account")]


@pytest.mark.slow
def test_a_source_without_refunds_is_settled_as_before(spoken: Spoken) -> None:
    spoken.source("drop table core.refunds")
    worked_day(spoken)
    second_day(spoken)
    assert spoken.payouts() == PAID
    assert spoken.balances()["borrower_credit:L1"] == -5000
    assert spoken.verify() == []
