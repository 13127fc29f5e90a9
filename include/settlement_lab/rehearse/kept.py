"""The source, read over connections that are kept: a rehearsal reads it some twenty times in each of its days.

A new connection costs more than what a small lender has to read. Every reading is a transaction of its own as before,
so that none sees less than the newest; what failed is not gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from adbc_driver_postgresql import dbapi
from settlement import config
from settlement.adapters.lending_core.source import PostgresLendingCore
from settlement.ports.services import Services


class KeptLendingCore(PostgresLendingCore):
    """The source database at a URL, whose connections are opened once."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._idle: list[dbapi.Connection] = []

    @contextmanager
    def _connected(self) -> Iterator[dbapi.Connection]:
        connection = self._idle.pop() if self._idle else dbapi.connect(self._uri, autocommit=True)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that nobody reads over."""
        while self._idle:
            self._idle.pop().close()


@contextmanager
def keeping(services: Services) -> Iterator[Services]:
    """Let the services read the source that the environment names over connections that are kept meanwhile."""
    core = KeptLendingCore(config.connection("lending_core").url())
    try:
        yield replace(services, core=core)
    finally:
        core.close()
