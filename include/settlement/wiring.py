"""The only place that chooses adapters: from policy, connections and environment to one `Services`."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from settlement import config
from settlement.adapters.bank.channels.folders import DirectoryBank, PickupFolder
from settlement.adapters.bank.formats.csv_statement import KOREAN_EXPORT, ColumnMap
from settlement.adapters.ledger.outbox.repository import Outbox
from settlement.adapters.ledger.unit_of_work import PAGES, TASKS, NotifyingLedger
from settlement.adapters.slack import SlackAlerts
from settlement.domain import policy as policies
from settlement.domain.alerts.routing import Language
from settlement.domain.day_report import DayReport, Sheet
from settlement.domain.days import BankCalendar, Override, SettlementCalendar
from settlement.domain.errors import InvalidPolicy, MissingConnection, Refused, Unavailable
from settlement.domain.policy import Policy
from settlement.ports.bank import Bank, Debtor
from settlement.ports.close import Certificate
from settlement.ports.doctor import Airflow, BankExam, Patient
from settlement.ports.explain import Explanations
from settlement.ports.former import FormerPayments
from settlement.ports.outbox import ConnectionTest
from settlement.ports.services import Notifications, Services
from settlement.ports.source import LendingCore

if TYPE_CHECKING:
    from settlement.adapters.bank.channels.http import HttpBank

# Where the reference counterparty of the bank channel (mock-bank) takes files and hands out messages. A connection to
# another bank names its own: `submit_path` and `collect_path` in its extra.
REFERENCE_SUBMIT_PATH = "/payments"
REFERENCE_COLLECT_PATH = "/_mock/mailbox"


@contextmanager
def services(*, role: str | None = None) -> Iterator[Services]:
    """Build everything that the stages work with, and let go of it afterwards.

    With a role of the settlement database, nothing of it can do more than that role may.

    Raises Refused: the policy does not validate, or a connection that is needed is missing; the message names it.
    """
    from settlement.adapters import reports
    from settlement.adapters.bank import reading
    from settlement.adapters.bank.formats import pain001
    from settlement.adapters.ledger.books import PostgresLedger
    from settlement.adapters.lending_core.source import PostgresLendingCore
    from settlement.adapters.snapshots import ParquetSnapshots

    policy = load_policy()
    source = config.optional_connection("lending_core") if role else config.connection("lending_core")
    engine = settlement_engine(role=role)
    try:
        bank, debtor = bank_channel()
        columns, zone = statement_columns(), ZoneInfo(policy.timezone)
        yield Services(
            policy=policy,
            calendar=calendar_of(policy),
            core=PostgresLendingCore(source.url()) if source else cast(LendingCore, _NotGiven("lending_core")),
            snapshots=ParquetSnapshots(config.snapshots_path()),
            ledger=PostgresLedger(engine, alerts=policy.alerts, role=role or TASKS),
            bank=bank,
            debtor=debtor,
            alerts=_alerts(engine, policy),
            code_version=code_version(),
            write_file=pain001.write,
            write_report=partial(reports.workbook, language=policy.alerts.language),
            read_message=partial(reading.read, columns=columns, zone=zone),
            reader=hashlib.sha256(f"{code_version()} {columns} {zone}".encode()).hexdigest()[:16],
            is_now_set=config.is_now_set(),
            landing=landing_folder(),
        )
    finally:
        engine.dispose()


class _NotGiven:
    """Stands for what a process was given no connection to, until something is asked of it.

    Raises MissingConnection: something is.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    def __getattr__(self, name: str) -> None:
        config.connection(self._conn_id)


@contextmanager
def command() -> Iterator[Services]:
    """Build the services for somebody at a terminal: a database that fails is one sentence, not its driver's trace.

    Raises Refused: as for `services`, or the settlement database was never migrated.
    Raises Unavailable: a database does not answer.
    """
    with _at_a_terminal("AIRFLOW_CONN_SETTLEMENT_DB and _LENDING_CORE"), services() as built:
        yield built


@contextmanager
def _at_a_terminal(variables: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        raise Unavailable(f"A database does not answer: {_first_line(error)}; see {variables}") from None
    except sa.exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) not in _NOT_MIGRATED:
            raise
        raise Refused(
            f"The settlement database is not as this version needs it ({_first_line(error)}): run `settlement migrate`"
        ) from None


