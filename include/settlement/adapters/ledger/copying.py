"""Rows as PostgreSQL's COPY sends them, made column by column: no row and no value becomes a Python object.

Method. Each column becomes an array of fields (four bytes of length, then the value, big-endian), and the fields of a
row are joined into one run of bytes by Arrow. Fields of several frames can be joined, so what repeats is made once and
taken by place. The bytes of a frame are also what its hash is made of: equal frames, equal bytes, however they were
cut into parts.

The column's dtype says what the column of the table must be: int64 and Int64 bigint, int32 integer, datetime64[s] date,
datetime64[us, UTC] timestamptz, bool boolean, str and categoricals over it text. Anything else is refused: there is no
field for a float.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from settlement.domain import pipeline
from settlement.domain.money import Ints

Fields = Any
"""An Arrow array of large_binary: for each row, some of its columns as COPY sends them."""

ROWS_AT_ONCE = 1 << 17
SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
NOTHING = pa.scalar(b"", pa.large_binary())
EPOCH = np.datetime64("2000-01-01", "D")
NULL = -1
ARRAY_HEAD = np.dtype([(name, ">i4") for name in ("length", "dimensions", "has_null", "kind", "count", "first")])
"""What comes before the elements of an array: its length in bytes, what it is an array of, and how many there are."""
BIGINT_OID, TEXT_OID = 20, 25


def into(connection: sa.Connection, table: str, columns: Iterable[str], rows: Iterable[Fields]) -> None:
    """COPY rows into the columns of a table, in the connection's transaction; the rows come in batches."""
    names = list(columns)
    raw = connection.connection.driver_connection
    assert raw is not None
    count = _fixed(np.full(1, len(names), dtype=">i2"))[0]
    statement = f"copy {table} ({', '.join(names)}) from stdin (format binary)"
    with failing_alike(statement), raw.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(SIGNATURE)
        for batch in pipeline.ahead(rows, 2):
            copy.write(content(pc.binary_join_element_wise(count, batch, NOTHING)))
        copy.write(END)


@contextmanager
def failing_alike(statement: str) -> Iterator[None]:
    """Let a COPY fail as every other statement of its connection fails: with an error of SQLAlchemy."""
    try:
        yield
    except psycopg.Error as error:
        raise sa.exc.DBAPIError.instance(statement, None, error, psycopg.Error) from error


