"""The database of a shadow run: an empty one, or one that holds an earlier shadow, which goes.

A mark tells a shadow from any other settlement database: the table `shadow.books`, which nothing else makes. It is
there before anything else is, so that a run that was killed leaves a shadow too. Whatever holds other relations, or a
ledger without the mark, is refused before anything is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from settlement.adapters.ledger import migrate
from settlement.adapters.ledger.repository import sql
from settlement.adapters.ledger.unit_of_work import describe
from settlement.domain.errors import Refused

HERE = __package__
MARK, SCHEMAS = "shadow", ("ledger", "reporting", "shadow")
LOCK = (7303, 0)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@contextmanager
def made_anew(url: str) -> Iterator[None]:
    """Make an empty settlement database of the one at `url`, and keep other shadow runs out of it meanwhile.

    Raises Refused: it holds something else than an earlier shadow, or another run is using it.
    """
    where = describe(sa.make_url(url))
    migrate.create_database(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            _require_shadow(connection, where)
            lock = sa.text("select pg_try_advisory_lock(:a, :b)")
            if not connection.execute(lock, {"a": LOCK[0], "b": LOCK[1]}).scalar():
                raise Refused(f"Another shadow run is using the database {where}: let it end, or name another database")
            connection.exec_driver_sql(f"create schema if not exists {MARK}")
            connection.exec_driver_sql(f"create table if not exists {MARK}.books (made_at timestamptz default now())")
            _empty(connection)
            migrate.migrate(url)
            yield
    finally:
        engine.dispose()


def is_same(one: str, other: str) -> bool:
    """Tell whether two URLs name one database, as far as names tell."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, int, str]:
    named = sa.make_url(url)
    host = str(named.host or named.query.get("host") or "localhost")
    return "localhost" if host in LOOPBACK else host, named.port or 5432, named.database or ""


def _require_shadow(connection: sa.Connection, where: str) -> None:
    found = list(connection.execute(sql(HERE, "schemas")).scalars())
    if found and (MARK not in found or not {*found} <= {*SCHEMAS} or not _has_mark(connection)):
        raise Refused(
            f"The database {where} holds [{', '.join(found)}] and is no earlier shadow: a shadow run needs an empty"
            " database of its own, which connection [settlement_shadow] names"
        )


def _has_mark(connection: sa.Connection) -> bool:
    return connection.execute(sa.text("select to_regclass('shadow.books')")).scalar() is not None


def _empty(connection: sa.Connection) -> None:
    """Take an earlier shadow away, date by date: one transaction would need a lock for each of its tables."""
    for leaf in connection.execute(sql(HERE, "leaves")).scalars().all():
        connection.exec_driver_sql(f"drop table {leaf}")
    connection.exec_driver_sql("drop schema if exists reporting cascade")
    connection.exec_driver_sql("drop schema if exists ledger cascade")
