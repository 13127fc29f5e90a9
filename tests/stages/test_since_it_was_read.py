"""What was read in one transaction is looked at again in the one that acts on it: it may have changed in between."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest
from settlement.domain.bank.messages import Message
from settlement.domain.errors import Refused, UnreadableMessage
from settlement.stages import breaks, inquire, match, prove, submit, take_in

from .conftest import Platform
from .payout_stories import (
    DAY,
    NEXT_MORNING,
    file_of,
    ids,
    misbehaving,
    owed,
    settle,
    settle_next,
    states,
    status_report,
    worked_day,
)


def break_of(platform: Platform, subject: str) -> int:
    return int(platform.rows("select break_id from ledger.breaks where subject_id = :s", s=subject)[0][0])


def test_an_overdrawn_investor_who_has_worked_it_off_since_is_not_written_off(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, reverses_repayment_id) values"
        " ('U1', 'L1', '2026-02-19 11:00+09', 95000, 'R1')"
    )
    settle_next(platform)
    assert owed(platform) == [("A", -43790), ("B", -26736), ("C", -17524)]
    with platform.services() as services:
        now = platform.at("2026-02-20T08:00+09:00")
        asked = breaks.write_off(services, break_of(platform, "A"), reason="left us", by="maker", now=now)
        assert asked["state"] == "waits for a second person"
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference) values"
        " ('R2', 'L1', '2026-02-20 11:00+09', 95000, 'REF-R2')"
    )
    platform.settle("2026-02-20", at="2026-02-21T06:00+09:00", run_id="run-3", stop_after="distribute")
    with platform.services() as services:
        now = platform.at("2026-02-21T06:01+09:00")
        with pytest.raises(Refused, match=r"found with \[43790 KRW\], \[0\] stands in \[investor_payable:A\] by now"):
            breaks.approve(services, break_of(platform, "A"), by="checker", now=now)
    assert owed(platform) == []


def test_a_missing_receipt_that_has_come_since_is_not_written_off(platform: Platform) -> None:
    platform.source((DAY / "core.sql").read_text(encoding="utf-8"))  # the bank knows nothing of the receipt
    settle(platform)
    platform.bank.receive(reference="REF-R1", amount=95000, on=date(2026, 2, 19), payer="홍길동")
    with platform.services() as services:
        now = platform.at(NEXT_MORNING)
        asked = breaks.write_off(services, break_of(platform, "R1"), reason="lost", by="maker", now=now)
        assert asked["state"] == "waits for a second person"
        take_in.take_in(services, now=now)
        match.match(services, now=now)
        with pytest.raises(Refused, match=r"found with \[95000 KRW\], \[0\] stands in \[receipts_in_transit\] by now"):
            breaks.approve(services, break_of(platform, "R1"), by="checker", now=now)
        prove.prove_books(services, as_of=date(2026, 2, 19), now=now)
    assert platform.rows("select amount from reporting.balances where account = 'receipts_in_transit'") == []
    assert platform.rows("select state from ledger.breaks where subject_id = 'R1'") == [("resolved",)]


def test_a_message_that_another_process_applied_since_is_neither_applied_again_nor_refused(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_day(platform)
    settle(platform)
    report = status_report("S-9", file_of(platform), {ids(platform)["A"]: ("RJCT", "AM04")})
    message = Message.of(report.encode(), kind="pain.002", name="S-9")
    with platform.services() as services:
        now = platform.at("2026-02-17T08:00+09:00")
        with services.ledger.books() as books:
            books.bank_lines.keep_message(message, direction="in", now=now)
        real = take_in._order

        def overtaken(said: Any) -> Any:
            monkeypatch.setattr(take_in, "_order", real)
            assert take_in.apply_new(services, now=now) == {"applied": 1}
            return real(said)

        monkeypatch.setattr(take_in, "_order", overtaken)
        assert take_in.apply_new(services, now=now) == {}
        take_in.refuse(services, message, UnreadableMessage("another version cannot read it"), now=now)
    assert platform.rows("select state, refusal from ledger.bank_messages where name = 'S-9'") == [("applied", None)]
    assert platform.rows(
        "select count(*) from ledger.payout_history where to_state = 'rejected' and cause = 'status_report'"
    ) == [(1,)]


def test_of_two_inquiries_at_once_one_asks_the_bank(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    worked_day(platform)
    with misbehaving(platform, "drop_before"):
        settle(platform)
    assert [state for *_, state in states(platform)] == ["unknown"] * 3
    real, both_have_read = submit.send, threading.Barrier(2)

    def together(*arguments: Any, **named: Any) -> Any:
        both_have_read.wait(30)
        return real(*arguments, **named)

    monkeypatch.setattr(submit, "send", together)
    now, said = platform.at("2026-02-17T06:20+09:00"), list[dict[str, Any]]()
    with platform.services() as services:
        asking = [threading.Thread(target=lambda: said.append(inquire.inquire(services, now=now))) for _ in range(2)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(60)
    assert sorted(said, key=len) == [{}, {"received": 1}]
    assert platform.rows("select number, outcome from ledger.transmissions order by 1") == [
        (1, "unknown"),
        (2, "received"),
    ]
