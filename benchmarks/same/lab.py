"""Everything that the comparison takes from the checkout that it lies in: servers to stand beside the product, worlds.

Nothing else of this package imports the product, its lab or its tests.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from settlement_lab.rehearse.lender import iban
from settlement_lab.servers import bank, embedded, services
from settlement_lab.slack import sink

from tests.reference import world, worlds

Postgres = embedded.Server
Bank = bank.Bank
account_number = iban

PATIENCE_SECONDS = 60.0
RELATIONS = {
    "Loan": "loans",
    "Investor": "investors",
    "Note": "notes",
    "Holding": "note_holdings",
    "Receivable": "receivables",
    "Repayment": "repayments",
}
"""What a world has of the relations of the contract. Refunds are left out: a checkout from before them knows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A world of one seed: what its source holds when, the dates on which it is settled, and its policy's keys."""

    world: world.World
    dates: list[date]
    policy: dict[str, Any]

    def rows(self, run: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows that the run of that number sees: the relation of the contract, and its columns."""
        for row in self.world.rows(run):
            if type(row).__name__ in RELATIONS:
                yield RELATIONS[type(row).__name__], asdict(row)

    def everything(self, relation: str) -> Iterable[dict[str, Any]]:
        """Return every row that the relation ever holds, in the order of the world."""
        return (asdict(fact.row) for fact in self.world.facts if RELATIONS.get(type(fact.row).__name__) == relation)


def story(seed: int, *, loans: int, days: int) -> Story:
    """Return the story of a seed, settled on those of its dates on which the bank is open."""
    told = worlds.story(seed, loans=loans, days=days)
    return Story(
        world=told.world,
        dates=[day for day in told.world.dates if bank.CALENDAR.is_business_day(day)],
        policy=told.policy.model_dump(exclude_unset=True),
    )


def next_business_day(day: date) -> date:
    """Return the bank's next business day after a date."""
    return bank.CALENDAR.next_business_day(day)


def postgres_running(home: Path) -> AbstractContextManager[Postgres]:
    """Run the PostgreSQL of a folder."""
    return embedded.running(home, durable=False)


@contextmanager
def postgres_after_demo(home: Path) -> Iterator[Postgres]:
    """Run the PostgreSQL of a demo's folder once the demo's own, which ends a little later than the demo, has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            cluster = embedded.start(home, durable=False)
            break
        except embedded.CannotStart:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    try:
        yield cluster.server
    finally:
        cluster.stop()


def empty_databases(server: Postgres, *, template: str) -> None:
    """Have a source without a relation, and a settlement database that is a copy of the one of that name."""
    for name, owner, original in (
        ("lending_core", "lending_core", "template1"),
        ("settlement_db", "settlement", template),
    ):
        server.drop_database(name)
        server.create_database(name, owner=owner, template=original)


@contextmanager
def bank_running(folder: Path, *, clock: str) -> Iterator[Bank]:
    """Run a bank of our own with the platform's account in won, whose clock stands at the hour it is given."""
    folder.mkdir(mode=0o700)
    log = folder / "bank.log"
    command = [sys.executable, "-P", str(Path(__file__).with_name("still_bank.py")), "--port", "0"]
    command += ["--timezone", bank.TIMEZONE, "--clock", clock, "--db", str(folder / "bank.sqlite")]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        the_bank = Bank(url=bank.listening_url(process, log))
        bank.open_for_business(the_bank)
        yield the_bank
    finally:
        process.terminate()
        process.wait()


def slack_running(folder: Path) -> AbstractContextManager[sink.Sink]:
    """Run a Slack workspace of our own, which keeps what it is sent in the folder."""
    return sink.running(folder)


def connections(folder: Path, server: Postgres, the_bank: Bank, slack_url: str) -> dict[str, str]:
    """Return the environment in which the product finds these services."""
    endpoints = services.Endpoints(home=folder, postgres=server, bank=the_bank, slack_url=slack_url)
    return endpoints.environment()


def slack_store(folder: Path) -> Path:
    """Return the SQLite file in which a workspace of the folder keeps its messages."""
    return folder / "slack.sqlite"
