"""What the pages read: each query a file below `sql/`, run in one read-only transaction for a page.

All that a page shows is of one moment, and no page can change anything. Rows are mappings by the names of their
columns.

No query reads a table that grows with the days from one end to the other, nor the leaves of other dates than those it
names: shares and postings have a leaf for each date, so their queries name the dates as values (`python -m
benchmarks.pages` measures it on two years).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources

import sqlalchemy as sa

from settlement import wiring
from settlement.ports.explain import Explanations

Row = sa.RowMapping
ROWS = 100
"""How many rows a table shows at once."""
KEPT = 100_000
"""How many rows a file of a list may have: more belong to a report of their own (`reporting`)."""

BEGINNING = """
set transaction isolation level repeatable read, read only;
set local plan_cache_mode = force_custom_plan;
set local jit = off
"""
"""A plan is made for the values that are asked for, so that it opens the leaves of their dates alone; none is compiled,
which takes longer than any of them runs."""


class Query:
    """The settlement database at one moment."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @property
    def explained(self) -> Explanations:
        """What the command line reads to explain an investor's money, at the same moment."""
        return wiring.explanations(self._connection)

    def rows(self, name: str, /, **values: object) -> Sequence[Row]:
        """Return the rows of a query."""
        return self._connection.execute(_statement(name), values).mappings().all()

    def row(self, name: str, /, **values: object) -> Row | None:
        """Return the one row of a query, or None."""
        return self._connection.execute(_statement(name), values).mappings().one_or_none()


@contextmanager
def reading(engine: sa.Engine) -> Iterator[Query]:
    """Open the settlement database for one page."""
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(BEGINNING)
        yield Query(connection)


@cache
def _statement(name: str) -> sa.TextClause:
    file = resources.files(__package__).joinpath("sql", f"{name}.sql")
    return sa.text(file.read_text(encoding="utf-8"))
