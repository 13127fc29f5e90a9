"""Two thousand payouts reach the bank and come back accepted in under ten seconds of our own time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from settlement.ports.days import RunRequest
from settlement.stages import approve, compute, extract, gate, inquire, open_day, prepare, submit

from .conftest import Platform

PAYOUTS = 2000


@dataclass
class _Timed:
    """The bank channel, and how long we waited for it."""

    bank: Any
    waited: float = 0.0
    checks_duplicates: bool = True
    answers_later: bool = False

    def describe(self) -> str:
        return str(self.bank.describe())

    def submit(self, file_id: str, content: bytes) -> Any:
        return self._timed("submit", file_id, content)

    def fetch(self) -> list[Any]:
        return list(self._timed("fetch"))

    def acknowledge(self, messages: Any) -> list[Any]:
        return list(self._timed("acknowledge", messages))

    def _timed(self, name: str, *arguments: Any) -> Any:
        began = time.perf_counter()
        answer = getattr(self.bank, name)(*arguments)
        answer = list(answer) if isinstance(answer, Iterator) else answer
        self.waited += time.perf_counter() - began
        return answer


@pytest.mark.slow
def test_two_thousand_payouts_are_accepted_in_ten_seconds(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.investors"
        " select 'I' || i, '투자자' || i, 'individual', 'active', '110-20-' || 300000 + i, '088'"
        f" from generate_series(1, {PAYOUTS}) i;"
        f" insert into core.notes select 'N' || i, 'L1', 10000 from generate_series(1, {PAYOUTS}) i;"
        " insert into core.note_holdings select 'N' || i, 'I' || i, '2026-01-15', null"
        f" from generate_series(1, {PAYOUTS}) i;"
        " insert into core.receivables (receivable_id, loan_id, installment_no, component, due_on, amount)"
        f" values ('P', 'L1', 1, 'principal', '2026-02-16', {PAYOUTS * 1000});"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        f" values ('R1', 'L1', '2026-02-16 11:00+09', {PAYOUTS * 1000}, 'REF-R1')"
    )
    platform.bank.receive(reference="REF-R1", amount=PAYOUTS * 1000, on=date(2026, 2, 16), payer="X")
    now = platform.at("2026-02-17T06:00+09:00")
    with platform.services() as services:
        bank = _Timed(services.bank)
        services = replace(services, bank=bank)
        day = open_day.open_day(services, RunRequest(settlement_date=date(2026, 2, 16), run_id="r"), now=now)
        extract.freeze_inputs(services, day, now=now)
        compute.distribute(services, day, now=now)
        bank.waited = 0.0
        began, cpu = time.perf_counter(), time.process_time()
        for stage in (gate.wait_for_statement, prepare.prepare, approve.ask, submit.submit, inquire.hear_answers):
            stage(services, day, now=now)
        own, cpu = time.perf_counter() - began - bank.waited, time.process_time() - cpu
    with capsys.disabled():
        print(f"\n{PAYOUTS} payouts: {own:.1f} s of our own ({cpu:.1f} s CPU), {bank.waited:.1f} s of the bank's")
    assert platform.rows("select state, count(*), sum(amount) from ledger.payouts group by 1") == [
        ("accepted", PAYOUTS, PAYOUTS * 1000)
    ]
    assert own < 10
