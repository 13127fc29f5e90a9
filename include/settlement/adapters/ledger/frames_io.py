"""Frames into tables and out of them: binary-safe COPY for what a day writes, typed frames for what it reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa

from settlement.domain.frames import Kind, Spec

ROWS_PER_CHUNK = 1 << 18


def copy_into(connection: sa.Connection, table: str, frame: pd.DataFrame) -> int:
    """COPY the frame's rows into the table, by column name, in the connection's transaction; return how many."""
    if frame.empty:
        return 0
    columns = ", ".join(frame.columns)
    raw = connection.connection.driver_connection
    assert raw is not None
    with raw.cursor() as cursor, cursor.copy(f"copy {table} ({columns}) from stdin (format csv)") as copy:
        for start in range(0, len(frame), ROWS_PER_CHUNK):
            copy.write(_as_csv(frame.iloc[start : start + ROWS_PER_CHUNK]))
    return len(frame)


def read(
    connection: sa.Connection, sql: str, parameters: Mapping[str, Any], spec: Spec, columns: Sequence[str]
) -> pd.DataFrame:
    """Return the rows of a query as a frame with the given columns of `spec`, in its dtypes."""
    rows = connection.execute(sa.text(sql), dict(parameters)).all()
    kinds = {column.name: column.kind for column in spec.columns}
    return pd.DataFrame(
        {name: as_kind([row[place] for row in rows], kinds[name]) for place, name in enumerate(columns)}
    )


def as_kind(values: Sequence[Any], kind: Kind) -> pd.Series:
    """Return the values as a column of this kind."""
    if kind is Kind.INSTANT:
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True)).dt.as_unit("us")
    if kind is Kind.DATE:
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object))).astype("datetime64[s]")
    return pd.Series(values, dtype=kind.value)


def _as_csv(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for place, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(place, column.name, table.column(place).cast(column.type.value_type))
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
