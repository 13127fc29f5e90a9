"""What the doctor asks of each thing outside: facts about it, never a judgement, a secret or a person's data.

Each question is asked when its check comes to it. One that cannot be answered raises what stands in `domain.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from settlement.domain.days import SettlementCalendar
    from settlement.domain.policy import Policy
    from settlement.ports.bank import Debtor
    from settlement.ports.books import Ledger
    from settlement.ports.outbox import ConnectionTest
    from settlement.ports.source import LendingCore


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A database, as it is for the login of a connection: `seconds_ahead` is its clock less ours."""

    where: str
    login: str
    version: str
    is_superuser: bool
    is_over_a_socket: bool
    seconds_ahead: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a login may do with a relation of the source: `writes` has `insert`, `update` and the like."""

    relation: str
    may_read: bool
    writes: Sequence[str]
    is_owned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A relation or column of the source that is missing, or a column whose type is another one.

    A column that `is_read_later` is one that only paying and matching read.
    """

    place: str
    of: Literal["relation", "column", "type"]
    type: str = ""
    wanted: str = ""
    is_read_later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Faulty:
    """So many rows that break a rule at a place such as `core.notes.loan_id`; `said` has examples, no person's data."""

    place: str
    rows: int
    said: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a rule of many places came to: how many a constraint proves, how many were read, how many only in part."""

    faulty: Sequence[Faulty]
    proven: int
    read: int
    sampled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """How many notes were looked at, and how many have each fault of their holders."""

    notes: int
    without: int
    begins_late: int
    gap: int
    overlap: int
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxCase:
    """What decides on a rule of withholding, and how many holdings it is the case of."""

    currency: str
    tax_class: str
    disbursed_on: date
    holdings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """The newest receipts of the source: how many, how many carry a reference, how some of those are written."""

    seen: int
    with_reference: int
    shapes: Sequence[str]


class TookTooLong(Exception):
    """A question was given up because its answer took too long; nothing is known to be amiss."""


class SourceExam(Protocol):
    """The source, looked at as its connection sees it. Rows are counted among the first ones of each relation.

    Raises TookTooLong: the source takes more than a minute to answer one of the questions.
    """

    def rights(self) -> Sequence[Rights]:
        """Return what the login may do with each relation of the contract that is there."""
        ...

    def breaches(self) -> Sequence[Breach]:
        """Return what the relations break of the contract."""
        ...

    def nulls(self) -> Looked:
        """Return the columns that have no value in rows where they must."""
        ...

    def duplicates(self) -> Looked:
        """Return the keys that stand more than once."""
        ...

    def orphans(self) -> Looked:
        """Return the columns that name something that is not there."""
        ...

    def values(self) -> Sequence[Faulty]:
        """Return the columns that say what the contract does not know, or an amount that it does not allow."""
        ...

    def holders(self, since: date) -> Holders:
        """Return how the notes of loans are held that were due or paid since a date."""
        ...

    def tax_cases(self, since: date) -> Sequence[TaxCase]:
        """Return what the rules of withholding have to cover of the loans that were due or paid since a date."""
        ...

    def currencies(self) -> Mapping[str, int]:
        """Return the currencies of the loans, and how many loans each has."""
        ...

    def newest_receipt_at(self) -> datetime | None:
        """Return when the newest receipt came."""
        ...

    def receipts(self) -> Receipts:
        """Return what the newest receipts look like."""
        ...

    def has_opening(self) -> bool:
        """Tell whether the source has opening positions."""
        ...

    def known(self, references: Iterable[str]) -> frozenset[str]:
        """Return those of the references that a receipt carries."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksLogin:
    """What the login of the settlement database is: what it owns there, and whether it may act as the tasks do."""

    owns: Sequence[str]
    may_act: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """The revision that the settlement database is at (none: never migrated), and the one that this version needs."""

    found: str | None
    needed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditLine:
    """What a credit of a statement says, and whether it is matched with a receipt."""

    reference: str | None
    remittance: str | None
    end_to_end_id: str | None
    is_receipt: bool


class BooksExam(Protocol):
    """The settlement database, looked at as its connection sees it."""

    def login(self) -> BooksLogin:
        """Return what the connection's login is there."""
        ...

    def schema(self) -> SchemaVersion:
        """Return which version the schema has, and which one it needs."""
        ...

    def newest_credits(self) -> Sequence[CreditLine]:
        """Return the credits of the newest statements."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the bank's files go in or out: a path of its server or a folder, and what is amiss with it, if anything.

    `unreachable`: no connection, or no such folder; `login_refused`: the bank does not let this login in;
    `not_writable`: files cannot be put there, or taken away.
    """

    where: str
    amiss: Literal["unreachable", "login_refused", "not_writable"] | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankExam:
    """The bank channel: our account, and how its doors are looked at. Nothing is sent and nothing is taken."""

    debtor: Debtor
    doors: Callable[[], Sequence[Door]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The folder of the frozen inputs; `mode` is none where it is not there yet, `free_bytes` those of its disk."""

    path: Path
    mode: int | None
    may_write: bool
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Airflow:
    """Airflow as a process with our environment loads it.

    `users` are the names that may log in, or none where they cannot be known from here; `dag_states` says of each DAG
    that Airflow's database knows whether it is `running` or `paused`, and is none where that database cannot be seen,
    because we were told of none or because of the failure. An error is one line of it.
    """

    version: str
    product_at: str | None
    plugin_errors: Mapping[str, str]
    has_timetable: bool
    dag_errors: Mapping[str, str]
    dags: Sequence[str]
    auth_manager: str
    is_everybody_admin: bool
    users: Sequence[str] | None
    dag_states: Mapping[str, str] | None
    is_scheduler_alive: bool
    database_failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Everything that the doctor looks at; what is called raises Refused or Unavailable where it is not to be had."""

    policy: Callable[[], Policy]
    calendar: Callable[[Policy], SettlementCalendar]
    now: Callable[[], datetime]
    is_now_set: bool
    territory_of: Callable[[str], str | None]
    """The country in which a time zone is, if it is in one."""
    source_server: Callable[[], Server]
    source: Callable[[], SourceExam]
    core: Callable[[], LendingCore]
    books_server: Callable[[], Server]
    books: Callable[[], BooksExam]
    ledger: Callable[[Policy], Ledger]
    bank: Callable[[], BankExam | None]
    slack: Callable[[Policy], ConnectionTest | None]
    has_mail: Callable[[], bool]
    snapshots: Callable[[], Folder]
    airflow: Callable[[], Airflow]
    airflow_health: Callable[[], str | None]
    can_ask_airflow: bool
    """Whether `airflow_health` may ask as a user, so that no answer means that all is well."""
