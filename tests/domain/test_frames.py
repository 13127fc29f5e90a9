"""The boundary: frames that break their specification are refused with the column, the row and the rule."""

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from settlement.domain import frames
from settlement.domain.computation import settle
from settlement.domain.errors import InvalidFrame

from .stories import DAY, KR, day, inputs, same

NOTE = {"note_id": "N1", "loan_id": "L1", "principal": 10, "outstanding": 10}


def _message(frame: pd.DataFrame, spec: frames.Spec = frames.NOTES) -> str:
    with pytest.raises(InvalidFrame) as refused:
        frames.check(frame, spec)
    return str(refused.value)


def test_a_sound_frame_comes_back_as_it_is() -> None:
    notes = frames.build(frames.NOTES, [NOTE])
    assert frames.check(notes, frames.NOTES) is notes


def test_a_missing_column_is_named() -> None:
    notes = frames.build(frames.NOTES, [NOTE]).drop(columns="principal")
    assert "Frame [notes] lacks column ['principal']" in _message(notes)


def test_a_column_that_nobody_described_does_not_cross() -> None:
    notes = frames.build(frames.NOTES, [NOTE]).assign(name="Kim")
    assert "Frame [notes] has unknown column ['name']" in _message(notes)


def test_money_in_a_float_is_refused() -> None:
    notes = frames.build(frames.NOTES, [NOTE]).astype({"outstanding": "float64"})
    assert _message(notes) == "Frame [notes] column [outstanding]: dtype must be [int64], is [float64]"


def test_a_bound_names_the_row_and_the_value() -> None:
    notes = frames.build(frames.NOTES, [NOTE, NOTE | {"note_id": "N2"}])
    notes.loc[1, "principal"] = 0
    assert _message(notes) == "Frame [notes] column [principal] row [note_id=N2]: must be at least 1, is [0]"


def test_an_id_that_no_key_of_the_books_could_hold_is_refused_and_told_by_its_beginning() -> None:
    longest = frames.build(frames.NOTES, [NOTE | {"note_id": "한" * 140}])
    assert frames.check(longest, frames.NOTES) is longest
    said = (
        f"Frame [notes] column [note_id] row [note_id={'N' * 40}…]: must have at most 140 characters, is [{'N' * 40}…]"
    )
    for dtype in ("str", "category"):
        notes = frames.build(frames.NOTES, [NOTE, NOTE | {"note_id": "N2"}])
        notes["note_id"] = pd.Series(["N1", "N" * 141], dtype="str").astype(dtype)
        assert _message(notes) == said
    none = frames.build(frames.REPAYMENTS).astype({"loan_id": "category", "reverses_repayment_id": "category"})
    assert frames.check(none, frames.REPAYMENTS) is none


def test_a_null_is_refused_where_a_value_is_needed() -> None:
    notes = frames.build(frames.NOTES, [NOTE])
    notes["loan_id"] = pd.Series([None], dtype="str")
    assert "Frame [notes] column [loan_id] row [note_id=N1]: may not be null" in _message(notes)


def test_a_key_is_unique() -> None:
    notes = frames.build(frames.NOTES, [NOTE])
    assert "row [note_id=N1]: the key must be unique" in _message(pd.concat([notes, notes]))


