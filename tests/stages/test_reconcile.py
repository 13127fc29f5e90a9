"""What statements do to the books, told with statements as no good bank sends them: late, twice, wrong, foreign."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from settlement import cli, wiring
from settlement.domain.bank.messages import Message
from settlement.domain.bank.statement import Statement, StatementLine, content_key
from settlement.domain.errors import Refused
from settlement.ports.services import Services
from settlement.stages import breaks, prove, take_in

ACCOUNT = "KR23MOCK0000000099"
NOON = datetime.fromisoformat("2026-02-20T12:00+09:00")
NUMBERS = count(1)
CORPUS = Path(__file__).parent.parent / "corpus"
POLICY = Path(__file__).parent.parent / "days" / "2026-02-16" / "policy.toml"


@dataclass
class Account:
    """The books of one bank account, and what its bank says, statement by statement, without a bank."""

    core_url: str
    ledger_url: str

    def hear(self, *said: Statement, at: datetime = NOON) -> dict[str, Any]:
        """Take statements in as one message each, match, and prove; return what the proof said."""
        with wiring.services() as services:
            spoken = {f"message-{next(NUMBERS)}": statement for statement in said}
            with services.ledger.books() as books:
                for name in spoken:
                    books.bank_lines.keep_message(
                        Message.of(name.encode(), kind="camt.053", name=name), direction="in", now=at
                    )
            reading = _replace(services, read_message=lambda message: (spoken[message.name],))
            take_in.apply_new(reading, now=at)
            return prove.prove_books(reading, as_of=at.date(), now=at)

    def prove(self, *, at: datetime = NOON) -> dict[str, Any]:
        with wiring.services() as services:
            return prove.prove_books(services, as_of=at.date(), now=at)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with _connected(self.ledger_url) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def source(self, sql: str) -> None:
        with _connected(self.core_url) as connection:
            connection.exec_driver_sql(sql)

    def balance(self, name: str) -> int:
        return sum(row[0] for row in self.rows(f"select amount from ledger.balances where account = '{name}'"))

    def breaks(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select cause, subject_id, amount from ledger.breaks where state = 'open' order by cause, subject_id"
        )


def _replace(services: Services, **changes: Any) -> Services:
    from dataclasses import replace

    return replace(services, **changes)


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def account(lending_core: Any, settlement_db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    extra = {"debtor_account": ACCOUNT, "debtor_name": "N", "debtor_agent": "MOCKKRSE", "currency": "KRW"}
    for name, value in {
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": lending_core.url}},
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": settlement_db_url}},
        "SETTLEMENT_BANK": {"conn_type": "http", "host": "127.0.0.1", "port": 9, "extra": extra},
    }.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "snapshots"))
    monkeypatch.setenv("SETTLEMENT_POLICY", str(POLICY))
    return Account(core_url=lending_core.owner_url, ledger_url=settlement_db_url)


def line(amount: int, *, on: date = date(2026, 2, 19), name: str = "", **said: Any) -> StatementLine:
    return StatementLine(
        line_id=f"L{name}{amount}{on:%d}", booking_date=on, value_date=on, amount=amount, currency="KRW", **said
    )


def statement(
    day: int, opening: int, *lines: StatementLine, name: str | None = None, sequence: int | None = None
) -> Statement:
    on = date(2026, 2, day)
    closing = opening + sum(found.amount for found in lines)
    return Statement(
        statement_id=name or f"S-{day}",
        sequence=sequence,
        account=ACCOUNT,
        currency="KRW",
        business_date=on,
        from_date=on,
        to_date=on,
        opening=opening,
        closing=closing,
        lines=lines,
        content_key=content_key(
            account=ACCOUNT,
            currency="KRW",
            business_date=on,
            opening=opening,
            closing=closing,
            said=[found.line_id for found in lines],
        ),
    )


def test_an_older_statement_that_comes_late_moves_the_opening_to_its_own(account: Account) -> None:
    account.hear(statement(19, 1000, line(50)))
    assert (account.balance("client_bank"), account.balance("opening_balance")) == (1050, -1000)
    account.hear(statement(13, 700, line(300, on=date(2026, 2, 13))))
    assert (account.balance("client_bank"), account.balance("opening_balance")) == (1050, -700)
    assert account.balance("suspense") == -350


def test_a_missing_statement_is_a_break_of_the_amount_until_it_comes(account: Account) -> None:
    account.hear(statement(13, 1000, line(5, on=date(2026, 2, 13))), statement(20, 1300))
    assert ("statement_chain", "S-20", 295) in account.breaks()
    assert account.balance("client_bank") == 1005
    account.hear(statement(19, 1005, line(295)), at=NOON.replace(day=23))
    assert not [found for found in account.breaks() if found[0] == "statement_chain"]
    assert account.balance("client_bank") == 1300
    assert account.rows("select resolution from ledger.breaks where cause = 'statement_chain'") == [
        ("a later statement came, and each opens where the one before it closed",)
    ]


def test_statements_of_one_day_follow_by_their_balances(account: Account) -> None:
    account.hear(
        statement(19, 150, line(20, name="b"), name="second"), statement(19, 100, line(50, name="a"), name="first")
    )
    assert account.balance("client_bank") == 170
    assert not [found for found in account.breaks() if found[0] == "statement_chain"]


def test_the_same_statement_under_another_name_is_one_statement(account: Account) -> None:
    account.hear(statement(19, 1000, line(50)))
    account.hear(statement(19, 1000, line(50), name="the same"))
    assert account.rows("select count(*) from ledger.statements") == [(1,)]
    assert account.balance("client_bank") == 1050


def test_a_statement_that_contradicts_an_earlier_one_is_refused_until_the_next_proves_who_was_right(
    account: Account,
) -> None:
    account.hear(statement(19, 1000, line(50)))
    account.hear(statement(19, 1000, line(60)))
    assert account.balance("client_bank") == 1050
    assert [found[0] for found in account.breaks() if found[0] == "statement_chain"] == ["statement_chain"]
    account.hear(statement(20, 1050), at=NOON.replace(day=23))
    assert not [found for found in account.breaks() if found[0] == "statement_chain"]


def test_an_answer_that_cannot_be_read_is_a_break_until_the_statement_of_its_day_is_in(account: Account) -> None:
    account.hear(statement(19, 1000))
    with wiring.services() as services:
        with services.ledger.books() as books:
            books.bank_lines.keep_message(Message.of(b"<Document>half a", kind="pain.002"), direction="in", now=NOON)
        assert take_in.apply_new(services, now=NOON) == {"refused": 1}
        prove.prove_books(services, as_of=NOON.date(), now=NOON)
    assert account.rows("select cause, side, evidence ->> 'kind' from ledger.breaks where state = 'open'") == [
        ("message_refused", "bank", "pain.002")
    ]
    account.hear(statement(20, 1000), at=NOON.replace(day=23))
    assert account.breaks() == []
    assert account.rows("select resolution from ledger.breaks") == [("the statement of its day is in",)]


def test_charges_and_interest_are_booked_to_their_own_accounts(account: Account) -> None:
    account.hear(statement(19, 1000, line(-30, is_charge=True), line(7, bank_code="ACMT+MDOP+INTR")))
    assert account.balance("bank_charges") == 30
    assert account.balance("bank_interest") == -7
    assert account.balance("suspense") == 0
    assert account.rows("select event from ledger.entries where line_id is not null order by 1") == [
        ("bank_charge",),
        ("bank_interest",),
    ]


def test_fees_that_are_handed_on_to_the_account_that_the_policy_names_are_remitted(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.toml"
    remitted = '[matching]\nremitted_to = { fee_income = ["110-20-300400"], "tax_payable:national" = ["001-1"] }'
    policy.write_text(POLICY.read_text(encoding="utf-8").replace("[matching]", remitted, 1), encoding="utf-8")
    monkeypatch.setenv("SETTLEMENT_POLICY", str(policy))
    account.hear(
        statement(
            19,
            1000,
            line(-300, counterparty_account="11020300400", remittance="fees of January"),
            line(300, counterparty_account="11020300400", name="back"),
            line(-40, counterparty_account="001-1"),
        )
    )
    assert account.rows("select event, account, amount from reporting.journal where event = 'remitted' order by 3") == [
        ("remitted", "client_bank", -300),
        ("remitted", "client_bank", -40),
        ("remitted", "tax_payable:national", 40),
        ("remitted", "fee_income", 300),
    ]
    assert account.breaks() == [  # nothing was kept back here
        ("remittance_differs", "fee:KRW", -300),
        ("remittance_differs", "national_tax:KRW", -40),
        ("unknown_at_bank", "Lback30019", 300),
    ]


def test_a_receipt_that_no_run_has_taken_yet_is_matched_through_the_source(account: Account) -> None:
    account.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 23:00+09', 500, 'REF-R9')"
    )
    account.hear(statement(19, 0, line(500, remittance="상환 REF-R9")))
    assert account.balance("receipts_in_transit") == -500
    assert account.rows("select matched_to, rule from reporting.statement_lines") == [("receipt:R9", "our_reference")]


def test_what_is_in_suspense_is_matched_by_a_later_run_and_its_break_says_with_what(account: Account) -> None:
    account.hear(statement(19, 0, line(500, reference="REF-R9")))
    assert account.breaks() == [("unknown_at_bank", "L50019", 500)]
    account.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 12:00+09', 500, 'REF-R9')"
    )
    account.prove(at=NOON.replace(day=23))
    assert account.breaks() == []
    assert (account.balance("suspense"), account.balance("receipts_in_transit")) == (0, -500)
    assert account.rows("select state, resolution from ledger.breaks") == [
        (
            "resolved",
            "matched with [receipt R9] by bank_reference: the line carries its bank reference and its amount",
        )
    ]


def test_a_break_does_not_age_over_a_weekend(account: Account) -> None:
    account.hear(statement(19, 0, line(500)))
    ages = []
    for day in (20, 21, 22, 23, 24):
        account.prove(at=NOON.replace(day=day))
        ages += account.rows("select age_business_days from ledger.breaks")
    assert ages == [(0,), (0,), (0,), (1,), (2,)]


def test_a_receipt_paid_in_two_parts_is_one_match_and_a_duplicate_is_a_break(account: Account) -> None:
    account.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 12:00+09', 500, 'REF-R9'),"
        " ('R8', 'L1', '2026-02-19 12:00+09', 70, 'REF-R8')"
    )
    account.hear(
        statement(
            19,
            0,
            line(200, reference="REF-R9"),
            line(300, reference="REF-R9"),
            line(70, reference="REF-R8", name="a"),
            line(70, reference="REF-R8", name="b"),
        )
    )
    assert account.rows(
        "select line_id, matched_to, rule from reporting.statement_lines where matched_to is not null order by line_id"
    ) == [
        ("L20019", "receipt:R9", "split"),
        ("L30019", "receipt:R9", "split"),
        ("La7019", "receipt:R8", "bank_reference"),
    ]
    assert account.breaks() == [("duplicate_line", "Lb7019", 70)]


def test_a_tolerated_difference_is_booked_to_the_account_difference(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.toml"
    text = POLICY.read_text(encoding="utf-8").replace("tolerance = { KRW = 0 }", "tolerance = { KRW = 5 }")
    policy.write_text(text, encoding="utf-8")
    monkeypatch.setenv("SETTLEMENT_POLICY", str(policy))
    account.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 12:00+09', 500, 'REF-R9')"
    )
    account.hear(statement(19, 0, line(495, reference="REF-R9")))
    assert account.balance("client_bank") == 495
    assert account.balance("difference") == 5
    assert account.balance("receipts_in_transit") == -500
    assert account.rows("select count(*) from ledger.entries where event = 'tolerance_booked'") == [(1,)]


def test_a_line_of_another_account_in_the_same_file_changes_nothing(account: Account) -> None:
    from dataclasses import replace

    with wiring.services() as services:
        ours, theirs = statement(19, 0, line(10)), replace(statement(19, 5, line(1)), account="X", statement_id="X-1")
        with services.ledger.books() as books:
            books.bank_lines.keep_message(Message.of(b"both", kind="camt.053"), direction="in", now=NOON)
        take_in.apply_new(_replace(services, read_message=lambda message: (theirs, ours)), now=NOON)
        prove.prove_books(services, as_of=NOON.date(), now=NOON)
    assert account.rows("select statement_id from ledger.statements") == [("S-19",)]


def test_the_database_refuses_a_second_match_of_a_line(account: Account) -> None:
    account.hear(statement(19, 1000, line(-30, is_charge=True)))
    second = (
        "insert into ledger.matches (line_id, subject_kind, subject_id,"
        " amount, rule, explanation, matched_at, match_id)"
        " values ('L-3019', 'payout', 'P', -30, 'x', 'x', now(), 'other')"
    )
    with pytest.raises(sa.exc.IntegrityError, match="matched already"):
        account.rows(second + " returning 1")


def break_of(account: Account, cause: str) -> int:
    return int(
        account.rows(f"select break_id from ledger.breaks where cause = '{cause}' and resolved_on is null")[0][0]
    )


def test_a_line_is_written_off_by_one_person_up_to_the_limit_and_by_two_above_it(account: Account) -> None:
    account.hear(statement(19, 0, line(900), line(5000, name="big")))
    (small,), (big,) = account.rows("select break_id from ledger.breaks order by amount")
    with wiring.services() as services:
        breaks.write_off(services, small, reason="rounding", by="maker", now=NOON)
        asked = breaks.write_off(services, big, reason="nobody claims it", by="maker", now=NOON)
        assert asked["state"] == "waits for a second person"
        assert account.balance("difference") == -900
        with pytest.raises(Refused, match="second person"):
            breaks.approve(services, big, by="maker", now=NOON)
        breaks.approve(services, big, by="checker", now=NOON)
    assert (account.balance("difference"), account.balance("suspense")) == (-5900, 0)
    assert account.rows("select state, resolution from ledger.breaks order by amount") == [
        ("written_off", "written off to difference: rounding (maker)"),
        ("written_off", "written off to difference: nobody claims it (maker and checker)"),
    ]
    assert account.rows("select event, sum(amount) from reporting.journal where amount > 0 group by 1 order by 1") == [
        ("line_suspended", 5900),
        ("written_off", 5900),
    ]
    account.prove()


def test_a_second_person_s_word_on_the_command_line_is_recorded_as_told_or_forbidden_by_the_policy(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.hear(statement(19, 0, line(5000, name="big")))
    number = break_of(account, "unknown_at_bank")
    with wiring.services() as services:
        breaks.write_off(services, number, reason="nobody claims it", by="maker", now=NOON)
    words = ["settlement", "breaks", "approve", str(number), "--by", "checker", "--lang", "en"]
    monkeypatch.setattr(sys, "argv", words)
    used = POLICY.read_text(encoding="utf-8")
    strict = tmp_path / "strict.toml"
    strict.write_text(re.sub(r"(?m)^\[approval\].*$", "[approval]\ncommand_line = false", used), encoding="utf-8")
    monkeypatch.setenv("SETTLEMENT_POLICY", str(strict))
    monkeypatch.setenv("SETTLEMENT_NOW", NOON.isoformat())
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "takes no second person's word from the command line" in capsys.readouterr().err
    monkeypatch.setenv("SETTLEMENT_POLICY", str(POLICY))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Recorded as the word of checker, typed by ") and last.endswith("proves nobody's name.")


def test_a_line_is_booked_to_an_account_or_matched_by_hand_and_history_says_by_whom(account: Account) -> None:
    account.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R9', 'L1', '2026-02-19 12:00+09', 500, 'REF-R9'),"
        " ('R8', 'L1', '2026-02-19 12:00+09', 70, 'REF-R8')"
    )
    account.hear(statement(19, 1000, line(500, remittance="borrower says so"), line(-800, remittance="to our account")))
    (fees,), (receipt,) = account.rows(
        "select break_id from ledger.breaks where cause = 'unknown_at_bank' order by amount"
    )
    with wiring.services() as services:
        breaks.assign(services, receipt, owner="kim", due_on=date(2026, 2, 24), by="lead", now=NOON)
        breaks.comment(services, receipt, text="asked the borrower", by="kim", now=NOON)
        with services.ledger.books(read_only=True) as books:
            (found,) = (row for row in books.breaks.open() if row.break_id == receipt)
        assert (found.state, found.owner, found.due_on, found.comment) == (
            "assigned", "kim", date(2026, 2, 24), "asked the borrower",
        )  # fmt: skip
        with pytest.raises(Refused, match="amounts that differ"):
            breaks.match_by_hand(services, receipt, subject="receipt:R8", reason="phone", by="kim", now=NOON)
        breaks.match_by_hand(services, receipt, subject="receipt:R9", reason="phone", by="kim", now=NOON)
        with pytest.raises(Refused, match="not an account"):
            breaks.book(services, fees, account="client_bank", reason="fees of January", by="kim", now=NOON)
        breaks.book(services, fees, account="fee_income", reason="fees of January", by="kim", now=NOON)
        with services.ledger.books(read_only=True) as books:
            told = [(event.by, event.what) for event in books.breaks.history(receipt)]
    assert told == [
        ("settlement", "opened"),
        ("lead", "assigned to kim"),
        ("kim", "comment: asked the borrower"),
        ("kim", "resolved: matched with [R9] by hand: phone"),
    ]
    assert (account.balance("fee_income"), account.balance("receipts_in_transit"), account.balance("suspense")) == (
        800,
        -500,
        0,
    )
    assert account.rows("select distinct matched_by, rule from ledger.matches") == [("kim", "by_hand")]
    account.prove(at=NOON.replace(day=23))
    assert account.breaks() == [("remittance_differs", "fee:KRW", -800)]  # no fee was kept back here


def test_a_banks_csv_in_the_landing_folder_is_a_statement_for_each_of_its_days(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    extra = {"debtor_account": "110-123-456789", "debtor_name": "N", "currency": "KRW"}
    extra |= {"landing": f"file://{landing}", "statement_columns": "korean_export"}
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": 9, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps(connection))
    for name in ("korean-utf8-bom.csv", "korean-cp949.csv", "korean-total-differs.csv"):
        (landing / name).write_bytes((CORPUS / "csv" / name).read_bytes())
    with wiring.services() as services:
        said = take_in.take_in(_replace(services, bank=None), now=NOON)
        prove.prove_books(services, as_of=NOON.date(), now=NOON)
    assert said["refused"] == 1
    assert account.rows("select business_date::text, opening, closing from ledger.statements order by 1") == [
        ("2026-02-13", 500_000, 1_500_000),
        ("2026-02-16", 1_500_000, 1_429_474),
    ]
    assert account.balance("client_bank") == 1_429_474
    assert sorted(path.name for path in (landing / "processed").iterdir()) == sorted(
        ("korean-utf8-bom.csv", "korean-cp949.csv", "korean-total-differs.csv")
    )
    assert [found[0] for found in account.breaks() if found[0] == "statement_chain"] == ["statement_chain"]


def test_what_the_bank_leaves_and_what_a_person_lands_is_taken_in_together_and_counts_once(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {name: tmp_path / name for name in ("drop", "pickup", "landing")}
    for folder in folders.values():
        folder.mkdir()
    extra = {"debtor_account": "110-123-456789", "debtor_name": "N", "currency": "KRW"}
    extra |= {"statement_columns": "korean_export"} | {name: f"file://{path}" for name, path in folders.items()}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps({"conn_type": "file", "extra": extra}))
    # The same export in two encodings: once from the bank's folder, once from a colleague's.
    (folders["pickup"] / "export.csv").write_bytes((CORPUS / "csv" / "korean-utf8-bom.csv").read_bytes())
    (folders["landing"] / "by hand.csv").write_bytes((CORPUS / "csv" / "korean-cp949.csv").read_bytes())
    with wiring.services() as services:
        said = take_in.take_in(services, now=NOON)
        prove.prove_books(services, as_of=NOON.date(), now=NOON)
    assert (said["new"], said["applied"]) == (2, 2)
    assert account.rows("select business_date::text, opening, closing from ledger.statements order by 1") == [
        ("2026-02-13", 500_000, 1_500_000),
        ("2026-02-16", 1_500_000, 1_429_474),
    ]
    assert account.balance("client_bank") == 1_429_474


@pytest.mark.parametrize(
    "extra",
    [
        {"debtor_account": "110123456789"},
        {"debtor_account": "110 123-456789"},
        {"debtor_account": "KR23MOCK0000000099", "also_named": ["004/999", "110.123.456789"]},
    ],
)
def test_an_account_is_ours_under_every_declared_name_and_whatever_stands_between_its_signs(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    (landing / "dashes.csv").write_bytes((CORPUS / "csv" / "korean-cp949.csv").read_bytes())
    (landing / "none.csv").write_bytes((CORPUS / "csv" / "korean-cp949.csv").read_bytes().replace(b"-123-", b"123"))
    extra |= {
        "debtor_name": "N",
        "currency": "KRW",
        "landing": f"file://{landing}",
        "statement_columns": "korean_export",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps({"conn_type": "http", "host": "h", "extra": extra}))
    with wiring.services() as services:
        said = take_in.take_in(_replace(services, bank=None), now=NOON)
    assert (said["new"], said["applied"]) == (2, 2)
    # Both name one account, so they are one export, kept once.
    assert account.rows("select account, closing from ledger.statements order by business_date") == [
        (extra["debtor_account"], 1_500_000),
        (extra["debtor_account"], 1_429_474),
    ]


def test_a_statement_of_no_account_of_ours_is_said_to_be_foreign(
    account: Account,
) -> None:
    from dataclasses import replace

    with structlog.testing.capture_logs() as logs:
        account.hear(replace(statement(19, 0, line(10)), account="110-999-000111"))
    assert [(log["event"], log["statements"]) for log in logs if log["log_level"] == "warning"] == [
        ("bank_statement_of_another_account", 1)
    ]
    assert "also_named" in logs[0]["remedy"] and "110-999-000111" not in str(logs)
    assert account.rows("select state from ledger.bank_messages") == [("foreign",)]


@pytest.mark.parametrize("also_named", ["110-123", [""], [5], {"a": "b"}])
def test_further_names_of_the_account_that_are_no_list_of_names_are_said_so(
    account: Account, monkeypatch: pytest.MonkeyPatch, also_named: Any
) -> None:
    extra = {"debtor_account": ACCOUNT, "debtor_name": "N", "currency": "KRW", "also_named": also_named}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps({"conn_type": "http", "host": "h", "extra": extra}))
    with pytest.raises(Refused, match="also_named"), wiring.services():
        pass


def test_a_day_that_reads_both_ways_is_told_by_the_statement_before_it_and_refused_without_one(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    extra = {"debtor_account": "110-123-456789", "debtor_name": "N", "currency": "KRW"}
    extra |= {"landing": f"file://{landing}", "statement_columns": "korean_export"}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps({"conn_type": "http", "host": "h", "extra": extra}))
    title = "계좌번호,110-123-456789\n거래일시,적요,출금액,입금액,거래후잔액,거래특이사항,거래번호\n"
    days = "select business_date::text, opening, closing from ledger.statements order by 1"
    with wiring.services() as services:

        def land(name: str, *rows: str) -> dict[str, Any]:
            (landing / name).write_text(title + "".join(f"{row}\n" for row in rows))
            return take_in.take_in(_replace(services, bank=None), now=NOON)

        newest_first = ("2026.02.16,이체,0,50,100,R-2,2", "2026.02.16,출금,50,0,50,P-1,1")
        assert land("both ways.csv", *newest_first)["refused"] == 1
        assert account.rows(days) == []
        assert land("friday.csv", "2026.02.13,이체,0,100,100,R-1,1")["applied"] == 1
        assert land("both ways again.csv", *newest_first, "")["applied"] == 1
        assert land("and once more.csv", *newest_first, "", "")["applied"] == 1
    assert account.rows(days) == [("2026-02-13", 0, 100), ("2026-02-16", 100, 100)]


def test_a_message_with_an_absurd_count_is_refused_and_the_others_are_applied(account: Account) -> None:
    corpus = [CORPUS / "camt" / f"korean-02-{name}.xml" for name in ("absurd-batch-count", "batch-named-by-pmtinfid")]
    with wiring.services() as services:
        with services.ledger.books() as books:
            for path in corpus:
                books.bank_lines.keep_message(Message.of(path.read_bytes(), kind="file"), direction="in", now=NOON)
        assert take_in.apply_new(services, now=NOON) == {"refused": 1, "applied": 1}
    assert account.rows("select refusal from ledger.bank_messages where state = 'refused'") == [
        ("line 9: [99999999999] in [NbOfTxs] is more than is counted",)
    ]


def test_a_closing_as_an_instant_is_of_the_day_that_it_is_in_the_policys_zone(account: Account) -> None:
    content = (CORPUS / "camt" / "korean-02-utc-instants.xml").read_bytes()
    with wiring.services() as services:
        with services.ledger.books() as books:
            books.bank_lines.keep_message(Message.of(content, kind="file"), direction="in", now=NOON)
        take_in.apply_new(services, now=NOON)
    assert account.rows("select business_date::text from ledger.statements") == [("2026-02-16",)]


def test_a_column_map_that_names_no_column_of_ours_is_said_so(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"debtor_account": ACCOUNT, "debtor_name": "N", "currency": "KRW", "statement_columns": {"datum": "x"}}
    monkeypatch.setenv("AIRFLOW_CONN_SETTLEMENT_BANK", json.dumps({"conn_type": "http", "host": "h", "extra": extra}))
    with pytest.raises(Refused, match="statement_columns"), wiring.services():
        pass


def test_a_receipt_that_source_and_statement_know_by_the_banks_number_is_matched(account: Account) -> None:
    account.source(
        "insert into core.loans values ('L1', 'KRW', '2026-01-15');"
        " insert into core.repayments (repayment_id, loan_id, received_at, amount, bank_reference)"
        " values ('R1', 'L1', '2026-02-19 11:00+09', 95000, '20260219000417'),"
        " ('R2', 'L1', '2026-02-19 12:00+09', 95000, '20260219000418')"
    )
    account.hear(
        statement(19, 0, line(95000, name="a", bank_reference="20260219000418", remittance="홍길동")),
    )
    assert account.rows("select subject_kind, subject_id, rule from ledger.matches") == [
        ("receipt", "R2", "bank_reference_as_booking_number")
    ]
    assert (account.balance("client_bank"), account.balance("suspense"), account.breaks()) == (95000, 0, [])
