"""Fresh books, a fresh source and a bank set back to its beginning for every killing, and processes to be killed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from settlement_lab.rehearse.worker import PROCESSES
from settlement_lab.servers import bank as demo_bank
from settlement_lab.servers import embedded

from . import day

WORKED_DAY = Path(__file__).parent.parent / "days" / "2026-02-16"
TAKEN_OVER = "insert into core.opening_positions values ('fee_income', '', 'KRW', 700)"
HOLIDAYS = ["2026-02-17", "2026-02-18", "2026-03-02"]

# What is compared: everything that is told to anybody, without numbers that only count attempts.
VIEWS = {
    "settlement_days": "*",
    "allocations": "*",
    "shares": "*",
    "quarantine": "*",
    "journal": "settlement_date, revision, event, account, currency, amount, repayment_id, payout_id, line_id",
    "balances": "*",
    "payouts": "*",
    "held": "*",
    "statement_lines": "*",
    "withholding": "*",
    "breaks": "cause, side, opened_on, currency, amount, subject_kind, subject_id, state, resolved_on",
    # The key of opened breaks is made from their numbers, and a number that was drawn and lost is not drawn again.
    "alerts": "settlement_date, event, severity, channel, regexp_replace(dedupe_key, 'breaks.*', 'breaks')",
}


@dataclass
class World:
    """One platform: what a story begins with, and what is left of it."""

    core_url: str
    core_owner_url: str
    ledger_url: str
    bank: demo_bank.Bank
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, **options: Any) -> Any:
        """Start a process that plays the day; `kill` it is told."""
        process = PROCESSES.Process(target=day.play, args=(self.environment, self.progress), kwargs=options)
        process.start()
        return process

    def play(self, **options: Any) -> int:
        """Play the day in a process of its own and return its exit status: 0, or minus the signal that killed it."""
        process = self.start(**options)
        process.join(120)
        assert process.exitcode is not None, "the process hangs"
        return int(process.exitcode)

    @property
    def progress(self) -> Path:
        return self.folder / "progress"

    def correct(self, sql: str) -> None:
        """Let the source say otherwise what it said."""
        engine = sa.create_engine(self.core_owner_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(sql)
        engine.dispose()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        engine = sa.create_engine(self.ledger_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(sa.text(sql))]
        engine.dispose()
        return found

    def outcome(self) -> dict[str, Any]:
        """Let the bank book what it took, reconcile, and return the books and the bank's own record."""
        self.bank.advance_to(date(2026, 2, 23))
        process = PROCESSES.Process(target=day.reconcile_afterwards, args=(self.environment,))
        process.start()
        process.join(120)
        assert process.exitcode == 0
        kept = ("end_to_end_id", "amount", "currency", "status", "creditor_name", "creditor_iban", "settlement_date")
        at_bank = sorted(tuple(str(payment[name]) for name in kept) for payment in self.bank.payments())
        return {
            view: sorted(str(row) for row in self.rows(f"select {columns} from reporting.{view}"))
            for view, columns in VIEWS.items()
        } | {"bank": at_bank}


@pytest.fixture(scope="module")
def a_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo_bank.Bank]:
    with demo_bank.running(tmp_path_factory.mktemp("bank"), clock="2026-02-13T06:00") as running:
        yield running


@pytest.fixture(scope="module")
def templates(postgres: embedded.Server, migrated_template: str) -> Iterator[tuple[str, str]]:
    """The names of two databases to copy: the worked day's source, and empty books."""
    postgres.create_database("crash_core", owner="lending_core", template="lending_core")
    engine = sa.create_engine(postgres.url("crash_core", user="lending_core"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql((WORKED_DAY / "core.sql").read_text(encoding="utf-8"))
        connection.exec_driver_sql(TAKEN_OVER)
    engine.dispose()
    yield "crash_core", migrated_template
    postgres.drop_database("crash_core")


@pytest.fixture(scope="module")
def new_world(
    postgres: embedded.Server,
    templates: tuple[str, str],
    a_bank: demo_bank.Bank,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """Return a context that begins the worked day anew: books, source, snapshots and bank.

    `is_open`: nobody has to answer for anything at the gate, or to approve anything behind it.
    """
    folders = tmp_path_factory.mktemp("worlds")
    policy = (WORKED_DAY / "policy.toml").read_text(encoding="utf-8")
    policy = f"first_settlement_date = {day.ON}\nlast_settlement_date = {day.ON}\n{policy}"
    (folders / "open.toml").write_text(policy, encoding="utf-8")
    policy = policy.replace('wait_until = "10:00"', 'wait_until = "10:00"\nlimit.KRW = 50000')
    policy = policy.replace('approvers = ["checker"]', 'limit.KRW = 50000\napprovers = ["checker"]')
    (folders / "shut.toml").write_text(policy, encoding="utf-8")
    numbers = count(1)

    @contextmanager
    def new(*, is_open: bool = False) -> Iterator[World]:
        number = next(numbers)
        core, books = f"crash_core_{number}", f"crash_books_{number}"
        postgres.create_database(core, owner="lending_core", template=templates[0])
        postgres.create_database(books, owner="settlement", template=templates[1])
        _back_to_the_beginning(a_bank)
        folder = folders / f"world_{number}"
        folder.mkdir()
        world = World(
            core_url=postgres.url(core, user=embedded.READER),
            core_owner_url=postgres.url(core, user="lending_core"),
            ledger_url=postgres.url(books, user="settlement"),
            bank=a_bank,
            folder=folder,
        )
        world.environment = _environment(world, folders / ("open.toml" if is_open else "shut.toml"))
        try:
            yield world
        finally:
            postgres.drop_database(core)
            postgres.drop_database(books)
            shutil.rmtree(folder)

    return new


def _back_to_the_beginning(bank: demo_bank.Bank) -> None:
    """Give the bank its first day again: a statement that cannot be used, then the receipt of the worked day."""
    httpx.post(f"{bank.url}/_mock/reset").raise_for_status()
    httpx.put(f"{bank.url}/_mock/holidays", json=HOLIDAYS).raise_for_status()
    bank.open_account("PLATFORM", demo_bank.DEBTOR_ACCOUNT, owner="P", balance=50_000_000, behaviour="statement-gap")
    bank.receive(reference="EARLIER", amount=1_000, on=date(2026, 2, 13), payer="X")
    bank.advance_to(date(2026, 2, 16))
    bank.change_account("PLATFORM", behaviour="accept")
    bank.receive(reference="REF-R1", amount=95_000, on=date(2026, 2, 16), payer="홍길동")
    bank.advance_to(date(2026, 2, 17))


def _environment(world: World, policy: Path) -> dict[str, str]:
    host, port = world.bank.url.removeprefix("http://").split(":")
    account = {
        "debtor_account": demo_bank.DEBTOR_ACCOUNT,
        "debtor_name": demo_bank.DEBTOR_NAME,
        "debtor_agent": demo_bank.DEBTOR_AGENT,
        "currency": "KRW",
    }
    connections = {
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": world.core_url}},
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": world.ledger_url}},
        "SETTLEMENT_BANK": {"conn_type": "http", "host": host, "port": int(port), "extra": account},
    }
    named = {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}
    return named | {"SETTLEMENT_SNAPSHOTS": str(world.folder / "snapshots"), "SETTLEMENT_POLICY": str(policy)}