_NOT_MIGRATED = ("3F000", "42P01", "42703")
"""PostgreSQL's codes for a schema, a table and a column that are not there."""


@contextmanager
def shadow(*, against: str, opening: str | None) -> Iterator[tuple[Services, FormerPayments]]:
    """Build what a shadow run works with: a database of its own, the source, and what a former system paid.

    No bank, no Slack and no production ledger is opened. The database is the one that connection `settlement_shadow`
    names; an earlier shadow in it goes. `against` and `opening` are files or relations of the source; without an
    opening the lender begins with nothing. Frozen inputs are kept as long as the run lasts.

    Raises Refused: the database is the production ledger or holds anything else than an earlier shadow, or what was
        named cannot be used.
    Raises Unavailable: a database does not answer.
    """
    from settlement.adapters import former, reports
    from settlement.adapters.bank import reading
    from settlement.adapters.bank.formats import pain001
    from settlement.adapters.ledger.books import PostgresLedger
    from settlement.adapters.ledger.shadow import books
    from settlement.adapters.lending_core.shadow import ShadowLendingCore
    from settlement.adapters.snapshots import ParquetSnapshots

    url = config.connection("settlement_shadow").url()
    production = config.optional_connection("settlement_db")
    if production and books.is_same(production.url(), url):
        raise Refused(
            "Connection [settlement_shadow] names the database of [settlement_db]: a shadow run never opens the"
            " production ledger. Name an empty database"
        )
    told = load_policy()
    silent = told.alerts.model_copy(update={"channels": (), "email_to": ()})
    policy = told.model_copy(update={"alerts": silent})
    source = config.connection("lending_core").url()
    with _at_a_terminal("AIRFLOW_CONN_SETTLEMENT_SHADOW and _LENDING_CORE"):
        core = ShadowLendingCore(source, opening=None)
        if opening is not None:
            is_file = former.is_file(opening)
            core = ShadowLendingCore(
                source, opening=former.opening_rows(Path(opening)) if is_file else core.require(opening)
            )
        payments = former.FormerFile(Path(against)) if former.is_file(against) else core.former(against)
        with ExitStack() as opened:
            opened.enter_context(books.made_anew(url))
            folder = opened.enter_context(TemporaryDirectory(prefix="settlement-shadow-"))
            engine = _engine(url)
            opened.callback(engine.dispose)
            yield (
                Services(
                    policy=policy,
                    calendar=replace(calendar_of(policy), first=None, last=None),
                    core=core,
                    snapshots=ParquetSnapshots(Path(folder)),
                    ledger=PostgresLedger(engine, alerts=policy.alerts, role=TASKS),
                    bank=None,
                    debtor=None,
                    alerts=_alerts(engine, policy),
                    code_version=code_version(),
                    write_file=pain001.write,
                    write_report=partial(reports.workbook, language=policy.alerts.language),
                    read_message=partial(reading.read, columns=None, zone=ZoneInfo(policy.timezone)),
                    is_now_set=config.is_now_set(),
                ),
                payments,
            )


def migrate() -> tuple[str, str]:
    """Create or upgrade the settlement database; return where it is, without credentials, and its revision.

    Raises Unavailable: it does not answer.
    """
    from settlement.adapters.ledger import migrate as migrations
    from settlement.adapters.ledger import unit_of_work

    url = config.connection("settlement_db").url()
    where = unit_of_work.describe(sa.make_url(url))
    try:
        return where, migrations.migrate(url)
    except sa.exc.OperationalError as error:
        raise Unavailable(f"Settlement database {where} does not answer: {_first_line(error)}") from None


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]


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
        program=config.command(),
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


def language() -> Language:
    """Return the language that people are told in: the policy's, or Korean where no policy can be read."""
    try:
        return load_policy().alerts.language
    except (Refused, OSError):
        return "ko"


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
        catch_up=policy.schedule.catch_up,
        first=policy.first_settlement_date,
        last=policy.last_settlement_date,
    )


