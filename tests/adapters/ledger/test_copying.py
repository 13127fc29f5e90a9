"""Rows in COPY's binary format: whatever goes into a table comes out of it again, and a float goes nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from settlement.adapters.ledger import copying

TABLE = """
create table public.everything (
  amount bigint, number bigint, place integer, is_set boolean, on_day date, at timestamptz, name text, code text)
"""
FRAME = pd.DataFrame(
    {
        "amount": np.array([0, -(2**63), 2**63 - 1], dtype=np.int64),
        "number": pd.array([1, None, -5], dtype="Int64"),
        "place": np.array([1, 2, -3], dtype=np.int32),
        "is_set": [True, False, True],
        "on_day": np.array(["2026-02-16", "NaT", "1999-12-31"], dtype="datetime64[s]"),
        "at": pd.to_datetime(["2026-02-16T11:00:00.000001Z", "NaT", "1970-01-01T00:00:00.000000Z"]).as_unit("us"),
        "name": pd.array(['홍길동, "l\'été"\n\t\\N', None, ""], dtype="str"),
        "code": pd.Categorical.from_codes([1, -1, 0], pd.Index(["일", "이"], dtype="str")),
    }
)
ROWS = [
    (0, 1, 1, True, date(2026, 2, 16), datetime(2026, 2, 16, 11, 0, 0, 1, tzinfo=UTC), '홍길동, "l\'été"\n\t\\N', "이"),
    (-(2**63), None, 2, False, None, None, None, None),
    (2**63 - 1, -5, -3, True, date(1999, 12, 31), datetime(1970, 1, 1, tzinfo=UTC), "", "일"),
]


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(empty_database_url, poolclass=sa.NullPool)
    with engine.connect() as opened:
        opened.exec_driver_sql(TABLE)
        yield opened
    engine.dispose()


def rows(connection: sa.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(sa.text("select * from public.everything"))]


def test_every_kind_of_column_comes_out_as_it_went_in(connection: sa.Connection) -> None:
    copying.frame_into(connection, "public.everything", FRAME)
    assert rows(connection) == ROWS


def test_many_batches_are_one_copy_in_order(connection: sa.Connection) -> None:
    batches = (copying.fields(FRAME.iloc[[place]]) for place in (2, 0, 1))
    copying.into(connection, "public.everything", FRAME.columns, batches)
    assert rows(connection) == [ROWS[2], ROWS[0], ROWS[1]]


def test_fields_of_several_frames_stand_side_by_side(connection: sa.Connection) -> None:
    left, right = FRAME[["amount", "name"]], FRAME[["place", "code"]]
    taken = copying.fields(right).take([0, 0, 2])
    copying.into(
        connection,
        "public.everything",
        [*left.columns, *right.columns],
        [copying.together(copying.fields(left), taken)],
    )
    assert connection.execute(sa.text("select amount, name, place, code from public.everything")).all() == [
        (0, ROWS[0][6], 1, "이"),
        (-(2**63), None, 1, "이"),
        (2**63 - 1, "", -3, "일"),
    ]


def test_an_error_while_rows_are_made_ends_the_copy_and_nothing_is_written(connection: sa.Connection) -> None:
    def failing() -> Iterator[copying.Fields]:
        yield copying.fields(FRAME)
        raise ZeroDivisionError

    connection.commit()
    with pytest.raises(ZeroDivisionError), connection.begin():
        copying.into(connection, "public.everything", FRAME.columns, failing())
    assert rows(connection) == []


def test_a_float_has_no_field() -> None:
    with pytest.raises(TypeError, match=r"\[amount\] of dtype \[float64\]"):
        copying.fields(pd.DataFrame({"amount": [1.0]}))


def test_equal_rows_are_equal_bytes_however_they_are_cut() -> None:
    whole = bytes(copying.content(copying.fields(FRAME)))
    parts = [bytes(copying.content(copying.fields(FRAME.iloc[place : place + 1]))) for place in range(3)]
    assert b"".join(parts) == whole
    assert bytes(copying.content(copying.fields(FRAME)[1:])) == b"".join(parts[1:])


def test_runs_of_elements_are_arrays_and_an_empty_run_is_an_empty_one(connection: sa.Connection) -> None:
    connection.exec_driver_sql("create table public.lists (place integer, names text[], amounts bigint[])")
    places = pd.DataFrame({"place": np.arange(3, dtype=np.int32)})
    names = pa.array(["홍", "", "{a,b}"], pa.large_string())
    amounts = pa.array([1, -(2**63), 3], pa.int64())
    start = np.array([0, 2, 2, 3])
    row = copying.together(copying.fields(places), copying.lists(names, start), copying.lists(amounts, start))
    copying.into(connection, "public.lists", ["place", "names", "amounts"], [row])
    assert connection.execute(sa.text("select * from public.lists")).all() == [
        (0, ["홍", ""], [1, -(2**63)]),
        (1, [], []),
        (2, ["{a,b}"], [3]),
    ]
