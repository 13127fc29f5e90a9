"""A whole platform for stories: source, ledger, bank and Slack, real each, driven stage by stage in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from settlement import wiring
from settlement.adapters.ledger.repository import Repository
from settlement.adapters.lending_core import source
from settlement.ports.days import DayRun, RunRequest
from settlement.ports.services import Services
from settlement.stages import (
    open_day,
)
from settlement_lab.rehearse.kept import KeptLendingCore
from settlement_lab.rehearse.worker import STAGES
from settlement_lab.servers import bank as demo_bank

DAYS = Path(__file__).parent.parent / "days"


def transaction_of(room: object) -> sa.Connection:
    """Return the transaction in which a subject of the books stands, for what its port has no words for."""
    assert isinstance(room, Repository)
    return room.transaction


@dataclass
class Platform:
    """One platform of one test."""

    core_url: str
    ledger_url: str
    bank: demo_bank.Bank
    monkeypatch: pytest.MonkeyPatch

    def source(self, sql: str, **values: Any) -> None:
        """Do what the lender's own system does: write the source."""
        engine = sa.create_engine(self.core_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            if values:
                connection.execute(sa.text(sql), values)
            else:
                connection.exec_driver_sql(sql)
        engine.dispose()

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """Read the settlement database."""
        engine = sa.create_engine(self.ledger_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(sa.text(sql), values)]
        engine.dispose()
        return found

    def at(self, instant: str) -> datetime:
        """Set the product's clock, and move the bank's with it."""
        self.monkeypatch.setenv("SETTLEMENT_NOW", instant)
        moment = datetime.fromisoformat(instant)
        self.bank.advance_to(moment.date())
        return moment

    @contextmanager
    def services(self) -> Iterator[Services]:
        with wiring.services() as services:
            yield services

    def settle(
        self, on: str, *, at: str, run_id: str = "run-1", stop_after: str = "report", **request: Any
    ) -> dict[str, Any]:
        """Run the day's stages in the order of the DAG; return what each said."""
        now = self.at(at)
        said: dict[str, Any] = {}
        with self.services() as services:
            day = open_day.open_day(
                services, RunRequest(settlement_date=date.fromisoformat(on), run_id=run_id, **request), now=now
            )
            for name, stage in STAGES:
                said[name] = stage(services, day, now=now)
                if name == stop_after:
                    break
        return said


def stage_day(on: str, run_id: str = "run-1", revision: int = 1) -> DayRun:
    return DayRun(settlement_date=date.fromisoformat(on), revision=revision, run_id=run_id)


@pytest.fixture(autouse=True)
def kept_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Open the connections of a story's databases once, not once for each of its stages as separate tasks do.

    A new session of PostgreSQL reads the catalogue anew for every query, which is most of what a small stage costs.
    """
    engines: dict[tuple[sa.URL, str | None], sa.Engine] = {}
    cores: dict[str, KeptLendingCore] = {}
    new_engine = wiring.settlement_engine

    def engine(*, role: str | None = None) -> sa.Engine:
        made = new_engine(role=role)
        kept = engines.setdefault((made.url, role), made)
        monkeypatch.setattr(kept, "dispose", lambda: None)  # a stage that lets go of it does not close it
        return kept

    monkeypatch.setattr(wiring, "settlement_engine", engine)
    monkeypatch.setattr(source, "PostgresLendingCore", lambda url: cores.setdefault(url, KeptLendingCore(url)))
    yield
    for kept in engines.values():
        kept.pool.dispose()
    for core in cores.values():
        core.close()


@pytest.fixture
def platform(
    lending_core: Any,
    settlement_db_url: str,
    mock_bank: Callable[..., demo_bank.Bank],
    slack: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Platform:
    bank = mock_bank(clock="2026-02-16T06:00")
    # The worked day is a Korean holiday that its policy opens; so does its bank.
    httpx.put(f"{bank.url}/_mock/holidays", json=["2026-02-17", "2026-02-18", "2026-03-02"]).raise_for_status()
    host, port = bank.url.removeprefix("http://").split(":")
    connections: Mapping[str, Any] = {
        "LENDING_CORE": {"conn_type": "generic", "extra": {"url": lending_core.url}},
        "SETTLEMENT_DB": {"conn_type": "generic", "extra": {"url": settlement_db_url}},
        "SETTLEMENT_BANK": {
            "conn_type": "http",
            "host": host,
            "port": int(port),
            "extra": {
                "debtor_account": demo_bank.DEBTOR_ACCOUNT,
                "debtor_name": demo_bank.DEBTOR_NAME,
                "debtor_agent": demo_bank.DEBTOR_AGENT,
                "currency": "KRW",
            },
        },
    }
    for name, value in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    monkeypatch.setenv("SETTLEMENT_SNAPSHOTS", str(tmp_path / "snapshots"))
    monkeypatch.setenv("SETTLEMENT_POLICY", str(DAYS / "2026-02-16" / "policy.toml"))
    return Platform(core_url=lending_core.owner_url, ledger_url=settlement_db_url, bank=bank, monkeypatch=monkeypatch)
