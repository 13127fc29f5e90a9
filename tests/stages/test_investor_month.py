"""An investor's month: owed before, earned, paid out, owed after; the same in a table, in JSON and on paper."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from settlement import cli
from settlement.adapters.reports import investor_month as paper
from settlement.cli import app
from settlement.domain.alerts.routing import Language
from settlement.domain.errors import Refused
from settlement.ports.explain import SHARE_AMOUNTS
from typer.testing import CliRunner

from .conftest import Platform
from .payout_stories import ON, settle, worked_day
from .test_settled_again import AGAIN, interest_is


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that says `settlement statement` and returns what it answers."""

    def say(*arguments: str) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["settlement", "statement", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    return say


def test_a_month_is_what_was_owed_earned_and_paid_and_what_is_owed_after_it(
    platform: Platform, tmp_path: Path, said: Callable[..., str]
) -> None:
    worked_day(platform)
    settle(platform)
    interest_is(platform, 12_000)  # A's share of 2 000 more: 762 net, which nothing has paid yet
    platform.settle(ON, at=AGAIN, run_id="run-2", reason="interest was 12 000", transfer=False, stop_after="distribute")

    february = json.loads(said("A", "2026-02", "--json"))
    assert february["balances"] == [
        {"currency": "KRW", "opening": 0, "earned": 44_552, "paid_out": 43_790, "corrected": 0, "closing": 762}
    ]
    earned = [
        (row["loan_id"], row["component"], row["gross_amount"], row["net_amount"]) for row in february["earnings"]
    ]
    assert earned == [("L1", "interest", 6_000, 4_552), ("L1", "principal", 40_000, 40_000)]
    (total,) = february["totals"]
    assert total["gross_amount"] - total["net_amount"] == sum(
        total[name] for name in ("fee_amount", "vat_amount", "national_tax_amount", "local_tax_amount")
    )
    assert [(row["settlement_date"], row["amount"]) for row in february["payouts"]] == [(ON, 43_790)]
    assert (february["days_open"], february["corrections"]) == ([ON], [])

    march = json.loads(said("A", "2026-03", "--json"))
    assert march["balances"] == [
        {"currency": "KRW", "opening": 762, "earned": 0, "paid_out": 0, "corrected": 0, "closing": 762}
    ]
    for unknown in (("NOBODY", "2026-02"), ("A", "2026-01")):
        refused = CliRunner().invoke(app, ["statement", *unknown]).exception
        assert isinstance(refused, Refused)
        assert f"The books know nothing of investor [{unknown[0]}] until [" in str(refused)
    for wrong in ("2026-2", "2026-13", "2026-02-16", "February"):
        assert CliRunner().invoke(app, ["statement", "A", wrong]).exit_code == 2

    file = tmp_path / "A.html"
    shown = said("A", "2026-02", "--lang", "ko", "--html", str(file))
    assert "투자자 A, 2026-02" in shown
    assert file.stat().st_mode & 0o777 == 0o600
    page = file.read_text(encoding="utf-8")
    assert '<html lang="ko">' in page
    assert "투자자 A: 2026-02 거래내역서" in page
    assert "아직 마감되지 않아 바뀔 수 있는 정산일: 2026-02-16" in page
    assert '<td class="number">44,552</td>' in page


@pytest.mark.parametrize("language", ["ko", "en"])
def test_whatever_an_id_holds_is_text_on_paper_and_decimals_are_the_currencys(language: Language) -> None:
    hostile = "<script>alert(1)</script>&amp;"
    row = {"settlement_date": "2026-02-16", "currency": "EUR", "loan_id": hostile, "component": "interest"}
    amounts = dict.fromkeys(SHARE_AMOUNTS, 123_456)
    page = paper.page(
        {
            "investor_id": hostile, "month": "2026-02", "first": "2026-02-01", "last": "2026-02-28", "days_open": [],
            "balances": [{"currency": "EUR", "opening": -5, "earned": 0, "paid_out": 0, "corrected": 0, "closing": -5}],
            "totals": [{"currency": "EUR", **amounts}], "earnings": [row | amounts], "payouts": [],
            "corrections": [row | {"event": "written_off", "amount": 5}],
        },
        language=language,
    ).decode()  # fmt: skip
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;") == 3
    assert '<td class="number">-0.05</td>' in page
    assert '<td class="number">1,234.56</td>' in page
    assert "http" not in page