def settlement_engine(*, role: str | None = None) -> sa.Engine:
    """Return an engine on the settlement database; nothing connects before it is used.

    With a role, its connections act in that role from their beginning.
    """
    return _engine(config.connection("settlement_db").url(), role=role)


def _engine(url: str, *, role: str | None = None) -> sa.Engine:
    acting = {"options": f"-c role={role}"} if role else {}
    return sa.create_engine(
        url,
        pool_size=2,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "settlement"} | acting,
    )


def operators() -> AbstractContextManager[Services]:
    """Build the services for somebody who acts in the operator's pages: no payout, file or transmission is made there.

    Raises Refused: as for `services`.
    """
    return services(role=PAGES)


def operators_engine() -> sa.Engine:
    """Return an engine on the settlement database for the operator's pages."""
    return settlement_engine(role=PAGES)


def explanations(connection: sa.Connection) -> Explanations:
    """Return what explains an investor's money, read over a connection of the settlement database."""
    from settlement.adapters.ledger.explain import repository

    return repository.Explanations(connection)


def bank_channel() -> tuple[Bank | None, Debtor | None]:
    """Return the channel of connection `settlement_bank` and our account at it, or neither if it is not configured.

    Raises MissingConnection: the connection is there and lacks something that is needed, or says it in a wrong way.
    """
    return _channel_and_account()


def _channel_and_account() -> "tuple[HttpBank | DirectoryBank | None, Debtor | None]":
    from settlement.adapters.bank.channels.http import HttpBank

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
        also_named=_also_named(found.extra.get("also_named") or []),
    )
    if found.extra.get("drop") and found.extra.get("pickup"):
        drop, pickup = _folder(found.extra["drop"]), _folder(found.extra["pickup"])
        return DirectoryBank(drop, pickup, checks_duplicates=_checks_duplicates(found.extra, default=False)), debtor
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
            submit_path=str(found.extra.get("submit_path") or REFERENCE_SUBMIT_PATH),
            collect_path=str(found.extra.get("collect_path") or REFERENCE_COLLECT_PATH),
            connect_seconds=float(found.extra.get("connect_seconds", 5)),
            answer_seconds=float(found.extra.get("answer_seconds", 60)),
            checks_duplicates=_checks_duplicates(found.extra, default=True),
        ),
        debtor,
    )


def _also_named(declared: object) -> tuple[str, ...]:
    if not isinstance(declared, list) or not all(isinstance(name, str) and name.strip() for name in declared):
        raise MissingConnection(
            f"Connection [settlement_bank]: also_named [{declared}] in its extra is no list of further names of the"
            ' account, as ["110-123-456789"]'
        )
    return tuple(declared)


def _checks_duplicates(extra: Mapping[str, Any], *, default: bool) -> bool:
    """Return whether the bank of the connection is known to refuse a payment file that it has: `duplicate_check`."""
    declared = extra.get("duplicate_check", default)
    if not isinstance(declared, bool):
        raise MissingConnection(
            f"Connection [settlement_bank]: duplicate_check in its extra is [{declared}]; it is true where the bank"
            " refuses a payment file whose id it has, and false where nobody knows"
        )
    return declared


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


@contextmanager
def patient() -> Iterator[Patient]:
    """Build what the doctor looks at; nothing is read or opened before its check comes to it."""
    from babel.core import get_global

    from settlement.adapters import server, slack, snapshots
    from settlement.adapters.ledger.books import PostgresLedger
    from settlement.adapters.ledger.doctor.repository import BooksExam
    from settlement.adapters.lending_core.doctor import SourceExam
    from settlement.adapters.lending_core.source import PostgresLendingCore
    from settlement.adapters.slack import client

    with ExitStack() as opened:

        @cache
        def reading(conn_id: str) -> sa.Engine:
            return opened.enter_context(server.reading(conn_id, config.connection(conn_id).url()))

        def slack_test(policy: Policy) -> ConnectionTest | None:
            if config.optional_connection(client.CONNECTION) is None:
                return None
            return slack.connection_test(policy.alerts, client.from_connection())

        yield Patient(
            policy=load_policy,
            calendar=calendar_of,
            now=config.now,
            is_now_set=config.is_now_set(),
            territory_of=get_global("zone_territories").get,
            source_server=lambda: server.look(reading("lending_core")),
            source=lambda: SourceExam(reading("lending_core")),
            core=lambda: PostgresLendingCore(config.connection("lending_core").url()),
            books_server=lambda: server.look(reading("settlement_db")),
            books=lambda: BooksExam(reading("settlement_db")),
            ledger=lambda policy: PostgresLedger(reading("settlement_db"), alerts=policy.alerts, role=TASKS),
            bank=_bank_exam,
            slack=slack_test,
            has_mail=lambda: config.optional_connection("settlement_smtp") is not None,
            snapshots=lambda: snapshots.look(config.snapshots_path()),
            airflow=_airflow,
            airflow_health=airflow_health(),
            can_ask_airflow=bool(config.airflow_health_url() and config.optional_connection("settlement_airflow")),
        )


