"""What tests of several pieces stand on: a real PostgreSQL, a real bank and a Slack of our own, all on this machine.

One server serves the whole session; every test that asks for a database gets a fresh copy of a prepared one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import hypothesis
import pytest
from settlement_lab.servers import bank, embedded
from settlement_lab.slack import sink as slack_sink

_names = count(1)

IN_MEMORY_BYTES = 4 << 30
"""What must be free in memory before the tests put their files there; four processes were seen to use a quarter."""

hypothesis.settings.register_profile("unhurried", deadline=None)  # how long an example takes, no test asserts
hypothesis.settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """Give this session a temporary root of its own.

    The usual one is shared by all sessions of a user, and each that begins closes it to everybody else: a PostgreSQL
    that runs as another user in the middle of another session would lose its own data folder. It lies in memory where
    the machine has room for it: each test makes and drops databases of some 700 files, and a journaling file system
    looks for long before it gives away again what was deleted within the last seconds.
    """
    in_memory = Path("/dev/shm")
    has_room = os.access(in_memory, os.W_OK) and shutil.disk_usage(in_memory).free > IN_MEMORY_BYTES
    root = tempfile.mkdtemp(prefix="st-", dir=in_memory if has_room else None)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = root
    config.add_cleanup(lambda: shutil.rmtree(root, ignore_errors=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingCore:
    """A source database of one test: `url` as the pipeline reads it, `owner_url` as the lender's system writes it."""

    url: str
    owner_url: str


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Server]:
    with embedded.running(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture
def new_database(postgres: embedded.Server) -> Iterator[Callable[..., str]]:
    """Return a function that makes a database of one test and returns its name; it is dropped afterwards."""
    made: list[str] = []

    def new(*, owner: str = "settlement", template: str = "template1") -> str:
        name = f"test_{next(_names)}"
        postgres.create_database(name, owner=owner, template=template)
        made.append(name)
        return name

    yield new
    for name in made:
        postgres.drop_database(name)


@pytest.fixture
def lending_core(postgres: embedded.Server, new_database: Callable[..., str]) -> LendingCore:
    """A fresh, empty source database with the contract's schema."""
    name = new_database(owner="lending_core", template="lending_core")
    return LendingCore(url=postgres.url(name, user=embedded.READER), owner_url=postgres.url(name, user="lending_core"))


@pytest.fixture
def empty_database_url(postgres: embedded.Server, new_database: Callable[..., str]) -> str:
    """A fresh database in which nothing was created yet, as the settlement database's owner."""
    return postgres.url(new_database(), user="settlement")


@pytest.fixture(scope="session")
def migrated_template(postgres: embedded.Server) -> str:
    """The name of a migrated settlement database to copy, not to use."""
    from settlement.adapters.ledger import migrate

    postgres.create_database("settlement_template", owner="settlement")
    migrate.migrate(postgres.url("settlement_template", user="settlement"))
    return "settlement_template"


@pytest.fixture
def settlement_db_url(postgres: embedded.Server, new_database: Callable[..., str], migrated_template: str) -> str:
    """A fresh, migrated and empty settlement database, as its owner."""
    return postgres.url(new_database(template=migrated_template), user="settlement")


@pytest.fixture
def mock_bank(tmp_path: Path) -> Iterator[Callable[..., bank.Bank]]:
    """Return a function that starts a bank of this test with the platform's account in won, at the hour it is given."""
    with ExitStack() as stack:

        def new(*, clock: str = "2026-02-12T06:00", arguments: tuple[str, ...] = ()) -> bank.Bank:
            folder = tmp_path / f"bank_{next(_names)}"
            return stack.enter_context(bank.running(folder, clock=clock, arguments=arguments))

        yield new


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[slack_sink.Sink]:
    """A Slack workspace of this test; `slack.base_url` is what the connection's extra calls `base_url`."""
    with slack_sink.running(tmp_path / "slack") as sink:
        yield sink
