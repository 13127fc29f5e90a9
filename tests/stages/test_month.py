"""A month: its sums are the journal's, in a table, in JSON and as files, and what comes later leaves them as they are.

The worked day pays interest of 10 000 to A (5 000) and C (2 000), who are people, and to B (3 000), a corporation.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from settlement import cli
from settlement.adapters.reports import month as paper
from settlement.cli import app
from settlement.domain import remittances
from settlement.domain.books.accounts import Remittance
from settlement.domain.days import BankCalendar, DayState
from settlement.domain.errors import BrokenInvariant, Refused
from settlement.domain.policy import DueDay
from settlement.ports.month import TABLES
from settlement.stages import close, month, reconcile
from typer.testing import CliRunner

from .conftest import Platform
from .payout_stories import ON, worked_day
from .test_close import tamper
from .test_settled_again import interest_is

NEXT = "2026-02-19"
OF = date(2026, 2, 1)
DUE = """
[remittances]
national_tax = { due_day = 10 }
local_tax = { due_day = 10 }
vat = { months = 3, due_day = 25 }
"""


def two_dates(platform: Platform, tmp_path: Path) -> None:
    """Let the policy know two settlement dates, the worked day and the next, and by when taxes are due."""
    text = Path(os.environ["SETTLEMENT_POLICY"]).read_text(encoding="utf-8")
    bounds = f"first_settlement_date = {ON}\nlast_settlement_date = {NEXT}\n"
    path = tmp_path / "two_dates.toml"
    text = text.replace("[deadlines]", "[deadlines]\nbreak_business_days = 0")
    path.write_text(bounds + text + DUE, encoding="utf-8")
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(path))


def settled(platform: Platform, tmp_path: Path) -> None:
    """The worked day, and the next: the repayment is undone and comes again, and A is a corporation by then."""
    two_dates(platform, tmp_path)
    worked_day(platform)
    platform.settle(ON, at="2026-02-17T06:00+09:00")
    platform.source(
        "update core.investors set tax_class = 'corporation' where investor_id = 'A';"
        "insert into core.repayments values ('R1-BACK', 'L1', '2026-02-19 10:00+09', 95000, null, 'R1');"
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R2', 'L1', '2026-02-19 11:00+09', 90000, 'REF-R2')"
    )
    platform.bank.receive(reference="REF-R2", amount=90_000, on=date(2026, 2, 19), payer="홍길동")


def closed(platform: Platform, at: str) -> None:
    with platform.services() as services:
        reconcile.take_in_everything(services, now=platform.at(at))


def of_february(platform: Platform) -> dict[str, Any]:
    with platform.services() as services, services.ledger.books(read_only=True) as books:
        return month.month(services, books, OF)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that types `settlement month` and returns what it answers."""

    def say(*arguments: str) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["settlement", "month", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    return say


def rows(found: dict[str, Any], table: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns or TABLES[table]) for row in found[table]]


def test_a_month_says_what_was_withheld_by_class_and_rate_and_nets_a_reversal_in_its_own_date(
    platform: Platform, tmp_path: Path
) -> None:
    settled(platform, tmp_path)
    platform.settle(NEXT, at="2026-02-20T06:00+09:00", run_id="run-2", stop_after="distribute")
    february = of_february(platform)

    assert rows(february, "withholding") == [
        (ON, "KRW", "corporation", 250_000, 3_000, 0, 0),
        (ON, "KRW", "individual", 140_000, 7_000, 980, 90),
        (NEXT, "KRW", "corporation", 250_000, 5_000, 1_250, 120),  # A's 5 000, and B's 3 000 back and again
        (NEXT, "KRW", "individual", 140_000, -5_000, -700, -70),  # A's 5 000 back, and C's 2 000 back and again
    ]
    assert rows(february, "filing") == [
        ("KRW", "corporation", 250_000, 2, 8_000, 1_250, 120),
        ("KRW", "individual", 140_000, 1, 2_000, 280, 20),
    ]
    assert rows(february, "fees") == [(ON, "KRW", 800, 80)]
    assert rows(february, "payables") == [
        ("KRW", "national_tax", 0, 1_530, 0, 0, 1_530, "2026-03-10"),
        ("KRW", "local_tax", 0, 140, 0, 0, 140, "2026-03-10"),
        ("KRW", "vat", 0, 80, 0, 0, 80, "2026-04-27"),  # 25 April 2026 is a Saturday
        ("KRW", "fee", 0, 800, 0, 0, 800, None),
    ]


