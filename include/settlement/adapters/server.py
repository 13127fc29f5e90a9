"""A PostgreSQL server, looked at over a connection's URL: whether it answers, as whom, and what its clock says."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa

from settlement.domain.alerts import redaction
from settlement.domain.errors import Refused, Unavailable
from settlement.ports.doctor import Server

CONNECT_SECONDS = 5
LONGEST_STATEMENT = "60s"

_LOOK = sa.text(
    "select current_user as login, current_setting('server_version') as version, rolsuper,"
    " inet_client_addr() is null as is_local, clock_timestamp() as at from pg_roles where rolname = current_user"
)


@contextmanager
def reading(conn_id: str, url: str) -> Iterator[sa.Engine]:
    """Yield an engine over which nothing can be written, whose statements are each a transaction.

    Raises Refused: the URL cannot be read; it is not shown, for it may hold a password.
    """
    try:
        engine = sa.create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "settlement doctor",
                "options": f"-c default_transaction_read_only=on -c statement_timeout={LONGEST_STATEMENT}",
            },
        )
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError, TypeError, ValueError):
        raise Refused(
            f'Connection [{conn_id}]: the "url" in its extra cannot be read; write it as'
            " postgresql+psycopg://login:password@host:5432/database, with signs such as @ in a password as %40"
        ) from None
    try:
        yield engine
    finally:
        engine.dispose()


def look(engine: sa.Engine) -> Server:
    """Return what the server is for this login.

    Raises Unavailable: it does not answer, or refuses the login.
    """
    where = _where(engine.url)
    try:
        with engine.connect() as connection:
            connection.execute(_LOOK)
            asked_at = datetime.now(UTC)
            row = connection.execute(_LOOK).one()
            answered_at = datetime.now(UTC)
    except sa.exc.OperationalError as error:
        lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
        said = redaction.credentials(lines[0]) if lines else type(error.orig).__name__
        raise Unavailable(f"Database {where} does not answer: {said}") from None
    return Server(
        where=where,
        login=row.login,
        version=row.version.split(" ")[0],
        is_superuser=row.rolsuper,
        is_over_a_socket=row.is_local,
        seconds_ahead=(row.at - asked_at - (answered_at - asked_at) / 2).total_seconds(),
    )


def _where(url: sa.URL) -> str:
    host = url.host or url.query.get("host") or "localhost"
    return f"[{host}{f':{url.port}' if url.port else ''}/{url.database}]"
