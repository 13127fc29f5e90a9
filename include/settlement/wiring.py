"""The only place that chooses adapters: from policy, connections and environment to one `Services`."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from settlement import config
from settlement.adapters.bank import reading
from settlement.adapters.bank.channels.folders import DirectoryBank, PickupFolder
from settlement.adapters.bank.channels.http import HttpBank
from settlement.adapters.bank.formats import pain001
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT, ColumnMap
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.ledger.unit_of_work import NotifyingLedger
from settlement.adapters.slack import SlackAlerts
from settlement.domain import policy as policies
from settlement.domain.days import BankCalendar, Override, SettlementCalendar
from settlement.domain.errors import InvalidPolicy, MissingConnection, Refused
from settlement.domain.policy import Policy
from settlement.ports.bank import Bank, Debtor
from settlement.ports.services import Notifications, Services


@contextmanager
def services() -> Iterator[Services]:
    """Build everything that the stages work with, and let go of it afterwards.

    Raises Refused: the policy does not validate, or a connection that is needed is missing; the message names it.
    """
    from settlement.adapters import reports
    from settlement.adapters.ledger.books import PostgresLedger
    from settlement.adapters.lending_core.source import PostgresLendingCore
    from settlement.adapters.snapshots import ParquetSnapshots

    policy = load_policy()
    engine = settlement_engine()
    try:
        bank, debtor = bank_channel()
        yield Services(
            policy=policy,
            calendar=calendar_of(policy),
            core=PostgresLendingCore(config.connection("lending_core").url()),
            snapshots=ParquetSnapshots(config.snapshots_path()),
            ledger=PostgresLedger(engine, alerts=policy.alerts),
            bank=bank,
            debtor=debtor,
            alerts=_alerts(engine, policy),
            code_version=code_version(),
            write_file=pain001.write,
            write_report=reports.workbook,
            read_message=partial(reading.read, columns=statement_columns()),
            is_now_set=config.is_now_set(),
            landing=landing_folder(),
        )
    finally:
        engine.dispose()


@contextmanager
def notifications() -> Iterator[Notifications]:
    """Build what telling people of a failure needs, and no more: pandas, pyarrow and numpy are not imported for it.

    Raises Refused: the policy does not validate, or the settlement database is not configured.
    """
    policy = load_policy()
    engine = settlement_engine()
    try:
        yield Notifications(
            policy=policy,
            calendar=calendar_of(policy),
            ledger=NotifyingLedger(engine, alerts=policy.alerts),
            alerts=_alerts(engine, policy),
        )
    finally:
        engine.dispose()


def _alerts(engine: sa.Engine, policy: Policy) -> SlackAlerts:
    return SlackAlerts(
        engine,
        policy.alerts,
        outbox=partial(Outbox, alerts=policy.alerts),
        timezone=policy.timezone,
        airflow_url=config.airflow_url(),
        runbook_url=config.runbook_url(),
        is_now_set=config.is_now_set(),
    )


def load_policy() -> Policy:
    """Return the policy that SETTLEMENT_POLICY names.

    Raises Refused: it does not validate; the message names key, value and what is allowed.
    """
    try:
        return policies.load(config.policy_path())
    except InvalidPolicy as error:
        raise Refused(str(error)) from error


def calendar_of(policy: Policy) -> SettlementCalendar:
    """Return the settlement dates of a policy."""
    return SettlementCalendar(
        calendar=BankCalendar(
            policy.calendar.country,
            policy.calendar.categories,
            tuple(Override(o.date, o.business, o.reason) for o in policy.calendar.overrides),
        ),
        timezone=policy.timezone,
        cut_off=policy.cut_off,
        run_at=policy.run_at,
        first=policy.first_settlement_date,
        last=policy.last_settlement_date,
    )


def settlement_engine() -> sa.Engine:
    """Return an engine on the settlement database; nothing connects before it is used."""
    return sa.create_engine(
        config.connection("settlement_db").url(),
        pool_size=2,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "settlement"},
    )


def bank_channel() -> tuple[Bank | None, Debtor | None]:
    """Return the channel of connection `settlement_bank` and our account at it, or neither if it is not configured.

    Raises MissingConnection: the connection is there and lacks something that is needed.
    """
    found = config.optional_connection("settlement_bank")
    if found is None:
        return None, None
    missing = [key for key in ("debtor_account", "debtor_name", "currency") if not found.extra.get(key)]
    if missing:
        raise MissingConnection(
            f"Connection [settlement_bank] lacks {missing} in its extra: it needs debtor_account, debtor_name,"
            " debtor_agent, currency"
        )
    debtor = Debtor(
        account=str(found.extra["debtor_account"]),
        name=str(found.extra["debtor_name"]),
        agent=str(found.extra["debtor_agent"]) if found.extra.get("debtor_agent") else None,
        currency=str(found.extra["currency"]),
    )
    if found.extra.get("drop") and found.extra.get("pickup"):
        return DirectoryBank(_folder(found.extra["drop"]), _folder(found.extra["pickup"])), debtor
    if not found.host:
        raise MissingConnection(
            "Connection [settlement_bank] has no host: set host and port of the bank, or drop and pickup folders in"
            " its extra"
        )
    host = found.host if "://" in found.host else f"{found.schema or 'http'}://{found.host}"
    address = f"{host}:{found.port}" if found.port else host
    return (
        HttpBank(
            address,
            login=found.login,
            password=found.password,
            connect_seconds=float(found.extra.get("connect_seconds", 5)),
            answer_seconds=float(found.extra.get("answer_seconds", 60)),
        ),
        debtor,
    )


def landing_folder() -> PickupFolder | None:
    """Return the folder in which people land statements: `landing` in the extra of connection `settlement_bank`."""
    found = config.optional_connection("settlement_bank")
    return PickupFolder(_folder(found.extra["landing"])) if found and found.extra.get("landing") else None


def statement_columns() -> ColumnMap | None:
    """Return what the columns of a CSV statement mean: `statement_columns` in the extra of `settlement_bank`.

    It is an object with the fields of `ColumnMap`, or the name `korean_export`; without it, no CSV is read.

    Raises MissingConnection: it is neither, or a field is unknown or missing.
    """
    found = config.optional_connection("settlement_bank")
    declared = found.extra.get("statement_columns") if found else None
    if not declared:
        return None
    if declared == "korean_export":
        return KOREAN_EXPORT
    try:
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in dict(declared).items()
        }
        return ColumnMap(**fields)
    except (TypeError, ValueError) as error:
        raise MissingConnection(
            'Connection [settlement_bank]: statement_columns in its extra is neither "korean_export" nor an object with'
            f" the fields of a column map ({error})"
        ) from None


@cache
def code_version() -> str:
    """Return the hash of the product's own code, which every revision is recorded with."""
    whole = hashlib.sha256()
    package = Path(__file__).parent
    for file in sorted(package.rglob("*.py")):
        whole.update(str(file.relative_to(package)).encode())
        whole.update(file.read_bytes())
    return whole.hexdigest()


def _folder(location: str) -> Path:
    parts = urlsplit(location)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(location)