def _bank_exam() -> BankExam | None:
    channel, debtor = _channel_and_account()
    if channel is None or debtor is None:
        return None
    landing, _ = landing_folder(), statement_columns()
    return BankExam(debtor=debtor, doors=lambda: [*channel.doors(), *(landing.doors() if landing else ())])


def _airflow() -> Airflow:
    from settlement.adapters import airflow_load

    return Airflow(**airflow_load.load())


def airflow_health() -> Callable[[], str | None]:
    """Return what asks Airflow why it does not run a day: as the user of connection `settlement_airflow`, if any."""
    from settlement.adapters import airflow_health

    user = config.optional_connection("settlement_airflow")
    login = (user.login, user.password) if user and user.login and user.password else None
    return airflow_health.reader(config.airflow_health_url(), login=login)


def write_day_report(report: DayReport, folder: Path, *, language: Language) -> list[Path]:
    """Write a day's report into a folder, its workbook in a language, and return its files.

    Raises Refused: the folder cannot be written.
    """
    from settlement.adapters import reports

    with _writing(folder):
        return reports.write(report, folder, language=language)


def write_investor_month(found: Mapping[str, Any], path: Path, *, language: Language) -> None:
    """Write one investor's month as a page that prints, for its owner only.

    Raises Refused: the file cannot be written.
    """
    from settlement.adapters.reports import investor_month

    with _writing(path):
        path.touch(mode=0o600)
        path.write_bytes(investor_month.page(found, language=language))


def write_month(found: Mapping[str, Any], folder: Path, *, language: Language) -> list[Path]:
    """Write a month's report into a folder, its workbook and its page in a language, and return its files.

    Raises Refused: the folder cannot be written.
    """
    from settlement.adapters.reports import month

    with _writing(folder):
        return month.write(found, folder, language=language)


def write_differences(
    sheets: Sequence[Sheet], folder: Path, *, since: date, until: date, language: Language
) -> list[Path]:
    """Write what a shadow run found into a folder, as a workbook and each sheet as CSV, and return the files.

    Raises Refused: the folder cannot be written.
    """
    from settlement.adapters import reports

    with _writing(folder):
        return reports.write_differences(sheets, folder, since=since, until=until, language=language)


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table as CSV, as reports write it."""
    from settlement.adapters import reports

    return reports.csv_table(columns, rows)


def list_workbook(
    name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str, on: date, language: Language
) -> bytes:
    """Return a list as a workbook of one sheet, as reports write it."""
    from settlement.adapters import reports

    return reports.list_workbook(name, columns, rows, title=title, on=on, language=language)


def write_archive(
    path: Path,
    certificates: Sequence[Certificate],
    rows: Mapping[int, Iterable[tuple[str, str, Sequence[str]]]],
) -> None:
    """Write certificates and the rows that they seal into a file.

    Raises Refused: the file cannot be written.
    """
    from settlement.adapters import archive

    with _writing(path):
        archive.write(path, certificates, rows)


def broken_archive(path: Path) -> list[str]:
    """Return what of an archive is not what was certified.

    Raises Refused: the file is no archive.
    """
    from settlement.adapters import archive

    try:
        return archive.broken(path)
    except ValueError as error:
        raise Refused(str(error)) from None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"[{path}] cannot be written: {error.strerror or error}") from None


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
