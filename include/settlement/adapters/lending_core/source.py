"""The lending core, read by ADBC: whole columns as Arrow, in one repeatable-read snapshot that can write nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

import adbc_driver_manager
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_postgresql import dbapi
from sqlalchemy.engine import make_url

from settlement.adapters.lending_core import contract
from settlement.domain import frames
from settlement.domain.bank.matching import SubjectKind
from settlement.domain.books.accounts import PayeeKind
from settlement.domain.computation import encode
from settlement.domain.days import SettlementCalendar, Window
from settlement.domain.errors import Refused, Unavailable
from settlement.domain.frames import Kind
from settlement.ports.source import EarlierReceipts

Read = Callable[..., pd.DataFrame]
"""Reads one of the queries in `sql`, with its parameters, and other relations in place of those that it names."""

SEPARATOR = "\x1f"
TEXT = pd.StringDtype(na_value=float("nan"))
KINDS = {
    "disbursed_on": Kind.DATE,
    "held_from": Kind.DATE,
    "held_until_exclusive": Kind.DATE,
    "due_on": Kind.DATE,
    "received_at": Kind.INSTANT,
    "requested_at": Kind.INSTANT,
    "principal": Kind.AMOUNT,
    "amount": Kind.AMOUNT,
    "installment_no": Kind.AMOUNT,
    "most": Kind.AMOUNT,
    "row": Kind.AMOUNT,
}
"""By name of a column: what it holds, where Arrow does not say it."""


class PostgresLendingCore:
    """The source database at a `postgresql+psycopg://` URL."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._uri = self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def snapshot(self) -> Iterator["Snapshot"]:
        """Open the source as it stands at this moment; see `ports.LendingCore`."""
        with self._reading() as read, self._reading(beside=read) as read_beside:
            yield Snapshot(read, read_beside)

    def payees(self, investor_ids: Sequence[str], refund_ids: Sequence[str]) -> pd.DataFrame:
        """Return who is to be paid where; a borrower to whom money goes back is paid whatever became of the loan."""
        with self._reading() as read:
            found = [read("payees", _joined(investor_ids)).assign(payee_kind=PayeeKind.INVESTOR.value)]
            if refund_ids and _has(read, "refunds"):
                borrowers = read("refund_payees", _joined(refund_ids))
                found.append(borrowers.assign(payee_kind=PayeeKind.BORROWER.value, status="active"))
        named = pd.concat(found, ignore_index=True)[frames.PAYEES.column_names]
        return frames.check(named.astype("str"), frames.PAYEES)

    def received_at(self, repayment_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these repayments came."""
        with self._reading() as read:
            rows = read("repayments", _joined(repayment_ids))
        return dict(zip(rows["repayment_id"], rows["received_at"], strict=True))

    def receipts(
        self, *, references: Sequence[str], since: date, repayment_ids: Sequence[str], calendar: SettlementCalendar
    ) -> pd.DataFrame:
        """Return the receipts, as a statement line would show them, that carry one of the references or ids."""
        with self._reading() as read:
            rows = read("receipts", _joined(references), _joined(repayment_ids), calendar.window(since).from_at)
        is_undone = rows["reverses_repayment_id"].notna()
        dates = [calendar.settlement_date_of(at.to_pydatetime()) for at in rows["received_at"]]
        return frames.of_columns(
            frames.SUBJECTS,
            {
                "kind": [(SubjectKind.RECEIPT_UNDONE if undone else SubjectKind.RECEIPT).value for undone in is_undone],
                "subject_id": rows["repayment_id"],
                "occurrence": [1] * len(rows),
                "amount": rows["amount"].where(~is_undone, -rows["amount"]),
                "currency": rows["currency"],
                "reference": rows["bank_reference"].fillna(""),
                "on": dates,
                "group": rows["loan_id"],
                "account": [None] * len(rows),
            },
        )

    @contextmanager
    def _connected(self) -> Iterator[dbapi.Connection]:
        with dbapi.connect(self._uri, autocommit=True) as connection:
            yield connection

    @contextmanager
    def _reading(self, *, beside: Read | None = None) -> Iterator[Read]:
        """Open a snapshot, or a second view of the one that is open, which another thread may read.

        Raises Refused: the source is not what the contract says, or cannot be read; every column is named that differs.
        Raises Unavailable: it does not answer.
        """
        where = f"[{self._url.host or self._url.query.get('host') or 'localhost'}/{self._url.database}]"
        try:
            with self._connected() as connection, connection.cursor() as cursor:
                cursor.execute("begin isolation level repeatable read, read only")
                if beside is not None:
                    cursor.execute(f"set transaction snapshot '{beside('snapshot')['name'].iloc[0]}'")
                cursor.execute("set local work_mem = '128MB'")  # the notes of a large day, joined in memory

                def read(name: str, *parameters: Any, relations: Mapping[str, str] | None = None) -> pd.DataFrame:
                    texts = [p.isoformat() if isinstance(p, datetime) else p for p in parameters]
                    query = _sql(name)
                    for named, chosen in (relations or {}).items():
                        query = query.replace(named, chosen)
                    cursor.execute(query, parameters=texts)
                    return _frame(cursor.fetch_arrow_table())

                if beside is None and (broken := contract.broken(read("columns"))):
                    raise Refused(
                        f"Lending core {where} cannot be read: {'; '.join(broken)}. Mend the views of schema core (an"
                        " id as [loan_id::text], an instant as [received_at at time zone 'Asia/Seoul']), then go on"
                    )
                yield read
                cursor.execute("rollback")
        except adbc_driver_manager.OperationalError as error:
            raise Unavailable(f"Lending core {where} does not answer: {_reason(error)}") from None
        except adbc_driver_manager.Error as error:
            raise Refused(
                f"Lending core {where} cannot be read: {_reason(error)} - the six relations of schema core must exist"
                " and be readable for the login of connection [lending_core]"
            ) from None


class Snapshot:
    """The source as it stood at one moment, over two connections that see the same; see `ports.SourceSnapshot`."""

    def __init__(self, read: Read, read_beside: Read) -> None:
        self._read = read
        self._read_beside = read_beside

    def digests(self, boundaries: Sequence[datetime]) -> dict[datetime, tuple[int, str]]:
        """Return count and digest of what was received from each of the ascending instants to the next."""
        if not boundaries:
            return {}
        counted = self._read("windows", ",".join(instant.isoformat() for instant in boundaries))
        buckets = {row["bucket"]: (row["receipts"], row["digest"]) for row in counted.to_dict("records")}
        return {at: buckets[number] for number, at in enumerate(boundaries, start=1) if number in buckets}

    def received(self, windows: Sequence[Window]) -> pd.DataFrame:
        """Return the repayments received in any of the windows, each once."""
        return pd.concat([self._read("received", *window) for window in windows], ignore_index=True)

    def received_by(self, loan_ids: Sequence[str], until_at_exclusive: datetime) -> pd.DataFrame:
        """Return the repayments that these loans received before an instant."""
        return self._read("received_by_loans", _joined(loan_ids), until_at_exclusive)

    def received_before(self, at: datetime, loan_ids: Sequence[str]) -> list[EarlierReceipts]:
        """Return what these loans received before an instant and was not undone, by currency."""
        found = self._read("received_before", at, _joined(loan_ids))
        return [
            EarlierReceipts(currency=currency, receipts=receipts, loans=loans, amount=amount)
            for currency, receipts, loans, amount in frames.rows(found, "currency", "receipts", "loans", "amount")
        ]

    def refunds(self, until_at_exclusive: datetime) -> pd.DataFrame:
        """Return the refunds that were requested before an instant."""
        if _has(self._read, "refunds"):
            return self._read("refunds", until_at_exclusive)
        return frames.build(frames.REFUNDS).drop(columns="state")

    def opening(self, opens_at: datetime) -> pd.DataFrame:
        """Return the opening positions, where the first window opens at an instant."""
        if _has(self._read, "opening_positions"):
            return frames.check(self._read("opening", opens_at), frames.OPENING)
        return frames.build(frames.OPENING)

    def first_receipt(self) -> datetime | None:
        """Return when the first money of all came."""
        (found,) = self._read("first_receipt")["received_at"]
        return None if pd.isna(found) else found.to_pydatetime()

    def repayments(self, repayment_ids: Sequence[str]) -> pd.DataFrame:
        """Return these repayments."""
        return self._read("repayments", _joined(repayment_ids))

    def loans(self, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return these loans."""
        return self._read("loans", _joined(loan_ids))

    def positions(self, loan_ids: "pd.Series[Any]") -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the notes of the loans and their holdings, read side by side.

        Where most loans are wanted, the relations are read whole and chosen from here: joining them there, by keys of
        text that do not fit into the server's memory, takes three times as long.
        """
        with ThreadPoolExecutor(1) as beside:
            if 2 * len(loan_ids) >= self._read("loan_count")["loans"].iloc[0]:
                notes_read = beside.submit(self._read_beside, "every_note")
                every_holding = self._read("every_holding")
                notes = _among(notes_read.result(), "loan_id", loan_ids)
                return notes, _among(every_holding, "note_id", notes["note_id"])
            wanted = _joined(loan_ids.tolist())
            notes_read = beside.submit(self._read_beside, "notes", wanted)
            holdings = self._read("holdings", wanted)
            return notes_read.result(), holdings

    def investors(self, investor_ids: "pd.Series[Any]") -> pd.DataFrame:
        """Return these investors."""
        return _among(self._read("investors"), "investor_id", investor_ids)

    def receivables(self, loan_ids: Sequence[str]) -> pd.DataFrame:
        """Return the receivables of these loans."""
        return self._read("receivables", _joined(loan_ids))


def _has(read: Read, relation: str) -> bool:
    """Tell whether the source has one of the relations that it may do without."""
    return bool(read("has_relation", relation)["is_there"].iloc[0])


@cache
def _sql(name: str) -> str:
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def _among(rows: pd.DataFrame, key: str, wanted: pd.Series) -> pd.DataFrame:
    """Return the rows whose key is wanted."""
    keys, wanted_keys = encode.text(rows[key]), encode.text(wanted)
    if pc.run_end_encode(keys).values.equals(wanted_keys):  # the same ones in the same order: nothing is hashed
        return rows
    is_wanted = pc.is_in(keys, pc.unique(wanted_keys)).to_numpy(zero_copy_only=False)
    chosen: pd.DataFrame = rows[is_wanted]
    return chosen.reset_index(drop=True)


def _joined(ids: Sequence[str]) -> str:
    return SEPARATOR.join(ids)


def _frame(table: pa.Table) -> pd.DataFrame:
    for place, column in enumerate(table.schema):
        if pa.types.is_date(column.type):  # Arrow casts a date in a tenth of the time that pandas takes
            table = table.set_column(place, column.name, table[place].cast(pa.timestamp("s")))
    frame: pd.DataFrame = table.to_pandas(types_mapper=lambda kind: TEXT if pa.types.is_string(kind) else None)
    return frames.typed(frame, {name: kind for name, kind in KINDS.items() if name in frame.columns})


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