def frame_into(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """COPY a frame into the columns of a table that have the names of its columns."""
    if len(frame):
        into(connection, table, frame.columns, (fields(batch) for batch in batches(frame)))


def records_into(
    connection: sa.Connection,
    table: str,
    kinds: Mapping[str, str],
    rows: Iterable[Sequence[Any]],
    same: Mapping[str, Any],
) -> None:
    """COPY rows of values into a table: `kinds` are their columns with dtypes, `same` is what every row has beside.

    However many rows there are, they go in by one statement and only some of them are in memory as columns.
    """
    coming = iter(rows)

    def frames() -> Iterator[pd.DataFrame]:
        while batch := list(islice(coming, ROWS_AT_ONCE)):
            columns = zip(kinds.items(), zip(*batch, strict=True), strict=True)
            frame = pd.DataFrame({name: pd.Series(list(values), dtype=kind) for (name, kind), values in columns})
            yield keyed(frame, same)

    made = frames()
    if (first := next(made, None)) is not None:
        into(connection, table, first.columns, (fields(frame) for frame in chain((first,), made)))


def keyed(frame: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    """Return the frame with columns that say the same in every row: a date, an instant, a text, or an `integer`."""
    return frame.assign(**{name: _repeated(value, frame.index) for name, value in keys.items()})


def batches(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the frame in pieces that stay in the processor's cache for most of their way."""
    for start in range(0, len(frame), ROWS_AT_ONCE):
        yield frame.iloc[start : start + ROWS_AT_ONCE]


def fields(frame: pd.DataFrame) -> Fields:
    """Return the columns of each row as fields, in the order of the columns."""
    return together(*(_field(frame[name]) for name in frame.columns))


def lists(elements: Any, start: Ints) -> Fields:
    """Return a field for each run of the elements, an Arrow array of texts or int64: an array of them in the table.

    The i-th run is `[start[i], start[i + 1])`; the runs follow each other and cover all elements.
    """
    is_text = pa.types.is_large_string(elements.type)
    made = _text(elements) if is_text else _number(elements.to_numpy(), ">i8")
    offsets = np.frombuffer(made.buffers()[1], dtype=np.int64)[made.offset + start]
    heads = np.empty(len(start) - 1, dtype=ARRAY_HEAD)
    heads["length"] = ARRAY_HEAD.itemsize - 4 + np.diff(offsets)
    heads["dimensions"], heads["has_null"], heads["kind"] = 1, 0, TEXT_OID if is_text else BIGINT_OID
    heads["count"], heads["first"] = np.diff(start), 1
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), made.buffers()[2]]
    return together(_fixed(heads), pa.Array.from_buffers(pa.large_binary(), len(heads), buffers))


def together(*parts: Fields) -> Fields:
    """Return rows made of the fields of several arrays, one after the other."""
    return pc.binary_join_element_wise(*parts, NOTHING) if len(parts) > 1 else parts[0]


def content(rows: Fields) -> memoryview:
    """Return the bytes of all the rows, one after the other, without copying them."""
    start, end = np.frombuffer(rows.buffers()[1], dtype=np.int64)[[rows.offset, rows.offset + len(rows)]].tolist()
    return memoryview(rows.buffers()[2])[start:end] if end > start else memoryview(b"")


def _repeated(value: Any, index: pd.Index) -> "pd.Series[Any]":
    count = len(index)
    if isinstance(value, datetime):
        instant = np.datetime64(value.astimezone(UTC).replace(tzinfo=None), "us")
        return pd.Series(pd.DatetimeIndex(np.full(count, instant), tz="UTC"), index=index)
    if isinstance(value, date):
        return pd.Series(np.full(count, np.datetime64(value, "s")), index=index)
    if isinstance(value, str):
        return pd.Series([value] * count, dtype="category", index=index)
    return pd.Series(np.full(count, value, dtype=np.int32), index=index)


def _field(values: "pd.Series[Any]") -> Fields:
    kind = str(values.dtype)
    if kind == "Int64":
        known = values.fillna(0).to_numpy(dtype=np.int64)
        return pc.if_else(pa.array(values.notna().to_numpy()), _number(known, ">i8"), _fixed(_nulls(len(values))))
    if kind == "int64":
        return _number(values.to_numpy(), ">i8")
    if kind == "int32":
        return _number(values.to_numpy(), ">i4")
    if kind == "bool":
        return _number(values.to_numpy(), "i1")
    if kind == "datetime64[s]":
        days = (values.to_numpy().astype("datetime64[D]") - EPOCH).astype(np.int64)
        return _nullable(_number(days, ">i4"), values)
    if kind == "datetime64[us, UTC]":
        instants = values.dt.tz_localize(None).to_numpy()
        return _nullable(_number((instants - EPOCH).astype("timedelta64[us]").astype(np.int64), ">i8"), values)
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = pa.array(values.cat.categories.array).cast(pa.large_string())
        codes = values.cat.codes.to_numpy()
        return _text(names.take(pa.array(codes, mask=codes < 0)))
    if kind == "str":
        return _text(pa.array(values.array).cast(pa.large_string()))
    raise TypeError(f"Column [{values.name}] of dtype [{kind}] has no field in a COPY")


def _text(values: Any) -> Fields:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    lengths = pc.fill_null(pc.binary_length(values), NULL).to_numpy(zero_copy_only=False).astype(">i4")
    return pc.binary_join_element_wise(_fixed(lengths), pc.fill_null(values, "").cast(pa.large_binary()), NOTHING)


def _number(values: npt.NDArray[Any], kind: str) -> Fields:
    dtype = np.dtype(kind)
    rows = np.empty(len(values), dtype=[("length", ">i4"), ("value", dtype)])
    rows["length"] = dtype.itemsize
    rows["value"] = values
    return _fixed(rows)


def _nullable(present: Fields, values: "pd.Series[Any]") -> Fields:
    is_null = values.isna().to_numpy()
    return pc.if_else(pa.array(is_null), _fixed(_nulls(len(values))), present) if is_null.any() else present


def _nulls(count: int) -> npt.NDArray[Any]:
    return np.full(count, NULL, dtype=">i4")


def _fixed(rows: npt.NDArray[Any]) -> Fields:
    """Return an array of equally long values as bytes."""
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * rows.dtype.itemsize
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    return pa.Array.from_buffers(pa.large_binary(), len(rows), buffers)
