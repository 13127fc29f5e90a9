"""Which statement a message is: told again, named again, in pages, in parts, of a day to come, of an account misnamed.

The worked day owes 88 050 and receives 95 000 on the 16th of February; the custody account holds 1 000 000 before it.
Each bank speaks camt.053, MT940 or a CSV; a story is told in every format that can tell it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog
from settlement.domain.bank import statement as statements
from settlement.domain.bank.messages import Message
from settlement.domain.bank.statement import Movement, Statement
from settlement.domain.errors import Refused, Unavailable, UnreadableMessage
from settlement.stages import take_in

from .payout_stories import DAY, MORNING, ON, use_policy
from .spoken_bank import ACCOUNT, RECEIPT, Entry, Spoken, camt053, spoken

__all__ = ["spoken"]

BEFORE, AFTER = 1_000_000, 1_095_000
STATEMENTS = (
    "select business_date::text, opening, closing from ledger.statements order by business_date, opening, position"
)
MESSAGES = "select state, refusal from ledger.bank_messages where direction = 'in' order by recorded_at, name"


@pytest.fixture
def bank(spoken: Spoken) -> Spoken:
    """The worked day before anything was said of it, at a bank whose CSV exports are understood."""
    configure(spoken, statement_columns="korean_export")
    spoken.source((DAY / "core.sql").read_text(encoding="utf-8"))
    spoken.closing = BEFORE
    return spoken


def configure(bank: Spoken, **extra: Any) -> None:
    """Change what connection settlement_bank says of our account."""
    name = "AIRFLOW_CONN_SETTLEMENT_BANK"
    connection = json.loads(os.environ[name])
    connection["extra"] |= extra
    bank.monkeypatch.setenv(name, json.dumps(connection))


# ---------------------------------------------------------------------------------------------------------- the formats


def camt(
    *entries: Entry,
    opening: int = BEFORE,
    on: str = ON,
    name: str = "S-1",
    page: str = "",
    begins: str = "OPBD",
    ends: str = "CLBD",
    more: str = "",
) -> str:
    """Write a camt.053; `page` is its number and whether it is the last, `more` what stands before the account."""
    closing = opening + sum(entry.amount for entry in entries)
    said = camt053(on, opening, closing, entries, name=name)
    if page:
        number, is_last = page.split()
        more = f"<StmtPgntn><PgNb>{number}</PgNb><LastPgInd>{is_last}</LastPgInd></StmtPgntn>{more}"
    said = said.replace(">OPBD<", f">{begins}<").replace(">CLBD<", f">{ends}<")
    return said.replace(f"<Stmt><Id>{name}</Id>", f"<Stmt><Id>{name}</Id>{more}")


def mt940(
    *entries: Entry,
    opening: int = BEFORE,
    on: str = ON,
    name: str = "STARTUMS",
    number: str = "34",
    begins: str = "60F",
    ends: str = "62F",
    account: str = ACCOUNT,
    bank_reference: str = "",
) -> str:
    day, closing = on[2:].replace("-", ""), opening + sum(entry.amount for entry in entries)
    lines = [f":20:{name}", f":25:{account}", f":28C:{number}", f":{begins}:C{day}KRW{opening},"]
    for entry in entries:
        sign = "C" if entry.amount >= 0 else "D"
        lines.append(f":61:{day}{day[2:]}{sign}{abs(entry.amount)},NTRFNONREF{bank_reference}")
        lines.append(f":86:/EREF/{entry.e2e or entry.ref}")
    return "\n".join([*lines, f":{ends}:C{day}KRW{closing},", "-", ""])


def csv(*entries: Entry, opening: int = BEFORE, on: str = ON, account: str = ACCOUNT, numbered: bool = True) -> str:
    lines = [f"계좌번호,{account}", "거래일시,적요,출금액,입금액,거래후잔액,거래특이사항,거래번호"]
    for number, entry in enumerate(entries, start=1):
        opening += entry.amount
        money = f"{max(-entry.amount, 0)},{max(entry.amount, 0)},{opening}"
        lines.append(f"{on} 10:00:0{number},이체,{money},{entry.e2e or entry.ref},{f'T{number}' if numbered else ''}")
    return "\n".join([*lines, ""])


def told(bank: Spoken, *contents: str, at: str = "2026-02-17T05:00+09:00") -> dict[str, Any]:
    bank.at(at)
    for content in contents:
        bank.say(content, kind="camt.053" if content.startswith("<") else "file")
    return bank.hear(at)


def paid(bank: Spoken) -> list[Entry]:
    """The lines that show the payouts of the worked day leaving."""
    return [Entry(-amount, e2e=bank.e2e(investor)) for investor, amount in (("A", 43790), ("B", 26736), ("C", 17524))]


def gate_of_the_16th(bank: Spoken, run_id: str = "run-1") -> int:
    """Settle the worked day as far as its payouts; return how many are prepared."""
    said = bank.settle(ON, at=MORNING, run_id=run_id, stop_after="prepare")
    return int(said["prepare"]["payouts"])


# ----------------------------------------------------------------------------------------------------------- told again

BANK_NUMBER = ("<NtryDtls>", "<AcctSvcrRef>B-4711</AcctSvcrRef><NtryDtls>")


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (
            camt(RECEIPT),
            camt(RECEIPT, name="S-1-AGAIN", more="<CpyDplctInd>DUPL</CpyDplctInd>").replace(*BANK_NUMBER),
        ),
        (camt(RECEIPT), camt(RECEIPT, name="S-1-AGAIN").replace(*BANK_NUMBER)),
        (camt(RECEIPT).replace(*BANK_NUMBER), camt(RECEIPT)),
        (camt(RECEIPT), camt(Entry(95000, ref="R-1"))),
        (camt(RECEIPT), camt(Entry(95000, ref="X"), name="D", more="<CpyDplctInd>DUPL</CpyDplctInd>")),
        (mt940(RECEIPT), mt940(RECEIPT, name="AGAIN", bank_reference="//B-4711")),
        (csv(RECEIPT, numbered=False), csv(RECEIPT)),
        (csv(RECEIPT), mt940(RECEIPT)),
    ],
    ids=[
        "a camt duplicate",
        "another camt id",
        "with less",
        "of the same id",
        "a duplicate with another reference",
        "mt940",
        "csv",
        "two formats",
    ],
)
def test_a_statement_told_again_with_more_or_less_is_one_statement(bank: Spoken, first: str, again: str) -> None:
    told(bank, first)
    assert gate_of_the_16th(bank) == 3
    told(bank, again, at="2026-02-17T07:00+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER)]
    assert bank.rows(MESSAGES) == [("applied", None), ("applied", None)]
    assert [found for found in bank.breaks() if found[0] == "statement_chain"] == []
    assert bank.balances()["client_bank"] == AFTER
    assert bank.verify() == []


def test_a_day_that_was_issued_twice_closes(bank: Spoken) -> None:
    told(bank, camt(RECEIPT))
    bank.settle(ON, at=MORNING)
    bank.accept()
    told(bank, camt(RECEIPT, name="AGAIN", more="<CpyDplctInd>DUPL</CpyDplctInd>").replace(*BANK_NUMBER))
    paid = [Entry(-amount, e2e=bank.e2e(investor)) for investor, amount in (("A", 43790), ("B", 26736), ("C", 17524))]
    told(bank, camt(*paid, opening=AFTER, on="2026-02-19", name="S-2"), at="2026-02-20T05:00+09:00")
    assert bank.rows("select settlement_date::text, state from ledger.days") == [(ON, "closed")]
    assert bank.breaks() == []
    assert bank.verify() == []


def test_what_goes_and_comes_again_in_one_day_is_told_by_the_banks_numbers(bank: Spoken) -> None:
    came, went = Entry(5), Entry(-5)
    parts = [
        camt(came, name="D-1", ends="ITBD").replace("<NtryDtls>", "<AcctSvcrRef>B-1</AcctSvcrRef><NtryDtls>"),
        camt(came, name="D-3", begins="ITBD").replace("<NtryDtls>", "<AcctSvcrRef>B-3</AcctSvcrRef><NtryDtls>"),
        camt(went, opening=BEFORE + 5, name="D-2", begins="ITBD", ends="ITBD"),
    ]
    told(bank, *parts)
    assert bank.rows("select count(*) from ledger.statements") == [(3,)]
    assert bank.balances()["client_bank"] == BEFORE + 5
    assert ("statement_chain", "statement", 5) not in bank.breaks()


def test_what_moves_nothing_in_all_is_told_by_its_texts_too(bank: Spoken) -> None:
    def both(text: str) -> tuple[Entry, Entry]:
        return Entry(700, text=text), Entry(-700, text=text)

    told(bank, camt(*both("rent"), name="D-1", ends="ITBD"), camt(*both("loan"), name="D-2", begins="ITBD"))
    assert bank.rows("select bank_name, line_count from ledger.statements order by 1") == [("D-1", 2), ("D-2", 2)]


# ---------------------------------------------------------------------------------------- a day told from its beginning


FEE, LATER = Entry(-300, text="fee"), Entry(900, text="deposit")


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        (csv(RECEIPT, FEE), csv(RECEIPT, FEE, LATER)),
        (camt(RECEIPT, FEE, name="D-1", ends="ITBD"), camt(FEE, RECEIPT, LATER, name="D-2")),
        (camt(RECEIPT, FEE), camt(RECEIPT, FEE, LATER)),
        (mt940(RECEIPT, FEE, number="1", ends="62M"), mt940(RECEIPT, FEE, LATER, number="2")),
    ],
    ids=["csv", "camt", "of one camt id", "mt940"],
)
def test_of_a_day_that_is_told_again_from_its_beginning_only_the_rest_is_new(
    bank: Spoken, part: str, whole: str
) -> None:
    told(bank, part, at="2026-02-16T15:00+09:00")
    told(bank, whole)
    told(bank, whole.replace("deposit", "DEPOSIT") + "\n", at="2026-02-17T05:15+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER - 300), (ON, AFTER - 300, AFTER + 600)]
    assert bank.rows("select amount from ledger.statement_lines order by 1") == [(-300,), (900,), (95000,)]
    assert [found for found in bank.breaks() if found[0] == "statement_chain"] == []
    assert gate_of_the_16th(bank) == 3
    assert bank.verify() == []


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        (camt(RECEIPT, name="D-1", ends="ITBD"), camt(RECEIPT, name="D-2")),
        (camt(RECEIPT, name="D-1", ends="ITBD"), camt(RECEIPT, name="D-1")),
        (mt940(RECEIPT, ends="62M"), mt940(RECEIPT)),
    ],
    ids=["camt", "of one camt id", "mt940"],
)
def test_a_whole_day_in_which_nothing_came_after_its_part_says_that_it_is_over(
    bank: Spoken, part: str, whole: str
) -> None:
    told(bank, part)
    with pytest.raises(Refused, match=r"that of \[2026-02-16\] has only begun"):
        gate_of_the_16th(bank)
    told(bank, whole, at="2026-02-17T06:30+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER), (ON, AFTER, AFTER)]
    assert gate_of_the_16th(bank, "run-2") == 3
    told(bank, part + "\n", whole + "\n", at="2026-02-17T06:45+09:00")
    assert bank.rows("select count(*) from ledger.statements") == [(2,)]
    assert bank.verify() == []


def test_three_exports_of_one_day_add_up_to_the_last(bank: Spoken) -> None:
    for hour, rows in ((10, (FEE,)), (12, (FEE, RECEIPT)), (18, (FEE, RECEIPT, LATER))):
        told(bank, csv(*rows), at=f"2026-02-16T{hour}:00+09:00")
    assert bank.rows("select bank_name, opening, closing from ledger.statements order by position") == [
        (f"{ACCOUNT}:{ON}", BEFORE, BEFORE - 300),
        (f"{ACCOUNT}:{ON}", BEFORE - 300, AFTER - 300),
        (f"{ACCOUNT}:{ON}", AFTER - 300, AFTER + 600),
    ]
    assert bank.rows(MESSAGES) == [("applied", None)] * 3


def test_pages_issued_again_in_one_piece_say_nothing_new(bank: Spoken) -> None:
    told(bank, *PARTS["camt pages"])
    told(bank, camt(FIRST, REST, name="WHOLE", more="<CpyDplctInd>DUPL</CpyDplctInd>"), at="2026-02-17T05:15+09:00")
    assert bank.rows("select bank_name, page from ledger.statements order by 2") == [("S-1/1", 1), ("S-1/2", 2)]
    assert bank.balances()["client_bank"] == AFTER - 300
    assert [found for found in bank.breaks() if found[0] == "statement_chain"] == []


def test_a_part_that_comes_after_the_whole_day_says_nothing_new(bank: Spoken) -> None:
    told(bank, camt(RECEIPT, FEE))
    told(bank, camt(FEE, name="D-1", ends="ITBD"), at="2026-02-17T05:15+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER - 300)]
    assert [found for found in bank.breaks() if found[0] == "statement_chain"] == []


def test_a_statement_that_takes_a_line_back_contradicts_the_one_before_it(bank: Spoken) -> None:
    told(bank, camt(RECEIPT, FEE))
    told(bank, camt(RECEIPT), at="2026-02-17T05:15+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER - 300)]
    assert bank.rows(MESSAGES)[1] == ("refused", "statement [S-1] was received before and said something else")
    assert ("statement_chain", "message", None) in bank.breaks()


# ---------------------------------------------------------------------------------------------------------- named again


@pytest.mark.parametrize(
    ("last_year", "this_year"),
    [
        (camt(opening=BEFORE, on="2025-02-17", name="00034"), camt(RECEIPT, name="00034")),
        (mt940(opening=BEFORE, on="2025-02-17"), mt940(RECEIPT)),
        (camt(opening=BEFORE, on="2026-02-13", name="STMT"), camt(RECEIPT, name="STMT")),
    ],
    ids=["camt", "mt940", "every day"],
)
def test_a_name_that_is_used_again_is_of_another_statement(bank: Spoken, last_year: str, this_year: str) -> None:
    told(bank, last_year, this_year)
    assert [row[1:] for row in bank.rows(STATEMENTS)] == [(BEFORE, BEFORE), (BEFORE, AFTER)]
    assert gate_of_the_16th(bank) == 3
    assert bank.breaks() == []
    assert bank.verify() == []


def test_lines_that_say_the_same_on_two_statements_of_one_name_are_two(bank: Spoken) -> None:
    fee = camt(Entry(-100, text="fee"), name="STMT")
    later = camt(Entry(-100, text="fee"), opening=BEFORE - 100, name="STMT")
    told(bank, fee, later.replace(f"<Dt><Dt>{ON}</Dt></Dt></Bal>", "<Dt><Dt>2026-02-17</Dt></Dt></Bal>"))
    assert bank.rows("select booking_date::text, amount from ledger.statement_lines") == [(ON, -100), (ON, -100)]
    assert bank.balances()["client_bank"] == BEFORE - 200


@pytest.mark.parametrize(
    "content",
    [
        camt(RECEIPT, name="20260216").replace(
            "</BkToCstmrStmt>",
            camt(Entry(-40), name="20260216").replace(ACCOUNT, "110-20-300400").split("</GrpHdr>")[1].split("</Bk")[0]
            + "</BkToCstmrStmt>",
        ),
        mt940(RECEIPT) + mt940(Entry(-40), account="110-20-300400"),
    ],
    ids=["camt", "mt940"],
)
def test_of_two_accounts_under_one_name_ours_is_kept(bank: Spoken, content: str) -> None:
    told(bank, content)
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER)]
    assert gate_of_the_16th(bank) == 3


# ------------------------------------------------------------------------------------------------------ pages and parts

FIRST, REST = Entry(-300, text="fee"), RECEIPT
PARTS = {
    "camt pages": (
        camt(FIRST, page="1 false", ends="ITBD"),
        camt(REST, opening=BEFORE - 300, page="2 true", begins="ITBD"),
    ),
    "camt messages": (
        camt(FIRST, name="D-1", ends="ITBD"),
        camt(REST, opening=BEFORE - 300, name="D-2", begins="ITBD"),
    ),
    "mt940 pages": (
        mt940(FIRST, number="34/1", ends="62M"),
        mt940(REST, opening=BEFORE - 300, number="34/2", begins="60M"),
    ),
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_the_gate_waits_for_the_last_part_of_a_day(bank: Spoken, parts: tuple[str, str]) -> None:
    told(bank, camt(on="2026-02-13", name="S-13"), parts[0])
    with pytest.raises(
        Refused, match=r"has not come \(the newest is of \[2026-02-13\]; that of \[2026-02-16\] has only"
    ):
        gate_of_the_16th(bank)
    assert [found for found in bank.breaks() if found[0] == "missing_at_bank"] == []
    told(bank, parts[1], at="2026-02-17T06:30+09:00")
    assert gate_of_the_16th(bank, "run-2") == 3
    assert bank.balances()["client_bank"] == AFTER - 300
    assert bank.verify() == []


@pytest.mark.parametrize("name", ["camt pages", "mt940 pages"])
def test_a_last_page_does_not_open_the_gate_before_the_first(bank: Spoken, name: str) -> None:
    first, last = PARTS[name]
    told(bank, camt(on="2026-02-13", name="S-13"), last)
    with pytest.raises(Refused, match=r"has not come \(the newest is of \[2026-02-13\]"):
        gate_of_the_16th(bank)
    told(bank, first, at="2026-02-17T06:30+09:00")
    assert gate_of_the_16th(bank, "run-2") == 3
    assert bank.breaks() == [("unknown_at_bank", "line", -300)]


def test_pages_of_one_number_in_one_file_are_a_whole_statement(bank: Spoken) -> None:
    told(bank, mt940(FIRST, ends="62M") + mt940(REST, opening=BEFORE - 300, begins="60M"))
    assert bank.rows("select page, is_last, opening, closing from ledger.statements order by page") == [
        (1, False, BEFORE, BEFORE - 300),
        (2, True, BEFORE - 300, AFTER - 300),
    ]
    assert gate_of_the_16th(bank) == 3


def test_pages_that_say_the_very_same_are_two(bank: Spoken) -> None:
    both = (Entry(-300, text="fee"), Entry(300, text="fee back"))
    told(
        bank,
        camt(*both, page="1 false", ends="ITBD"),
        camt(*both, page="2 false", begins="ITBD", ends="ITBD"),
        camt(RECEIPT, page="3 true", begins="ITBD"),
    )
    assert bank.rows("select page, line_count from ledger.statements order by 1") == [(1, 2), (2, 2), (3, 1)]
    assert gate_of_the_16th(bank) == 3


def test_a_day_is_not_closed_while_only_a_part_of_it_is_there(bank: Spoken, tmp_path: Path) -> None:
    use_policy(bank, tmp_path, needs='needs = "ledger"')
    told(bank, camt(RECEIPT, name="D-1", ends="ITBD"))
    bank.settle(ON, at=MORNING)
    bank.accept()
    told(
        bank,
        camt(*paid(bank), opening=AFTER, name="D-2", begins="ITBD", ends="ITBD"),
        at="2026-02-17T07:00+09:00",
    )
    assert bank.rows("select distinct state from ledger.payouts") == [("booked",)]
    assert bank.rows("select state from ledger.days") == [("settled_with_breaks",)]
    told(bank, camt(opening=AFTER - 88050, name="D-3", begins="ITBD"), at="2026-02-17T08:00+09:00")
    assert bank.rows("select state from ledger.days") == [("closed",)]
    assert bank.verify() == []


def test_a_message_of_a_day_that_moves_nothing_stands_before_those_that_do(bank: Spoken) -> None:
    told(bank, camt(opening=500, on="2026-02-13", name="S-13"))
    told(bank, camt(Entry(95), opening=500, name="D-2"), camt(opening=500, name="D-1", ends="ITBD"))
    assert [found for found in bank.breaks() if found[0] == "statement_chain"] == []
    assert bank.balances()["client_bank"] == 595


REPORTS = {
    "camt.052": camt(RECEIPT).replace("camt.053", "camt.052").replace("BkToCstmrStmt", "BkToCstmrAcctRpt")
    .replace("<Stmt>", "<Rpt>").replace("</Stmt>", "</Rpt>"),
    "MT942": f":20:R\n:25:{ACCOUNT}\n:28C:1\n:34F:KRW0,\n:61:2602160216C95000,NTRFNONREF\n:86:/EREF/REF-R1\n-\n",
    "camt.053 up to a balance between pages": camt(RECEIPT).replace(
        "<Cd>CLBD</Cd></CdOrPrtry>", "<Cd>CLBD</Cd></CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp>"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_what_tells_of_a_day_that_goes_on_opens_no_gate_and_is_no_break(bank: Spoken, name: str) -> None:
    told(bank, camt(on="2026-02-13", name="S-13"), REPORTS[name])
    assert bank.rows(MESSAGES) == [("applied", None), ("applied", None)]
    assert [found for found in bank.breaks() if found[1] in ("message", "statement")] == []
    with pytest.raises(Refused, match=r"\(the newest is of \[2026-02-13\]"):
        gate_of_the_16th(bank)
    told(bank, camt(RECEIPT), at="2026-02-17T06:30+09:00")
    assert gate_of_the_16th(bank, "run-2") == 3
    assert bank.balances()["client_bank"] == AFTER


def test_a_report_of_the_day_proves_that_the_bank_has_a_payment(bank: Spoken) -> None:
    told(bank, camt(RECEIPT))
    bank.settle(ON, at=MORNING)
    lines = "".join(f":61:2602170217D{-entry.amount},NTRFNONREF\n:86:/EREF/{entry.e2e}\n" for entry in paid(bank))
    told(bank, f":20:R\n:25:{ACCOUNT}\n:28C:2\n:34F:KRW0,\n{lines}-\n", at="2026-02-17T12:00+09:00")
    assert bank.rows("select distinct state from ledger.payouts") == [("accepted",)]
    assert bank.balances()["client_bank"] == AFTER


# -------------------------------------------------------------------------------------------------------- a day to come


@pytest.mark.parametrize("write", [camt, mt940, csv])
def test_a_statement_of_a_day_far_ahead_is_refused_and_opens_no_gate(bank: Spoken, write: Callable[..., str]) -> None:
    told(bank, camt(on="2026-02-13", name="S-13"), at="2026-02-14T05:00+09:00")
    told(bank, write(RECEIPT, on="2027-02-16"))
    (refusal,) = [found for state, found in bank.rows(MESSAGES) if state == "refused"]
    assert "is of [2027-02-16], and it came on [2026-02-17]: ask the bank for the day that it means" in refusal
    assert bank.rows(STATEMENTS) == [("2026-02-13", BEFORE, BEFORE)]
    assert ("statement_chain", "message", None) in bank.breaks()
    with pytest.raises(Refused, match=r"\(the newest is of \[2026-02-13\]\)"):
        gate_of_the_16th(bank)
    told(bank, write(RECEIPT, on=ON), at="2026-02-17T06:30+09:00")
    assert bank.breaks() == []
    assert gate_of_the_16th(bank, "run-2") == 3


def test_a_statement_of_tomorrow_is_kept_and_opens_no_gate_today(bank: Spoken) -> None:
    told(bank, camt(RECEIPT, on="2026-02-18"))
    assert bank.rows(STATEMENTS) == [("2026-02-18", BEFORE, AFTER)]
    with pytest.raises(Refused, match="none has come so far"):
        gate_of_the_16th(bank)
    said = bank.settle(ON, at="2026-02-18T06:00+09:00", run_id="run-2", stop_after="prepare")
    assert said["prepare"]["payouts"] == 3


# ----------------------------------------------------------------------------------------------- what cannot be applied


LONG = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(200))


def a_statement(*movements: Movement, name: str, opening: int = AFTER) -> Statement:
    return statements.prove(
        statement_id=name,
        sequence=None,
        account=ACCOUNT,
        currency="KRW",
        business_date=date(2026, 2, 16),
        from_date=None,
        to_date=None,
        opening=opening,
        closing=opening + sum(movement.amount for movement in movements),
        movements=movements,
    )


MOVEMENT = Movement(booking_date=date(2026, 2, 16), value_date=None, amount=-5)
UNFIT: dict[str, tuple[Sequence[Statement], str]] = {
    "a count too large for its column": (
        [a_statement(replace(MOVEMENT, transaction_count=99_999_999_999), name="X")],
        "OverflowError",
    ),
    "a text that PostgreSQL does not hold": (
        [a_statement(replace(MOVEMENT, remittance="a\0b"), name="X")],
        "DataError",
    ),
    "an id that PostgreSQL does not hold": ([a_statement(MOVEMENT, name="X\0")], "DataError"),
    "an amount too large for its column": (
        [replace(a_statement(MOVEMENT, name="X"), closing=10**30)],
        "DataError",
    ),
    "no statement at all": ([], "IndexError"),
    "half a character": ([a_statement(replace(MOVEMENT, remittance="a\ud800"), name="X")], "UnicodeEncodeError"),
    "an id that no index holds": ([replace(a_statement(MOVEMENT, name="X"), statement_id=LONG)], "OperationalError"),
    "a number above two to the sixty-third": (
        [replace(a_statement(MOVEMENT, name="X"), sequence=2**63)],
        "DataError",
    ),
    "the same line twice": (
        [replace(UNPROVEN := a_statement(MOVEMENT, name="X"), lines=UNPROVEN.lines * 2)],
        "IntegrityError",
    ),
}


@pytest.mark.parametrize(("said", "why"), UNFIT.values(), ids=UNFIT)
def test_a_message_that_cannot_be_applied_is_put_aside_and_the_others_are_applied(
    bank: Spoken, said: Sequence[Statement], why: str
) -> None:
    bank.say("unfit", kind="file")
    bank.say(camt(RECEIPT), kind="camt.053")
    now = bank.at("2026-02-17T05:00+09:00")
    with bank.services() as services:
        reading = replace(
            services,
            read_message=lambda message: tuple(said) if message.content == b"unfit" else services.read_message(message),
        )
        assert take_in.apply_new(reading, now=now) == {"refused": 1, "applied": 1}
        assert take_in.apply_new(reading, now=now) == {}
    (refusal,) = [found for state, found in bank.rows(MESSAGES) if state == "refused"]
    assert refusal.startswith(f"it cannot be applied ({why}: ") and refusal.endswith("): tell engineering")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER)]
    bank.hear("2026-02-17T05:15+09:00")
    assert ("statement_chain", "message", None) in bank.breaks()


def test_a_reason_that_the_books_do_not_hold_puts_its_message_aside_all_the_same(bank: Spoken) -> None:
    def refuses(message: Message) -> Any:
        raise UnreadableMessage("a\0b \ud800", statement_id="S\0", line=3)

    bank.say("unfit", kind="file")
    with bank.services() as services:
        reading = replace(services, read_message=refuses)
        assert take_in.apply_new(reading, now=bank.at(MORNING)) == {"refused": 1}
    assert bank.rows(MESSAGES) == [("refused", "line 3: a?b ?")]
    assert bank.rows("select statement_id from ledger.bank_messages") == [("S?",)]


def test_what_keeps_the_books_away_is_no_fault_of_a_message(bank: Spoken) -> None:
    def away(message: object) -> Any:
        raise Unavailable("Settlement database [127.0.0.1]: gone")

    bank.say(camt(RECEIPT), kind="camt.053")
    with bank.services() as services, pytest.raises(Unavailable):
        take_in.apply_new(replace(services, read_message=away), now=bank.at(MORNING))
    assert bank.rows(MESSAGES) == [("new", None)]


# -------------------------------------------------------------------------------------------------- an account misnamed


@pytest.mark.parametrize(
    "content",
    [camt(RECEIPT).replace(ACCOUNT, "110-999-000111"), mt940(RECEIPT, account="110-999-000111"),
     csv(RECEIPT, account="110-999-000111")],
    ids=["camt", "mt940", "csv"],
)  # fmt: skip
def test_what_was_foreign_is_read_again_when_the_account_is_named(bank: Spoken, content: str) -> None:
    told(bank, content)
    assert bank.rows(MESSAGES) == [("foreign", None)]
    with structlog.testing.capture_logs() as logs:
        bank.hear("2026-02-17T05:15+09:00")
    assert [log for log in logs if log["event"] == "bank_statement_of_another_account"] == []
    configure(bank, also_named=["110999000111"])
    bank.hear("2026-02-17T05:30+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER)]
    assert bank.rows("select state from ledger.messages_read_again") == [("applied",)]
    assert gate_of_the_16th(bank) == 3


def test_what_a_certificate_says_of_a_foreign_message_stands_when_it_is_read_again(bank: Spoken) -> None:
    told(bank, camt(RECEIPT))
    told(bank, csv(Entry(-7), opening=AFTER, on="2026-02-17", account="110-999-000111"))
    bank.settle(ON, at=MORNING)
    bank.accept()
    told(bank, camt(*paid(bank), opening=AFTER - 7, on="2026-02-19", name="S-2"), at="2026-02-20T05:00+09:00")
    certified = bank.rows("select count(*) from ledger.certificates")
    configure(bank, also_named=["110999000111"])
    bank.hear("2026-02-20T05:30+09:00")
    assert (certified, bank.rows("select count(*) from ledger.certificates")) == ([(0,)], [(1,)])
    assert bank.balances()["client_bank"] == AFTER - 7 - 88050
    assert bank.verify() == []


def test_what_was_foreign_and_contradicts_is_refused_with_a_break(bank: Spoken) -> None:
    told(bank, camt(RECEIPT), camt(Entry(94000, ref="REF-R1")).replace(ACCOUNT, "110-999-000111"))
    assert bank.breaks() == []
    configure(bank, also_named=["110999000111"])
    bank.hear("2026-02-17T05:30+09:00")
    assert bank.rows("select state, refusal from ledger.messages_read_again") == [
        ("refused", "statement [S-1] was received before and said something else")
    ]
    assert bank.breaks() == [("statement_chain", "message", None)]
