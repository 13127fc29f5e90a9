"""The bank that can say anything: its rehearsal plays without a violation, and every production of it is told.

That no planted fault survives it shows `tests/slow/test_grammar_faults.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from settlement.adapters.bank import reading
from settlement.adapters.bank.formats.csv_statement import ColumnMap
from settlement.cli import app
from settlement.domain.bank.messages import Message
from settlement.domain.bank.statement import Statement
from settlement.domain.days import Override
from settlement.domain.errors import UnreadableMessage
from settlement_lab.rehearse import audit
from settlement_lab.rehearse.drive import BEGIN
from settlement_lab.rehearse.grammar import drive, productions, words
from settlement_lab.rehearse.grammar.audit import Auditor
from settlement_lab.rehearse.grammar.bank import Bank
from settlement_lab.rehearse.grammar.words import Line
from settlement_lab.servers import embedded
from typer.testing import CliRunner


@pytest.mark.slow  # a minute
def test_a_few_days_of_a_bank_that_says_anything_come_to_rest(postgres: embedded.Server, tmp_path: Path) -> None:
    summary = drive.rehearse(3, 2, home=tmp_path / "home", server=postgres)
    assert summary.violations == []
    assert summary.days > 2
    assert summary.counts["audits"] > 50
    assert summary.productions.total() > 20


LINES = (
    Line(number="B1", truth="receipt:R-1", amount=95_000, reference="RCPT-1", text="차입자"),
    Line(number="B2", truth="payout:ST-1", amount=-43_790, end_to_end_id="ST-1"),
)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    for name in ("drop", "pickup"):
        (tmp_path / name).mkdir()
    return Bank(random=Random(1), drop=tmp_path / "drop", pickup=tmp_path / "pickup", today=BEGIN, balance=0)


def read(content: bytes, kind: str) -> Sequence[Statement]:
    columns = ColumnMap(
        currency="KRW",
        booked_on="booked on",
        balance="balance",
        amount="amount",
        account_label="account",
        remittance=("text",),
        end_to_end_id="end-to-end",
        reference="reference",
        bank_reference="number",
    )
    message = Message.of(content, kind=kind if kind == "camt.053" else "file", name="said")
    said = reading.read(message, columns=columns, zone=ZoneInfo("Asia/Seoul"))
    return [part for part in said if isinstance(part, Statement)] if isinstance(said, tuple) else []


def read_if_it_can_be(path: Path) -> Sequence[Statement]:
    with suppress(UnreadableMessage):
        return read(path.read_bytes(), "camt.053" if path.name.startswith("camt.053") else "file")
    return []


def test_an_honest_bank_pays_everything_and_says_so(bank: Bank) -> None:
    bank.is_honest = True
    bank.receive(reference="RCPT-000001", amount=95000, on=BEGIN, payer="payer")
    bank.live_through(bank.day(1))
    bank.deliver()
    assert not bank.has_more_to_say
    assert [(line.amount, line.truth) for line in bank.lines.values()] == [(95000, "receipt:RCPT-000001")]
    (told,) = bank.pickup.iterdir()
    assert "95000" in told.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", words.FORMATS)
def test_a_statement_is_the_same_in_every_dress(bank: Bank, kind: str) -> None:
    said = bank.statement(500, LINES)
    _, write = words.FORMATS[kind]
    plain = read(write(said), kind)
    for name, dress in words.DRESSES[kind].items():
        assert read(dress(write(said)), kind) == plain, name
    assert [(line.amount, line.end_to_end_id, line.bank_reference) for line in plain[0].lines] == [
        (95_000, None, "B1"),
        (-43_790, "ST-1", "B2"),
    ]


@pytest.mark.parametrize("kind", words.FORMATS)
def test_an_absurd_number_refuses_its_statement(bank: Bank, kind: str) -> None:
    _, write = words.FORMATS[kind]
    with pytest.raises(UnreadableMessage):
        read(words.ABSURD[kind](write(bank.statement(500, LINES))), kind)


@pytest.mark.parametrize("number", range(len(productions.STATEMENTS)))
def test_a_day_is_told_whole_however_it_is_told(bank: Bank, number: int) -> None:
    _, tell = productions.STATEMENTS[number]
    tell(bank, 500, LINES)
    for _ in range(4):
        bank.today = bank.day(1)
        bank.deliver()
    found = [part for path in bank.pickup.iterdir() for part in read_if_it_can_be(path)]
    ours = [part for part in found if part.account == bank.account and part.business_date == BEGIN]
    assert not bank.has_more_to_say
    assert {line.bank_reference for part in ours for line in part.lines} == {"B1", "B2"}
    assert max(part.closing for part in ours if part.is_last) == 51_710


PAYMENT = (
    "<CdtTrfTxInf><PmtId><EndToEndId>ST-1</EndToEndId></PmtId>"
    '<Amt><InstdAmt Ccy="KRW">43790</InstdAmt></Amt></CdtTrfTxInf>'
)


def test_a_bank_that_checks_for_duplicates_may_be_sent_a_file_again(bank: Bank) -> None:
    bank.checks_duplicates = True
    for _ in range(2):
        (bank.drop / "ST-20260105-1-KRW-1.xml").write_text(PAYMENT, encoding="utf-8")
        bank.collect()
    assert list(bank.payments) == ["ST-1"]
    assert bank.drawn["said_to_be_there"] + bank.drawn["still_silent"] == 1


def test_a_file_that_goes_out_again_to_a_bank_that_does_not_check_ends_the_rehearsal(bank: Bank) -> None:
    for is_again in (False, True):
        (bank.drop / "ST-20260105-1-KRW-1.xml").write_text(PAYMENT, encoding="utf-8")
        with pytest.raises(ValueError, match="ST-20260105-1-KRW-1") if is_again else nullcontext():
            bank.collect()


def test_a_charge_and_what_it_was_taken_for_are_one_entry_of_a_camt(bank: Bank) -> None:
    charge = Line(number="B3", truth="account:bank_charges", amount=-300, own=words.CHARGE, charged_to="B2")
    content = words.camt053(bank.statement(500, [*LINES, charge]))
    assert content.count(b"<Ntry>") == 2
    (said,) = read(content, "camt.053")
    assert [(line.amount, line.bank_reference, line.is_charge) for line in said.lines] == [
        (95_000, "B1", False),
        (-43_790, "B2", False),
        (-300, "B3", True),
    ]


DIFFERS = ["investors have [20] by the certificate of [2026-01-05] and [0] by what runs posted beside it"]


@pytest.mark.parametrize(
    ("settled", "numbers", "posted", "said"),
    [
        pytest.param((6,), (100, 200), (), [], id="a settled date between has none so far"),
        pytest.param((), (100, 200), (), DIFFERS, id="nothing says why"),
        pytest.param(
            (), (100, 200), ((150, 5, -5),), [], id="the first was settled again before the second was issued"
        ),
        pytest.param((), (300, 200), ((250, 5, 5),), [], id="the first was settled again after the second was issued"),
        pytest.param((), (100, 200), ((150, 7, -5),), DIFFERS, id="what the second posts is its own"),
        pytest.param((), (100, 200), ((50, 5, -5),), DIFFERS, id="what both know of explains nothing"),
    ],
)
def test_certificates_follow_one_another_where_no_settled_date_between_is_without_one(
    bank: Bank,
    monkeypatch: pytest.MonkeyPatch,
    settled: Sequence[int],
    numbers: tuple[int, int],
    posted: Sequence[tuple[int, int, int]],
    said: Sequence[str],
) -> None:
    holiday = Override(date=date(2026, 1, 6), business=False, reason="announced")
    bank.calendar = replace(bank.calendar, overrides=(holiday,))
    certified = {5: {"opening": 10, "closing": 20}, 7: {"opening": 15, "closing": 30}}
    books = {
        "ledger.certificates": [
            {"settlement_date": date(2026, 1, on), "investors": row, "entries": entries}
            for (on, row), entries in zip(certified.items(), numbers, strict=True)
        ],
        "ledger.days": [{"settlement_date": date(2026, 1, on)} for on in (5, *settled, 7)],
        "ledger.entries": [
            {"entry_id": entry, "settlement_date": date(2026, 1, on), "amount": amount} for entry, on, amount in posted
        ],
    }
    monkeypatch.setattr(audit, "rows", lambda _, query: next(rows for table, rows in books.items() if table in query))
    found = Auditor(books=None, bank=bank)._certificates_follow()  # type: ignore[arg-type]  # what it would read is above
    assert [violation.split(", [2026-01-07]")[0] for violation in found] == said


# ------------------------------------------------------------------------------------------------------------- slowly


@pytest.mark.slow
def test_the_same_seed_plays_the_same_rehearsal(
    postgres: embedded.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(drive.CHANCES, "runs in two processes", 0.0)  # of which nobody says who is first
    first, second = (drive.rehearse(3, 1, home=tmp_path / name, server=postgres) for name in ("one", "two"))
    assert first == second


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_prints_what_was_drawn_and_no_log_among_it() -> None:
    said = CliRunner().invoke(app, ["rehearse", "--bank", "grammar", "--seed", "209", "--days", "1", "--json"])
    (summary,) = json.loads(said.stdout)
    assert "bank_statement_noted" in said.stderr
    assert (said.exit_code, summary["violations"]) == (0, [])
    assert sum(summary["productions"].values()) > 5
