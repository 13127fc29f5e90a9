"""Typed frames out of tables: what a day reads of the books."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import sqlalchemy as sa

from settlement.adapters.ledger import copying
from settlement.domain.frames import Spec, build, of_columns

LARGEST_BLOCK = 2**31 - 1
"""Bytes that are read at once; a row must fit, and one may hold the ids of thousands of notes."""

AMOUNTS = pa.schema([("key", pa.large_string()), ("amount", pa.int64())])


def amounts(connection: sa.Connection, query: str, parameters: Mapping[str, Any]) -> pa.Table:
    """Return the rows of a query, a text and an amount each, as columns `key` and `amount`; see `columns`."""
    return columns(connection, query, parameters, AMOUNTS)


def columns(connection: sa.Connection, query: str, parameters: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """Return the rows of a query as columns of a schema, read by COPY: texts and amounts, of which none is missing.

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
        return schema.empty_table()
    return pyarrow.csv.read_csv(
        pa.BufferReader(content),
        pyarrow.csv.ReadOptions(column_names=schema.names, block_size=min(content.size, LARGEST_BLOCK)),
        pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=schema),
    )


def named(connection: sa.Connection, query: sa.TextClause, parameters: Mapping[str, Any], spec: Spec) -> pd.DataFrame:
    """Return the rows of a query as a frame of `spec`, whose columns are found by their names, checked."""
    found = connection.execute(query, dict(parameters))
    place_of, rows = {name: place for place, name in enumerate(found.keys())}, found.all()
    if not rows:
        return build(spec)
    return of_columns(spec, {name: [row[place_of[name]] for row in rows] for name in spec.column_names})
