"""The settlement database as the doctor looks at it: nothing is written, and its owner's rights are not used."""

from collections.abc import Sequence

import sqlalchemy as sa

from settlement.adapters.ledger import migrate
from settlement.adapters.ledger.repository import sql
from settlement.adapters.ledger.unit_of_work import TASKS
from settlement.ports.doctor import BooksLogin, CreditLine, SchemaVersion

HERE = __package__
MOST_LINES = 1_000

_IS_THERE = sa.text(
    "select exists (select from pg_tables where schemaname = 'ledger' and tablename = 'alembic_version')"
)


class BooksExam:
    """The settlement database over an engine; see `ports.doctor.BooksExam`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def login(self) -> BooksLogin:
        """Return what the connection's login is there."""
        with self._engine.connect() as connection:
            owns = connection.execute(sql(HERE, "owned")).scalars().all()
            may_act = connection.execute(
                sa.text("select bool_or(pg_has_role(oid, 'member')) from pg_roles where rolname = :role"),
                {"role": TASKS},
            ).scalar()
        return BooksLogin(owns=owns, may_act=bool(may_act))

    def schema(self) -> SchemaVersion:
        """Return which version the schema has, and which one it needs."""
        with self._engine.connect() as connection:
            is_there = connection.execute(_IS_THERE).scalar()
            found = is_there and connection.execute(sa.text("select version_num from ledger.alembic_version")).scalar()
        return SchemaVersion(found=str(found) if found else None, needed=migrate.needed())

    def newest_credits(self) -> Sequence[CreditLine]:
        """Return the credits of the newest statements."""
        with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            connection.exec_driver_sql(f"set local role {TASKS}")
            rows = connection.execute(sql(HERE, "newest_credits"), {"most": MOST_LINES})
            return [CreditLine(**row) for row in rows.mappings()]
