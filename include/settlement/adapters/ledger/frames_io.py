"""Typed frames out of tables: what a day reads of the books."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.domain.frames import Kind, Spec, check

AMOUNTS = pa.schema([("key", pa.large_string()), ("amount", pa.int64())])


def amounts(connection: sa.Connection, query: str, parameters: Mapping[str, Any]) -> pa.Table:
    """Return the rows of a query, a text and an amount each, as columns `key` and `amount`, read by COPY.

    Its parameters stand in it as `%(name)s`.
    """
    raw = connection.connection.driver_connection
    assert raw is not None
    rows, statement = pa.BufferOutputStream(), f"copy ({query}) to stdout (format csv)"
    with copying.failing_alike(statement), raw.cursor() as cursor, cursor.copy(statement, parameters) as copy:
        for row in copy:
            rows.write(row)
    content = rows.getvalue()
    if not content.size:
        return AMOUNTS.empty_table()
    return pyarrow.csv.read_csv(
        pa.BufferReader(content),
        pyarrow.csv.ReadOptions(column_names=AMOUNTS.names),
        convert_options=pyarrow.csv.ConvertOptions(column_types=AMOUNTS),
    )


def named(connection: sa.Connection, query: sa.TextClause, parameters: Mapping[str, Any], spec: Spec) -> pd.DataFrame:
    """Return the rows of a query as a frame of `spec`, whose columns are found by their names, checked."""
    found = connection.execute(query, dict(parameters))
    place_of, rows = {name: place for place, name in enumerate(found.keys())}, found.all()
    columns = {
        column.name: as_kind([row[place_of[column.name]] for row in rows], column.kind) for column in spec.columns
    }
    return check(pd.DataFrame(columns), spec)


def as_kind(values: Sequence[Any], kind: Kind) -> pd.Series:
    """Return the values as a column of this kind."""
    if kind is Kind.INSTANT:
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True)).dt.as_unit("us")
    if kind is Kind.DATE:
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object))).astype("datetime64[s]")
    return pd.Series(values, dtype=kind.value)