def test_a_months_sums_are_the_journals_and_what_comes_later_leaves_every_byte(
    platform: Platform, tmp_path: Path, said: Callable[..., str]
) -> None:
    two_dates(platform, tmp_path)
    worked_day(platform)
    platform.settle(ON, at="2026-02-17T06:00+09:00")
    platform.settle(NEXT, at="2026-02-20T06:00+09:00", run_id="run-2")
    closed(platform, "2026-02-23T06:00+09:00")
    february = json.loads(said("2026-02", "--json"))

    assert (february["days_open"], rows(february, "days", "settlement_date", "state", "certificate")) == (
        [],
        [(ON, "closed", 1), (NEXT, "closed", 2)],
    )
    assert rows(february, "totals") == [("KRW", 95_000, 88_050, 800, 80, 980, 90, 0, 5_000, 0, 0)]
    assert rows(february, "investors") == [
        ("A", "KRW", 0, 43_790, 43_790, 0, 0),
        ("B", "KRW", 0, 26_736, 26_736, 0, 0),
        ("C", "KRW", 0, 17_524, 17_524, 0, 0),
    ]
    assert rows(february, "custody")[:3] == [
        ("bank", "KRW", 50_000_000, 95_000, 88_050, 50_006_950, *rows(february, "custody")[0][6:]),
        ("investors", "KRW", 0, 88_050, 88_050, 0, None, None),
        ("ledger", "KRW", 50_000_000, 95_000, 88_050, 50_006_950, None, None),
    ]
    assert rows(february, "accounts", "account", "closing_amount") == [
        ("borrower_credit", -5_000),
        ("client_bank", 50_006_950),
        ("fee_income", -800),
        ("investor_payable", 0),
        ("opening_balance", -50_000_000),
        ("payouts_in_transit", 0),
        ("receipts_in_transit", 0),
        ("repayments_unallocated", 0),
        ("tax_payable:local", -90),
        ("tax_payable:national", -980),
        ("vat_payable", -80),
    ]
    posted = platform.rows(
        "select event, case when account like 'tax%' then account else split_part(account, ':', 1) end, sum(amount)"
        " from reporting.journal where settlement_date between '2026-02-01' and '2026-02-28' group by 1, 2"
    )
    assert {(event, account): amount for event, account, amount in posted} == {
        (row["event"], row["account"]): row["debit"] - row["credit"] for row in february["journal"]
    }
    assert february["policy"]["sha256"] == platform.rows("select distinct policy_sha256 from ledger.revisions")[0][0]
    assert rows(february, "old_breaks") == [(1, "overpaid", "loan", "L1", "KRW", 5_000, ON, 1)]

    files = written(said, tmp_path / "first")
    assert sorted(files) == sorted(
        [f"month-2026-02-{name}.csv" for name in TABLES] + ["month-2026-02.html", "month-2026-02.xlsx"]
    )
    platform.source(
        "insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R3', 'L1', '2026-03-03 11:00+09', 700, 'REF-R3')"
    )
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", later_dates(tmp_path))
    platform.settle("2026-03-03", at="2026-03-04T06:00+09:00", run_id="run-3", stop_after="distribute")
    assert platform.rows("select count(*) from ledger.entries where settlement_date > '2026-02-28'") == [(2,)]
    assert platform.rows("select amount from ledger.breaks") == [(5_700,)]
    platform.monkeypatch.setenv("SETTLEMENT_POLICY", str(tmp_path / "two_dates.toml"))
    assert json.loads(said("2026-02", "--json")) == february
    assert written(said, tmp_path / "again") == files

    assert "원천세 신고" in said("2026-02", "--lang", "ko")
    page = files["month-2026-02.html"].decode()
    assert '<html lang="ko">' in page
    assert "<td>원천세(국세)</td>" in page
    assert '<td class="number">43,790</td>' in page
    assert "김하나" not in page
    refused = CliRunner().invoke(app, ["month", "2026-01"]).exception
    assert isinstance(refused, Refused)
    assert "no settlement date in [2026-01]" in str(refused)


def written(said: Callable[..., str], folder: Path) -> dict[str, bytes]:
    said("2026-02", "--lang", "ko", "--to", str(folder))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def later_dates(tmp_path: Path) -> str:
    """Write the policy that goes on after February, and return its path."""
    path = tmp_path / "later.toml"
    text = (tmp_path / "two_dates.toml").read_text(encoding="utf-8")
    path.write_text(text.replace(f"last_settlement_date = {NEXT}\n", ""), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("month_of", "months", "due_day", "expected"),
    [
        (date(2026, 2, 16), 1, 10, date(2026, 3, 10)),
        (date(2026, 12, 1), 1, 10, date(2027, 1, 11)),  # the 10th is a Sunday
        (date(2026, 1, 31), 3, 25, date(2026, 4, 27)),
        (date(2026, 3, 1), 3, 25, date(2026, 4, 27)),
        (date(2026, 4, 1), 3, 25, date(2026, 7, 27)),
        (date(2026, 1, 1), 1, 31, date(2026, 3, 3)),  # February ends on a Saturday, and 2 March is a holiday
    ],
)
def test_a_months_sum_is_due_on_a_day_after_its_period_on_which_the_banks_are_open(
    month_of: date, months: Any, due_day: int, expected: date
) -> None:
    calendar = BankCalendar("KR", ("public", "bank"))
    terms = {Remittance.VAT: DueDay(months=months, due_day=due_day)}
    assert remittances.due_on(terms, Remittance.VAT, month_of, calendar=calendar) == expected
    assert remittances.due_on(terms, Remittance.FEE, month_of, calendar=calendar) is None


