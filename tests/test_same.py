"""The comparison of two checkouts: what it calls equal, and how it says what is not."""

from __future__ import annotations

import io
import json
import sqlite3
import tomllib
import zipfile
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.same import leaving
from benchmarks.same.checkout import CannotCompare, check
from benchmarks.same.comparing import compare
from benchmarks.same.play import as_toml

FEE = {"note_id": "N1", "fee_amount": 80, "on": date(2026, 2, 16)}
TAX = {"note_id": "N2", "fee_amount": 0, "on": date(2026, 2, 16)}


def workbook(value: str, created: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parts:
        parts.writestr("xl/sheet1.xml", value)
        parts.writestr("docProps/core.xml", created)
    return made.getvalue()


def workspace(folder: Path, *, ts: tuple[str, str], file: bytes) -> leaving.Left:
    """Return what is read of a workspace with a message that was edited, a reply to it, and a file."""
    store = folder / f"{ts[0]}.sqlite"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("create table messages (channel, ts, thread_ts, broadcast, body)")
        connection.execute("create table files (file_id, name, length, title, content)")
        root, reply = ts
        edited = {"text": "settled", "edited": {"user": "U0SETTLE", "ts": reply}}
        connection.execute("insert into messages values ('C0', ?, null, 0, ?)", (root, json.dumps(edited)))
        connection.execute(
            "insert into messages values ('C0', ?, ?, 1, ?)", (reply, root, json.dumps({"text": "late"}))
        )
        connection.execute("insert into files values ('F1', 'day.xlsx', 9, 'Day', ?)", (file,))
    return leaving.of_slack(store)


def test_rows_in_another_order_are_equal_and_one_that_is_there_twice_is_missed_once() -> None:
    assert compare("shares", [FEE, TAX], [TAX, FEE]).differences == []
    assert compare("shares", [FEE, FEE], [FEE]).differences == ["gone: fee_amount 80, note_id N1, on 2026-02-16"]
    assert compare("shares", [], [TAX]).differences == ["new: fee_amount 0, note_id N2, on 2026-02-16"]


def test_a_changed_row_is_told_by_its_change_and_by_what_is_the_same() -> None:
    found = compare("shares", [FEE, TAX], [TAX, FEE | {"fee_amount": 81}])
    assert found.differences == ["[fee_amount] 80 -> 81 where note_id N1, on 2026-02-16"]
    assert (found.old, found.new) == (2, 2)


def test_a_long_text_is_shown_where_it_first_differs() -> None:
    old = {"file_id": "SF1", "content": "x" * 300 + "<Amt>80</Amt>" + "y" * 300}
    (difference,) = compare("files", [old], [old | {"content": old["content"].replace("80", "81")}]).differences
    assert "<Amt>80</Amt>" in difference
    assert "<Amt>81</Amt>" in difference
    assert len(difference) < 400


def test_what_is_gone_as_a_whole_differs_also_where_it_was_empty() -> None:
    assert compare("reporting.held", [], None, may_grow=True).differences == ["only the old one has it"]


def test_a_view_may_get_a_column_and_may_not_lose_one() -> None:
    wider = [FEE | {"payee_kind": "investor"}]
    grown = compare("reporting.shares", [FEE], wider, may_grow=True)
    assert (grown.differences, grown.added) == ([], ["reporting.shares.payee_kind"])
    assert compare("reporting.shares", wider, [FEE], may_grow=True).differences == [
        "[payee_kind] investor -> null where fee_amount 80, note_id N1, on 2026-02-16"
    ]
    assert compare("reporting.fees", None, [FEE], may_grow=True).added == ["reporting.fees"]
    assert compare("Slack messages", [FEE], wider).differences != []


def test_of_a_payment_file_only_the_instant_of_its_creation_is_set_aside() -> None:
    file = b"<MsgId>SF1</MsgId><CreDtTm>2026-02-17T06:00:00Z</CreDtTm><Nm>\xed\x95\x9c</Nm>"
    assert leaving.without_instant(file) == "<MsgId>SF1</MsgId><CreDtTm></CreDtTm><Nm>한</Nm>"


def test_slack_is_the_same_at_another_moment_and_not_with_another_word_or_number(tmp_path: Path) -> None:
    at_six = workspace(tmp_path, ts=("1.0", "2.0"), file=workbook("<v>1</v>", "06:00"))
    at_seven = workspace(tmp_path, ts=("5.0", "7.5"), file=workbook("<v>1</v>", "07:00"))
    other_number = workspace(tmp_path, ts=("8.0", "9.0"), file=workbook("<v>2</v>", "06:00"))
    assert at_six == at_seven
    assert at_six["Slack messages"] == [
        {"channel": "C0", "place": 1, "replies_to": None, "broadcast": 0, "text": "settled"},
        {"channel": "C0", "place": 2, "replies_to": 1, "broadcast": 1, "text": "late"},
    ]
    assert at_six["files in Slack"] != other_number["files in Slack"]


def test_of_a_workbook_the_digest_of_the_code_is_set_aside_and_no_other_digest(tmp_path: Path) -> None:
    def texts(ts: tuple[str, str], output_sha256: str, code_version: str) -> leaving.Left:
        words = ("output_sha256", output_sha256 * 64, "code_version", code_version * 64, "tax_class")
        return workspace(tmp_path, ts=ts, file=workbook("".join(f"<si><t>{word}</t></si>" for word in words), "06:00"))

    before = texts(("1.0", "2.0"), "a", "b")
    assert before == texts(("3.0", "4.0"), "a", "c")
    assert before["files in Slack"] != texts(("5.0", "6.0"), "d", "b")["files in Slack"]


def test_a_policy_is_written_so_that_toml_reads_it_back() -> None:
    policy: dict[str, Any] = {
        "name": "reference",
        "gate": {"needs": "ledger", "usual_percent": None},
        "rules": [{"settled_from": date(2021, 10, 21), "rate_ppm": 250_000}, {"is_open": True}],
        "order": ("cost", "이자"),
    }
    text = "\n".join(f"{key} = {as_toml(value)}" for key, value in policy.items())
    assert tomllib.loads(text) == {
        "name": "reference",
        "gate": {"needs": "ledger"},
        "rules": [{"settled_from": date(2021, 10, 21), "rate_ppm": 250_000}, {"is_open": True}],
        "order": ["cost", "이자"],
    }


def test_a_folder_that_is_no_checkout_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(CannotCompare, match=r"has no \[dags/daily_settlement.py\]"):
        check(tmp_path)