def test_a_key_of_several_columns_is_unique_however_many_rows_there_are() -> None:
    rows = [
        {"note_id": f"N{number // 2:03d}", "investor_id": "A", "held_from": f"2026-01-0{number % 2 + 1}"}
        for number in range(2 * frames.FEW_ROWS)
    ]
    for count in (frames.FEW_ROWS // 2, len(rows)):
        assert len(frames.build(frames.HOLDINGS, rows[:count])) == count
        with pytest.raises(
            InvalidFrame, match=r"row \[note_id=N003\], \[held_from=2026-01-02 00:00:00\]: the key must"
        ):
            frames.build(frames.HOLDINGS, [*rows[: count - 1], rows[7]])


def test_columns_are_checked_as_a_frame_of_them_is() -> None:
    held = {"note_id": ["N1"], "investor_id": ["A"], "held_until_exclusive": [None]}
    with pytest.raises(InvalidFrame, match=r"column \[held_from\] row \[note_id=N1\].*: must be a date at midnight"):
        frames.of_columns(frames.HOLDINGS, held | {"held_from": [datetime(2026, 1, 15, 1, tzinfo=None)]})
    with pytest.raises(InvalidFrame, match=r"column \[held_from\] row .*: may not be null"):
        frames.of_columns(frames.HOLDINGS, held | {"held_from": [None]})
    frame = frames.of_columns(frames.HOLDINGS, held | {"held_from": [date(2026, 1, 15)]})
    assert list(frames.rows(frame, *frame)) == [("N1", "A", date(2026, 1, 15), None)]


def test_an_empty_frame_is_nobody_elses() -> None:
    first = frames.build(frames.NOTES)
    first["principal"] += 1
    first["more"] = 1
    assert frames.check(frames.build(frames.NOTES), frames.NOTES).empty
    assert dict(frames.build(frames.NOTES).dtypes.map(str)) == {
        "note_id": "str", "loan_id": "str", "principal": "int64", "outstanding": "int64"
    }  # fmt: skip


def test_instants_come_from_any_zone_and_as_text() -> None:
    at = datetime(2026, 2, 13, 6, 0, 0, 1, tzinfo=timezone(timedelta(hours=9)))
    for said in ([at, None], [at.isoformat(), None], [pd.Timestamp(at), None]):
        found = pd.Series(frames.column(said, frames.Kind.INSTANT))
        assert str(found.dtype) == "datetime64[us, UTC]"
        assert (found[0], found.isna().tolist()) == (at, [False, True])


def test_whole_numbers_are_not_cut_out_of_others() -> None:
    for wrong in ([10.5], [None], [1, None], [2**63]):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            frames.column(wrong, frames.Kind.AMOUNT)


def test_a_value_out_of_its_list_is_refused() -> None:
    rows = frames.build(frames.CREDIT_CHANGES, [("L1", "R1", "KRW", 1, "held")])
    rows["event"] = pd.Series(["lost"], dtype="str")
    assert "must be one of ['held', 'applied', 'taken_back', 'refunded'], is [lost]" in _message(
        rows, frames.CREDIT_CHANGES
    )


def test_a_date_has_no_hour() -> None:
    rows = frames.build(frames.LOANS, [("L1", "KRW", "2026-01-15")])
    rows["disbursed_on"] = np.array(["2026-01-15T01"], dtype="datetime64[s]")
    assert "must be a date at midnight" in _message(rows, frames.LOANS)


@pytest.mark.parametrize("day", ["-5877611-06-21", "0000-12-31", "10000-01-01"])
def test_a_date_is_one_that_a_calendar_has(day: str) -> None:
    rows = frames.build(frames.LOANS, [("L1", "KRW", "2026-01-15")])
    rows["disbursed_on"] = np.array([day], dtype="datetime64[s]")
    assert "must be a date from 0001-01-01 to 9999-12-31" in _message(rows, frames.LOANS)


def test_a_categorical_is_as_good_as_text() -> None:
    notes = frames.build(frames.NOTES, [NOTE]).astype({"note_id": "category", "loan_id": "category"})
    assert frames.check(notes, frames.NOTES) is notes


def test_a_day_settled_from_categoricals_is_the_day_settled_from_text() -> None:
    world = inputs()
    texts = {"notes": ["note_id", "loan_id"], "holdings": ["note_id", "investor_id"], "repayments": ["repayment_id"]}
    changed = {name: getattr(world, name).astype(dict.fromkeys(columns, "category")) for name, columns in texts.items()}
    same(settle.settle_day(dataclasses.replace(world, **changed), KR, DAY), day())


@pytest.mark.parametrize(
    ("world", "message"),
    [
        ({"loans": []}, "Frame [notes] column [loan_id] row [note_id=N1]: must be in loans, is [L1]"),
        (
            {"notes": [("N1", "L1", 1, 1), ("N2", "L1", 1, 1)]},
            "Frame [holdings] column [note_id] row [note_id=N3], [held_from=2026-01-15 00:00:00]: must be in notes",
        ),
    ],
)
def test_rows_that_belong_to_nothing_are_refused(world: dict[str, list[object]], message: str) -> None:
    with pytest.raises(InvalidFrame) as refused:
        settle.settle_day(inputs(**world), KR, DAY)
    assert message in str(refused.value)


def test_evidence_is_the_same_text_for_the_same_facts() -> None:
    one = frames.evidence(b=1, a=date(2026, 2, 16), at=datetime(2026, 2, 16, tzinfo=UTC))
    assert one == '{"a":"2026-02-16","at":"2026-02-16T00:00:00+00:00","b":1}'
    assert json.loads(one)["b"] == 1
