"""Reconciliation with a bank that leaves an entry off its statement: what is refused, what breaks, how it heals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from settlement.domain.bank.messages import Message
from settlement.domain.bank.statement import Statement, StatementLine, content_key
from settlement.stages import close, prove, reconcile, take_in

from .conftest import Platform
from .payout_stories import ids, settle, worked_day

PAID_ON = date(2026, 2, 19)


def right_statement(platform: Platform) -> Statement:
    """What the bank should have sent for the day on which the payouts left."""
    amounts = dict(platform.rows("select end_to_end_id, amount from ledger.payouts"))
    lines = tuple(
        StatementLine(
            line_id=f"L-{investor}",
            booking_date=PAID_ON,
            value_date=PAID_ON,
            amount=-amounts[end_to_end_id],
            currency="KRW",
            end_to_end_id=end_to_end_id,
        )
        for investor, end_to_end_id in sorted(ids(platform).items())
    )
    said: dict[str, Any] = {
        "account": "KR23MOCK0000000099",
        "currency": "KRW",
        "business_date": PAID_ON,
        "opening": 50_095_000,
        "closing": 50_095_000 + sum(line.amount for line in lines),
    }
    return Statement(
        statement_id="corrected",
        sequence=None,
        from_date=PAID_ON,
        to_date=PAID_ON,
        lines=lines,
        content_key=content_key(**said, said=[line.line_id for line in lines]),
        **said,
    )


def open_breaks(platform: Platform) -> list[tuple[str, str, int]]:
    return platform.rows(
        "select cause, subject_kind, amount from ledger.breaks where resolved_on is null and cause <> 'overpaid'"
        " order by cause, subject_kind, amount"
    )


def test_an_entry_left_off_a_statement_is_told_with_its_amount_and_heals_with_the_right_one(platform: Platform) -> None:
    worked_day(platform)
    settle(platform)
    platform.bank.change_account("PLATFORM", behaviour="statement-gap")
    platform.at("2026-02-20T06:00+09:00")
    platform.bank.change_account("PLATFORM", behaviour="accept")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-24T06:00+09:00"))
    found = open_breaks(platform)
    refused = [amount for cause, kind, amount in found if kind == "message"]
    assert len(refused) == 1 and refused[0] in (-43790, -26736, -17524)
    assert ("statement_chain", "statement", -88050) in found
    assert [amount for cause, _, amount in found if cause == "missing_at_bank"] == [-43790, -26736, -17524]
    assert platform.rows("select state from reporting.settlement_days") == [("settled_with_breaks",)]
    assert platform.rows("select amount from reporting.balances where account = 'client_bank'") == [(50_095_000,)]

    with platform.services() as services:
        now = platform.at("2026-02-25T06:00+09:00")
        with services.ledger.books() as books:
            books.bank_lines.keep_message(Message.of(b"corrected", kind="camt.053"), direction="in", now=now)
        statement = right_statement(platform)
        take_in.apply_new(replace(services, read_message=lambda message: (statement,)), now=now)
        prove.prove_books(services, as_of=date(2026, 2, 24), now=now)
        assert open_breaks(platform) == []
        assert platform.rows("select state from reporting.settlement_days") == [("closed",)]
        assert close.verify(services) == []
    assert platform.rows(
        "select distinct split_part(resolution, ' by ', 2) from ledger.breaks where cause = 'missing_at_bank'"
    ) == [("end_to_end_id: the line carries its end-to-end id and its amount",)]
