"""What the books keep of payouts, and what the database itself refuses, whoever writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from settlement.adapters.bank.formats import pain001
from settlement.domain import frames
from settlement.domain.bank.messages import PaymentFile
from settlement.domain.errors import Refused
from settlement.stages import reconcile
from settlement_lab.rehearse import audit
from settlement_lab.servers import bank as demo_bank

from .conftest import Platform, stage_day, transaction_of
from .payout_stories import (
    AT_BANK,
    DAY,
    MORNING,
    NEXT_MORNING,
    OWED,
    booked_at_bank,
    file_of,
    over_folders,
    owed,
    settle,
    settle_next,
    states,
    use_policy,
    worked_day,
)


def bank_again(platform: Platform, at: str) -> None:
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at(at))


# ----------------------------------------------------------------------------------------------- the state machine


def test_every_step_is_a_row_with_its_time_its_cause_and_its_evidence(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    bank_again(platform, NEXT_MORNING)
    history = platform.rows(
        "select from_state, to_state, cause, at::timestamptz at time zone 'Asia/Seoul', evidence"
        " from ledger.payout_history join ledger.payouts using (payout_id) where payee_id = 'A' order by step"
    )
    assert [(before, after, cause, at.isoformat(" ", "minutes")) for before, after, cause, at, _ in history] == [
        ("prepared", "approved", "within_the_limit", "2026-02-17 06:00"),
        ("approved", "submitted", "sent", "2026-02-17 06:00"),
        ("submitted", "accepted", "status_report", "2026-02-17 06:00"),
        ("accepted", "booked", "statement", "2026-02-20 06:00"),
    ]
    evidence = [said for *_, said in history]
    assert evidence[1] == {"file_id": file_of(platform)}
    assert evidence[2]["status"] == "ACCP"
    assert evidence[3]["booked_on"] == "2026-02-19"


def test_the_list_of_steps_is_the_one_that_the_auditor_believes_in(platform: Platform) -> None:
    listed: dict[str, set[str]] = {state: set() for state in audit.STEPS}
    for before, after in platform.rows("select from_state, to_state from ledger.payout_steps"):
        listed[before].add(after)
    assert listed == audit.STEPS


def test_no_state_goes_backwards_and_a_payout_changes_by_its_steps_alone(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    now = platform.at(MORNING)
    with platform.services() as services:
        for to_state in ("prepared", "approved", "submitted", "unknown", "accepted", "elsewhere"):
            with (
                pytest.raises(sa.exc.IntegrityError, match=r"payout_steps|payout_history"),
                services.ledger.books(posting=True) as books,
            ):
                books.payouts.step(books.payouts.find()["payout_id"].tolist()[:1], to_state, cause="test", now=now)  # type: ignore[arg-type]  # one of them is no state
        of_payee = ("payee_account = '1'", "payee_bank = '004'", "payee_name = 'X'")
        for change in ("state = 'rejected'", "amount = amount + 1", "end_to_end_id = 'X'", *of_payee):
            with (
                pytest.raises(
                    sa.exc.DBAPIError, match=r"changes only by a step|stays the one that it was prepared for"
                ),
                services.ledger.books() as books,
            ):
                transaction_of(books.payouts).exec_driver_sql(f"update ledger.payouts set {change}")
    assert [row[1:] for row in states(platform)] == [(amount, 1, "accepted") for _, amount in OWED]


def test_a_payout_above_the_balance_is_refused_by_the_database(platform: Platform) -> None:
    worked_day(platform)
    settle(platform, stop_after="take_in")
    day = stage_day("2026-02-16")
    payout = {
        "payout_id": "20260216.1.A.KRW.1.1",
        "end_to_end_id": "ST20260216001A",
        "payee_kind": "investor",
        "payee_id": "A",
        "currency": "KRW",
        "chunk": 1,
        "attempt": 1,
        "amount": 43791,  # one won more than is owed
        "payee_name": "김하나",
        "payee_account": "110-20-300001",
        "payee_bank": "088",
    }
    payouts, holds = frames.build(frames.NEW_PAYOUTS, [payout]), frames.build(frames.HOLDS)
    with (
        platform.services() as services,
        pytest.raises(sa.exc.IntegrityError, match="Payout above the balance"),
        services.ledger.books(day=day, posting=True) as books,
    ):
        books.payouts.prepare(day, payouts, holds, booked_on=day.settlement_date, now=platform.at(MORNING))
    assert states(platform) == []
    assert owed(platform) == OWED


# ------------------------------------------------------------------------------------------- what went out and came


def test_a_file_holds_at_most_as_many_payments_as_the_policy_says(platform: Platform, tmp_path: Path) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, max_per_file="max_per_file = 2")
    assert settle(platform)["submit"] == {"files": 2, "received": 2}
    assert platform.rows("select payment_count, amount from ledger.payout_files order by 1") in (
        [(1, 43790), (2, 44260)],
        [(1, 26736), (2, 61314)],
        [(1, 17524), (2, 70526)],
    )
    assert booked_at_bank(platform) == AT_BANK


def test_what_was_sent_and_received_is_kept_byte_for_byte_under_its_sha256(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    bank_again(platform, NEXT_MORNING)
    kept = platform.rows(
        "select 'sent', content, sha256 from ledger.payout_files"
        " union all select 'answer', answer, sha256 from ledger.transmissions"
        " union all select kind, content, sha256 from ledger.bank_messages"
    )
    assert {kind for kind, _, _ in kept} >= {"sent", "answer", "pain.002", "camt.053", "camt.054"}
    for kind, content, sha256 in kept:
        assert hashlib.sha256(bytes(content)).hexdigest() == sha256, kind
    record = httpx.get(f"{platform.bank.url}/_mock/payments").json()
    sent = b"".join(bytes(content) for kind, content, _ in kept if kind == "sent")
    assert all(payment["end_to_end_id"].encode() in sent for payment in record)


def test_a_day_over_a_pair_of_folders_is_paid_once_whatever_is_tried_again(
    platform: Platform, mock_bank: Callable[..., demo_bank.Bank], tmp_path: Path
) -> None:
    drop, pickup = over_folders(platform, mock_bank, tmp_path)
    worked_day(platform)
    settle(platform)
    settle(platform)  # cleared and run again before the bank has looked
    (dropped,) = drop.glob("*.xml")
    assert platform.rows("select sha256 from ledger.payout_files") == [
        (hashlib.sha256(dropped.read_bytes()).hexdigest(),)
    ]
    assert [row[3] for row in states(platform)] == ["submitted"] * 3  # in the folder, and its time to speak is not over
    httpx.post(f"{platform.bank.url}/_mock/drop/scan").raise_for_status()
    bank_again(platform, "2026-02-17T06:20+09:00")
    assert [row[3] for row in states(platform)] == ["accepted"] * 3
    bank_again(platform, NEXT_MORNING)
    assert [row[3] for row in states(platform)] == ["booked"] * 3
    assert booked_at_bank(platform) == AT_BANK
    assert sorted(path.name for path in pickup.iterdir()) == ["claimed", "processed"]
    assert list((pickup / "claimed").iterdir()) == []


# ------------------------------------------------------------------------------------------- what comes back, and why


def test_what_a_bank_cannot_pay_today_is_offered_again_as_the_next_attempt(platform: Platform) -> None:
    worked_day(platform)
    platform.at(MORNING)  # the statement is written, and after it the money is gone
    platform.bank.change_account("PLATFORM", behaviour="insufficient-funds", balance=0)
    settle(platform)
    assert states(platform) == [(investor, amount, 1, "rejected") for investor, amount in OWED]
    assert platform.rows("select distinct bank_reason from reporting.payouts") == [("AM04",)]
    assert platform.rows("select * from ledger.refused_accounts") == []  # nobody's account is to blame
    platform.bank.change_account("PLATFORM", behaviour="accept", balance=50_095_000)
    settle_next(platform)
    assert states(platform)[3:] == [(investor, amount, 2, "accepted") for investor, amount in OWED]
    assert booked_at_bank(platform) == AT_BANK


def test_what_was_paid_on_money_that_was_taken_back_is_worked_off_by_later_credits(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id) values"
        " ('U1', 'L1', '2026-02-19 11:00+09', 95000, 'R1')"
    )
    settle_next(platform)
    assert owed(platform) == [("A", -43790), ("B", -26736), ("C", -17524)]
    overdrawn = "select subject_id, amount, state from reporting.breaks where cause = 'investor_overdrawn' order by 1"
    assert [(subject, state) for subject, _, state in platform.rows(overdrawn)] == [
        ("A", "open"),
        ("B", "open"),
        ("C", "open"),
    ]
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        " ('R2', 'L1', '2026-02-20 11:00+09', 95000, 'REF-R2')"
    )
    platform.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-3")
    assert owed(platform) == []
    assert {state for _, _, state in platform.rows(overdrawn)} == {"resolved"}
    assert len(states(platform)) == 3  # nothing was paid a second time


# ----------------------------------------------------------------------------------------------------------- the gate


def test_a_policy_that_trusts_the_ledger_also_counts_receipts_that_are_on_their_way(
    platform: Platform, tmp_path: Path
) -> None:
    platform.source((DAY / "core.sql").read_text(encoding="utf-8"))  # the bank knows of no receipt
    platform.bank.change_account("PLATFORM", balance=0)
    use_policy(platform, tmp_path, needs='needs = "statement"')
    with pytest.raises(Refused, match=r"Payouts of \[88050 KRW\] against proven money of \[0\]"):
        settle(platform)
    use_policy(platform, tmp_path, needs='needs = "ledger"')
    assert settle(platform)["prepare"]["amounts"] == {"KRW": 88050}


def test_a_day_far_above_the_same_weekday_stops_until_somebody_answers_for_it(
    platform: Platform, tmp_path: Path
) -> None:
    worked_day(platform)
    platform.source("delete from core.repayments; delete from core.receivables")
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nusual_percent = 300')
    for number, (day, paid) in enumerate(
        [("2026-02-19", 1000), ("2026-02-26", 1000), ("2026-03-05", 1000), ("2026-03-12", 1000), ("2026-03-19", 9000)]
    ):
        platform.source(
            "insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values"
            f" ('W{number}', 'L1', {number + 2}, 'principal', '{day}', {paid});"
            " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
            f" ('W{number}', 'L1', '{day} 11:00+09', {paid}, 'REF-W{number}')"
        )
        platform.at(f"{day}T06:00+09:00")
        platform.bank.receive(reference=f"REF-W{number}", amount=paid, on=date.fromisoformat(day), payer="홍길동")
        morning = f"{date.fromisoformat(day) + timedelta(days=1)}T06:00+09:00"
        if paid == 1000:
            platform.settle(day, at=morning, run_id=f"run-{number}")
    with pytest.raises(
        Refused, match=r"\[9000 KRW\] are more than 300 % of what this weekday usually has \[1000, the median of 4\]"
    ):
        platform.settle(day, at=morning, run_id="run-last")


def test_money_that_left_without_our_order_stops_the_payouts_where_the_policy_says_so(
    platform: Platform, tmp_path: Path
) -> None:
    worked_day(platform)
    use_policy(platform, tmp_path, wait_until='wait_until = "10:00"\nbreaks = ["unknown_at_bank"]')
    settle(platform)
    theft = PaymentFile(
        file_id="NOT-OURS",
        created_at=platform.at(MORNING),
        execution_date=date(2026, 2, 19),
        debtor_name=demo_bank.DEBTOR_NAME,
        debtor_account=demo_bank.DEBTOR_ACCOUNT,
        debtor_agent=demo_bank.DEBTOR_AGENT,
        currency="KRW",
        payments=frames.build(frames.PAYMENTS, [("NOBODY-ORDERED-IT", 777, "X", "1-2-3", "004", "")]),
    )
    httpx.post(f"{platform.bank.url}/payments", content=pain001.write(theft)).raise_for_status()
    bank_again(platform, NEXT_MORNING)
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        " ('R2', 'L1', '2026-02-20 11:00+09', 50000, 'REF-R2');"
        " insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount) values"
        " ('L1-2-P', 'L1', 2, 'principal', '2026-02-20', 50000)"
    )
    with pytest.raises(Refused, match=r"Break \[\d+\] is open: unknown_at_bank of \[line .*\], \[-777 KRW\]"):
        platform.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-2")
    assert len(states(platform)) == 3
