"""What is told of an investor's money of a day: from the payout back to the bank's lines, and what revisions changed.

The worked day owes A 43 790, of it 3 790 for interest of 10 000; of 12 000 it is 4 552.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable

import pytest
from settlement import cli
from settlement.stages import reconcile

from .conftest import Platform
from .payout_stories import ON, settle, worked_day

Asked = Callable[..., str]


@pytest.fixture
def asked(platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    """Return a function that asks the command line why an investor got what they got on the worked day."""

    def asked(investor: str, *options: str) -> str:
        with monkeypatch.context() as changed:
            changed.setattr(sys, "argv", ["settlement", "why", investor, ON, *options])
            capsys.readouterr()  # what the stages have logged
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capsys.readouterr()
        assert not ended.value.code, said.err
        return said.out

    return asked


def interest_is(platform: Platform, amount: int, *, hour: int, run_id: str) -> None:
    """Correct the worked day's interest in the source, and settle the day again."""
    platform.source("update core.receivables set amount = :amount where receivable_id = 'L1-1-I'", amount=amount)
    at = f"2026-02-17T{hour:02}:00+09:00"
    platform.settle(ON, at=at, run_id=run_id, reason=f"interest was {amount}", triggered_by="maker")


def masked(text: str) -> str:
    """Write the ids that are hashes as what they are."""
    return re.sub(r"\bST2026\w+", "E2E", re.sub(r"\bL[0-9a-f]{31}\b", "LINE", text))


ENGLISH = """\
A on 2026-02-16
  payout E2E: 43,790 KRW, booked
  payout E2E: 762 KRW, booked
  payout E2E: 376 KRW, booked
  account, repayment_distributed R1: 43,790 KRW
  account, payout_prepared 20260216.1.A.KRW.1.1: -43,790 KRW
  account, repayment_distributed R1: -43,790 KRW
  account, repayment_distributed R1: 44,552 KRW
  account, payout_prepared 20260216.2.A.KRW.1.1: -762 KRW
  account, repayment_distributed R1: -44,552 KRW
  account, repayment_distributed R1: 44,928 KRW
  account, payout_prepared 20260216.3.A.KRW.1.1: -376 KRW
  repayment R1 of loan L1: 95,000 KRW, came for 2026-02-16
    bank line LINE: 95,000 KRW, booked on 2026-02-16, found by bank_reference
    receivable L1-1-I, interest: 13,000 KRW
      note N1: 6,500, less fee 520, VAT 52, tax 910, local tax 90: 4,928
    receivable L1-1-P, principal: 80,000 KRW
      note N1: 40,000, less fee 0, VAT 0, tax 0, local tax 0: 40,000
  revision 2, asked for by maker, 2026-02-17 09:00: interest was 12000
    repayment R1, receivable L1-1-I, note N1, interest: 3,790 -> 4,552 (+762 KRW)
  revision 3, asked for by maker, 2026-02-17 10:00: interest was 13000
    repayment R1, receivable L1-1-I, note N1, interest: 4,552 -> 4,928 (+376 KRW)
"""


def test_an_investor_is_told_the_way_to_the_bank_line_and_what_each_revision_changed(
    platform: Platform, asked: Asked
) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000, hour=9, run_id="run-2")
    interest_is(platform, 13_000, hour=10, run_id="run-3")
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at("2026-02-23T06:00+09:00"))

    told = masked(asked("A", "--lang", "en"))
    assert told.splitlines()[: len(ENGLISH.splitlines())] == ENGLISH.splitlines()
    korean = masked(asked("A", "--lang", "ko"))
    assert "  정정 차수 3, 요청 maker, 2026-02-17 10:00: interest was 13000\n" in korean
    assert "    상환 R1, 회차 채권 L1-1-I, 채권 N1, interest: 4,552 -> 4,928 (+376 KRW)\n" in korean

    found = json.loads(asked("A", "--json"))
    assert set(found) >= {"investor_id", "settlement_date", "shares", "totals", "payouts", "journal", "holds"}
    assert [(made["revision"], made["reason"], made["requested_by"]) for made in found["revisions"]] == [
        (1, None, None),
        (2, "interest was 12000", "maker"),
        (3, "interest was 13000", "maker"),
    ]
    assert [
        [
            (change["receivable_id"], change["before"], change["after"], change["difference"])
            for change in made["changes"]
        ]
        for made in found["revisions"]
    ] == [[], [("L1-1-I", 3790, 4552, 762)], [("L1-1-I", 4552, 4928, 376)]]
    assert [(line["repayment_id"], line["amount"], line["rule"]) for line in found["bank_lines"]] == [
        ("R1", 95000, "bank_reference")
    ]