def test_both_languages_have_the_same_words_for_every_table() -> None:
    korean, english = paper.catalogue("ko"), paper.catalogue("en")
    assert {name: set(words) for name, words in korean.items()} == {name: set(words) for name, words in english.items()}
    assert set(english["sheets"]) == set(TABLES)
    assert {name for columns in TABLES.values() for name in columns} <= set(english["columns"])
    assert set(english["values"]["kind"]) == set(Remittance)
    assert set(english["values"]["state"]) == {*DayState, "absent"}


def of_months(platform: Platform) -> list[tuple[Any, ...]]:
    return platform.rows("select number, to_char(month, 'YYYY-MM'), revision from ledger.month_certificates order by 1")


def verified(platform: Platform) -> list[str]:
    with platform.services() as services:
        return [found["row"] for found in close.verify(services)]


def test_the_last_close_certifies_the_month_once_its_inputs_are_there_and_a_restated_date_again_with_the_difference(
    platform: Platform, tmp_path: Path, said: Callable[..., str]
) -> None:
    two_dates(platform, tmp_path)
    worked_day(platform)
    platform.settle(ON, at="2026-02-17T06:00+09:00")
    platform.settle(NEXT, at="2026-02-20T06:00+09:00", run_id="run-2")
    assert platform.rows("select state = 'closed' from ledger.days order by settlement_date") == [(True,), (False,)]
    assert of_months(platform) == []
    assert "The month has no certificate" in said("2026-02", "--lang", "en")
    frozen, gone = Path(os.environ["SETTLEMENT_SNAPSHOTS"]), tmp_path / "gone"
    frozen.rename(gone)  # which holds nothing else up
    closed(platform, "2026-02-23T06:00+09:00")
    assert platform.rows("select state from ledger.days") == [("closed",), ("closed",)]
    assert of_months(platform) == []
    gone.rename(frozen)
    closed(platform, "2026-02-24T06:00+09:00")
    closed(platform, "2026-02-24T07:00+09:00")
    assert of_months(platform) == [(1, "2026-02", 1)]
    first = json.loads(platform.rows("select body from ledger.month_certificates")[0][0])
    assert (first["previous_sha256"], first["supersedes"], first["changes"]) == (None, None, [])
    assert [day["certificate"] for day in first["days"]] == [1, 2]
    assert first["filing"] == of_february(platform)["filing"]
    assert first["investors"]["rows"] == 3
    assert platform.rows("select tax_class, rate_ppm, national_tax_amount from reporting.withholding order by 1") == [
        ("corporation", 250_000, 0),
        ("individual", 140_000, 980),
    ]
    months = "select month, kind, amount, remitted_amount, due_on from reporting.months order by kind"
    assert platform.rows(months) == [
        ("2026-02", "fee", 800, 0, None),
        ("2026-02", "local_tax", 90, 0, date(2026, 3, 10)),
        ("2026-02", "national_tax", 980, 0, date(2026, 3, 10)),
        ("2026-02", "vat", 80, 0, date(2026, 4, 27)),
    ]

    interest_is(platform, 12_000)
    again = "2026-02-24T09:00+09:00"
    platform.settle(ON, at=again, run_id="run-3", reason="interest was 12 000", stop_after="distribute", transfer=False)
    assert verified(platform) == []
    assert json.loads(said("2026-02", "--json"))["certificate"]["is_current"] is False
    closed(platform, "2026-02-25T06:00+09:00")
    assert of_months(platform) == [(1, "2026-02", 1), (2, "2026-02", 2)]
    shown = json.loads(said("2026-02", "--json"))["certificate"]
    assert (shown["number"], shown["revision"], shown["is_current"]) == (2, 2, True)
    assert {(row["of"], row["column"], row["before"], row["after"]) for row in shown["changes"]} >= {
        ("KRW individual 140000", "gross_amount", 7_000, 8_400),
        ("KRW individual 140000", "national_tax_amount", 980, 1_170),
        ("KRW vat", "charged_amount", 80, 95),
    }
    assert "정정 차수 1의 인증서 1" in said("2026-02", "--lang", "ko", "--to", str(tmp_path / "files"))
    assert "월 인증서 2" in (tmp_path / "files" / "month-2026-02.html").read_text(encoding="utf-8")
    assert verified(platform) == []

    tamper(platform, "update ledger.shares set national_tax_amount = 0, net_amount = net_amount + national_tax_amount"
                     " where note_id = 'N1' and component = 'interest'")  # fmt: skip
    said_otherwise = r"Of \[national_tax\] the journal has \[1170 KRW\].*days come to \[1170\].*shares to \[330\]"
    with pytest.raises(BrokenInvariant, match=said_otherwise):
        of_february(platform)
