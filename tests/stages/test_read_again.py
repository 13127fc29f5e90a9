"""What is read again: an export that was made during its own day, and a message that nobody could use.

The worked day owes 88 050 and receives 95 000 on the 16th of February; the custody account holds 1 000 000 before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from settlement.adapters.bank.channels import folders
from settlement.adapters.bank.formats import csv_statement
from settlement.domain.bank.messages import Message, Reading
from settlement.domain.errors import Refused, UnreadableMessage
from settlement.stages import prove, take_in

from .payout_stories import MORNING, ON, returned
from .spoken_bank import ACCOUNT, RECEIPT, Entry, Spoken, spoken
from .test_statement_identity import AFTER, BEFORE, FEE, LATER, bank, camt, configure, csv, gate_of_the_16th, paid, told

__all__ = ["bank", "spoken"]

STATEMENTS = "select business_date::text, opening, closing, is_last from ledger.statements order by position"
OUTCOMES = """
select m.state, m.refusal, a.number, a.state, a.refusal
  from ledger.bank_messages m left join ledger.messages_read_again a using (sha256)
 where m.direction = 'in' order by m.recorded_at, m.name, a.number"""
OVER = "select cause, state, resolution from ledger.breaks where subject_kind = 'message' order by break_id"
NOON = "2026-02-16T15:00+09:00"


@pytest.fixture
def landing(bank: Spoken, tmp_path: Path) -> Path:
    """The folder in which people land what they export."""
    folder = tmp_path / "landing"
    folder.mkdir()
    configure(bank, landing=folder.as_uri())
    return folder


def land(folder: Path, content: str, *, name: str = "export.csv", written: str | None = None) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    if written:
        moment = datetime.fromisoformat(written).timestamp()
        os.utime(folder / name, (moment, moment))


# ------------------------------------------------------------------------------------------- an export of its own day


def test_an_export_that_was_made_during_its_own_day_opens_no_gate_and_the_same_one_of_the_next_day_does(
    bank: Spoken, landing: Path
) -> None:
    land(landing, csv(RECEIPT))
    bank.hear(NOON)
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, False)]
    with pytest.raises(Refused, match=r"that of \[2026-02-16\] has only begun"):
        gate_of_the_16th(bank)
    land(landing, csv(RECEIPT))
    bank.hear("2026-02-17T06:30+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, False), (ON, AFTER, AFTER, True)]
    assert gate_of_the_16th(bank, "run-2") == 3
    land(landing, csv(RECEIPT))
    bank.hear("2026-02-18T06:30+09:00")
    assert bank.rows("select count(*) from ledger.statements") == [(2,)]
    assert bank.verify() == []


def test_what_came_after_an_export_of_its_own_day_is_taken_from_that_of_the_next_day(
    bank: Spoken, landing: Path
) -> None:
    land(landing, csv(RECEIPT, FEE))
    bank.hear(NOON)
    land(landing, csv(RECEIPT, FEE, LATER))
    bank.hear("2026-02-17T05:00+09:00")
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER - 300, False), (ON, AFTER - 300, AFTER + 600, True)]
    land(landing, csv(RECEIPT, FEE))
    bank.hear("2026-02-17T05:15+09:00")
    assert bank.rows("select distinct state from ledger.bank_messages") == [("applied",)]
    assert gate_of_the_16th(bank) == 3


def test_an_old_part_that_is_put_there_as_if_it_were_the_whole_is_refused_until_the_whole_comes(
    bank: Spoken, landing: Path
) -> None:
    for hour, rows in ((10, (FEE,)), (15, (FEE, RECEIPT))):
        land(landing, csv(*rows))
        bank.hear(f"2026-02-16T{hour}:00+09:00")
    land(landing, csv(FEE))
    bank.hear("2026-02-17T05:00+09:00")
    assert bank.rows("select number, state, refusal from ledger.messages_read_again") == [
        (
            1,
            "refused",
            f"statement [{ACCOUNT}:{ON}] says that [{ON}] was over, and more of that day was received before",
        )
    ]
    assert ("statement_chain", "message", None) in bank.breaks()
    land(landing, csv(FEE, RECEIPT))
    bank.hear("2026-02-17T05:15+09:00")
    assert [is_last for *_, is_last in bank.rows(STATEMENTS)] == [False, False, True]
    assert [state for _, state, _ in bank.rows(OVER)] == ["resolved"]
    assert gate_of_the_16th(bank) == 3
    assert bank.verify() == []


def test_an_export_counts_from_when_it_was_written_not_from_when_it_was_found(bank: Spoken, landing: Path) -> None:
    land(landing, csv(RECEIPT), written=NOON)
    now = bank.at("2026-02-17T05:00+09:00")
    with bank.services() as services:
        take_in.take_in(replace(services, is_now_set=False), now=now)
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, False)]
    with bank.services() as services:
        land(landing, csv(RECEIPT), written="2026-02-17T00:00+09:00")
        take_in.take_in(replace(services, is_now_set=False), now=now)
    assert bank.rows(STATEMENTS)[1:] == [(ON, AFTER, AFTER, True)]


def test_of_an_export_of_several_days_those_before_its_last_one_are_over(bank: Spoken) -> None:
    two_days = csv(RECEIPT) + csv(FEE, opening=AFTER, on="2026-02-17").split("\n", 2)[2]
    told(bank, two_days)
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, True), ("2026-02-17", AFTER, AFTER - 300, False)]
    assert gate_of_the_16th(bank) == 3


def test_a_day_of_which_only_a_part_was_exported_is_over_when_the_next_day_opens_with_what_it_closed_with(
    bank: Spoken,
) -> None:
    told(bank, csv(RECEIPT), at=NOON)
    told(bank, csv(FEE, opening=AFTER, on="2026-02-17"), at="2026-02-17T05:00+09:00")
    assert [is_last for *_, is_last in bank.rows(STATEMENTS)] == [False, False]
    assert gate_of_the_16th(bank) == 3


def test_a_file_whose_name_is_no_text_and_one_too_large_keep_none_of_the_others_back(
    bank: Spoken, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "LARGEST_MESSAGE", 10_000)
    monkeypatch.setattr(csv_statement, "LARGEST_MESSAGE", 10_000)
    (landing / os.fsdecode("입출금.csv".encode("cp949"))).write_text(csv(RECEIPT), encoding="utf-8")
    (landing / os.fsdecode(b"\xff\xfe.csv")).write_text("half", encoding="utf-8")
    (landing / "backup.csv").write_bytes(b"0" * 10_000_000)
    bank.hear("2026-02-17T05:00+09:00")
    assert bank.rows("select name, state, length(content) from ledger.bank_messages order by length(content)") == [
        ("\ufffd\ufffd.csv", "refused", 4),
        ("입출금.csv", "applied", len(csv(RECEIPT).encode())),
        ("backup.csv", "refused", 10_001),
    ]
    assert (landing / "processed" / "backup.csv").stat().st_size == 10_000_000
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, True)]


# ------------------------------------------------------------------------------------------------ what nobody could use


def test_an_export_that_came_before_its_columns_were_declared_is_read_once_they_are(bank: Spoken) -> None:
    configure(bank, statement_columns=None)
    told(bank, csv(RECEIPT))
    refusal = (
        "line 1: it begins neither as XML nor as an MT940; for a CSV, statement_columns of connection settlement_bank"
        " declare what its columns mean"
    )
    assert bank.rows(OUTCOMES) == [("refused", refusal, None, None, None)]
    assert bank.breaks() == [("statement_chain", "message", None)]
    configure(bank, statement_columns="korean_export")
    bank.hear("2026-02-17T05:30+09:00")
    assert bank.rows(OUTCOMES) == [("refused", refusal, 1, "applied", None)]
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, True)]
    ((name,),) = bank.rows("select name from ledger.bank_messages")
    assert bank.rows(OVER) == [("statement_chain", "resolved", f"message [{name}] was read again and is applied")]
    assert bank.hear("2026-02-17T05:45+09:00").get("applied") is None
    assert gate_of_the_16th(bank) == 3
    assert bank.verify() == []


def with_reader(bank: Spoken, reader: str, read: Callable[[Message], Reading] | None, *, at: str) -> dict[str, int]:
    """Apply what waits with another version of the product: one that reads by `read`, or as we do."""
    now = bank.at(at)
    with bank.services() as services:
        found = replace(services, reader=reader, read_message=read or services.read_message)
        counts = take_in.apply_new(found, now=now)
        prove.prove_books(found, as_of=services.calendar.local_date(now), now=now)
    return counts


def cannot(why: str) -> Callable[[Message], Reading]:
    def read(message: Message) -> Reading:
        raise UnreadableMessage(why, line=3)

    return read


def test_a_reader_that_learned_something_reads_what_was_refused_and_nothing_twice(bank: Spoken) -> None:
    bank.say(camt(RECEIPT), kind="camt.053")
    bank.say(camt(opening=AFTER, on="2026-02-17", name="S-2"), kind="camt.053")
    bank.say("half a", kind="file")
    assert with_reader(bank, "1", cannot("no"), at=MORNING) == {"refused": 3}
    assert with_reader(bank, "1", cannot("no"), at=MORNING) == {}
    assert with_reader(bank, "2", cannot("no"), at=MORNING) == {"refused": 3}
    assert bank.rows("select count(*) from ledger.messages_read_again") == [(0,)]
    opened = bank.rows("select break_id, opened_on from ledger.breaks order by 1")
    assert with_reader(bank, "3", None, at="2026-02-17T07:00+09:00") == {"refused": 1, "applied": 2}
    assert with_reader(bank, "3", None, at="2026-02-17T07:15+09:00") == {}
    assert with_reader(bank, "4", None, at="2026-02-17T07:30+09:00") == {"refused": 1}
    assert sorted(state for _, state, _ in bank.rows(OVER)) == ["open", "resolved", "resolved"]
    assert bank.rows("select break_id, opened_on from ledger.breaks order by 1") == opened
    assert [(number, state) for _, _, number, state, _ in bank.rows(OUTCOMES)] == [
        (1, "applied"),
        (1, "applied"),
        (1, "refused"),
    ]
    assert bank.balances()["client_bank"] == AFTER
    assert bank.verify() == []


def test_what_a_message_comes_to_again_and_again_is_kept_and_sealed(bank: Spoken) -> None:
    told(bank, camt(RECEIPT))
    bank.say(camt(Entry(-7), opening=AFTER, on="2026-02-17", name="S-2"), kind="camt.053")
    for number in (1, 2, 3):
        at = f"2026-02-17T05:{number}0+09:00"
        assert with_reader(bank, str(number), cannot(f"no {number}"), at=at) == {"refused": 1}
    assert with_reader(bank, "4", None, at="2026-02-17T05:45+09:00") == {"applied": 1}
    bank.settle(ON, at=MORNING)
    bank.accept()
    told(bank, camt(*paid(bank), opening=AFTER - 7, on="2026-02-19", name="S-3"), at="2026-02-20T05:00+09:00")
    assert bank.rows("select key from ledger.seals where table_name = 'messages_read_again' order by key") == [
        (f"{sha256}{number}",)
        for (sha256,) in bank.rows("select distinct sha256 from ledger.messages_read_again")
        for number in ("", "/2", "/3")
    ]
    assert bank.verify() == []
    assert [(row[2], row[4]) for row in bank.rows(OUTCOMES) if row[2]] == [
        (1, "line 3: no 2"),
        (2, "line 3: no 3"),
        (3, None),
    ]


def test_what_could_not_be_applied_is_applied_once_engineering_has_mended_it(bank: Spoken) -> None:
    def fails(message: Message) -> Any:
        return ()

    bank.say(camt(RECEIPT), kind="camt.053")
    assert with_reader(bank, "1", fails, at=MORNING) == {"refused": 1}
    assert with_reader(bank, "2", None, at=MORNING) == {"applied": 1}
    assert bank.breaks() == []


def test_a_return_that_was_announced_before_its_payout_was_handed_over_is_none_of_it_whenever_it_is_read(
    bank: Spoken,
) -> None:
    told(bank, camt(RECEIPT))
    bank.settle(ON, at=MORNING, stop_after="prepare")
    refusal = f"the return of [{bank.e2e('A')}] is of a payout that was never handed over"
    bank.say(returned(bank.e2e("A"), 43790), kind="pacs.004")
    bank.hear("2026-02-17T06:15+09:00")
    bank.settle(ON, at="2026-02-17T06:30+09:00", run_id="run-2")
    bank.accept()
    bank.hear("2026-02-17T06:45+09:00")
    assert with_reader(bank, "2", None, at="2026-02-17T07:00+09:00") == {"refused": 1}
    assert [row[1] for row in bank.rows(OUTCOMES) if row[0] == "refused"] == [refusal]
    assert bank.rows("select distinct state, attempt from ledger.payouts") == [("accepted", 1)]


def test_a_statement_of_a_day_far_ahead_stays_refused_when_that_day_has_come(bank: Spoken) -> None:
    told(bank, camt(RECEIPT), camt(RECEIPT, on="2026-04-16", name="S-2"))
    assert with_reader(bank, "2", None, at="2026-04-17T05:00+09:00") == {"refused": 1}
    assert bank.rows(STATEMENTS) == [(ON, BEFORE, AFTER, True)]


def test_a_break_that_was_made_good_is_not_opened_by_a_reader_with_other_words(bank: Spoken) -> None:
    bank.say("half a", kind="file")
    with_reader(bank, "1", cannot("no"), at="2026-02-17T05:00+09:00")
    told(bank, camt(RECEIPT), at="2026-02-17T05:15+09:00")
    told(bank, camt(opening=AFTER, on="2026-02-17", name="S-2"), at="2026-02-18T05:15+09:00")
    before = bank.rows(OVER)
    with_reader(bank, "2", cannot("no, and why"), at="2026-02-18T05:30+09:00")
    assert bank.rows(OVER) == before


def test_an_export_in_two_orders_is_read_when_it_comes_again_after_the_day_before(bank: Spoken, landing: Path) -> None:
    either = csv(Entry(-5), Entry(5), opening=BEFORE).replace(" 10:00:01", "").replace(" 10:00:02", "")
    land(landing, either)
    bank.hear("2026-02-17T05:00+09:00")
    ((state, refusal, *_),) = bank.rows(OUTCOMES)
    assert (state, "or again when the statement of the day before is in" in refusal) == ("refused", True)
    told(bank, camt(on="2026-02-13", name="S-13"), at="2026-02-17T05:15+09:00")
    land(landing, either)
    bank.hear("2026-02-17T05:30+09:00")
    assert bank.rows(STATEMENTS) == [("2026-02-13", BEFORE, BEFORE, True), (ON, BEFORE, BEFORE, True)]
    assert [found for found in bank.breaks() if found[1] == "message"] == []
