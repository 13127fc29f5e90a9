"""One transaction on the settlement database, opened under the right locks and behind the fence.

Two advisory locks, always taken in this order, each held to the end of the transaction: the settlement date's (two
tasks of one date never interleave), then the books' (everything that is posted is posted one after the other). A lock
that has to wait says in the log on whom.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
import structlog

from settlement.adapters.ledger.days.backfills import Backfills
from settlement.adapters.ledger.days.repository import Days
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.domain.alerts.routing import AlertsPolicy
from settlement.domain.errors import Refused, Unavailable
from settlement.ports.days import DayRun

log = structlog.get_logger(__name__)

LOCK_OF_DATES = 7301
LOCK_OF_BOOKS = (7302, 0)
APPLICATION = "settlement"
TASKS, PAGES = "settlement_app", "settlement_pages"
"""The roles in which transactions act: of the tasks and commands, and of the operator's pages."""

_BEYOND_LIMITS = "54"
"""PostgreSQL's class of what it can never hold, such as a key too long for its index: asking again does not help."""

B = TypeVar("B", bound="NotifyingBooks")


class NotifyingBooks:
    """One transaction on the settlement database, as far as a callback of Airflow needs it."""

    def __init__(self, transaction: sa.Connection, *, alerts: AlertsPolicy) -> None:
        self.outbox = Outbox(transaction, alerts=alerts)
        self.backfills = Backfills(transaction)
        self.days = Days(transaction, self.backfills)


class Transactions(Generic[B]):
    """The settlement database behind one SQLAlchemy engine; transactions act in one of its roles."""

    kind: type[B]

    def __init__(self, engine: sa.Engine, *, alerts: AlertsPolicy, role: str = TASKS) -> None:
        self.engine = engine
        self.alerts = alerts
        self.role = role

    @contextmanager
    def books(
        self,
        *,
        day: DayRun | None = None,
        settlement_date: date | None = None,
        posting: bool = False,
        read_only: bool = False,
        is_kept: bool = True,
    ) -> Iterator[B]:
        """Open a transaction, commit it when the context ends well, roll it back otherwise; also if it is not kept.

        Raises Displaced: the settlement date belongs to another run by now.
        Raises Unavailable: the database does not answer, or a deadlock or lost connection ended the transaction.
        Raises Refused: the database is there and is not a settlement database.
        """
        try:
            with self.engine.begin() as connection:
                if read_only:
                    connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
                connection.exec_driver_sql(f"set local role {self.role}")
                if day:  # so that whoever waits for this transaction can say for which run
                    name = f"{APPLICATION} {day.run_id}"[:63]
                    connection.execute(sa.text("select set_config('application_name', :name, true)"), {"name": name})
                on = day.settlement_date if day else settlement_date
                if on and not read_only:
                    _lock(connection, (LOCK_OF_DATES, on.toordinal()), f"settlement date {on}")
                if posting:
                    _lock(connection, LOCK_OF_BOOKS, "the books")
                books = self.kind(connection, alerts=self.alerts)
                if day and not day.dry_run and not read_only:
                    books.days.hold_fence(day)
                yield books
                transaction = connection.get_transaction()
                if not is_kept and transaction is not None:
                    transaction.rollback()
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            if str(getattr(error.orig, "sqlstate", None)).startswith(_BEYOND_LIMITS):
                raise
            raise Unavailable(f"Settlement database {describe(self.engine.url)}: {_first_line(error)}") from error
        except sa.exc.ProgrammingError as error:
            if "does not exist" in str(error.orig) or "permission denied" in str(error.orig):
                raise Refused(
                    f"Settlement database {describe(self.engine.url)}: {_first_line(error)} - run `settlement migrate`"
                ) from error
            raise


def describe(url: sa.URL) -> str:
    """Return where a database is, without login or password."""
    host = url.host or url.query.get("host") or "localhost"
    return f"[{host}{f':{url.port}' if url.port else ''}/{url.database}]"


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__


def _lock(connection: sa.Connection, key: tuple[int, int], what: str) -> None:
    got: Any = connection.execute(
        sa.text("select pg_try_advisory_xact_lock(:a, :b)"), {"a": key[0], "b": key[1]}
    ).scalar()
    if got:
        return
    holder = connection.execute(
        sa.text(
            "select a.pid, a.application_name from pg_locks l join pg_stat_activity a using (pid)"
            " join pg_database d on d.oid = l.database and d.datname = current_database()"
            " where l.locktype = 'advisory' and l.granted and l.classid = :a and l.objid = :b and l.objsubid = 2"
        ),
        {"a": key[0], "b": key[1]},
    ).first()
    log.info("waiting_for_lock", lock=what, held_by=holder._asdict() if holder else None)
    connection.execute(sa.text("select pg_advisory_xact_lock(:a, :b)"), {"a": key[0], "b": key[1]})


class NotifyingLedger(Transactions[NotifyingBooks]):
    """The settlement database as far as a callback of Airflow needs it, without the weight of frames."""

    kind = NotifyingBooks
